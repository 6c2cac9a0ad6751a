"""One connection to a daemon's control socket: requests, streams of events, and the errors both may end in."""

import asyncio
import contextlib
import io
import os
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
import msgspec

from coalesced.control import shapes
from coalesced.control.errors import ControlError, LostDaemonError, NoDaemonError

PREFIX = "/control/1"
Query = dict[str, str] | list[tuple[str, str]] | None
"""Pairs where a name may stand more than once."""
CALL_TIMEOUT_S = 30.0
"""For calls that only read the daemon's state, or reach one peer."""
SILENCE_TIMEOUT_S = 60.0
"""A stream carries a heartbeat every 10 s; after six missing ones the daemon counts as lost."""
MAX_LINE_BYTES = 16 * 2**20


class Connection:
    """To the daemon that listens on `socket_path`. Open it with `async with`."""

    def __init__(self, socket_path: Path) -> None:
        self.socket_path = socket_path
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            base_url="http://localhost",
            connector=aiohttp.UnixConnector(path=os.fspath(self.socket_path)),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Query = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> dict[str, Any]:
        async with self._exchange(method, path, timeout_s, body=body, query=query) as response:
            return _decode(await response.read())

    async def _stream(self, method: str, path: str, *, body: object = None) -> AsyncGenerator[shapes.Event]:
        async with self._exchange(method, path, None, body=body) as response:
            async for line in _lines(response.content):
                event = _decode(line)
                if event.get("schema") == "coalesced.error/1":
                    raise _error(event)
                yield cast("shapes.Event", event)

    @contextlib.asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        timeout_s: float | None = CALL_TIMEOUT_S,
        *,
        body: object = None,
        query: Query = None,
        prefix: str = PREFIX,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request; its response when it succeeded, else the ControlError that it stands for."""
        if self._http is None:
            raise RuntimeError("open the client first: async with ControlClient(...) as node")
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=5.0, sock_read=timeout_s or SILENCE_TIMEOUT_S)
        try:
            async with self._http.request(
                method, prefix + path, data=_payload(body), params=query, timeout=timeout, allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise _error(_decode(await response.read()))
                yield response
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, PermissionError):
                text = f"{self.socket_path} belongs to another user: give your own --home"
                raise ControlError("refused", text, 5) from error
            raise NoDaemonError(self.socket_path) from error
        except TimeoutError as error:
            waited_s = timeout_s or SILENCE_TIMEOUT_S
            raise ControlError("timed_out", f"the daemon did not answer within {waited_s:.0f} s", 6) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise LostDaemonError("the daemon went away during the call; see: coalesced status") from error


def _payload(body: object) -> aiohttp.BytesIOPayload | None:
    if body is None:
        return None
    # As a file, so that a large body is sent piece by piece.
    return aiohttp.BytesIOPayload(io.BytesIO(msgspec.json.encode(body)), content_type="application/json")


def _decode(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        text = f"the daemon answered something that is no JSON object: {body[:80]!r}"
        raise ControlError("protocol", text) from error


def _error(body: dict[str, Any]) -> ControlError:
    return ControlError(
        str(body.get("code", "failed")), str(body.get("text", "no reason given")), int(body.get("exit_code", 1))
    )


async def _lines(content: aiohttp.StreamReader) -> AsyncGenerator[bytes]:
    """The non-empty lines of a stream. aiohttp's own readline stops at 128 KiB; a decision may be longer."""
    rest = b""
    async for chunk in content.iter_any():
        *complete, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise ControlError("protocol", f"the daemon sent a line of more than {MAX_LINE_BYTES} bytes")
        for line in complete:
            if line:
                yield line
    if rest:
        raise LostDaemonError("the daemon went away in the middle of a line; see: coalesced status")


async def wait_gone(socket_path: Path, *, timeout_s: float) -> bool:
    """Whether nobody listens on `socket_path` any more, waiting for that at most `timeout_s`."""
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    while True:
        try:
            _, writer = await asyncio.open_unix_connection(socket_path)
        except OSError:
            return True
        writer.close()
        if asyncio.get_running_loop().time() > deadline_s:
            return False
        await asyncio.sleep(0.05)
