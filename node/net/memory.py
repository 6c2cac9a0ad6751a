"""Frame streams inside one process: no sockets, no clock. For tests and for simulated worlds."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from node.net.endpoint import Endpoint
from node.net.errors import DialError, ListenError, StreamClosed
from node.net.transport import Frame, FrameStream, OnEnd, OnFrame, OnStream

MAX_FRAMES_IN_FLIGHT = 16
"""A sender waits when so many frames are unread, as it would for a full socket buffer."""


class _Pipe:
    """One direction."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._closed: str | None = None
        self._receiver: tuple[OnFrame, OnEnd] | None = None

    def write(self, frame: Frame) -> bool:
        if self._closed is not None:
            raise StreamClosed(self._closed)
        self._frames.append(bytes(frame))
        self._wake()
        return len(self._frames) < MAX_FRAMES_IN_FLIGHT

    async def drain(self) -> None:
        while self._closed is None and len(self._frames) >= MAX_FRAMES_IN_FLIGHT:
            await self._changed.wait()
        if self._closed is not None:
            raise StreamClosed(self._closed)

    async def receive(self) -> bytes:
        while not self._frames:
            if self._closed is not None:
                raise StreamClosed(self._closed)
            await self._changed.wait()
        frame = self._frames.popleft()
        self._wake()
        return frame

    def deliver(self, on_frame: OnFrame, on_end: OnEnd) -> None:
        self._receiver = on_frame, on_end
        self._wake()

    def close(self, reason: str, *, discard: bool) -> None:
        """`discard` is for the reader's own close: what it has not read it will not read."""
        if self._closed is None:
            self._closed = reason
        if discard:
            self._frames.clear()
        self._wake()

    def _wake(self) -> None:
        # Everybody who waits now is woken; whoever waits later waits for the next change.
        self._changed.set()
        self._changed = asyncio.Event()
        if self._receiver is not None:
            asyncio.get_running_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        if self._receiver is None:
            return
        on_frame, on_end = self._receiver
        if self._frames:
            frame = self._frames.popleft()
            self._wake()
            on_frame(frame)
        elif self._closed is not None:
            self._receiver = None
            on_end(self._closed)


class MemoryStream(FrameStream):
    """One end of a pair of pipes."""

    def __init__(self, remote: Endpoint, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._remote = remote
        self._incoming = incoming
        self._outgoing = outgoing
        self.is_closed = False

    @property
    def remote(self) -> Endpoint:
        """The address at the other end."""
        return self._remote

    def write(self, frame: Frame) -> bool:
        """Send one frame; False when 16 are unread."""
        with self._naming_who_closed():
            return self._outgoing.write(frame)

    async def drain(self) -> None:
        """Return when fewer than 16 are unread."""
        with self._naming_who_closed():
            await self._outgoing.drain()

    async def receive(self) -> bytes:
        """The next frame; what the peer sent before it closed still arrives."""
        with self._naming_who_closed():
            return await self._incoming.receive()

    def deliver(self, on_frame: OnFrame, on_end: OnEnd) -> None:
        """Hand over each frame in a turn of the loop of its own."""
        self._incoming.deliver(on_frame, on_end)

    async def close(self, reason: str = "") -> None:
        """Close both ways."""
        self.is_closed = True
        told = reason or "the peer closed the connection"
        self._outgoing.close(told, discard=False)
        self._incoming.close(told, discard=True)

    @contextmanager
    def _naming_who_closed(self) -> Iterator[None]:
        try:
            yield
        except StreamClosed as error:
            if self.is_closed:
                raise StreamClosed("this side closed the connection") from error
            raise


def memory_pair(one: Endpoint, other: Endpoint) -> tuple[MemoryStream, MemoryStream]:
    """The stream as `one` holds it (to `other`), and as `other` holds it."""
    there, back = _Pipe(), _Pipe()
    return MemoryStream(other, back, there), MemoryStream(one, there, back)


class MemoryNetwork:
    """The addresses of one simulated world, and who listens there."""

    def __init__(self) -> None:
        self.listeners: dict[Endpoint, Callable[[MemoryStream], None]] = {}
        self._next_port = 49152

    def free_port(self) -> int:
        """A port number that was never given out before."""
        self._next_port += 1
        return self._next_port


class MemoryTransport:
    """One node's way into a MemoryNetwork."""

    def __init__(self, network: MemoryNetwork, host: str) -> None:
        self._network = network
        self._host = host
        self._listening: list[Endpoint] = []
        self._streams: list[MemoryStream] = []

    async def listen(self, endpoints: Sequence[Endpoint], on_stream: OnStream) -> list[Endpoint]:
        """Accept streams; ListenError when an address is taken."""

        def accept(stream: MemoryStream) -> None:
            self._keep(stream)
            on_stream(stream)

        bound = []
        for endpoint in endpoints:
            address = Endpoint(endpoint.host, endpoint.port or self._network.free_port())
            if address in self._network.listeners:
                raise ListenError(f"{address} is in use in this memory network")
            self._network.listeners[address] = accept
            self._listening.append(address)
            bound.append(address)
        return bound

    async def dial(self, endpoint: Endpoint) -> MemoryStream:
        """A stream to whoever listens at `endpoint`."""
        accept = self._network.listeners.get(endpoint)
        if accept is None:
            raise DialError(f"nobody listens at {endpoint}")
        ours, theirs = memory_pair(Endpoint(self._host, self._network.free_port()), endpoint)
        self._keep(ours)
        accept(theirs)
        return ours

    async def close(self) -> None:
        """Stop listening and close every stream of this node."""
        for address in self._listening:
            self._network.listeners.pop(address, None)
        for stream in self._streams:
            await stream.close()

    def _keep(self, stream: MemoryStream) -> None:
        self._streams = [*(kept for kept in self._streams if not kept.is_closed), stream]
