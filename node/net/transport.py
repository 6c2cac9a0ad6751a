"""The one seam under sessions: ordered binary frames, and how to get them. websocket.py and memory.py are behind it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from node.net.endpoint import Endpoint

Frame = bytes | bytearray


class FrameStream(Protocol):
    """Ordered binary frames to one remote address, both ways."""

    @property
    def remote(self) -> Endpoint:
        """The address at the other end."""
        ...  # pragma: no cover

    async def send(self, frame: Frame) -> None:
        """Send one frame, waiting while the peer reads slowly; StreamClosed when it cannot be sent."""
        ...  # pragma: no cover

    async def receive(self) -> bytes:
        """The next frame; StreamClosed when there will be none."""
        ...  # pragma: no cover

    async def close(self, reason: str = "") -> None:
        """Close both ways, soon and without raising; `reason` (a few words, sent in clear) is told to the peer."""
        ...  # pragma: no cover


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
