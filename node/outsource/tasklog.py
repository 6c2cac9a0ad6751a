"""Every task's state and log: stored first, then told to whoever listens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec

from node.errors import UsageError
from node.events import EventHub
from node.outsource.taskview import task_view
from node.store.tasks import TaskChange, TaskRow, Tasks
from node.tasks.lifecycle import ENDED, TaskState, advance
from node.views import ENDING_EVENTS, EventName, EventView, TaskView

ENDING: dict[TaskState, EventName] = {
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "rejected": "rejected",
}
"""The event that tells of an ended state."""
RECHECK_S: Final = 5.0
"""A watcher to whom nothing came for so long looks at the row: a slow one may have lost the ending event."""


class TaskLog:
    """The one writer of task rows and task events."""

    def __init__(self, tasks: Tasks, hub: EventHub, unix_ms: Callable[[], int]) -> None:
        self._tasks = tasks
        self._hub = hub
        self._unix_ms = unix_ms
        self._ending = asyncio.Lock()

    async def open(self, row: TaskRow) -> tuple[TaskRow, bool]:
        """Store a new task; or the one that its idempotency key already names, and False."""
        stored, is_new = await self._tasks.insert(row)
        if is_new:
            await self.note(stored.task_id, "submitted", f"{stored.skill}", task=task_view(stored, ()))
        return stored, is_new

    async def note(self, task_id: bytes, name: EventName, text: str, **fields: Any) -> None:
        """Log one event of a task."""
        event = EventView(name=name, at_unix_ms=self._unix_ms(), task_id=task_id.hex(), text=text, **fields)
        body = msgspec.json.encode(event).decode()
        await self._tasks.append_event(task_id, event.at_unix_ms, name, body)
        self._hub.publish(event)

    async def move(self, task_id: bytes, to: TaskState, what: TaskChange | None = None) -> TaskRow:
        """Change a task's state, if its present one leads there."""
        row = await self._tasks.get(task_id)
        change = msgspec.structs.replace(what or TaskChange(), state=advance(row.state, to))
        return await self._tasks.change(task_id, change, self._unix_ms())

    async def change(self, task_id: bytes, what: TaskChange) -> TaskRow:
        """Change anything but the state."""
        return await self._tasks.change(task_id, what, self._unix_ms())

    async def is_known(self, task_id: bytes, *, peer: bytes) -> bool:
        """Whether a task of this id was shared with `peer`."""
        try:
            return (await self._tasks.get(task_id)).peer == peer
        except UsageError:
            return False

    async def end(
        self, task_id: bytes, to: TaskState, text: str, what: TaskChange | None = None, **fields: Any
    ) -> TaskView:
        """End a task and tell it with the whole view; ending it twice changes nothing.

        Carried out to its end even if the caller is cancelled: nobody may wait for an ending that is never told.
        """
        return await asyncio.shield(self._end(task_id, to, text, what, **fields))

    async def _end(self, task_id: bytes, to: TaskState, text: str, what: TaskChange | None, **fields: Any) -> TaskView:
        async with self._ending:
            if (await self._tasks.get(task_id)).state not in ENDED:
                await self.move(task_id, to, what)
                await self.note(task_id, ENDING[to], text, task=await self.view(task_id), **fields)
            return await self.view(task_id)

    async def view(self, task_id: bytes) -> TaskView:
        """One task as it stands; UsageError when there is none."""
        row = await self._tasks.get(task_id)
        children = await self._tasks.select(parent_id=task_id, limit=1000)
        return task_view(row, await self.events(task_id), tuple(child.task_id.hex() for child in reversed(children)))

    async def events(self, task_id: bytes) -> tuple[EventView, ...]:
        """The stored log of one task, in order."""
        stored = await self._tasks.events(task_id)
        return tuple(msgspec.json.decode(event.body, type=EventView) for event in stored)

    async def watch(self, task_id: bytes) -> AsyncIterator[EventView]:
        """A task's log from its beginning, then live, up to and including its ending event."""
        shown: set[EventView] = set()
        with self._hub.subscribe() as queue:
            while True:
                has_ended = (await self._tasks.get(task_id)).state in ENDED
                for event in await self.events(task_id):
                    if event not in shown:
                        shown.add(event)
                        yield event
                if has_ended:
                    return
                async for event in _coming(queue, task_id):
                    if event in shown:
                        continue
                    shown.add(event)
                    yield event
                    if event.name in ENDING_EVENTS:
                        return


async def _coming(queue: asyncio.Queue[EventView], task_id: bytes) -> AsyncIterator[EventView]:
    """A task's live events, until none came for a while."""
    while True:
        try:
            async with asyncio.timeout(RECHECK_S):
                event = await queue.get()
                while event.task_id != task_id.hex():
                    event = await queue.get()
        except TimeoutError:
            return
        yield event
