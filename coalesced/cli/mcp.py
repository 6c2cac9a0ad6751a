"""`coalesced mcp`: the node as tools of an MCP client, which starts this command itself."""

import asyncio
from importlib import import_module

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.params import DURATION, MONEY


@click.command()
@click.option(
    "--answer-within",
    type=DURATION,
    default=45.0,
    help="Answer a call within this, 45s by default: with the result, or with the task's id.",
)
@click.option("--max-budget", type=MONEY, help="Let no task spend more than this, in dollars.")
@command_options
def mcp(face: Face, /, answer_within: float, max_budget: int | None) -> None:
    """Serve this node to an MCP client on standard input and output.

    Clients start it themselves, once `coalesced connect` has told them how. Needs the extra: pip install
    'coalesced[mcp]'.
    """
    try:
        server = import_module("coalesced.gateway.mcp.server")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("coalesced"):
            raise
        text = f"`coalesced mcp` needs a package that is not installed ({error.name})"
        raise CliError(text, code="extra_missing", exit_code=1, hint="pip install 'coalesced[mcp]'") from error
    if not face.paths.socket.exists():
        face.note(f"no daemon listens on {face.paths.socket} yet. Start it: {face.again('start')}")
    asyncio.run(server.serve(face.paths.socket, answer_within_s=answer_within, max_budget_micro=max_budget))
