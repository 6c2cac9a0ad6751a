"""Live events to whoever listens: a tap on the node, never a way to steer it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from node.views import EventName, EventView

QUEUE_EVENTS = 1024
"""A listener this far behind loses the oldest events; what must not be lost is in the store."""


class EventHub:
    """Publishes to every listener without waiting for any. `unix_ms` is the node's clock."""

    def __init__(self, unix_ms: Callable[[], int]) -> None:
        self._unix_ms = unix_ms
        self._queues: dict[str, set[asyncio.Queue[EventView]]] = {}
        """Listeners by the task that they listen to; under "" those who want everything."""
        self.dropped = 0

    def tell(self, name: EventName, text: str, **fields: Any) -> None:
        """Publish what happened just now to the node itself; it is not stored."""
        self.publish(EventView(name=name, at_unix_ms=self._unix_ms(), text=text, **fields))

    def publish(self, event: EventView) -> None:
        """Hand `event` to all who listen to its task or to everything; the slow ones lose their oldest."""
        for queue in (*self._queues.get("", ()), *(self._queues.get(event.task_id, ()) if event.task_id else ())):
            if queue.full():
                queue.get_nowait()
                self.dropped += 1
            queue.put_nowait(event)

    @contextmanager
    def subscribe(self, task_id: str = "") -> Iterator[asyncio.Queue[EventView]]:
        """A queue of what happens from now on: of one task's events, or of everything."""
        queue: asyncio.Queue[EventView] = asyncio.Queue(QUEUE_EVENTS)
        listeners = self._queues.setdefault(task_id, set())
        listeners.add(queue)
        try:
            yield queue
        finally:
            listeners.discard(queue)
            if not listeners:
                self._queues.pop(task_id, None)

    async def stream(self) -> AsyncIterator[EventView]:
        """Everything that happens from now on, until the listener stops."""
        with self.subscribe() as queue:
            while True:
                yield await queue.get()
