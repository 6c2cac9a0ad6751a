"""What a committee decides by a quorum, made by hand: a motion is a file that its members sign one after the other."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from coalesced.cli.errors import CliError, unreadable
from coalesced.cli.face import Face, command_options
from coalesced.cli.signing import own_identity, submitted
from coalesced.cli.units import counted, moment
from coalesced.control.shapes import LedgerMembers

if TYPE_CHECKING:
    from protocol.transactions import Approved

FILE = click.Path(path_type=Path)
SCHEMA = "coalesced.ledger-motion/1"
MAX_FILE_BYTES = 2**20
VALID_DAYS = 7
DAY_MS = 86_400_000

passphrase_option = click.option("--passphrase-file", default="", help="Opens this node's sealed key.")
output_option = click.option("-o", "--output", type=FILE, help="The motion, for other members to approve.")


@dataclass(frozen=True, slots=True)
class Motion:
    """Transactions that take effect one after the other, with the signatures that they have so far."""

    txs: tuple[bytes, ...]

    def said(self) -> list[str]:
        """What it would do, for a person."""
        return [_told(terms) for terms in self.terms()]

    def terms(self) -> "list[Approved]":
        """What is signed."""
        from protocol.transactions import Approved, open_transaction

        found = [open_transaction(tx).terms for tx in self.txs]
        return [terms for terms in found if isinstance(terms, Approved)]

    def signers(self) -> set[bytes]:
        """Who has signed all of it."""
        from protocol.transactions import open_transaction

        return set.intersection(*(set(open_transaction(tx).signers) for tx in self.txs))


def _told(terms: "Approved") -> str:
    """One decision in words: whom it is about by name, and until when it can be made."""
    from crypto.identity import did_key

    words = [type(terms).__name__.lower()]
    for name in terms.__struct_fields__:
        value = getattr(terms, name)
        if name in ("chain", "motion", "valid_until_unix_ms") or value == ():
            continue
        several = value if isinstance(value, tuple) else (value,)
        words += [name] * isinstance(value, tuple | int)
        words += [did_key(one) if isinstance(one, bytes) else str(one) for one in several]
    return f"{' '.join(words)}; valid until {moment(terms.valid_until_unix_ms)}"


@click.command()
@click.argument("did")
@output_option
@passphrase_option
@command_options
def admit(face: Face, /, did: str, output: Path | None, passphrase_file: str) -> None:
    """Give DID a vote, and an account if it has none.

    Takes effect when a quorum has signed.
    """
    from protocol.transactions import Admit, Reconfigure

    key = key_of(did)
    steps: list[tuple[type[Approved], dict[str, Any]]] = [] if _has_account(face, did) else [(Admit, {"key": key})]
    _begin(face, [*steps, (Reconfigure, {"add": (key,)})], output, passphrase_file)


@click.command()
@click.argument("did")
@output_option
@passphrase_option
@command_options
def remove(face: Face, /, did: str, output: Path | None, passphrase_file: str) -> None:
    """Take DID's vote away; its account stays.

    Takes effect when a quorum has signed.
    """
    from protocol.transactions import Reconfigure

    _begin(face, [(Reconfigure, {"remove": (key_of(did),)})], output, passphrase_file)


@click.command()
@click.argument("did")
@click.argument("amount", type=click.IntRange(1, 10**15))
@output_option
@passphrase_option
@command_options
def grant(face: Face, /, did: str, amount: int, output: Path | None, passphrase_file: str) -> None:
    """Give DID new credits, and an account if it has none.

    Takes effect when a quorum has signed.
    """
    from protocol.transactions import Admit, Grant

    key = key_of(did)
    steps: list[tuple[type[Approved], dict[str, Any]]] = [] if _has_account(face, did) else [(Admit, {"key": key})]
    _begin(face, [*steps, (Grant, {"account": key, "credits": amount})], output, passphrase_file)


@click.command()
@click.argument("file", type=FILE)
@passphrase_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@command_options
def approve(face: Face, /, file: Path, passphrase_file: str, yes: bool) -> None:
    """Sign the motion in FILE as a member.

    The last signature that it takes has it committed.
    """
    from protocol.transactions import cosign

    motion = _read(file)
    chain = face.run(lambda client: client.ledger_members())["chain"]
    if strangers := {terms.chain.hex() for terms in motion.terms()} - {chain}:
        raise CliError(f"{file} is for chain {strangers.pop()}, and this node follows {chain}", exit_code=5)
    for line in motion.said():
        face.note(line)
    if not yes:
        click.confirm("Sign this?", abort=True, err=True)
    identity = own_identity(face, passphrase_file)
    _finish(face, Motion(tuple(cosign(tx, identity) for tx in motion.txs)), file)


def _begin(
    face: Face, steps: "Sequence[tuple[type[Approved], dict[str, Any]]]", output: Path | None, passphrase_file: str
) -> None:
    """Make a motion with this node's signature."""
    import os

    from node.env import Env
    from protocol.transactions import sign_transaction

    identity = own_identity(face, passphrase_file)
    members = face.run(lambda client: client.ledger_members())
    chain, until = bytes.fromhex(members["chain"]), Env().unix_ms() + VALID_DAYS * DAY_MS
    txs = tuple(
        sign_transaction(kind(chain=chain, motion=os.urandom(16), valid_until_unix_ms=until, **fields), identity)
        for kind, fields in steps
    )
    _finish(face, Motion(txs), output)


