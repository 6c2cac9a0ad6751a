"""Every task's state and log: stored first, then told to whoever listens."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import msgspec
import structlog

from node.errors import UsageError
from node.events import EventHub
from node.outsource.taskview import task_view
from node.store.task_events import TaskEvent
from node.store.tasks import TaskChange, TaskRecord, TaskRow, Tasks
from node.tasks.lifecycle import ENDED, TaskState
from node.views import ENDING_EVENTS, EventName, EventView, TaskView

log = structlog.get_logger()

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

    async def open(self, row: TaskRow) -> tuple[TaskRow, bool]:
        """Store a new task; or the one that its idempotency key already names, and False."""
        event, body = self._event(row.task_id, "submitted", row.skill, {"task": task_view(row, ())})
        stored, is_new = await self._tasks.open_logged(row, event.at_unix_ms, event.name, body)
        if is_new:
            self._hub.publish(event)
        return stored, is_new

    async def note(self, task_id: bytes, name: EventName, text: str, **fields: Any) -> None:
        """Log one event of a task."""
        event, body = self._event(task_id, name, text, fields)
        await self._tasks.append_event(task_id, event.at_unix_ms, name, body)
        self._hub.publish(event)

    def tell(self, task_id: bytes, name: EventName, text: str, **fields: Any) -> None:
        """Log one event without waiting until it is stored: it is before whatever is logged of the task later.

        For what is only told on the way. Told, like everything, once it is stored.
        """
        event, body = self._event(task_id, name, text, fields)

        def told(stored: asyncio.Future[int]) -> None:
            if stored.cancelled() or (error := stored.exception()) is None:
                self._hub.publish(event)
            else:
                # Whatever ails the store, the task's next step meets it too, and says so.
                log.warning("task_event.not_stored", event_name=name, error=str(error))

        stored = self._tasks.post_event(task_id, event.at_unix_ms, name, body)
        if stored.done():
            told(stored)
        else:
            stored.add_done_callback(told)

    def _event(self, task_id: bytes, name: EventName, text: str, fields: dict[str, Any]) -> tuple[EventView, str]:
        event = EventView(name=name, at_unix_ms=self._unix_ms(), task_id=task_id.hex(), text=text, **fields)
        return event, msgspec.json.encode(event).decode()

    async def move(self, task_id: bytes, to: TaskState, what: TaskChange | None = None) -> TaskRow:
        """Change a task's state, if its present one leads there."""
        change = msgspec.structs.replace(what or TaskChange(), state=to)
        return await self._tasks.change(task_id, change, self._unix_ms())

    async def change(self, task_id: bytes, what: TaskChange) -> TaskRow:
        """Change anything but the state."""
        return await self._tasks.change(task_id, what, self._unix_ms())

    async def change_noted(self, task_id: bytes, what: TaskChange, name: EventName, text: str, **fields: Any) -> None:
        """Change anything but the state, and log it, in one step."""
        event, body = self._event(task_id, name, text, fields)
        await self._tasks.change_logged(task_id, what, event.at_unix_ms, name, body)
        self._hub.publish(event)

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
        change = msgspec.structs.replace(what or TaskChange(), state=to)
        now_ms = self._unix_ms()

        def ending(record: TaskRecord) -> str:
            event = EventView(name=ENDING[to], at_unix_ms=now_ms, task_id=task_id.hex(), text=text, **fields)
            # The view it carries is that of the task as it has ended: with this event, which says what it cost.
            told = msgspec.structs.replace(event, task=_view(record, event))
            return msgspec.json.encode(told).decode()

        record, has_ended_now = await self._tasks.end(task_id, change, now_ms, ENDING[to], ending)
        if has_ended_now:
            self._hub.publish(_decoded(record.events)[-1])
        return _view(record)

    async def view(self, task_id: bytes) -> TaskView:
        """One task as it stands; UsageError when there is none."""
        return _view(await self._tasks.record(task_id))

    async def events(self, task_id: bytes) -> tuple[EventView, ...]:
        """The stored log of one task, in order."""
        return _decoded(await self._tasks.events(task_id))

    async def watch(self, task_id: bytes) -> AsyncIterator[EventView]:
        """A task's log from its beginning, then live, up to and including its ending event."""
        shown: set[EventView] = set()
        with self._hub.subscribe(task_id.hex()) as queue:
            while True:
                record = await self._tasks.record(task_id)
                for event in _decoded(record.events):
                    if event not in shown:
                        shown.add(event)
                        yield event
                if record.row.state in ENDED:
                    return
                async for event in _coming(queue):
                    if event in shown:
                        continue
                    shown.add(event)
                    yield event
                    if event.name in ENDING_EVENTS:
                        return


def _view(record: TaskRecord, *coming: EventView) -> TaskView:
    """A task as its record has it, and `coming` events that are not stored yet."""
    return task_view(record.row, (*_decoded(record.events), *coming), tuple(child.hex() for child in record.children))


def _decoded(stored: Sequence[TaskEvent]) -> tuple[EventView, ...]:
    return tuple(msgspec.json.decode(event.body, type=EventView) for event in stored)


async def _coming(queue: asyncio.Queue[EventView]) -> AsyncIterator[EventView]:
    """Live events, until none came for a while."""
    while True:
        try:
            async with asyncio.timeout(RECHECK_S):
                event = await queue.get()
        except TimeoutError:
            return
        yield event
