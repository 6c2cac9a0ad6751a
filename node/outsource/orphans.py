"""Ends what nobody sees through any more: tasks, and promises of money.

After a restart that is everything that was under way. Later it is what could not be written down when it ended,
because the disk was full or failing: an end is a write too. It is found by looking, so that nothing has to be kept
in memory that a second failure could lose.
"""

from collections.abc import Callable
from typing import Final

import structlog

from node.env import Env
from node.outsource.client.orders import Orders
from node.outsource.tasklog import TaskLog
from node.store.blobs import Blobs
from node.store.spending import Spending
from node.store.tasks import TaskChange, Tasks

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
        spending: Spending,
        orders: Orders,
        is_under_way: Callable[[bytes], bool],
    ) -> None:
        self._env = env
        self._log = log_
        self._tasks = tasks
        self._blobs = blobs
        self._spending = spending
        self._orders = orders
        self._is_under_way = is_under_way
        self._suspected: set[bytes] = set()

    async def end_all(self) -> None:
        """After a restart: end what was under way, give back what was promised for it."""
        for row in await self._tasks.unfinished():
            await self._end(row.task_id, "interrupted", INTERRUPTED)
        await self._orders.close()

    async def look(self) -> None:
        """End what this look and the last one found without anybody at it."""
        unfinished = {row.task_id for row in await self._tasks.unfinished()}
        promised = {reservation.task_id for reservation in await self._spending.open_reservations()}
        alone = {task_id for task_id in unfinished | promised if not self._is_under_way(task_id)}
        orphans, self._suspected = sorted(alone & self._suspected), alone
        for task_id in orphans:
            log.warning("task.was_orphaned", task=task_id.hex()[:8])
            await self._orders.close(task_id)
            if task_id in unfinished:
                await self._end(task_id, "storage", UNWRITTEN)

    async def _end(self, task_id: bytes, code: str, text: str) -> None:
        await self._log.end(task_id, "failed", text, TaskChange(error_code=code, error_text=text))
        await self._blobs.finish(task_id, self._env.unix_ms())
