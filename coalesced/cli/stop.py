"""`coalesced stop` and `coalesced reload`."""

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.params import DURATION
from coalesced.control import shapes
from coalesced.control.client import ControlClient
from coalesced.control.connection import wait_gone


@click.command()
@click.option("--drain/--now", default=True, help="Finish running tasks first (the default), or end them.")
@click.option("--timeout", type=DURATION, default="60s", show_default=True, help="How long to wait for the end.")
@command_options
def stop(face: Face, /, drain: bool, timeout: float) -> None:
    """Stop the node, and wait until it has stopped."""

    async def call(client: ControlClient) -> shapes.Ok:
        said = await client.stop(drain=drain)
        if not await wait_gone(client.socket_path, timeout_s=timeout):
            text = f"the node still runs after {timeout:.0f} s"
            raise CliError(text, code="timed_out", exit_code=6, hint="coalesced stop --now")
        return {**said, "text": "stopped"}

    face.show(face.run(call))


@click.command()
@command_options
def reload(face: Face, /) -> None:
    """Let the node read its configuration again; it says what changed."""
    face.show(face.run(lambda client: client.reload()))
