"""`coalesced ledger vouch` and `join`: an account for somebody new, whose bond somebody known pays."""

from pathlib import Path

import click

from coalesced.cli.errors import CliError, unreadable
from coalesced.cli.face import Face, command_options
from coalesced.cli.motions import key_of, passphrase_option
from coalesced.cli.signing import own_account, own_identity, signed, submitted

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("did")
@click.option("--bond", type=click.IntRange(1, 10**15), default=100, show_default=True, help="Locked for good.")
@click.option("-o", "--output", type=FILE, required=True, help="Where to write it.")
@passphrase_option
@command_options
def vouch(face: Face, /, did: str, bond: int, output: Path, passphrase_file: str) -> None:
    """Pay the bond of an account for DID.

    It takes effect when DID's owner brings the file in, with `ledger join`.
    """
    from protocol.transactions import Join

    tx = signed(Join, own_identity(face, passphrase_file), own_account(face), key=key_of(did), bond=bond)
    try:
        with output.open("xb") as file:
            file.write(tx)
    except FileExistsError as error:
        raise CliError(f"{output} is there already: choose another name", code="failed", exit_code=1) from error
    except OSError as error:
        raise CliError(f"{output} cannot be written: {error.strerror}", code="failed", exit_code=1) from error
    text = f"{output} gives {did} an account for {bond} credits of this node's; there: coalesced ledger join {output}"
    face.show({"schema": "coalesced.ok/1", "text": text})


@click.command()
@click.argument("file", type=FILE)
@passphrase_option
@command_options
def join(face: Face, /, file: Path, passphrase_file: str) -> None:
    """Take the account that FILE gives this node's key.

    Somebody who has credits has made it, with `ledger vouch`.
    """
    from protocol.consensus import MAX_TX_BYTES
    from protocol.errors import RemoteProtocolError
    from protocol.transactions import Join, cosign, open_transaction

    try:
        with file.open("rb") as opened:
            tx = cosign(opened.read(MAX_TX_BYTES + 1), own_identity(face, passphrase_file))
        if not isinstance(open_transaction(tx).terms, Join):
            raise CliError(f"{file} is a transaction, and gives nobody an account")
    except OSError as error:
        raise unreadable(file, error) from error
    except RemoteProtocolError as error:
        raise CliError(f"{file} gives this node's key no account: {error.text}") from error
    face.show(submitted(face, tx))
