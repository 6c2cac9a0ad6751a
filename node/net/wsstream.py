"""One open WebSocket as a frame stream: it takes the connection over from aiohttp once HTTP has upgraded it.

Messages go straight between the socket and the session: a frame is written in the call that sends it, and one that
arrives wakes the reader at once. Its compression is off (sealed bytes do not shrink) and no pings are sent (the session
has its own, which the far end's event loop must answer); the peer's pings are answered.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from node.net import wsframes
from node.net.endpoint import Endpoint
from node.net.errors import StreamClosed
from node.net.signal import Signal
from node.net.transport import Frame, FrameStream, OnEnd, OnFrame
from node.net.wsframes import CloseCode, FrameReader, WebSocketError

MAX_UNREAD: Final = 4
"""Frames kept for `receive`: beyond, the socket is not read until all are taken. One read may bring more."""
CLOSE_TIMEOUT_S: Final = 1.0
"""How long a closing side waits for the other's close frame, and for its last bytes to go, before it cuts."""
JOINED_BYTES: Final = 2**17
"""Up to this size a frame is copied behind its header; beyond, a second write to the socket costs less."""


class WebSocketStream(asyncio.BufferedProtocol, FrameStream):
    """One WebSocket, on either side; `closed` is set when its connection is gone."""

    def __init__(
        self,
        transport: asyncio.Transport,
        remote: Endpoint,
        *,
        is_client: bool,
        max_frame_bytes: int,
        shared: bytearray,
        on_lost: Callable[["WebSocketStream"], None],
    ) -> None:
        """Take `transport` over; aiohttp then learns nothing but when it is gone, and `on_lost` is told that, too.

        `shared` is read into (`FrameReader`).
        """
        self._transport = transport
        self._remote = remote
        self._is_client = is_client
        self._reader = FrameReader(max_frame_bytes, shared, self._take, from_client=not is_client)
        self._unread: deque[bytearray] = deque()
        self._on_frame: OnFrame | None = None
        self._on_end: OnEnd | None = None
        self._end: str | None = None  # why nothing more will come or go
        self._is_paused = False  # reading, until what has been read is received
        self._is_behind = False  # the peer, in reading what we write
        self._changed = Signal()
        self._peer_closed = asyncio.Event()
        self.closed = asyncio.Event()
        self._on_lost = on_lost
        self._former = cast("asyncio.Protocol", transport.get_protocol())
        transport.set_protocol(self)

    # --- The stream

    @property
    def remote(self) -> Endpoint:
        """The address at the other end."""
        return self._remote

    def write(self, frame: Frame) -> bool:
        """Send one binary message; False when the socket's buffer is full."""
        if self._end is not None:
            raise StreamClosed(self._end)
        header, payload = wsframes.encode(wsframes.BINARY, frame, is_client=self._is_client)
        if len(payload) <= JOINED_BYTES:
            self._transport.write(header + payload)
        else:
            self._transport.write(header)
            self._transport.write(payload)
        return not self._is_behind

    async def drain(self) -> None:
        """Return when the socket's buffer has room again."""
        while self._is_behind and self._end is None:
            await self._changed.wait()
        if self._end is not None:
            raise StreamClosed(self._end)

    async def receive(self) -> bytearray:
        """The next binary message; anything else ends the stream."""
        while not self._unread:
            if self._end is not None:
                raise StreamClosed(self._end)
            await self._changed.wait()
        frame = self._unread.popleft()
        self._read_on()
        return frame

    def deliver(self, on_frame: OnFrame, on_end: OnEnd) -> None:
        """Hand over each frame in the call that read it from the socket."""
        self._on_frame, self._on_end = on_frame, on_end
        asyncio.get_running_loop().call_soon(self._hand_over)

    async def close(self, reason: str = "") -> None:
        """Close, telling the peer the reason; waits at most a second for its own close, and for the last bytes."""
        if self._end is None:
            self._say_close(CloseCode.NORMAL, reason)
            self._finish("this side closed the connection")
            self._unread.clear()
            self._read_on()
            await _within(self._peer_closed, CLOSE_TIMEOUT_S)
        self._transport.close()
        if not await _within(self.closed, CLOSE_TIMEOUT_S):
            self.cut()

    def take(self, early: bytes) -> None:
        """Bytes that came before the connection was taken over."""
        while early:
            room = self._reader.room()[: len(early)]
            room[:] = early[: len(room)]
            early = early[len(room) :]
            self.buffer_updated(len(room))

    def cut(self) -> None:
        """End the connection now, whatever is on its way."""
        self._finish("this side closed the connection")
        self._transport.abort()

    # --- The connection

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._reader.room()

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have come."""
        try:
            self._reader.received(nbytes)
        except WebSocketError as error:
            self._say_close(error.code, str(error))
            self._finish(f"the connection broke: {error}")
            self._transport.close()

    def eof_received(self) -> None:
        """The peer sends no more: the connection is then closed."""

    def pause_writing(self) -> None:
        """The socket's buffer is full."""
        self._is_behind = True

    def resume_writing(self) -> None:
        """There is room again."""
        self._is_behind = False
        self._changed.fire()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._finish(f"the connection broke: {exc}" if exc else "the connection was closed")
        self._peer_closed.set()
        self.closed.set()
        self._on_lost(self)
        self._former.connection_lost(exc)

    def _take(self, opcode: int, payload: bytearray) -> None:
        if opcode == wsframes.BINARY:
            if self._end is not None:
                return  # Nobody reads any more; only the peer's close is waited for.
            if self._on_frame is not None and not self._unread:
                self._on_frame(payload)
            else:
                self._keep(payload)
        elif opcode == wsframes.CLOSE:
            self._peer_closed.set()
            if self._end is None:
                self._say_close(CloseCode.NORMAL, "")
                self._finish(wsframes.close_reason(payload) or "the peer closed the connection")
                self._transport.close()
        elif opcode == wsframes.PING and not self._is_behind:
            # Otherwise it is left out, so that one who pings and does not read fills nothing.
            self._transport.write(b"".join(wsframes.encode(wsframes.PONG, payload, is_client=self._is_client)))

    def _keep(self, payload: bytearray) -> None:
        """Until somebody receives it."""
        self._unread.append(payload)
        if len(self._unread) > MAX_UNREAD and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._changed.fire()

    def _read_on(self) -> None:
        if self._is_paused and not self._unread:
            self._is_paused = False
            self._transport.resume_reading()

    def _hand_over(self) -> None:
        """What came before `deliver`, and the end, if it has come."""
        while self._unread and self._on_frame is not None:
            self._on_frame(self._unread.popleft())
        self._read_on()
        if self._end is not None and self._on_end is not None:
            on_end, self._on_frame, self._on_end = self._on_end, None, None
            on_end(self._end)

    def _say_close(self, code: CloseCode, reason: str) -> None:
        self._transport.write(wsframes.encode_close(code, reason, is_client=self._is_client))

    def _finish(self, reason: str) -> None:
        """Nothing more comes or goes; the first reason counts. What was read before may still be received."""
        if self._end is None:
            self._end = reason
            self._changed.fire()
            if self._on_end is not None:
                asyncio.get_running_loop().call_soon(self._hand_over)


async def _within(event: asyncio.Event, limit_s: float) -> bool:
    """Whether it happened in time."""
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
