"""Tools of an MCP server as skills: put on sale by the command line, hired by another node, bounded like functions."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from coalesced.control.config import ControlConfig
from coalesced.control.server import ControlServer
from node.outsource.config import ContractorConfig
from node.views import InputFile
from tests.harness.commandline import Ran
from tests.harness.nodes import Node, World, world
from tests.harness.peering import until

SERVER = """
import os, pathlib, time
from mcp.server.mcpserver import MCPServer

server = MCPServer("hall")
calls = 0

@server.tool()
def shout(text: str) -> str:
    "Say it louder."
    global calls
    calls += 1
    return f"{text.upper()}! call {calls} of this server, secret {os.environ.get('SECRET')}"

@server.tool()
def add(a: int, b: int) -> int:
    "Add."
    return a + b

@server.tool()
def hang(text: str) -> str:
    pathlib.Path(text).write_text(str(os.getpid()))
    time.sleep(300)
    return "late"

server.run("stdio")
"""


@asynccontextmanager
async def seller(made: World, home: Path) -> AsyncIterator[Node]:
    """A node that sells nothing yet, with its control socket in `home`."""
    node = await made.seller(functions=True, sections={"contractor": ContractorConfig(skills=())})
    home.mkdir()
    control = ControlServer(node.owner, ControlConfig(close_timeout_s=0.1), home / "control.sock")
    await control.start()
    try:
        yield node
    finally:
        await control.stop()


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "hall.py").write_text(SERVER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "s")
    return f"{sys.executable} hall.py"


async def sell(home: Path, *arguments: str) -> Ran:
    return await asyncio.to_thread(Ran, home, "sell", *arguments)


async def test_tools_are_sold_and_hired_each_task_with_a_server_of_its_own(command: str, tmp_path: Path) -> None:
    async with world() as made, seller(made, tmp_path / "n"):
        sold = await sell(
            tmp_path / "n", "--mcp", command, "--tool", "shout", "--tool", "add", "--json", "--price", "0.001"
        )
        assert sold.code == 0, sold.out
        offers = {row["label"]: row["caption"] for row in json.loads(sold.out)["offers"]}
        assert offers == {"tool/shout": "Say it louder.", "tool/add": "Add."}
        sources = {row["source"] for row in json.loads(sold.out)["offers"]}
        assert sources == {f"mcp {command}, its tool {name}" for name in ("shout", "add")}
        buyer = await made.buyer()
        for _ in range(2):
            task = await buyer.ask("tool/shout", "hey", budget_micro=200_000)
            assert (task.state, task.choice) == ("completed", "outsource"), task.error
            said = (await buyer.owner.result(task.id))[0].decode()
            assert said == "HEY! call 1 of this server, secret None"
        numbers = InputFile(name="in.json", media_type="application/json", data=b'{"a": 2, "b": 3}')
        task = await buyer.ask("tool/add", files=(numbers,), budget_micro=200_000)
        assert task.state == "completed", task.error
        assert (await buyer.owner.result(task.id))[0] == b"5"


async def test_a_call_that_takes_too_long_ends_with_its_server(command: str, tmp_path: Path) -> None:
    async with world() as made, seller(made, tmp_path / "n") as node:
        sold = await sell(tmp_path / "n", "--mcp", command, "--tool", "hang", "--timeout", "5s", "--env", "SECRET")
        assert sold.code == 0, sold.err
        file = tmp_path / "pid"
        task = await node.ask("tool/hang", str(file), prefer="local")
        assert task.error is not None
        assert task.state == "failed"
        await until(lambda: not psutil.pid_exists(int(file.read_text())))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--mcp", "no-such-command-at-all"], "cannot start no-such-command-at-all"),
        (["--mcp", f"{sys.executable} -c pass"], "is no MCP server"),
        (["--mcp", "{hall}"], "say which of its tools with --tool: it has shout, add, hang"),
        (["--mcp", "{hall}", "--tool", "whisper"], "no tool 'whisper'"),
        (["--mcp", " "], "names no command"),
        (["--mcp", "x", "--env", "NOT_SET_HERE"], "NOT_SET_HERE"),
    ],
)
def test_what_cannot_be_sold_is_told(arguments: list[str], text: str, command: str, tmp_path: Path) -> None:
    assert "NOT_SET_HERE" not in os.environ
    ran = Ran(tmp_path / "n", "sell", *[one.replace("{hall}", command) for one in arguments])
    assert ran.code != 0
    assert text in ran.err
