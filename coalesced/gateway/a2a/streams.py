"""Answers that are streams of server-sent events."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import structlog
from aiohttp import web

log = structlog.get_logger()

COMMENT = b": still here\n\n"


class EventStreams:
    """Sends streams, and ends the open ones when the node goes: their clients learn at once."""

    def __init__(self, heartbeat_s: float) -> None:
        self._heartbeat_s = heartbeat_s
        self._open: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def end_all(self, _: web.Application | None = None) -> None:
        """Break off every open stream."""
        for task in self._open:
            task.cancel()

    async def reply(
        self, request: web.Request, events: AsyncGenerator[bytes], headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Send `events`, each one JSON object, until they end or the caller is gone.

        The first is awaited before the reply begins, so that what it raises can still be an ordinary error reply.
        """
        task = asyncio.current_task()
        assert task is not None
        async with contextlib.aclosing(events) as source:
            self._open.add(task)
            try:
                first = await anext(source, None)
                return await self._send(request, first, source, headers)
            finally:
                self._open.discard(task)

    async def _send(
        self, request: web.Request, first: bytes | None, rest: AsyncGenerator[bytes], headers: Mapping[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
                **headers,
            }
        )
        try:
            await response.prepare(request)
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(self._beat(response))
                if first is not None:
                    await response.write(_field(first))
                async for event in rest:
                    await response.write(_field(event))
                beat.cancel()
            await response.write_eof()
        except* ConnectionError:
            log.debug("a2a.caller_left", path=request.path)
        return response

    async def _beat(self, response: web.StreamResponse) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            await response.write(COMMENT)


def _field(event: bytes) -> bytes:
    # JSON without line breaks: one data line holds all of it.
    return b"data: " + event + b"\n\n"
