"""Signing transactions of a community chain by hand: with the node's key file, not by the daemon."""

from typing import TYPE_CHECKING, Any

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face
from coalesced.control.shapes import LedgerAccount, LedgerDone

if TYPE_CHECKING:
    from crypto.identity import Identity
    from protocol.transactions import Owned


def own_identity(face: Face, passphrase_file: str = "") -> "Identity":
    """The node's key; CliError when it cannot be read. A sealed one is opened with a passphrase."""
    from coalesced.cli.keys import is_sealed
    from coalesced.passphrase import read_passphrase
    from node.errors import NodeError
    from node.store.keyfile import load

    file = face.paths.key_file
    try:
        return load(file, read_passphrase(passphrase_file) if is_sealed(file) else None)
    except NodeError as error:
        raise CliError(str(error), code=error.code, exit_code=error.exit_code) from error


def own_account(face: Face) -> LedgerAccount:
    """This node's account, with a sequence number for one transaction; CliError when it cannot sign one."""
    account = face.run(lambda client: client.ledger_account())
    if account["next_sequence"] is None:
        if account["standing"] == "active":
            then = "; ".join(face.again(words) for words in ("stop", "keys rotate --finish", "start"))
            raise CliError(f"this node's key has passed its account to {account['peer']}", exit_code=5, hint=then)
        raise CliError(f"the account of {account['peer']} is {account['standing']}", exit_code=5)
    return account


def signed(
    kind: "type[Owned]", identity: "Identity", account: LedgerAccount, *more: "Identity", **fields: Any
) -> bytes:
    """A transaction of this node's account."""
    from protocol.transactions import sign_transaction

    chain, sequence = bytes.fromhex(account["chain"]), account["next_sequence"]
    assert sequence is not None
    terms = kind(chain=chain, signer=identity.public_key, sequence=sequence, **fields)
    return sign_transaction(terms, identity, *more)


def submitted(face: Face, tx: bytes) -> LedgerDone:
    """Have it committed by the running node."""
    return face.run(lambda client: client.ledger_submit(tx))
