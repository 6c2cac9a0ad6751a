"""`coalesced sell --mcp CMD`: put tools of an MCP server on sale."""

import asyncio
import json
import os
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from coalesced.cli.errors import CliError
from coalesced.cli.face import Face, command_options
from coalesced.cli.params import DURATION, MONEY, SIZE
from coalesced.control import shapes
from coalesced.control.client import ControlClient
from coalesced.control.inputs import kept_environment
from node.wording import listed

MODULE: Final = "coalesced.gateway.mcp.sold"
LOOK_TIMEOUT_S: Final = 30.0
MAX_CAPTION_CHARS: Final = 120
SECRET: Final = re.compile(r"key|token|secret|passw|credential|auth|bearer", re.IGNORECASE)
ADDRESS: Final = re.compile(r"(https?://)(?:[^/@\s]*@)?([^?#\s]*)[?#]?\S*")


@click.command("tool")
@click.option("--mcp", "command", required=True, metavar="CMD", help="The command that starts the server.")
@click.option("--tool", "tools", multiple=True, metavar="NAME", help="Which of its tools; repeatable.")
@click.option("--label", help="Sell it under this name instead of tool/NAME.")
@click.option("--caption", default="", help="One line for buyers; the tool's own by default.")
@click.option("--price", type=MONEY, help="Dollars per call; by default the node prices by its measured cost.")
@click.option("--timeout", type=DURATION, help="End a call that takes longer.")
@click.option("--memory", type=SIZE, help="End a call that takes more: 512M, 2G.")
@click.option("--env", "names", multiple=True, metavar="NAME", help="Also keep this variable for it; repeatable.")
@command_options
def tool(
    face: Face,
    /,
    command: str,
    tools: tuple[str, ...],
    label: str | None,
    caption: str,
    price: int | None,
    timeout: float | None,
    memory: int | None,
    names: tuple[str, ...],
) -> None:
    """Sell tools of an MCP server, each as a skill of its own.

    The server is started in this directory, in a worker process, for each task anew, and ended with it. It gets what a
    sold function gets (see: sell add --help). A tool with one required argument that is a text takes texts; any other
    takes a JSON object. Sell only what you would let a stranger call. Needs: pip install 'coalesced[mcp]'.
    """
    try:
        started = shlex.split(command)
    except ValueError as error:
        raise CliError(f"--mcp {command!r} is not a command: {error}") from error
    if not started:
        raise CliError("--mcp names no command")
    if label is not None and len(tools) > 1:
        raise CliError("--label names one skill, and several tools are given", hint="leave --label out")
    if missing := [name for name in names if name not in os.environ]:
        raise CliError(f"--env {missing[0]}: no variable of that name is set here")
    there = asyncio.run(_listed(started))
    chosen = _chosen(there, tools)
    requests: list[shapes.SellRequest] = []
    for one in chosen:
        argument = _text_argument(one.input_schema)
        sold = json.dumps({"command": started, "tool": one.name, "argument": argument})
        # The node's own Python runs it: it has the extra.
        environment = {k: v for k, v in kept_environment(os.environ, names).items() if k != "VIRTUAL_ENV"}
        requests.append(
            {
                "target": f"{MODULE}:{'call_with_text' if argument else 'call_with_json'}",
                "label": label or label_of(one.name),
                "caption": caption or _caption(one),
                "price_micro": price,
                "timeout_s": timeout,
                "memory_bytes": memory,
                "shown": f"mcp {shown_command(started)}, its tool {one.name}"[:256],
                "directory": str(Path.cwd()),
                "environment": {**environment, "COALESCED_SOLD_TOOL": sold},
            }
        )

    async def put_up(client: ControlClient) -> list[shapes.Offer]:
        return [await client.sell(request) for request in requests]

    face.show({"schema": "coalesced.offers/1", "offers": face.run(put_up)})


def shown_command(command: list[str]) -> str:
    """A command for its owner's eyes, without what may be a secret: values of such options, logins, queries."""
    shown: list[str] = []
    is_secret = False
    for full in command:
        word = ADDRESS.sub(lambda found: found[1] + found[2], full)
        name, equals, value = word.partition("=")
        if is_secret or (equals and value and SECRET.search(name)):
            shown.append(f"{name}=..." if equals and not is_secret else "...")
            is_secret = False
            continue
        is_secret = word.startswith("-") and not equals and SECRET.search(word) is not None
        shown.append(word)
    return shlex.join(shown)


def label_of(name: str) -> str:
    """The label of a tool: "get_Weather" is tool/get_weather."""
    return "tool/" + re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("._-")[:50]


async def _listed(command: list[str]) -> list[Any]:
    """The server's tools; CliError when it cannot be started or does not answer."""
    try:
        client, server_process = import_module("mcp").Client, import_module(MODULE).server_process
    except ModuleNotFoundError as error:
        text = f"`sell --mcp` needs a package that is not installed ({error.name})"
        raise CliError(text, code="extra_missing", exit_code=1, hint="pip install 'coalesced[mcp]'") from error
    shown = shlex.join(command)
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S), client(server_process(command)) as server:
            return list((await server.list_tools()).tools)
    except TimeoutError as error:
        raise CliError(f"{shown} did not answer within {LOOK_TIMEOUT_S:g} s", exit_code=1) from error
    except OSError as error:
        raise CliError(f"cannot start {shown}: {error.strerror}", exit_code=1) from error
    except Exception as error:
        raise CliError(
            f"{shown} is no MCP server on standard input and output: {_first(error)}", exit_code=1
        ) from error


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {str(error)[:200]}"


def _chosen(there: list[Any], names: tuple[str, ...]) -> list[Any]:
    """The tools of those names; without names the only one."""
    by_name = {one.name: one for one in there}
    if unknown := [name for name in names if name not in by_name]:
        raise CliError(f"the server has no tool {unknown[0]!r}; it has {listed(list(by_name))}")
    if not names and len(there) != 1:
        raise CliError(f"say which of its tools with --tool: it has {listed(list(by_name))}")
    return [by_name[name] for name in names] if names else there


def _text_argument(schema: dict[str, Any]) -> str:
    """The one required argument, if it is a text; empty otherwise."""
    required, properties = schema.get("required"), schema.get("properties")
    if not isinstance(required, list) or len(required) != 1 or not isinstance(properties, dict):
        return ""
    [name] = required
    described = properties.get(name)
    return str(name) if isinstance(described, dict) and described.get("type") == "string" else ""


def _caption(one: Any) -> str:
    lines = (one.description or one.title or one.name).strip().splitlines()
    return str(lines[0] if lines else one.name)[:MAX_CAPTION_CHARS]
