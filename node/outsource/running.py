"""The tasks of this node's owner that are under way: started, cancelled, answered, awaited at the end."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from node.errors import NodeError, UsageError


class TooManyTasksError(NodeError):
    """More tasks run than this node takes on at once."""

    code = "busy"


@dataclass(slots=True)
class _Entry:
    task: asyncio.Task[None] | None = None
    answer: asyncio.Future[str] | None = None


class Running:
    """Holds one asyncio task a task, in the daemon's own group."""

    def __init__(self, group: asyncio.TaskGroup, max_tasks: int) -> None:
        self._group = group
        self._max_tasks = max_tasks
        self._entries: dict[bytes, _Entry] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, task_id: bytes) -> bool:
        return task_id in self._entries

    def require_room(self) -> None:
        """TooManyTasksError when no further task is taken on."""
        if len(self._entries) >= self._max_tasks:
            raise TooManyTasksError(
                f"{len(self._entries)} tasks are under way, the most this node takes on: "
                "wait for some to end, or raise client.max_running_tasks"
            )

    def start(self, task_id: bytes, course: Coroutine[Any, Any, None]) -> None:
        """Run `course` for this task in the background."""
        entry = self._entries[task_id] = _Entry()
        self._idle.clear()
        entry.task = self._group.create_task(course)
        entry.task.add_done_callback(lambda _: self._ended(task_id))

    def adopt(self, task_id: bytes) -> None:
        """Count a plan's subtask, which runs inside its plan."""
        self._entries[task_id] = _Entry(task=asyncio.current_task())

    def _ended(self, task_id: bytes) -> None:
        self._entries.pop(task_id, None)
        if not self._entries:
            self._idle.set()

    release = _ended

    def cancel(self, task_id: bytes) -> bool:
        """Cancel a task; False when it is not under way."""
        entry = self._entries.get(task_id)
        if entry is None or entry.task is None:
            return False
        entry.task.cancel()
        return True

    async def question(self, task_id: bytes) -> str:
        """Wait for the owner's answer."""
        entry = self._entries[task_id]
        entry.answer = asyncio.get_running_loop().create_future()
        return await entry.answer

    def answer(self, task_id: bytes, text: str) -> None:
        """Hand over the owner's answer; UsageError when the task does not wait for one."""
        entry = self._entries.get(task_id)
        if entry is None or entry.answer is None or entry.answer.done():
            raise UsageError(f"task {task_id.hex()[:8]} is not waiting for an answer")
        entry.answer.set_result(text)

    async def drain(self, timeout_s: float) -> bool:
        """Wait for what is under way; False when some of it still was at the end."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Cancel what is under way, and wait until that is written down."""
        for task_id in list(self._entries):
            self.cancel(task_id)
        await self._idle.wait()
