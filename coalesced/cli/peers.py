"""`coalesced peers`: the nodes that this one knows."""

import click

from coalesced.cli.face import Face, command_options


@click.group()
def peers() -> None:
    """The nodes that this one knows."""


@peers.command("ls")
@command_options
def list_peers(face: Face, /) -> None:
    """List them, with this node's own history."""
    face.show(face.run(lambda client: client.peers()))


@peers.command()
@click.argument("peer")
@command_options
def ping(face: Face, /, peer: str) -> None:
    """Measure one round trip to PEER over the encrypted channel."""
    face.show(face.run(lambda client: client.ping(peer)))


@peers.command()
@click.argument("peer")
@command_options
def block(face: Face, /, peer: str) -> None:
    """Have nothing more to do with PEER."""
    face.show(face.run(lambda client: client.block(peer)))


@peers.command()
@click.argument("peer")
@command_options
def unblock(face: Face, /, peer: str) -> None:
    """Deal with PEER again."""
    face.show(face.run(lambda client: client.unblock(peer)))