def _finish(face: Face, motion: Motion, file: Path | None) -> None:
    """Have it committed when a quorum of the present members has signed; else keep it for the others."""
    members = face.run(lambda client: client.ledger_members())
    missing = _missing(members, motion.signers())
    if missing:
        if file is None:
            raise CliError(f"{missing} more members have to approve: give -o FILE, and pass it on", exit_code=5)
        _write(file, motion)
        text = f"{file} waits for {missing} more of {len(members['members'])} members: coalesced ledger members approve"
        face.show({"schema": "coalesced.ok/1", "text": text})
        return
    heights = [submitted(face, tx)["height"] for tx in motion.txs]
    text = f"{counted(len(heights), 'decision')} took effect at height {heights[-1]}"
    face.show({"schema": "coalesced.ok/1", "text": text})


def _missing(members: LedgerMembers, signers: set[bytes]) -> int:
    keys = {key_of(row["did"]) for row in members["members"]}
    if strangers := signers - keys:
        raise CliError(f"{len(strangers)} of its signers are no members (any more)", exit_code=5)
    return max(0, members["quorum"] - len(signers & keys))


def _has_account(face: Face, did: str) -> bool:
    from coalesced.control.errors import ControlError

    try:
        face.run(lambda client: client.ledger_account(did))
    except ControlError as error:
        if error.code == "usage":
            return False
        raise
    return True


def _read(file: Path) -> Motion:
    from protocol.errors import RemoteProtocolError

    try:
        with file.open("rb") as opened:
            found = msgspec.json.decode(opened.read(MAX_FILE_BYTES), type=dict[str, Any])
        if found.get("schema") != SCHEMA or not found.get("transactions"):
            raise ValueError("it has another schema, or decides nothing")
        motion = Motion(tuple(base64.b64decode(str(text), validate=True) for text in found["transactions"]))
        if len(motion.terms()) != len(motion.txs):
            raise ValueError("it holds something else than decisions of a committee")
    except OSError as error:
        raise unreadable(file, error) from error
    except (msgspec.MsgspecError, RemoteProtocolError, TypeError, ValueError) as error:
        raise CliError(f"{file} is no motion: {error}") from error
    return motion


def _write(file: Path, motion: Motion) -> None:
    texts = [base64.b64encode(tx).decode() for tx in motion.txs]
    content = {"schema": SCHEMA, "says": motion.said(), "transactions": texts}
    try:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    except OSError as error:
        raise CliError(f"{file} cannot be written: {error.strerror}", code="failed", exit_code=1) from error


def key_of(did: str) -> bytes:
    """The key of a did:key; CliError when it is none."""
    from crypto.identity import parse_did_key

    try:
        return parse_did_key(did)
    except ValueError as error:
        raise CliError(str(error)) from error
