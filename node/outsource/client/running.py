"""The tasks of this node's owner that are under way: started, cancelled, answered, awaited at the end."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from node.background import came
from node.errors import NodeError, UsageError


class TooManyTasksError(NodeError):
    """More tasks run than this node takes on at once."""

    code = "busy"


class StepCancelledError(NodeError):
    """The owner ended one step of a plan: it is not tried again."""


class StoppingError(NodeError):
    """This node takes on nothing more."""

    code = "stopping"


@dataclass(slots=True)
class _Entry:
    task: asyncio.Task[Any] | None = None
    answer: asyncio.Future[str] | None = None
    has_begun: bool = False
    is_adopted: bool = False
    is_cancelled: bool = False


class Running:
    """Holds one asyncio task a task, in the daemon's own group."""

    def __init__(self, group: asyncio.TaskGroup, max_tasks: int) -> None:
        self._group = group
        self._max_tasks = max_tasks
        self._entries: dict[bytes, _Entry] = {}
        self._coming = 0
        self._is_draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, task_id: bytes) -> bool:
        return task_id in self._entries

    @contextmanager
    def room(self) -> Iterator[None]:
        """Hold the place of a task that is being taken on, until it is started; NodeError when there is none."""
        if self._is_draining:
            raise StoppingError("this node is stopping and takes on no more tasks")
        if len(self._entries) + self._coming >= self._max_tasks:
            raise TooManyTasksError(
                f"{len(self._entries)} tasks are under way, the most this node takes on: "
                "wait for some to end, or raise client.max_running_tasks"
            )
        self._coming += 1
        try:
            yield
        finally:
            self._coming -= 1

    def start(self, task_id: bytes, course: Coroutine[Any, Any, None]) -> None:
        """Run `course` for this task in the background."""
        self._idle.clear()
        entry = self._entries[task_id] = _Entry()
        entry.task = self._group.create_task(_begin(entry, course))
        entry.task.add_done_callback(lambda _: self._ended(task_id))

    @contextmanager
    def adopted(self, task_id: bytes) -> Iterator[None]:
        """Count a plan's subtask, which runs inside its plan, while this block runs it.

        Its own cancellation leaves as a NodeError: for its plan, one step has failed.
        """
        task = asyncio.current_task()
        assert task is not None
        entry = self._entries[task_id] = _Entry(task, has_begun=True, is_adopted=True)
        try:
            yield
        except asyncio.CancelledError:
            if entry.is_cancelled:
                raise StepCancelledError("it was cancelled") from None
            raise
        finally:
            self._ended(task_id)

    def _ended(self, task_id: bytes) -> None:
        self._entries.pop(task_id, None)
        if not self._entries:
            self._idle.set()

    def cancel(self, task_id: bytes) -> bool:
        """Cancel a task, once; False when it is not under way."""
        entry = self._entries.get(task_id)
        if entry is None:
            return False
        # A second one would interrupt the writing down of the first.
        if not entry.is_cancelled:
            entry.is_cancelled = True
            if entry.task is not None and entry.has_begun:
                entry.task.cancel()
        return True

    async def end(self, task_ids: Sequence[bytes]) -> None:
        """Cancel those of these tasks that are under way, and wait until their ends are written down."""
        entries = [entry for task_id in task_ids if (entry := self._entries.get(task_id)) is not None]
        for task_id in task_ids:
            self.cancel(task_id)
        if tasks := [entry.task for entry in entries if entry.task is not None]:
            await asyncio.wait(tasks)

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
        """Take on nothing more and wait for what is under way; False when some of it still was at the end."""
        self._is_draining = True
        return await came(self._idle, timeout_s)

    async def stop(self) -> None:
        """Take on nothing more, cancel what is under way, and wait until that is written down."""
        self._is_draining = True
        for task_id, entry in list(self._entries.items()):
            if not entry.is_adopted:
                self.cancel(task_id)
        await self._idle.wait()


async def _begin(entry: _Entry, course: Coroutine[Any, Any, None]) -> None:
    """Run a course. A task that is cancelled before its first step runs none of its code: its end would be nowhere."""
    entry.has_begun = True
    if entry.is_cancelled and entry.task is not None:
        entry.task.cancel()
    await course
