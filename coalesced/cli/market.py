"""`coalesced market`: what this node has seen of the markets that it buys in."""

import click

from coalesced.cli.face import Face, command_options


@click.command()
@click.argument("skill", required=False)
@command_options
def market(face: Face, /, skill: str | None) -> None:
    """Quotes, their spread, sellers' shares and warning signs, of SKILL or of every skill that was asked for.

    From the last 100 tasks of each skill that sellers were asked about, and the last 50 that were hired out. A warning
    sign is a reason to look and no proof: beside each stands how often the simulator saw it speak with and without
    cause.
    """
    face.show(face.run(lambda client: client.market(skill)))
