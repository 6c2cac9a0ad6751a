"""`coalesced ledger`: the community chain that this node votes on or follows."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coalesced.cli.errors import CliError, unreadable
from coalesced.cli.face import Face, command_options
from coalesced.cli.motions import admit, approve, grant, passphrase_option, remove
from coalesced.cli.signing import own_account, own_identity, signed, submitted
from coalesced.cli.vouching import join, vouch
from coalesced.control.client import ControlClient

if TYPE_CHECKING:
    from coalesced.cli.ledger_files import Checked
    from coalesced.control.shapes import LedgerBlocks

FILE = click.Path(path_type=Path)


@click.group()
def ledger() -> None:
    """The community chain: who votes, how far it is, what it proves."""


@ledger.command()
@click.option("--member", "members", multiple=True, required=True, metavar="DID|KEYFILE", help="Votes; repeatable.")
@click.option("--account", "others", multiple=True, metavar="DID|KEYFILE", help="Has an account from the start.")
@click.option("--credits", "each_credits", type=click.IntRange(0, 10**12), default=0, help="What each of them holds.")
@click.option("--name", required=True, help="What people call the chain.")
@click.option("--network", default="main", show_default=True, help="The nodes' network.")
@click.option("-o", "--output", type=FILE, required=True, help="Where to write it.")
@command_options
def genesis(
    face: Face,
    /,
    members: Sequence[str],
    others: Sequence[str],
    each_credits: int,
    name: str,
    network: str,
    output: Path,
) -> None:
    """Write the file that names a chain.

    Every node starts with the same one: coalesced start --genesis FILE.
    A member is a did:key, or the key file or directory of a node on this machine.
    """
    from coalesced.cli.ledger_files import create_genesis

    keys = [_public_key(text) for text in members], [_public_key(text) for text in others]
    face.show(create_genesis(name, network, *keys, each_credits=each_credits, output=output))


@ledger.command()
@command_options
def head(face: Face, /) -> None:
    """The last block here, and what is being decided on top of it."""
    face.show(face.run(lambda client: client.ledger_head()))


@ledger.group(invoke_without_command=True)
@command_options
def members(face: Face, /) -> None:
    """The committee that decides the next block; and how it changes."""
    if click.get_current_context().invoked_subcommand is None:
        face.show(face.run(lambda client: client.ledger_members()))


for _command in (admit, remove, approve):
    members.add_command(_command)
for _command in (grant, vouch, join):
    ledger.add_command(_command)


@ledger.command()
@click.argument("peer", required=False)
@command_options
def balance(face: Face, /, peer: str | None) -> None:
    """What PEER, or this node, holds and has locked."""
    face.show(face.run(lambda client: client.ledger_account(peer or "")))


@ledger.command()
@click.argument("deal")
@click.option("--pay", type=click.IntRange(0, 10**15), required=True, help="What the seller gets of what it asked for.")
@passphrase_option
@command_options
def rule(face: Face, /, deal: str, pay: int, passphrase_file: str) -> None:
    """Decide a disputed DEAL as its arbiter.

    `ledger balance` lists the deals. What the seller does not get goes back to the client.
    """
    from protocol.transactions import Rule

    account = own_account(face)
    found = [row for row in account["deals"] if row["deal"].startswith(deal) and row["role"] == "arbiter"]
    if len(found) != 1:
        raise CliError(f"{deal} names {len(found)} deals that this node is the arbiter of")
    from crypto.identity import parse_did_key

    terms = {"client": parse_did_key(found[0]["client_did"]), "deal": bytes.fromhex(found[0]["deal"])}
    identity = own_identity(face, passphrase_file)
    face.show(submitted(face, signed(Rule, identity, account, **terms, contractor_credits=pay)))


@ledger.command()
@command_options
def verify(face: Face, /) -> int:
    """Recompute everything from the genesis on."""
    verified = face.run(lambda client: client.ledger_verify())
    face.show(verified)
    return 0 if verified["ok"] else 7


@ledger.command()
@click.option("-o", "--output", type=FILE, required=True, help="Where to write it.")
@command_options
def export(face: Face, /, output: Path) -> None:
    """Write the genesis and all blocks into a file.

    `ledger check` verifies it without a node.
    """
    from coalesced.cli.ledger_files import export_header, export_line, written

    async def copied(client: ControlClient) -> int:
        page = await client.ledger_blocks(1)
        _refuse_pruned(page, 1)
        with written(output) as file:
            file.write(export_header(page["genesis"]))
            height = 0
            while page["blocks"]:
                for block in page["blocks"]:
                    height += 1
                    file.write(export_line(height, block))
                page = await client.ledger_blocks(height + 1)
                _refuse_pruned(page, height + 1)
        return height

    height = face.run(copied)
    face.show({"schema": "coalesced.ok/1", "text": f"{height} blocks are in {output}"})


@ledger.command()
@click.argument("what", metavar="RECEIPT|PEER|TRANSACTION")
@click.option("-o", "--output", type=FILE, help="Where to write it, instead of the terminal.")
@click.option("--with-receipt", is_flag=True, help="Put the private receipt in, which tells the price.")
@command_options
def proof(face: Face, /, what: str, output: Path | None, with_receipt: bool) -> None:
    """Prove a receipt's rating, an account or a transaction.

    The file shows it to whoever has the genesis, without a node: coalesced ledger check.
    RECEIPT is the id of a receipt (`why` shows it), or of its task.
    """
    from coalesced.cli.ledger_files import written

    proved = face.run(lambda client: client.ledger_proof(what, with_receipt=with_receipt))
    if output is None:
        face.print_json(proved)
        return
    import msgspec

    with written(output) as file:
        # Without what only this node says it is about: a reader should believe no more than a check confirms.
        shown = {name: value for name, value in proved.items() if name != "about"}
        file.write(msgspec.json.format(msgspec.json.encode(shown), indent=2) + b"\n")
    text = f"the proof of {proved['about']} at height {proved['height']} is in {output}"
    face.show({"schema": "coalesced.ok/1", "text": text})


@ledger.command()
@click.argument("file", type=FILE)
@command_options
def submit(face: Face, /, file: Path) -> None:
    """Have the signed transaction in FILE committed."""
    from protocol.consensus import MAX_TX_BYTES

    try:
        with file.open("rb") as opened:
            tx = opened.read(MAX_TX_BYTES + 1)
    except OSError as error:
        raise unreadable(file, error) from error
    if len(tx) > MAX_TX_BYTES:
        raise CliError(f"{file} is no transaction: that has {MAX_TX_BYTES} bytes at most")
    done = face.run(lambda client: client.ledger_submit(tx))
    face.show(done)


@ledger.command()
@click.argument("file", type=FILE)
@click.option("--genesis", "genesis_file", type=FILE, required=True, help="The genesis file that you trust.")
@command_options
def check(face: Face, /, file: Path, genesis_file: Path) -> int:
    """Verify a proof or an export without a node."""
    from coalesced.cli.ledger_files import check_file, read_genesis

    checked: Checked = check_file(file, read_genesis(genesis_file))
    face.show(checked.view)
    return 0 if checked.ok else 7


def _refuse_pruned(page: "LedgerBlocks", wanted: int) -> None:
    """CliError when a block is not kept any more, which may happen while others are copied."""
    if wanted < page["kept_from"]:
        raise CliError(
            f"this node keeps blocks {page['kept_from']} to {page['height']} and has pruned those before: an export "
            "begins with block 1, so take it from a node that keeps all (ledger.keep_blocks = 0)",
            code="failed",
            exit_code=1,
        )


def _public_key(text: str) -> bytes:
    """What a did:key or a key file names."""
    from coalesced.cli.keys import stored_did
    from crypto.identity import parse_did_key

    if not text.startswith("did:"):
        path = Path(text)
        text = stored_did(path / "identity.key" if path.is_dir() else path)
    try:
        return parse_did_key(text)
    except ValueError as error:
        raise CliError(str(error)) from error
