"""`coalesced trust`: what the community chain says about a peer."""

import click

from coalesced.cli.face import Face, command_options


@click.group()
def trust() -> None:
    """What is said about a peer, and how far this node believes it."""


@trust.command()
@click.argument("peer")
@command_options
def show(face: Face, /, peer: str) -> None:
    """What the chain says of PEER, and who said it.

    Evidence, decay, interval, both levels.

    Level 1 is the same for everybody and believes everybody. Level 2 is this node's own: it believes this node and the
    members of the committee, and whoever agrees with them.
    """
    face.show(face.run(lambda client: client.trust(peer)))


@trust.command("report-leak")
@click.argument("text")
@command_options
def report_leak(face: Face, /, text: str) -> None:
    """Tell that a string of an input turned up.

    The answer is which sellers were sent the task that it stood in. TEXT is the honeytoken, or anything with it. To
    each of them it counts as a failed job.
    """
    face.show(face.run(lambda client: client.report_leak(text)))
