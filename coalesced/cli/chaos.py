"""`coalesced testnet chaos`: what happens to a testnet's nodes and to the network between them."""

import asyncio
from typing import TYPE_CHECKING, cast

import click

from coalesced.cli.face import Face
from coalesced.cli.place import Place, place_options

if TYPE_CHECKING:
    from coalesced.testnet.manifest import Lie, Manifest

KINDS = ("equivocator", "silent", "slow", "liar", "replayer", "twin", "vote-withholder")
"""As testnet.manifest.LIES, which would have to be imported for the help."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def chaos() -> None:
    """Disturb nodes, or the network between them."""


@chaos.command()
@click.argument("node")
@place_options
def kill(face: Face, place: Place, node: str) -> None:
    """End NODE at once, as a crash would."""
    from coalesced.testnet import chaos as does

    _told(face, asyncio.run(does.kill(_manifest(place), node)))


@chaos.command()
@click.argument("node")
@place_options
def pause(face: Face, place: Place, node: str) -> None:
    """Stop NODE's clockwork: connected, but silent."""
    from coalesced.testnet import chaos as does

    _told(face, asyncio.run(does.pause(_manifest(place), node)))


@chaos.command()
@click.argument("node")
@place_options
def resume(face: Face, place: Place, node: str) -> None:
    """Let a paused NODE go on."""
    from coalesced.testnet import chaos as does

    _told(face, asyncio.run(does.resume(_manifest(place), node)))


@chaos.command()
@click.argument("node")
@place_options
def restart(face: Face, place: Place, node: str) -> None:
    """Stop NODE if it runs, and start it on its old directory."""
    from coalesced.testnet import chaos as does

    _told(face, asyncio.run(does.restart(_manifest(place), node)))


@chaos.command()
@click.argument("groups", nargs=-1, required=True, metavar="NODES [NODES]...")
@place_options
def partition(face: Face, place: Place, groups: tuple[str, ...]) -> None:
    """Make a black hole of the network between groups of nodes: `partition n1,n2 n3,n4`, or `partition n1` from all.

    Nothing arrives and nobody is told; inside a group, and with nodes that are in none, all is as before.
    """
    from coalesced.testnet import chaos as does

    _told(face, asyncio.run(does.partition(_manifest(place), [group.split(",") for group in groups])))


@chaos.command()
@click.argument("node")
@click.argument("milliseconds", type=click.IntRange(0, 60_000))
@click.option("--to", "other", metavar="NODE", help="Only between these two.")
@click.option("--jitter", type=click.IntRange(0, 60_000), default=0, help="Up to so many milliseconds more, at random.")
@click.option("--loss", type=click.IntRange(0, 100), default=0, help="Percent that get lost on the way.")
@place_options
def slow(face: Face, place: Place, node: str, milliseconds: int, other: str | None, jitter: int, loss: int) -> None:
    """Delay everything to and from NODE by so many MILLISECONDS each way; 0 ends it."""
    from coalesced.testnet import chaos as does
    from coalesced.testnet.proxy.weather import Link

    link = Link(delay_ms=milliseconds, jitter_ms=jitter, loss_percent=loss)
    _told(face, asyncio.run(does.slow(_manifest(place), node, other, link)))


@chaos.command()
@click.argument("node")
@click.argument("kind", type=click.Choice(KINDS), default="liar", metavar="[KIND]")
@click.option("--allow-unsafe", is_flag=True, help="Even if more lie then than the others can bear.")
@place_options
def lie(face: Face, place: Place, node: str, kind: str, *, allow_unsafe: bool) -> None:
    """Restart the validator NODE as one that lies, for good.

    KIND is equivocator, silent, slow, liar (as when left out), replayer, twin or vote-withholder.
    """
    from coalesced.testnet import chaos as does

    _told(face, asyncio.run(does.lie(_manifest(place), node, cast("Lie", kind), allow_unsafe=allow_unsafe)))


@chaos.command()
@place_options
def heal(face: Face, place: Place) -> None:
    """Make the network between all nodes fine again. Killed nodes stay down, and liars go on lying."""
    from coalesced.testnet import chaos as does

    _told(face, asyncio.run(does.heal(_manifest(place))))


def _manifest(place: Place) -> "Manifest":
    from coalesced.testnet.manifest import load

    return load(place.directory)


def _told(face: Face, done: str) -> None:
    face.show({"schema": "coalesced.ok/1", "text": done})
