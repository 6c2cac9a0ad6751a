"""A request of ours while it is under way: its events as they come, then the final answer."""

from collections import deque
from collections.abc import Callable

from node.net.signal import Signal
from protocol.messages import AnyMessage


class Stream:
    """`async for event in stream` gives the events; afterwards `final` is the answer.

    RemoteRefused, SessionClosed or TimeoutError comes out of the loop as soon as it is known: what was queued before it
    is of no use without an answer. The queue is bounded by the credit that the session gives the peer.
    """

    def __init__(self, on_consumed: Callable[[int], None]) -> None:
        """`on_consumed` takes the charge of every event that was used."""
        self._on_consumed = on_consumed
        self._events: deque[tuple[AnyMessage, int]] = deque()
        self._outcome: AnyMessage | Exception | None = None
        self._changed = Signal()

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> AnyMessage:
        while not self._events and self._outcome is None:
            await self._changed.wait()
        if isinstance(self._outcome, Exception):
            raise self._outcome
        if not self._events:
            raise StopAsyncIteration
        event, charge_bytes = self._events.popleft()
        self._on_consumed(charge_bytes)
        return event

    @property
    def final(self) -> AnyMessage:
        """The final answer; RuntimeError before the events have ended."""
        if self._outcome is None:
            raise RuntimeError("the request has not been answered yet: read its events to the end first")
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    @property
    def has_ended(self) -> bool:
        """Whether the outcome is known."""
        return self._outcome is not None

    async def result(self) -> AnyMessage:
        """The final answer; events on the way to it are passed over."""
        async for _ in self:
            pass
        return self.final

    def deliver(self, event: AnyMessage, charge_bytes: int) -> None:
        """The session brings an event."""
        self._events.append((event, charge_bytes))
        self._changed.fire()

    def end(self, outcome: AnyMessage | Exception) -> None:
        """The session brings the outcome; the first one counts."""
        if self._outcome is None:
            self._outcome = outcome
            self._changed.fire()
