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

SDK_SERVER = """
from mcp.server.mcpserver import MCPServer

server = MCPServer("hall")

@server.tool()
def add(a: int, b: int) -> int:
    "Add."
    return a + b

server.run("stdio")
"""
SERVER = """
import json, os, pathlib, sys, time

def texts(name, caption):
    schema = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
    return {"name": name, "description": caption, "inputSchema": schema}

calls = 0
for line in sys.stdin:
    asked = json.loads(line)
    result = None
    match asked["method"]:
        case "initialize":
            about = {"capabilities": {"tools": {}}, "serverInfo": {"name": "hall", "version": "1"}}
            result = {"protocolVersion": asked["params"]["protocolVersion"], **about}
        case "tools/list":
            result = {"tools": [texts("shout", "Say it louder."), texts("hang", "Take your time.")]}
        case "tools/call" if asked["params"]["name"] == "shout":
            calls += 1
            said = asked["params"]["arguments"]["text"].upper()
            said = f"{said}! call {calls} of this server, secret {os.environ.get('SECRET')}"
            result = {"content": [{"type": "text", "text": said}], "isError": False}
        case "tools/call":
            pathlib.Path(asked["params"]["arguments"]["text"]).write_text(str(os.getpid()))
            time.sleep(300)
    if "id" in asked:
        told = {"result": result} if result else {"error": {"code": -32601, "message": "no such method"}}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **told}), flush=True)
"""
"""A server without the SDK, which takes most of a second to load: each task starts one."""


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
    (tmp_path / "sdk_hall.py").write_text(SDK_SERVER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", "s")
    return f"{sys.executable} hall.py"


async def sell(home: Path, *arguments: str) -> Ran:
    return await asyncio.to_thread(Ran, home, "sell", *arguments)


async def test_tools_are_sold_and_hired_each_task_with_a_server_of_its_own(command: str, tmp_path: Path) -> None:
    async with world() as made, seller(made, tmp_path / "n"):
        tools = ("--tool", "shout", "--tool", "hang")
        sold = await sell(tmp_path / "n", "--mcp", command, *tools, "--json", "--price", "0.001")
        assert sold.code == 0, sold.err
        offers = {row["label"]: (row["caption"], row["source"]) for row in json.loads(sold.out)["offers"]}
        assert offers == {
            "tool/shout": ("Say it louder.", f"mcp {command}, its tool shout"),
            "tool/hang": ("Take your time.", f"mcp {command}, its tool hang"),
        }
        buyer = await made.buyer()
        for _ in range(2):
            task = await buyer.ask("tool/shout", "hey", budget_micro=200_000)
            assert (task.state, task.choice) == ("completed", "outsource"), task.error
            said = (await buyer.owner.result(task.id))[0].decode()
            assert said == "HEY! call 1 of this server, secret None"


async def test_a_tool_of_the_public_sdks_server_takes_a_json_object(command: str, tmp_path: Path) -> None:
    async with world() as made, seller(made, tmp_path / "n") as node:
        sold = await sell(tmp_path / "n", "--mcp", command.replace("hall.py", "sdk_hall.py"), "--json")
        assert sold.code == 0, sold.err
        assert [row["label"] for row in json.loads(sold.out)["offers"]] == ["tool/add"]
        numbers = InputFile(name="in.json", media_type="application/json", data=b'{"a": 2, "b": 3}')
        task = await node.ask("tool/add", files=(numbers,), prefer="local")
        assert task.state == "completed", task.error
        assert (await node.owner.result(task.id))[0] == b"5"


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
        (["--mcp", "{hall}"], "say which of its tools with --tool: it has 'shout', 'hang'"),
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
