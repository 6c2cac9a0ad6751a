"""Frame streams over WebSocket binary messages at /channel: aiohttp opens them on both sides, wsstream.py carries on.

Why WebSocket: it passes proxies, and an outer wss:// stays possible.
"""

import asyncio
import base64
import hashlib
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web

from node.net.endpoint import Endpoint, endpoint
from node.net.errors import DialError, ListenError
from node.net.transport import OnStream
from node.net.wsframes import SHARED_BYTES
from node.net.wsstream import CLOSE_TIMEOUT_S, WebSocketStream
from protocol.framing import frame_bytes

PATH: Final = "/channel"
BACKLOG: Final = 128
ACCEPT_SALT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, 1.3: hashed with the client's key, it shows that the server means WebSocket."""
NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
KEPT_HEAP_BYTES: Final = 2**23
"""About the memory of one large frame on its way through both ends' copies and buffers."""


class WebSocketTransport:
    """Listens and dials. More public HTTP routes may be added to `app` before `listen`: they share the port."""

    def __init__(self, max_message_bytes: int) -> None:
        """`max_message_bytes` limits a session's message; the frame around it is a little larger."""
        keep_heap()
        self.app = web.Application()
        self._max_frame_bytes = frame_bytes(max_message_bytes)
        self._shared = bytearray(SHARED_BYTES)
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None
        self._streams: set[WebSocketStream] = set()

    async def listen(self, endpoints: Sequence[Endpoint], on_stream: OnStream) -> list[Endpoint]:
        """Serve on all `endpoints`; the bound ones. ListenError names the one that is not free."""

        async def serve(request: web.Request) -> web.WebSocketResponse:
            websocket = web.WebSocketResponse(compress=False)
            await websocket.prepare(request)
            if request.transport is not None:  # None: it broke at once.
                remote = _peer(request.transport)
                stream = self._stream(request.transport, remote, is_client=False, release=None)
                on_stream(stream)
                # aiohttp closes the connection when this coroutine ends; the session outlives it otherwise.
                await stream.closed.wait()
            return websocket

        self.app.router.add_get(PATH, serve)
        self._runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=CLOSE_TIMEOUT_S)
        await self._runner.setup()
        bound = []
        for wanted in endpoints:
            listener = await _bind(wanted)
            await web.SockSite(self._runner, listener, backlog=BACKLOG).start()
            host, port = listener.getsockname()[:2]
            bound.append(endpoint(host, port))
        return bound

    async def dial(self, endpoint: Endpoint) -> WebSocketStream:
        """A WebSocket to `endpoint`; DialError says what the system or the server answered."""
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True), cookie_jar=aiohttp.DummyCookieJar()
            )
        try:
            upgraded = await upgrade(self._client, f"http://{endpoint}{PATH}")
        except aiohttp.WSServerHandshakeError as error:
            raise DialError(
                f"{endpoint} is no coalesced node: it answered {error.status} to a channel request"
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DialError(f"{endpoint} cannot be reached: {error}") from error
        stream = self._stream(upgraded.transport, endpoint, is_client=True, release=upgraded.response.close)
        stream.take(upgraded.early)
        return stream

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        for stream in list(self._streams):
            stream.cut()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    def _stream(
        self, transport: asyncio.Transport, remote: Endpoint, *, is_client: bool, release: Callable[[], None] | None
    ) -> WebSocketStream:
        """Take a connection over; `release` is called when it is gone."""

        def lost(stream: WebSocketStream) -> None:
            self._streams.discard(stream)
            if release is not None:
                release()

        stream = WebSocketStream(
            transport,
            remote,
            is_client=is_client,
            max_frame_bytes=self._max_frame_bytes,
            shared=self._shared,
            on_lost=lost,
        )
        self._streams.add(stream)
        return stream


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A connection that has become a WebSocket at the client's side, and is no more aiohttp's to read from."""

    transport: asyncio.Transport
    response: aiohttp.ClientResponse
    """To be held while the connection is used, and closed after it: it closes the connection with itself."""
    early: bytes
    """What the server sent right behind its response."""


class _Early:
    """aiohttp keeps what comes behind an upgrade for a parser to come: this one only collects it."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None: ...


async def upgrade(client: aiohttp.ClientSession, url: str) -> Upgraded:
    """Open a WebSocket (RFC 6455, section 4.1) by hand, since aiohttp's own way keeps the connection to itself.

    Raises WSServerHandshakeError when the server does not agree, ClientError or OSError when it cannot be reached.
    """
    key = base64.b64encode(os.urandom(16))
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key.decode(),
    }
    response = await client.get(url, headers=headers, allow_redirects=False, timeout=NO_TIMEOUT)
    accept = base64.b64encode(hashlib.sha1(key + ACCEPT_SALT, usedforsecurity=False).digest()).decode()
    if response.status != 101 or response.headers.get("Sec-WebSocket-Accept") != accept:
        response.close()
        raise aiohttp.WSServerHandshakeError(response.request_info, response.history, status=response.status)
    connection, early = response.connection, _Early()
    if connection is None or connection.protocol is None or connection.transport is None:
        raise aiohttp.ServerDisconnectedError
    connection.protocol.set_parser(early, None)
    return Upgraded(connection.transport, response, early.data)


def keep_heap() -> None:
    """Have the C library keep the memory of large frames for the next ones, where it is glibc.

    glibc returns blocks above a threshold to the system at once, and the page faults of fresh memory cost more than
    sealing what goes into it (1 MiB: 2.2 ms of CPU with them, 1.0 ms without). Freeing a block raises the threshold to
    the block's size (mallopt(3), M_MMAP_THRESHOLD); this one is never written to, so it takes no memory itself.
    """
    bytes(KEPT_HEAP_BYTES)


def _peer(transport: asyncio.Transport) -> Endpoint:
    # A connection that broke at once has no name any more; the first receive will say so.
    host, port = (transport.get_extra_info("peername") or ("0.0.0.0", 0))[:2]  # noqa: S104  # a placeholder, not bound
    return endpoint(host.partition("%")[0], port)


async def _bind(wanted: Endpoint) -> socket.socket:
    """A bound socket; ListenError when the name or the address is not this machine's, or the port is taken."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            wanted.host, wanted.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"cannot listen on {wanted}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # So that [::] and 0.0.0.0 can share a port.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise ListenError(
            f"cannot listen on {wanted}: {error.strerror}; choose another port or stop the other program"
        ) from error
    listener.setblocking(False)
    return listener
