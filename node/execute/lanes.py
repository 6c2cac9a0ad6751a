"""The queues of an executor, one before its workers and one before its checkers, and what everybody sees of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from node.execute import catalogue
from node.execute.config import ExecuteConfig
from node.execute.errors import BusyError, InputError, OutOfOrderError, TimeLimitError, UnknownSkillError
from node.execute.execution import Execution
from node.execute.job import Job
from node.execute.remote import Remote
from node.execute.skill import Skill, worst_micro

OUT_OF_ORDER_S = 30.0
"""How long nothing is sold of what did not work elsewhere: a local server restarts, a hosted one's limit resets."""


class Lane:
    """A first-in first-out queue before a number of slots; `running` and `queued` are what pricing looks at."""

    def __init__(self, slots: int, max_queued: int) -> None:
        self.slots = slots
        self.running = 0
        self.queued = 0
        self._max_queued = max_queued
        self._free = asyncio.Semaphore(slots)
        self._closed_until_s = 0.0

    def close_for(self, seconds: float) -> None:
        """Let no new business be taken on for so long: what stands behind this lane does not work."""
        self._closed_until_s = asyncio.get_running_loop().time() + seconds

    @property
    def closed_s(self) -> float:
        """For how long it is still closed."""
        return max(0.0, self._closed_until_s - asyncio.get_running_loop().time())

    @property
    def free_slots(self) -> int:
        """Slots without a task."""
        return self.slots - self.running

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one slot; BusyError when as many as allowed wait already."""
        if self._free.locked() and self.queued >= self._max_queued:
            raise BusyError(
                f"all {self.slots} slots are taken and {self.queued} tasks wait (limit {self._max_queued}): "
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
    """What every executor has: skills by label, its two lanes, and one for each skill that is done elsewhere."""

    def __init__(self, config: ExecuteConfig, slots: int) -> None:
        self._config = config
        self._work = Lane(slots, config.max_queued)
        self._checks = Lane(config.max_checkers, config.max_queued)
        self._skills: dict[str, Skill] = {skill.label: skill for skill in catalogue.SKILLS}
        self._remotes: dict[str, tuple[Remote, Lane]] = {}

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
        return self._work.free_slots

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

    def register_remote(self, remote: Remote) -> Skill:
        """Offer what is done elsewhere; a later one of the same label replaces it. InputError for a builtin's label."""
        skill = remote.skill
        if skill.label in catalogue.PACKAGES:
            raise InputError(f"{skill.label!r} is a builtin skill: choose another label")
        assert skill.slots is not None, "a skill that is done elsewhere says how many may run at once"
        self.unregister(skill.label)
        self._remotes[skill.label] = (remote, Lane(skill.slots, self._config.max_queued))
        self._skills[skill.label] = skill
        return skill

    def unregister(self, label: str) -> bool:
        """Stop offering what is done elsewhere; whether there was such a skill. Work in progress goes on."""
        if self._remotes.pop(label, None) is None:
            return False
        del self._skills[label]
        return True

    def lane(self, label: str) -> Lane:
        """The queue that runs of that label wait in."""
        return self._remotes[label][1] if label in self._remotes else self._work

    async def _run_elsewhere(self, job: Job) -> Execution:
        """One run of what is done elsewhere, its queue included."""
        remote, lane = self._remotes[job.label]
        until_s = asyncio.get_running_loop().time() + job.timeout_s
        has_begun = False
        try:
            async with asyncio.timeout_at(until_s) as limit, lane.slot():
                has_begun = True
                left_s = until_s - asyncio.get_running_loop().time()
                return await remote.run(replace(job, timeout_s=left_s))
        except OutOfOrderError:
            lane.close_for(OUT_OF_ORDER_S)
            raise
        except TimeoutError as error:
            if not limit.expired():
                raise
            late = TimeLimitError(f"the work did not end within {job.timeout_s:g} s and was given up")
            late.spent_micro = worst_micro(remote.skill, len(job.input)) if has_begun else 0
            raise late from error
