"""Ends what nobody sees through any more: tasks, and promises of money.

After a restart that is everything that was under way. Later it is what could not be written down when it ended,
because the disk was full or failing: an end is a write too. It is found by looking, so that nothing has to be kept
in memory that a second failure could lose.
"""

from collections.abc import Callable
from typing import Final

import structlog

from node.env import Env
from node.outsource.client.promises import Promises
from node.outsource.tasklog import TaskLog
from node.outsource.taskview import specification_of
from node.store.blobs import Blobs
from node.store.tasks import TaskChange, TaskRow, Tasks

log = structlog.get_logger()

LOOK_S: Final = 5.0
"""Between two looks. A task counts as an orphan when two looks in a row find nobody at it: between its row and its
start lie other writes, and between its end and its row too."""
INTERRUPTED: Final = "the node stopped while this was under way"
UNWRITTEN: Final = "its end could not be written down when it came: the disk was full or failing"


class Orphans:
    """Finds and ends them. `is_under_way(task_id)` says whether somebody is at a task now."""

    def __init__(
        self,
        *,
        env: Env,
        log_: TaskLog,
        tasks: Tasks,
        blobs: Blobs,
        promises: Promises,
        is_under_way: Callable[[bytes], bool],
    ) -> None:
        self._env = env
        self._log = log_
        self._tasks = tasks
        self._blobs = blobs
        self._promises = promises
        self._is_under_way = is_under_way
        self._suspected: set[bytes] = set()

    async def end_all(self) -> None:
        """After a restart: end what was under way, give back what was promised for it."""
        for row in await self._tasks.unfinished():
            await self._end(row, "interrupted", INTERRUPTED)
        await self._promises.close_all(INTERRUPTED)

    async def look(self) -> None:
        """End what this look and the last one found without anybody at it."""
        unfinished = {row.task_id: row for row in await self._tasks.unfinished()}
        left = unfinished.keys() | await self._promises.open_tasks()
        alone = {task_id for task_id in left if not self._is_under_way(task_id)}
        orphans, self._suspected = sorted(alone & self._suspected), alone
        for task_id in orphans:
            log.warning("task.was_orphaned", task=task_id.hex()[:8])
            await self._promises.close_all(UNWRITTEN, task_id)
            if (row := unfinished.get(task_id)) is not None:
                await self._end(row, "storage", UNWRITTEN)

    async def _end(self, row: TaskRow, code: str, text: str) -> None:
        if specification_of(row) is None:
            text = f"{text}; what it asked for is lost: its stored specification cannot be read"
        await self._log.end(row.task_id, "failed", text, TaskChange(error_code=code, error_text=text))
        await self._blobs.finish(row.task_id, self._env.unix_ms())
