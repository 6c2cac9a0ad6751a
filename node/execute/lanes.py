"""The queues of an executor, one before its workers and one before its checkers, and what everybody sees of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from node.execute import catalogue
from node.execute.config import ExecuteConfig
from node.execute.errors import BusyError, UnknownSkillError
from node.execute.skill import Skill


class Lane:
    """A first-in first-out queue before a number of slots; `running` and `queued` are what pricing looks at."""

    def __init__(self, slots: int, max_queued: int) -> None:
        self.slots = slots
        self.running = 0
        self.queued = 0
        self._max_queued = max_queued
        self._free = asyncio.Semaphore(slots)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one slot; BusyError when as many as allowed wait already."""
        if self._free.locked() and self.queued >= self._max_queued:
            raise BusyError(
                f"all {self.slots} workers are taken and {self.queued} tasks wait (limit {self._max_queued}): "
                "try again later, or raise execute.max_queued"
            )
        self.queued += 1
        try:
            await self._free.acquire()
        finally:
            self.queued -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._free.release()


class LanedExecutor:
    """What every executor has: skills by label, and its two lanes."""

    def __init__(self, config: ExecuteConfig, slots: int) -> None:
        self._config = config
        self._work = Lane(slots, config.max_queued)
        self._checks = Lane(config.max_checkers, config.max_queued)
        self._skills: dict[str, Skill] = {skill.label: skill for skill in catalogue.SKILLS}

    @property
    def skills(self) -> tuple[Skill, ...]:
        """Everything this node can execute."""
        return tuple(self._skills.values())

    @property
    def slots(self) -> int:
        """Tasks that can run at once (S_tot of COALESCE eq. 7)."""
        return self._work.slots

    @property
    def running(self) -> int:
        """Tasks in execution."""
        return self._work.running

    @property
    def free_slots(self) -> int:
        """Slots without a task (S_avail of eq. 7)."""
        return self._work.slots - self._work.running

    @property
    def queue_depth(self) -> int:
        """Tasks that wait for a slot."""
        return self._work.queued

    def skill(self, label: str) -> Skill:
        """The skill of that label; UnknownSkillError when this node cannot execute it."""
        try:
            return self._skills[label]
        except KeyError:
            raise UnknownSkillError(
                f"this node has no skill {label!r}; it has {', '.join(sorted(self._skills))}"
            ) from None
