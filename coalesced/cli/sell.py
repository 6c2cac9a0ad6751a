"""`coalesced sell`: put a function or a builtin skill on sale."""

import os
from pathlib import Path
from typing import Final

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.params import DURATION, MONEY, SIZE
from coalesced.cli.sell_agent import agent
from coalesced.cli.sell_model import model
from coalesced.cli.sell_tool import tool
from coalesced.control import shapes
from coalesced.control.inputs import kept_environment

ELSEWHERE: Final = {"--openai": "model", "--mcp": "tool", "--a2a": "agent"}
"""What `sell` takes for work that is done elsewhere, and the command that it stands for."""


class SellGroup(click.Group):
    """`sell TARGET` is `sell add TARGET`, `sell --openai URL` is `sell model --openai URL`, and so on."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Find the command that an option means."""
        named = {arg.partition("=")[0] for arg in args} & set(ELSEWHERE)
        if named and args[0] not in self.commands:
            args = [ELSEWHERE[named.pop()], *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take an unknown first word for a target."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            return "add", self.commands["add"], args
        return super().resolve_command(ctx, args)


@click.group(cls=SellGroup, options_metavar="TARGET [OPTIONS] |")
def sell() -> None:
    """Put a skill on sale: `sell module:function`, `sell LABEL` for a builtin one, `sell --openai URL --model M` for a
    model, `sell --mcp CMD` for an MCP server's tool, `sell --a2a URL` for an agent. See also: sell add --help,
    sell model --help, sell tool --help, sell agent --help.
    """


sell.add_command(model)
sell.add_command(tool)
sell.add_command(agent)


@sell.command()
@click.argument("target")
@click.option("--label", help="Sell it under this name; the function's own by default.")
@click.option("--caption", default="", help="One line for buyers.")
@click.option("--price", type=MONEY, help="Dollars per work unit; by default the node prices by its measured cost.")
@click.option("--hours", default="", help="When it is on sale: 'mon-fri 9-17 Europe/Berlin'; always by default.")
@click.option("--timeout", type=DURATION, help="End a run that takes longer.")
@click.option("--memory", type=SIZE, help="End a run that takes more: 512M, 2G.")
@click.option("--env", "names", multiple=True, metavar="NAME", help="Also keep this variable for it; repeatable.")
@command_options
def add(
    face: Face,
    /,
    target: str,
    label: str | None,
    caption: str,
    price: int | None,
    hours: str,
    timeout: float | None,
    memory: int | None,
    names: tuple[str, ...],
) -> None:
    """Sell TARGET: `module:function`, or a builtin skill's label.

    The function runs in a process of its own, in this directory, each time. Of this environment it gets PATH,
    VIRTUAL_ENV, PYTHONPATH, HOME, LANG, LC_*, TMPDIR, and what --env names. That much is written into the node's
    database (mode 600), so that it runs the same after a restart: name a secret only if it may be there.
    """
    for name in names:
        if name not in os.environ:
            hint = f"export {name}=..." if name.isidentifier() else ""
            raise CliError(f"--env {name}: no variable of that name is set here", hint=hint)
    request: shapes.SellRequest = {
        "target": target,
        "label": label,
        "caption": caption,
        "price_micro": price,
        "hours": hours,
        "timeout_s": timeout,
        "memory_bytes": memory,
        "directory": str(Path.cwd()),
        "environment": kept_environment(os.environ, names),
    }
    face.show(face.run(lambda client: client.sell(request)))


@sell.command("ls")
@command_options
def list_offers(face: Face, /) -> None:
    """What is on sale."""
    face.show(face.run(lambda client: client.offers()))


@sell.command("rm")
@click.argument("label")
@command_options
def remove(face: Face, /, label: str) -> None:
    """Take LABEL off sale."""
    face.show(face.run(lambda client: client.unsell(label)))
