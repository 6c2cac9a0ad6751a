"""The one seam under sessions: ordered binary frames, and how to get them. websocket.py and memory.py are behind it."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

from node.net.endpoint import Endpoint

Frame = bytes | bytearray

OnFrame = Callable[[Frame], None]
OnEnd = Callable[[str], None]
"""Takes why no more frames will come; called once."""


class FrameStream(Protocol):
    """Ordered binary frames to one remote address, both ways."""

    @property
    @abstractmethod
    def remote(self) -> Endpoint:
        """The address at the other end."""

    @abstractmethod
    def write(self, frame: Frame) -> bool:
        """Send one frame; StreamClosed when it cannot be sent. False: the peer is behind now, so `drain` comes first.

        A bytearray is the stream's from then on: it may be masked in place.
        """

    @abstractmethod
    async def drain(self) -> None:
        """Return when the peer has caught up; StreamClosed when nothing can be sent any more."""

    async def send(self, frame: Frame) -> None:
        """Write one frame as soon as the peer has caught up."""
        await self.drain()
        self.write(frame)

    @abstractmethod
    async def receive(self) -> Frame:
        """The next frame; StreamClosed when there will be none."""

    @abstractmethod
    def deliver(self, on_frame: OnFrame, on_end: OnEnd) -> None:
        """From now on hand over each frame as it comes, which spares a wake-up for each; `receive` is over.

        Neither is called before this returns.
        """

    @abstractmethod
    async def close(self, reason: str = "") -> None:
        """Close both ways, soon and without raising; `reason` (a few words, sent in clear) is told to the peer."""


OnStream = Callable[[FrameStream], None]
"""Takes over a stream that a peer opened; returns at once and sees to it that the stream is closed in the end."""


class Transport(Protocol):
    """Opens streams, and accepts them."""

    async def listen(self, endpoints: Sequence[Endpoint], on_stream: OnStream) -> list[Endpoint]:
        """Accept streams on all `endpoints`; the bound ones, with real ports. ListenError when one is not free."""
        ...  # pragma: no cover

    async def dial(self, endpoint: Endpoint) -> FrameStream:
        """A stream to `endpoint`; DialError when it cannot be reached. The caller sets the time limit."""
        ...  # pragma: no cover

    async def close(self) -> None:
        """Stop listening and close every stream."""
        ...  # pragma: no cover
