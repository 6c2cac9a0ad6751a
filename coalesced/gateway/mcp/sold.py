"""An MCP tool as a skill: runs in a worker of its seller's node, starts the tool's server, calls it once, ends it.

A server of its own for each task, so that nothing of one buyer's stays for the next. It is started in the worker's
process group: what ends the worker at its limits ends the server, and its limits on memory and processor hold for both.
"""

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from subprocess import PIPE
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream
from mcp import Client, MCPError
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import CallToolResult, TextContent, jsonrpc_message_adapter

VARIABLE = "COALESCED_SOLD_TOOL"
"""Of the worker's environment: which tool, as JSON: command, tool, argument (the one that a text fills)."""
MAX_LINE_CHARS = 32 * 2**20
END_TIMEOUT_S = 2.0


async def call_with_text(text: str) -> str:
    """Call the tool with a text as its one required argument."""
    sold = _sold()
    return await _call(sold["command"], sold["tool"], {sold["argument"]: text})


async def call_with_json(arguments: dict[str, Any]) -> str:
    """Call the tool with a JSON object of its arguments."""
    sold = _sold()
    return await _call(sold["command"], sold["tool"], arguments)


async def check() -> None:
    """See that the server starts and has the tool; RuntimeError says what is wrong. The tool is not called."""
    sold = _sold()
    async with Client(server_process(sold["command"])) as client:
        names = [one.name for one in (await client.list_tools()).tools]
    if sold["tool"] not in names:
        raise RuntimeError(f"the server has no tool {sold['tool']!r}; it has {', '.join(names)[:300] or 'none'}")


def _sold() -> dict[str, Any]:
    sold: dict[str, Any] = json.loads(os.environ[VARIABLE])
    return sold


async def _call(command: list[str], tool: str, arguments: dict[str, Any]) -> str:
    async with Client(server_process(command)) as client:
        return _text(await client.call_tool(tool, arguments))


def _text(result: CallToolResult) -> str:
    """What the tool gave, as text; RuntimeError when it failed or gave none."""
    texts = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
    if result.is_error:
        raise RuntimeError(f"the tool failed: {texts[:300]}")
    if texts:
        return texts
    if result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    raise RuntimeError("the tool gave no text")


@asynccontextmanager
async def server_process(command: list[str]) -> AsyncIterator[TransportStreams]:
    """The tool's server on its standard input and output, in this process's group. (The SDK's own has another.)"""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    process = await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=None, env=environment)
    said, heard = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    telling, told = anyio.create_memory_object_stream[SessionMessage](0)

    async def listen() -> None:
        assert process.stdout is not None
        rest = ""
        async with said:
            async for chunk in TextReceiveStream(process.stdout, errors="replace"):
                *lines, rest = (rest + chunk).split("\n")
                if len(rest) > MAX_LINE_CHARS:
                    break
                for line in lines:
                    await said.send(_message(line))

    async def tell() -> None:
        assert process.stdin is not None
        async with told:
            async for message in told:
                line = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.stdin.send(line.encode() + b"\n")

    async with anyio.create_task_group() as group:
        group.start_soon(_until_closed, listen)
        group.start_soon(_until_closed, tell)
        try:
            yield heard, telling
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
            group.cancel_scope.cancel()


def _message(line: str) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def _until_closed(work: Any) -> None:
    try:
        await work()
    except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        return  # The server has gone, or the call is over: the session sees its streams end.


async def _end(process: Process) -> None:
    if process.stdin is not None:
        await process.stdin.aclose()
    with anyio.move_on_after(END_TIMEOUT_S) as waited:
        await process.wait()
    if waited.cancelled_caught:
        process.kill()
        await process.wait()


def _first(error: BaseException) -> BaseException:
    """The error within the groups that the task groups around a call made of it."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


if __name__ == "__main__":
    try:
        anyio.run(check)
    except (ExceptionGroup, MCPError, OSError, RuntimeError) as problem:
        # One line, after what the server itself has said there.
        sys.exit(str(_first(problem)))
