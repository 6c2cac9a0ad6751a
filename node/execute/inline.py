"""An executor inside this process, for simulated nodes: builtin skills only, small inputs, told durations.

The result is the real one, the time it takes is not: `Pace` says how long a run lasts, and the event loop's clock,
which in a simulation is virtual, passes by so much. Nothing is measured, so equal runs give equal figures.
"""

import asyncio
import hashlib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from node.execute import catalogue
from node.execute.config import ExecuteConfig
from node.execute.errors import ExecutionError, InputError, TimeLimitError
from node.execute.execution import Execution
from node.execute.executor import check_effort, judge_form
from node.execute.job import Job
from node.execute.lanes import LanedExecutor
from node.execute.skill import Skill
from node.execute.user import UserFunction, UserSkill
from node.tasks.verify import Finding, Judgement, judge
from protocol.specification import Effort, Level

REPORTS = 3
"""Progress reports of one run, at equal distances."""
CHECK_SHARE = 0.1
"""What a check takes of the time that the work takes: about the mean of the builtin verifiers."""
EFFORT_SHARE: Mapping[Effort, float] = {"full": 1.0, "cheap": 0.3, "cheapest": 0.1}
PEAK_MEMORY_BYTES = 2**26
MAX_REMEMBERED = 4096

Pace = Callable[[str, int], float]
"""Seconds that a run at full effort takes here, by label and work units."""
Probe = tuple[bytes, str]
"""An input and its media type."""


class BuiltinWork:
    """The builtin skills' own code, called in this process. Outputs are functions of inputs: each is made once."""

    def __init__(self) -> None:
        self._outputs: dict[bytes, bytes | Finding] = {}

    def run(self, label: str, data: bytes, media_type: str, effort: Effort) -> bytes:
        """The result of one task. Raises what the skill raises: InputError for what it does not take."""

        def work() -> bytes:
            module = importlib.import_module(f"{catalogue.PACKAGES[label]}.work")
            output: bytes = module.run(data, media_type, effort, lambda done_ppm, text: None)
            return output

        made = self._remembered((b"run", label.encode(), effort.encode(), media_type.encode(), data), work)
        assert isinstance(made, bytes)
        return made

    def check(self, label: str, data: bytes, media_type: str, output: bytes, level: Level, seed: bytes) -> Finding:
        """What a check of that level finds."""

        def work() -> Finding:
            module = importlib.import_module(f"{catalogue.PACKAGES[label]}.check")
            finding: Finding = module.check(data, media_type, output, level=level, seed=seed)
            return finding

        if level == "full":
            seed = bytes(32)  # Its sample is large enough for what a simulation asks, and the finding can be kept.
        parts = (b"check", label.encode(), level.encode(), media_type.encode(), seed, data, output)
        found = self._remembered(parts, work)
        assert isinstance(found, Finding)
        return found

    def _remembered(self, parts: tuple[bytes, ...], work: Callable[[], bytes | Finding]) -> bytes | Finding:
        key = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
        if key not in self._outputs:
            if len(self._outputs) >= MAX_REMEMBERED:
                self._outputs.pop(next(iter(self._outputs)))
            self._outputs[key] = work()
        return self._outputs[key]


class InlineExecutor(LanedExecutor):
    """An Executor. `work` may be shared by many nodes."""

    def __init__(self, config: ExecuteConfig, work: BuiltinWork, pace: Pace, probes: Mapping[str, Probe]) -> None:
        """`probes` are the inputs, by label, on which the node learns its own pace."""
        super().__init__(config, config.max_workers or 1)
        self._builtin = work
        self._pace = pace
        self._probes = probes

    async def stop(self) -> None:
        """Nothing is left behind: work ends with the task that waits for it."""

    def register(self, user: UserSkill) -> Skill:
        """InputError: a user's function needs a process of its own."""
        raise InputError(f"{user.label!r} cannot be offered here: this node runs builtin skills only")

    async def run(self, job: Job) -> Execution:
        """See Executor. Memory is not limited, and builtin skills ask nothing."""
        label, skill = job.label, self.skill(job.label)
        check_effort(skill, job.effort)
        limit_s = min(job.timeout_s, self._config.time_limit_s)
        if label in self._remotes:
            return await self._run_elsewhere(replace(job, timeout_s=limit_s))
        try:
            async with asyncio.timeout(limit_s) as limit, self._work.slot():
                output = self._output(label, job.input, job.media_type, job.effort)
                takes_s = self._pace(label, skill.size(job.input, job.media_type)) * EFFORT_SHARE[job.effort]
                for report in range(1, REPORTS + 1):
                    await asyncio.sleep(takes_s / REPORTS)
                    if job.on_progress is not None:
                        job.on_progress(report * 1_000_000 // REPORTS, "")
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeLimitError(f"the work did not end within {limit_s:g} s") from error
        return Execution(output, skill.output_media_type, takes_s, takes_s, PEAK_MEMORY_BYTES)

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
        takes_s = self._pace(label, skill.size(input, media_type)) * CHECK_SHARE
        try:
            async with asyncio.timeout(timeout_s) as limit, self._checks.slot():
                await asyncio.sleep(takes_s)
                used: Level = "cheap" if level == "cheap" else "full"
                finding = self._builtin.check(label, input, media_type, output, used, seed)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeLimitError(f"the check did not end within {timeout_s:g} s") from error
        return judge(finding, min_score_ppm=min_score_ppm, cpu_s=takes_s)

    async def size(self, label: str, input: bytes, media_type: str, *, timeout_s: float = 30.0) -> int:  # noqa: A002
        """Work units of an input; InputError when it is malformed."""
        return self.skill(label).size(input, media_type)

    async def probe(self, label: str, *, timeout_s: float = 30.0) -> tuple[bytes, str]:
        """An input of that label and its media type."""
        return self._probes[label]

    async def describe_user_function(
        self, target: str, *, directory: str, environment: Mapping[str, str], python: str, timeout_s: float = 60.0
    ) -> UserFunction:
        """InputError: a user's function needs a process of its own."""
        raise InputError(f"{target!r} cannot be offered here: this node runs builtin skills only")

    def _output(self, label: str, data: bytes, media_type: str, effort: Effort) -> bytes:
        try:
            return self._builtin.run(label, data, media_type, effort)
        except InputError:
            raise
        except Exception as error:
            # The edge: whatever a skill raises is an outcome, as it is when its process reports it.
            raise ExecutionError(f"{type(error).__name__}: {error}") from error
