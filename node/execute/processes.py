"""An executor of worker processes: the one that daemons have.

One conversation with one worker carries one order: an order that does not end cleanly (cancelled, over a limit,
crashed) costs its worker, so nothing of it survives.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from node.env import Env
from node.execute import catalogue
from node.execute.config import ExecuteConfig
from node.execute.conversation import Ask, MemoryWatch, converse
from node.execute.errors import InputError, TimeLimitError
from node.execute.execution import Execution
from node.execute.executor import check_effort, judge_form
from node.execute.frames import Header
from node.execute.job import Job
from node.execute.lanes import Lane, LanedExecutor
from node.execute.pool import Pool
from node.execute.process import Launch, builtin_launch
from node.execute.skill import Progress, Skill
from node.execute.user import UserFunction, UserSkill, launch_of, skill_of, split_target, user_launch
from node.tasks.verify import Finding, Judgement, judge
from protocol.specification import Level

MEASURE_IN_PLACE_BYTES = 64 * 1024
"""Inputs up to this are measured on the event loop (well under 1 ms); larger ones in a worker."""


class ProcessExecutor(LanedExecutor):
    """Executes builtin skills and users' functions. `await stop()` ends every process it started."""

    def __init__(self, config: ExecuteConfig | None = None, env: Env | None = None) -> None:
        config = config or ExecuteConfig()
        super().__init__(config, config.max_workers or os.cpu_count() or 1)
        self._env = env or Env()
        self._pool = Pool(config, max_idle=self.slots + config.max_checkers)
        self._builtin = builtin_launch()
        self._users: dict[str, UserSkill] = {}

    async def stop(self) -> None:
        """Kill every worker; work in progress fails."""
        await self._pool.close()

    @property
    def process_ids(self) -> list[int]:
        """Worker processes that live now."""
        return self._pool.process_ids

    def register(self, user: UserSkill) -> Skill:
        """Offer a user's function; a later one of the same label replaces it. InputError for a builtin's label."""
        if user.label in catalogue.PACKAGES:
            raise InputError(f"{user.label!r} is a builtin skill: choose another label")
        skill = skill_of(user)
        self.unregister(user.label)
        self._users[user.label] = user
        self._skills[user.label] = skill
        return skill

    def unregister(self, label: str) -> bool:
        """Stop offering a user's skill or one done elsewhere; whether there was one. Work in progress goes on."""
        user = self._users.pop(label, None)
        if user is None:
            return super().unregister(label)
        del self._skills[label]
        self._pool.forget(launch_of(user).key)
        return True

    async def run(self, job: Job) -> Execution:
        """See Executor. Cancelling kills the work at once."""
        skill = self.skill(job.label)
        check_effort(skill, job.effort)
        memory = min(job.memory_bytes or self._config.memory_limit_bytes, self._config.memory_limit_bytes)
        limit_s = min(job.timeout_s, self._config.time_limit_s)
        if job.label in self._remotes:
            return await self._run_elsewhere(replace(job, timeout_s=limit_s))
        order = {**self._order("run", skill, job.media_type, limit_s), "effort": job.effort, "memory_bytes": memory}
        order |= {"budget_micro": job.budget_micro, "token": job.token}
        header, output = await self._carry_out(
            self._work, self._launch(job.label), order, job.input, limit_s, memory, job.on_progress, job.ask
        )
        return Execution(
            output=output,
            media_type=header.get("media_type", skill.output_media_type),
            wall_s=float(header["wall_s"]),
            cpu_s=float(header["cpu_s"]),
            peak_memory_bytes=int(header["peak_memory_bytes"]),
            paid_micro=min(max(0, int(header.get("paid_micro", 0))), job.budget_micro),
        )

    async def verify(
        self,
        label: str,
        input: bytes,  # noqa: A002
        media_type: str,
        output: bytes,
        *,
        output_media_type: str | None = None,
        level: Level,
        min_score_ppm: int,
        seed: bytes,
        timeout_s: float,
    ) -> Judgement:
        """See Executor."""
        skill = self.skill(label)
        if judgement := judge_form(skill, output, output_media_type, level, min_score_ppm):
            return judgement
        limit_s = min(timeout_s, self._config.time_limit_s)
        memory = self._config.memory_limit_bytes
        order = {
            **self._order("verify", skill, media_type, limit_s),
            "level": "cheap" if level == "cheap" else "full",
            "seed": seed.hex(),
            "input_bytes": len(input),
            "memory_bytes": memory,
        }
        header, _ = await self._carry_out(self._checks, self._builtin, order, input + output, limit_s, memory)
        finding = Finding(int(header["score_ppm"]), tuple(str(reason)[:500] for reason in header["reasons"]))
        return judge(finding, min_score_ppm=min_score_ppm, cpu_s=float(header["cpu_s"]))

    async def size(self, label: str, input: bytes, media_type: str, *, timeout_s: float = 30.0) -> int:  # noqa: A002
        """Work units of an input; InputError when it is malformed."""
        skill = self.skill(label)
        if len(input) <= MEASURE_IN_PLACE_BYTES or not skill.is_builtin:
            return skill.size(input, media_type)
        order = self._order("size", skill, media_type, timeout_s)
        memory = self._config.memory_limit_bytes
        header, _ = await self._carry_out(self._checks, self._builtin, order, input, timeout_s, memory)
        return int(header["size"])

    async def probe(self, label: str, *, timeout_s: float = 30.0) -> tuple[bytes, str]:
        """An input for a builtin skill, worth about a tenth of a second of work, and its media type.

        Made in a worker: what makes it needs numpy, which the daemon itself does without.
        """
        order = {**self._order("probe", self.skill(label), "", timeout_s), "label": label}
        memory = self._config.memory_limit_bytes
        header, made = await self._carry_out(self._checks, self._builtin, order, b"", timeout_s, memory)
        return made, str(header["media_type"])

    async def describe_user_function(
        self, target: str, *, directory: str, environment: Mapping[str, str], python: str, timeout_s: float = 60.0
    ) -> UserFunction:
        """Import "module:function" in a worker and read its hints and `@skill` data.

        InputError for everything that its author must change: no such module or function, no type hints, ...
        """
        launch = user_launch(*split_target(target), directory, environment, python)
        self._pool.forget(launch.key)
        memory = self._config.memory_limit_bytes
        order: Header = {"op": "describe", "media_type": "", "cpu_s": None}
        header, _ = await self._carry_out(self._checks, launch, order, b"", timeout_s, memory)
        found: dict[str, Any] = header["description"]
        return UserFunction(
            label=found["label"],
            price_micro=found["price_micro"],
            unit=found["unit"],
            caption=found["caption"],
            description=found["description"],
            is_async=found["is_async"],
            shape=found["shape"],
            input_media_types=tuple(found["input_media_types"]),
            output_media_type=found["output_media_type"],
            parameters=tuple((p["name"], p["type"], p["required"]) for p in found["parameters"]),
            example=found["example"],
        )

    def _launch(self, label: str) -> Launch:
        user = self._users.get(label)
        return self._builtin if user is None else launch_of(user)

    def _order(self, op: str, skill: Skill, media_type: str, limit_s: float) -> Header:
        module = catalogue.PACKAGES.get(skill.label, "") if skill.is_builtin else ""
        cpu_s = limit_s * (1 if skill.is_builtin else os.cpu_count() or 1)
        return {"op": op, "module": module, "media_type": media_type, "cpu_s": cpu_s}

    async def _carry_out(
        self,
        lane: Lane,
        launch: Launch,
        order: Header,
        payload: bytes,
        limit_s: float,
        memory_bytes: int,
        on_progress: Progress | None = None,
        ask: Ask | None = None,
    ) -> tuple[Header, bytes]:
        """One order, from the queue to its final event, within its limits."""
        loop = asyncio.get_running_loop()
        watch = MemoryWatch(memory_bytes, self._config.memory_watch_s, self._env.offload)
        try:
            async with asyncio.timeout(limit_s) as limit, lane.slot():
                worker = await self._pool.take(launch)
                is_clean = False
                try:
                    left_s = limit_s if (ends_s := limit.when()) is None else ends_s - loop.time()
                    worker.send({**order, "left_s": left_s}, payload)
                    result = await converse(worker, watch, on_progress, ask)
                    is_clean = True
                except InputError:
                    is_clean = True
                    raise
                finally:
                    self._pool.give_back(worker) if is_clean else self._pool.drop(worker)
                return result
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeLimitError(f"the work did not end within {limit_s:g} s and was killed") from error
