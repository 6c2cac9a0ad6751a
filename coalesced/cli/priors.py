"""`coalesced priors`: what market makers found out about sellers by paid probes."""

from typing import BinaryIO

import click

from coalesced.cli import units
from coalesced.cli.errors import CliError
from coalesced.cli.escape import escaped
from coalesced.cli.face import Face, command_options


@click.group()
def priors() -> None:
    """What market makers found out about sellers by paid probes."""


@priors.command("ls")
@click.argument("skill", required=False)
@command_options
def list_priors(face: Face, /, skill: str | None) -> None:
    """What is known of the sellers of SKILL, or of all: own probes, and documents that were bought.

    Below stands how far each market maker is believed, by what came of its words before.
    """
    face.show(face.run(lambda client: client.priors(skill)))


@priors.command()
@click.argument("skill")
@click.option("--from", "makers", multiple=True, metavar="PEER", help="Of this market maker; repeatable.")
@command_options
def buy(face: Face, /, skill: str, makers: tuple[str, ...]) -> None:
    """Buy what market makers know of the sellers of SKILL, now.

    Of those that `priors.makers` names, or that are found in the network. Each document is checked before it is paid,
    and receipts behind it are opened.
    """
    face.show(face.run(lambda client: client.buy_priors({"skill": skill, "makers": list(makers)})))


@priors.command()
@click.argument("file", type=click.File("rb"))
@command_options
def check(face: Face, /, file: BinaryIO) -> None:
    """Check a document's signature and figures, without a node; `-` reads it from standard input.

    This shows who signed it, and that it adds up. Whether receipts stand behind it, only its maker can show: that is
    asked when it is bought.
    """
    from crypto.identity import parse_did_key, short_id
    from node.env import Env
    from node.priors.check import read
    from node.proofs.errors import ProofError

    try:
        # What is not ASCII is no token, and read refuses it as one.
        prior = read(file.read().decode("ascii", "replace").strip())
    except ProofError as error:
        raise CliError(f"this document does not hold: {error}", code=error.reason, exit_code=1) from error
    now_s = Env().unix_ms() // 1000
    found = {
        "schema": "coalesced.prior-check/1",
        "maker": prior.iss,
        "network": prior.network,
        "skill": prior.skill,
        "signed_unix_ms": prior.iat * 1000,
        "expires_unix_ms": prior.exp * 1000,
        "expired": now_s >= prior.exp,
        "root": prior.tree.root,
        "leaves": prior.tree.leaves,
        "sellers": [row.sub for row in prior.rows],
    }
    if face.as_json:
        face.print_json(found)
        return
    ends = "expired" if now_s >= prior.exp else f"until {units.moment(prior.exp * 1000)}"
    for name, value in (
        ("holds", f"signed by {short_id(parse_did_key(prior.iss))}, {prior.iss}"),
        ("about", f"{prior.skill} in the network {prior.network}: {units.counted(len(prior.rows), 'seller')}"),
        ("from", f"{units.moment(prior.iat * 1000)}, {ends}"),
        ("behind it", f"{units.counted(prior.tree.leaves, 'record')} under {prior.tree.root}"),
    ):
        click.echo(f"{name:<10}{escaped(value)}", file=face.out)
