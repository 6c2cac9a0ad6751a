"""`coalesced tail`: events as they happen."""

from contextlib import aclosing

import click

from coalesced.cli.face import Face, command_options
from coalesced.cli.render import event_line
from coalesced.control.client import ControlClient


@click.command()
@click.option("--event", "names", multiple=True, help="Only events of this name, repeatable.")
@click.option("-n", "--count", type=click.IntRange(min=1), help="Stop after this many.")
@command_options
def tail(face: Face, /, names: tuple[str, ...], count: int | None) -> None:
    """Events as they happen, until ^C."""

    async def call(client: ControlClient) -> None:
        left = count
        async with aclosing(client.events()) as events:
            async for event in events:
                if names and event["name"] not in names:
                    continue
                if face.as_json:
                    face.print_json(event)
                else:
                    face.say(event_line(event))
                if left is not None and (left := left - 1) <= 0:
                    return

    face.run(call)
