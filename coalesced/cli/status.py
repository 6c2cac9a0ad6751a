"""`coalesced status`: the node on one screen."""

import asyncio

import click

from coalesced.cli.face import Face, command_options
from coalesced.control.client import ControlClient

CLEAR_SCREEN = "\x1b[H\x1b[2J"


@click.command()
@click.option("--watch", is_flag=True, help="Show it again every second, until ^C.")
@command_options
def status(face: Face, /, watch: bool) -> None:
    """The node on one screen; problems last, each with the command that fixes it."""
    if not watch:
        face.show(face.run(lambda client: client.status()))
        return

    async def again(client: ControlClient) -> None:
        while True:
            seen = await client.status()
            if face.out.isatty() and not face.as_json:
                face.out.write(CLEAR_SCREEN)
            face.show(seen)
            await asyncio.sleep(1)

    face.run(again)
