"""Frame streams over WebSocket binary messages at /channel, with aiohttp on both sides.

Why WebSocket: it passes proxies, and an outer wss:// stays possible. Its own compression is off (sealed bytes do not
shrink), and so are its pings (the session has its own, which the far end's event loop must answer).
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress

import aiohttp
from aiohttp import WSMsgType, web

from node.net.endpoint import Endpoint, endpoint
from node.net.errors import DialError, ListenError, StreamClosed
from node.net.transport import Frame, OnStream
from protocol.framing import frame_bytes

PATH = "/channel"
CLOSE_TIMEOUT_S = 1.0
"""How long a closing side waits for the other's close frame before it drops the connection."""
MAX_REASON_BYTES = 120
"""RFC 6455, 5.5: a close frame carries at most 125 bytes, two of them the code."""
BACKLOG = 128
KEPT_HEAP_BYTES = 2**23
"""About the memory of one large frame on its way through both ends' copies and buffers."""


class WebSocketStream:
    """One WebSocket, on either side."""

    def __init__(self, websocket: web.WebSocketResponse | aiohttp.ClientWebSocketResponse, remote: Endpoint) -> None:
        self._websocket = websocket
        self._remote = remote
        self._is_stuck = False  # a send was given up: the peer did not read
        self.closed = asyncio.Event()

    @property
    def remote(self) -> Endpoint:
        """The address at the other end."""
        return self._remote

    async def send(self, frame: Frame) -> None:
        """Send one binary message; waits while the socket's buffer is full."""
        try:
            # aiohttp takes any buffer; its annotation says bytes.
            await self._websocket.send_bytes(frame)  # type: ignore[arg-type]
        except (ConnectionError, RuntimeError) as error:
            raise StreamClosed(f"the connection broke: {error}") from error
        except asyncio.CancelledError:
            self._is_stuck = True
            raise

    async def receive(self) -> bytes:
        """The next binary message; anything else ends the stream."""
        try:
            message = await self._websocket.receive()
        except (ConnectionError, RuntimeError) as error:
            raise StreamClosed(f"the connection broke: {error}") from error
        match message.type:
            case WSMsgType.BINARY:
                data: bytes = message.data
                return data
            case WSMsgType.CLOSE:
                raise StreamClosed(str(message.extra or "the peer closed the connection"))
            case WSMsgType.CLOSING | WSMsgType.CLOSED:
                raise StreamClosed("the connection was closed")
            case WSMsgType.ERROR:
                raise StreamClosed(f"the connection broke: {message.data}")
            case _:
                raise StreamClosed("the peer sent text, where only binary messages are allowed")

    async def close(self, reason: str = "") -> None:
        """Close, telling the peer the reason; waits at most a second for its own close."""
        try:
            if self._is_stuck:
                # aiohttp (3.14) waits for the buffer with a future that the given-up send has cancelled, so that close
                # would raise CancelledError in a task that nobody cancelled.
                self._cut()
                return
            # aiohttp limits the wait for the peer's close frame, but not the sending of ours.
            async with asyncio.timeout(2 * CLOSE_TIMEOUT_S):
                await self._websocket.close(code=1000, message=reason.encode()[:MAX_REASON_BYTES])
        except TimeoutError:
            self._cut()
        except (ConnectionError, RuntimeError):
            pass  # Broken already: nothing is left to close.
        finally:
            self.closed.set()

    def _cut(self) -> None:
        """End the connection to a peer that does not read: closing would wait until the last byte has gone."""
        connection = self._websocket.get_extra_info("socket")
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class WebSocketTransport:
    """Listens and dials. More public HTTP routes may be added to `app` before `listen`: they share the port."""

    def __init__(self, max_message_bytes: int) -> None:
        """`max_message_bytes` limits a session's message; the frame around it is a little larger."""
        keep_heap()
        self.app = web.Application()
        self._max_frame_bytes = frame_bytes(max_message_bytes) + 1  # aiohttp refuses its limit itself
        self._runner: web.AppRunner | None = None
        self._client: aiohttp.ClientSession | None = None
        self._streams: set[WebSocketStream] = set()

    async def listen(self, endpoints: Sequence[Endpoint], on_stream: OnStream) -> list[Endpoint]:
        """Serve on all `endpoints`; the bound ones. ListenError names the one that is not free."""

        async def serve(request: web.Request) -> web.WebSocketResponse:
            websocket = web.WebSocketResponse(
                compress=False,
                max_msg_size=self._max_frame_bytes,
                timeout=CLOSE_TIMEOUT_S,
                autoping=True,
            )
            await websocket.prepare(request)
            stream = WebSocketStream(websocket, _peer(request))
            self._streams.add(stream)
            try:
                on_stream(stream)
                # aiohttp closes the connection when this coroutine ends; the session outlives it otherwise.
                await stream.closed.wait()
            finally:
                self._streams.discard(stream)
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
            websocket = await self._client.ws_connect(
                f"http://{endpoint}{PATH}",
                compress=0,
                max_msg_size=self._max_frame_bytes,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
            )
        except aiohttp.WSServerHandshakeError as error:
            raise DialError(
                f"{endpoint} is no coalesced node: it answered {error.status} to a channel request"
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DialError(f"{endpoint} cannot be reached: {error}") from error
        return WebSocketStream(websocket, endpoint)

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        for stream in list(self._streams):
            stream.closed.set()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()


def keep_heap() -> None:
    """Have the C library keep the memory of large frames for the next ones, where it is glibc.

    glibc returns blocks above a threshold to the system at once, and the page faults of fresh memory cost more than
    sealing what goes into it (1 MiB: 2.2 ms of CPU with them, 1.0 ms without). Freeing a block raises the threshold to
    the block's size (mallopt(3), M_MMAP_THRESHOLD); this one is never written to, so it takes no memory itself.
    """
    bytes(KEPT_HEAP_BYTES)


def _peer(request: web.Request) -> Endpoint:
    name = request.transport.get_extra_info("peername") if request.transport is not None else None
    # A connection that broke at once has no name any more; the first receive will say so.
    host, port = name[:2] if name else ("0.0.0.0", 0)  # noqa: S104  # a placeholder, nothing is bound
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
