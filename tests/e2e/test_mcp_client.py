"""From a node to an MCP client that asks through it: start, connect, and what the client then does by itself."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.harness.processes import daemons, environment

pytestmark = pytest.mark.e2e


async def ask_as_a_client_does(configuration: Path) -> str:
    """Start what the client's own configuration says, and have a task done."""
    entry = json.loads(configuration.read_text())["mcpServers"]["coalesced"]
    assert entry.pop("type") == "stdio"
    async with asyncio.timeout(60), Client(stdio_client(StdioServerParameters(**entry))) as client:
        answered = await client.call_tool("ask", {"skill": "sentiment", "text": "It was wonderful."})
    assert not answered.is_error, answered.content
    result: str = answered.structured_content["result"]["untrusted"]
    return result


def test_a_client_that_was_connected_has_tasks_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", environment(HOME=str(tmp_path)))
    with daemons() as made:
        node = made.make("node").start()
        connected = node.cli("connect", "claude-code")
        assert connected.returncode == 0, connected.stderr
        assert json.loads(asyncio.run(ask_as_a_client_does(tmp_path / ".claude.json")))["score"] > 0
