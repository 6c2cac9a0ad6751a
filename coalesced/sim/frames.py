"""Connections of ordered frames over the simulated network: what sessions run on in a simulated world.

They fare as TCP does. Nothing is lost while both ends live: a lost packet costs time. A partition holds everything up
until it heals or the sender gives up. The end of a process is told to its peers; the death of a machine is not, and
shows when a frame meets the machine that has come back.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass

from coalesced.sim.network import SimNetwork
from node.net.endpoint import Endpoint
from node.net.errors import DialError, ListenError, StreamClosed
from node.net.transport import Frame, FrameStream, OnEnd, OnFrame, OnStream

MAX_UNREAD = 16
"""A sender waits when so many frames are under way or unread, as it would for a full socket buffer."""
RETRANSMIT_S = 0.2
"""What a lost packet costs, twice as much each time: Linux's least retransmission time-out."""
UNREACHABLE_S = 1.0
"""How often what cannot get through is tried again."""
GIVE_UP_S = 60.0
"""A connection whose data goes unacknowledged for so long breaks. Kernels take minutes; sessions give up before."""


@dataclass(frozen=True, slots=True)
class _Listener:
    accept: OnStream
    transport: "SimFrames"
    context: Context


class SimStream(FrameStream):
    """One end of a connection."""

    def __init__(self, frames: "FrameNetwork", host: str, remote: Endpoint) -> None:
        self._frames = frames
        self._host = host
        self._remote = remote
        self.other: SimStream = self
        """Set by `_pair`, before anything is sent."""
        self._unread: deque[bytes] = deque()
        self._under_way: deque[bytes | None] = deque()
        """What this end has sent and the other has not got, in order; None is the end of it all."""
        self._blocked_s = 0.0
        self._changed = asyncio.Event()
        self._closed: str | None = None
        self._receiver: tuple[OnFrame, OnEnd, Context] | None = None

    @property
    def remote(self) -> Endpoint:
        """The address at the other end."""
        return self._remote

    @property
    def is_open(self) -> bool:
        """Whether this end was neither closed nor cut."""
        return self._closed is None

    @property
    def hosts(self) -> tuple[str, str]:
        """Whom it connects."""
        return self._host, self._remote.host

    def write(self, frame: Frame) -> bool:
        """Send one frame; False when 16 are under way or unread."""
        if self._closed is not None:
            raise StreamClosed(self._closed)
        self._put(bytes(frame))
        return not self._is_behind

    async def drain(self) -> None:
        """Return when fewer than 16 are under way or unread."""
        while self._closed is None and self._is_behind:
            await self._changed.wait()
        if self._closed is not None:
            raise StreamClosed(self._closed)

    async def receive(self) -> bytes:
        """The next frame; what the peer sent before it closed still arrives."""
        while not self._unread:
            if self._closed is not None:
                raise StreamClosed(self._closed)
            await self._changed.wait()
        frame = self._unread.popleft()
        self.other.wake()
        return frame

    def deliver(self, on_frame: OnFrame, on_end: OnEnd) -> None:
        """Hand over each frame in a turn of the loop of its own, as the work of the one who calls this."""
        self._receiver = on_frame, on_end, copy_context()
        self.wake()

    async def close(self, reason: str = "") -> None:
        """Close this end now; the other learns it after what was sent before."""
        if self._closed is None:
            self._put(None)
            self.end("this side closed the connection")
            self._unread.clear()

    def end(self, reason: str) -> None:
        """Nothing more is sent from here, and what is read here ends with what has arrived."""
        if self._closed is None:
            self._closed = reason
        self._frames.forget(self)
        self.wake()

    def die(self, *, told: bool) -> None:
        """The process that held this end is gone; the other end learns it now (`told`), or when it sends."""
        self._under_way.clear()
        self._receiver = None
        if told and self._closed is None:
            self._put(None)
        self.end("the process ended")
        self._unread.clear()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self._changed.set()
        self._changed = asyncio.Event()
        if self._receiver is not None:
            asyncio.get_running_loop().call_soon(self._hand_over, context=self._receiver[2])

    @property
    def _is_behind(self) -> bool:
        return len(self._under_way) + len(self.other._unread) >= MAX_UNREAD

    def _hand_over(self) -> None:
        """The next frame, or the end, to whoever has them delivered."""
        if self._receiver is None:
            return
        on_frame, on_end, _ = self._receiver
        if self._unread:
            frame = self._unread.popleft()
            self.wake()
            self.other.wake()
            on_frame(frame)
        elif self._closed is not None:
            self._receiver = None
            on_end(self._closed)

    def _put(self, frame: bytes | None) -> None:
        network = self._frames.network
        what = "frame" if frame is not None else "end"
        now_s = asyncio.get_running_loop().time()
        network.trace.note(now_s, f"{what} {self._host} {self._remote}", frame or b"")
        delay_s, timeout_s = network.delay_s(), RETRANSMIT_S
        while network.rng.random() < network.link.loss:
            delay_s += timeout_s
            timeout_s *= 2
        self._under_way.append(frame)
        asyncio.get_running_loop().call_later(delay_s, self._arrive)

    def _arrive(self) -> None:
        """The first of what is under way gets there: each packet carries on what was held up before it."""
        if not self._under_way:
            return
        loop, network = asyncio.get_running_loop(), self._frames.network
        if not network.reaches(self._host, self._remote.host):
            self._blocked_s += UNREACHABLE_S
            if self._blocked_s > GIVE_UP_S:
                self._under_way.clear()
                self.end(f"the connection to {self._remote} timed out")
            else:
                loop.call_later(UNREACHABLE_S, self._arrive)
            return
        self._blocked_s = 0.0
        frame = self._under_way.popleft()
        if frame is None:
            self.other.end("the peer closed the connection")
        elif self.other.is_open:
            self.other._unread.append(frame)
            self.other.wake()
        else:
            loop.call_later(network.delay_s(), self.end, "the peer reset the connection")


