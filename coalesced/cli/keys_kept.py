"""`coalesced keys`: a key kept safe (backup, restore), passed on (rotate) and ended (revoke)."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from coalesced.cli.errors import CliError, unreadable
from coalesced.cli.face import Face, command_options
from coalesced.cli.params import DURATION
from coalesced.cli.signing import own_account, own_identity, signed, submitted

if TYPE_CHECKING:
    from crypto.identity import Identity

FILE = click.Path(path_type=Path)
NEXT_KEY: Final = "identity.key.next"
"""The successor's key, between its naming and the node's restart with it."""
sealing = (
    click.option("--passphrase-file", default="", help="Its first line is the passphrase of the copy."),
    click.option("--passphrase-fd", type=click.IntRange(0, 1024), help="The same, from an open file descriptor."),
    click.option("--key-passphrase-file", default="", help="Opens this node's own key, where that is sealed."),
)


def _sealing(function: click.decorators.FC) -> click.decorators.FC:
    for option in reversed(sealing):
        function = option(function)
    return function


@click.command()
@click.option("-o", "--output", type=FILE, required=True, help="Where to write the copy.")
@_sealing
@command_options
def backup(
    face: Face, /, output: Path, passphrase_file: str, passphrase_fd: int | None, key_passphrase_file: str
) -> None:
    """Write a sealed copy of the node's key.

    Its passphrase is asked for, or read from a file or an open descriptor; never from the command line.
    """
    from coalesced.passphrase import new_passphrase

    identity = own_identity(face, key_passphrase_file)
    _save(output, identity, new_passphrase(passphrase_file, descriptor=passphrase_fd))
    face.show({"schema": "coalesced.ok/1", "text": f"{output} is a sealed copy; keep it and its passphrase apart"})


@click.command()
@click.argument("file", type=FILE)
@click.option("--sealed", is_flag=True, help="Leave the key sealed with the copy's passphrase.")
@click.option("--passphrase-file", default="", help="Its first line opens the copy.")
@click.option("--passphrase-fd", type=click.IntRange(0, 1024), help="The same, from an open file descriptor.")
@command_options
def restore(face: Face, /, file: Path, sealed: bool, passphrase_file: str, passphrase_fd: int | None) -> None:
    """Put the key of a copy in its place in the node's directory. A key that is there is never written over.

    What the key voted for since the copy was made is not known here: a member follows the chain first, and votes again
    once the others have decided without it.
    """
    from coalesced.passphrase import read_passphrase
    from crypto.identity import did_key

    target = face.paths.key_file
    if target.exists():
        raise CliError(f"there is a key in {target}: give another --home, or move it away", code="failed", exit_code=1)
    passphrase = read_passphrase(passphrase_file, prompt="passphrase of the copy: ", descriptor=passphrase_fd)
    identity = _load(file, passphrase)
    _mark_unknown(face.paths.home)
    _save(target, identity, passphrase if sealed else None)
    face.show({"schema": "coalesced.ok/1", "text": f"{target} is the key of {did_key(identity.public_key)}"})


@click.command()
@click.option("--finish", is_flag=True, help="Put the new key in place, once the node is stopped.")
@click.option("--wait", "wait_s", type=DURATION, help="First wait so long for open deals and tasks to end.")
@click.option("--passphrase-file", default="", help="Opens this node's key, where it is sealed; seals the new one.")
@command_options
def rotate(face: Face, /, finish: bool, wait_s: float | None, passphrase_file: str) -> None:
    """Pass this node's account to a new key.

    Reputation, credits, open deals and vote go with it.

    With the node running, the succession is committed; both keys sign it. Then stop the node, run this with --finish,
    and start it again. The old key and the journal that it signed are kept beside the new ones. Receipts that the
    other side has not signed by then stay without its signature: --wait avoids that.
    """
    if finish:
        _finish_rotation(face, passphrase_file)
        return
    _say_what_is_open(face, wait_s or 0.0)
    from crypto.identity import did_key
    from protocol.transactions import NameSuccessor, Succeed, key_commitment

    identity = own_identity(face, passphrase_file)
    successor = _next_key(face, passphrase_file)
    named = key_commitment(successor.public_key)
    account = own_account(face)
    if not account["has_successor"]:
        submitted(face, signed(NameSuccessor, identity, account, next_key_sha256=named))
        account = own_account(face)
    tx = signed(Succeed, identity, account, successor, new_key=successor.public_key)
    done = submitted(face, tx)
    new, old = did_key(successor.public_key), did_key(identity.public_key)
    then = "; ".join(face.again(words) for words in ("stop", "keys rotate --finish", "start"))
    face.show({"schema": "coalesced.ok/1", "text": f"{new} succeeds {old} since height {done['height']}; now: {then}"})


@click.command()
@click.argument("certificate", type=FILE, required=False)
@click.option("--prepare", type=FILE, metavar="FILE", help="Write a revocation certificate, to be kept for later.")
@click.option("--passphrase-file", default="", help="Opens this node's key, where it is sealed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command_options
def revoke(face: Face, /, certificate: Path | None, prepare: Path | None, passphrase_file: str, yes: bool) -> None:
    """End a key by a CERTIFICATE made beforehand (--prepare).

    Any node of the chain can bring it in: the key itself is not needed. Its account's credits stay where they are.
    """
    if (certificate is None) == (prepare is None):
        raise CliError("give a CERTIFICATE to bring in, or --prepare FILE to make one")
    if prepare is not None:
        _prepare(face, prepare, own_identity(face, passphrase_file))
        return
    assert certificate is not None
    tx = _certificate(certificate)
    if not yes:
        click.confirm("The key's account ends for good, its vote too. Go on?", abort=True, err=True)
    face.show(submitted(face, tx))


def _say_what_is_open(face: Face, wait_s: float) -> None:
    """CliError when that had to end first and has not."""
    from coalesced.cli.open_work import still_open
    from coalesced.cli.units import duration

    if not (found := face.run(lambda client: still_open(client, wait_s))):
        return
    if wait_s:
        text = f"{found} still open after {duration(wait_s)}: nothing was changed"
        hint = f"a longer --wait; or {face.again('keys rotate')}: deals go on under the new key"
        raise CliError(text, code="timed_out", exit_code=6, hint=hint)
    face.note(f"note: {found} open. `stop` lets tasks end, and deals go on under the new key; --wait 5m waits for both")


def _prepare(face: Face, file: Path, identity: "Identity") -> None:
    from protocol.transactions import Revoke, sign_transaction

    account = face.run(lambda client: client.ledger_account())
    terms = Revoke(chain=bytes.fromhex(account["chain"]), key=identity.public_key, by=identity.public_key)
    _write_new(file, sign_transaction(terms, identity))
    text = f"{file} ends this key on chain {account['chain'][:16]}: keep it where a thief of the key would not find it"
    face.show({"schema": "coalesced.ok/1", "text": text})


def _certificate(file: Path) -> bytes:
    from protocol.consensus import MAX_TX_BYTES
    from protocol.errors import RemoteProtocolError
    from protocol.transactions import Revoke, open_transaction

    try:
        with file.open("rb") as opened:
            tx = opened.read(MAX_TX_BYTES + 1)
        if not isinstance(open_transaction(tx).terms, Revoke):
            raise CliError(f"{file} is a transaction, and no revocation")
    except OSError as error:
        raise unreadable(file, error) from error
    except RemoteProtocolError as error:
        raise CliError(f"{file} is no revocation certificate: {error.text}") from error
    return tx


def _next_key(face: Face, passphrase_file: str) -> "Identity":
    """The successor's key: drawn once, so that a second try goes on with the first one's."""
    from coalesced.cli.keys import is_sealed
    from coalesced.passphrase import read_passphrase
    from crypto.identity import Identity
    from node.store.keyfile import SEED_BYTES

    file = face.paths.home / NEXT_KEY
    if file.exists():
        return _load(file, read_passphrase(passphrase_file) if is_sealed(file) else None)
    identity = Identity(os.urandom(SEED_BYTES))
    passphrase = read_passphrase(passphrase_file) if is_sealed(face.paths.key_file) else None
    _save(file, identity, passphrase)
    return identity


def _finish_rotation(face: Face, passphrase_file: str) -> None:
    """Old key and old journal aside, new key in place: each a rename, in an order that a crash may cut anywhere."""
    from coalesced.control.lock import holder
    from crypto.identity import short_id
    from node.store.former import set_aside

    home, key = face.paths.home, face.paths.key_file
    new = home / NEXT_KEY
    if holder(face.paths.lock_file) is not None:
        raise CliError("the node runs: stop it first", code="failed", exit_code=1, hint=face.again("stop"))
    if not new.exists():
        raise CliError("no rotation is under way", code="failed", exit_code=1, hint=face.again("keys rotate"))
    old = short_id(own_identity(face, passphrase_file).public_key) if key.exists() else "former"
    aside = set_aside(home / "journal.db", old)
    if key.exists():
        key.rename(home / f"identity.key.{old}")
    new.rename(key)
    text = f"the node has its new key; the old one is identity.key.{old}, its journal {aside.name}"
    face.show({"schema": "coalesced.ok/1", "text": text})


def _mark_unknown(home: Path) -> None:
    """Before the key is there: one that came from a copy may have voted anywhere, and a vote must not come twice."""
    from node.errors import NodeError
    from node.store.vote_mark import mark_unknown

    try:
        mark_unknown(home)
    except NodeError as error:
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error


def _save(file: Path, identity: "Identity", passphrase: str | None) -> None:
    from node.errors import NodeError
    from node.store.keyfile import save

    try:
        save(file, identity, os.urandom, passphrase)
    except FileExistsError as error:
        raise CliError(f"{file} is there already: choose another name", code="failed", exit_code=1) from error
    except NodeError as error:
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error


def _load(file: Path, passphrase: str | None) -> "Identity":
    from node.errors import NodeError
    from node.store.keyfile import load

    try:
        return load(file, passphrase)
    except NodeError as error:
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error


def _write_new(file: Path, content: bytes) -> None:
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
    except FileExistsError as error:
        raise CliError(f"{file} is there already: choose another name", code="failed", exit_code=1) from error
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}", code="failed", exit_code=1) from error