class FrameNetwork:
    """The connections of one world, and who listens where."""

    def __init__(self, network: SimNetwork) -> None:
        self.network = network
        self.listeners: dict[Endpoint, _Listener] = {}
        self._open: dict[SimStream, None] = {}
        self._next_port = 49_152

    @property
    def open_streams(self) -> list[SimStream]:
        """Every end that is open, in the order in which they were made."""
        return list(self._open)

    def forget(self, stream: SimStream) -> None:
        """The end is closed."""
        self._open.pop(stream, None)

    def cut(self, stream: SimStream) -> None:
        """Break a connection at both ends: what was under way is lost."""
        for end in (stream, stream.other):
            end._under_way.clear()
            end.end("the connection was cut")

    def pair(self, dialler: str, target: Endpoint) -> tuple[SimStream, SimStream]:
        """A new connection: the dialler's end, the listener's end."""
        self._next_port += 1
        ours = SimStream(self, dialler, target)
        theirs = SimStream(self, target.host, Endpoint(dialler, self._next_port))
        ours.other, theirs.other = theirs, ours
        self._open |= {ours: None, theirs: None}
        return ours, theirs


class SimFrames:
    """One process's way to connections: a Transport."""

    def __init__(self, frames: FrameNetwork, host: str) -> None:
        self._frames = frames
        self._host = host
        self._listening: list[Endpoint] = []
        self._streams: list[SimStream] = []

    async def listen(self, endpoints: Sequence[Endpoint], on_stream: OnStream) -> list[Endpoint]:
        """Accept streams; ListenError when an address is taken."""
        for endpoint in endpoints:
            if endpoint in self._frames.listeners:
                raise ListenError(f"{endpoint} is in use")
            self._frames.listeners[endpoint] = _Listener(on_stream, self, copy_context())
            self._listening.append(endpoint)
        return list(endpoints)

    async def dial(self, endpoint: Endpoint) -> SimStream:
        """A stream to whoever listens at `endpoint`: tried until it is reached, or the caller gives up."""
        network = self._frames.network
        loop = asyncio.get_running_loop()
        network.trace.note(loop.time(), f"dial {self._host} {endpoint}")
        await asyncio.sleep(network.delay_s())
        while not network.reaches(self._host, endpoint.host) or network.rng.random() < network.link.loss:  # noqa: ASYNC110
            await asyncio.sleep(UNREACHABLE_S)  # Nobody tells when it would get through.
        listener = self._frames.listeners.get(endpoint)
        if listener is None:
            await asyncio.sleep(network.delay_s())
            raise DialError(f"nobody listens at {endpoint}")
        ours, theirs = self._frames.pair(self._host, endpoint)
        self._keep(ours)
        listener.transport._keep(theirs)
        listener.context.run(listener.accept, theirs)
        try:
            await asyncio.sleep(network.delay_s())
        except asyncio.CancelledError:
            await ours.close()
            raise
        return ours

    async def close(self) -> None:
        """Stop listening and close every stream of this process."""
        self._stop_listening()
        for stream in self._streams:
            await stream.close()

    def die(self, *, told: bool) -> None:
        """The process is gone, without a goodbye; `told` when its system closes its connections for it."""
        self._stop_listening()
        for stream in self._streams:
            stream.die(told=told)

    def _stop_listening(self) -> None:
        for endpoint in self._listening:
            self._frames.listeners.pop(endpoint, None)
        self._listening.clear()

    def _keep(self, stream: SimStream) -> None:
        self._streams = [one for one in self._streams if one.is_open]
        self._streams.append(stream)
