"""What the rest of the node knows of execution: an executor.

`processes.py` runs skills in worker processes, as a daemon does; `inline.py` runs the builtin ones in this process,
in a time that is told instead of measured, as a simulated daemon does.
"""

from collections.abc import Mapping
from typing import Protocol

from node.execute.errors import InputError
from node.execute.execution import Execution
from node.execute.job import Job
from node.execute.lanes import Lane
from node.execute.remote import Remote
from node.execute.skill import Skill
from node.execute.user import UserFunction, UserSkill
from node.tasks.verify import FULL_SCORE_PPM, Judgement, check_form, judge
from protocol.specification import Effort, Level


class Executor(Protocol):
    """Runs tasks, verifies results and measures both, without ever blocking the event loop."""

    @property
    def skills(self) -> tuple[Skill, ...]:
        """Everything this node can execute."""
        ...  # pragma: no cover

    @property
    def slots(self) -> int:
        """Tasks that can run at once (S_tot of COALESCE eq. 7)."""
        ...  # pragma: no cover

    @property
    def running(self) -> int:
        """Tasks in execution."""
        ...  # pragma: no cover

    @property
    def free_slots(self) -> int:
        """Slots without a task (S_avail of eq. 7)."""
        ...  # pragma: no cover

    @property
    def queue_depth(self) -> int:
        """Tasks that wait for a slot."""
        ...  # pragma: no cover

    def skill(self, label: str) -> Skill:
        """The skill of that label; UnknownSkillError when this node cannot execute it."""
        ...  # pragma: no cover

    def register(self, user: UserSkill) -> Skill:
        """Offer a user's function; a later one of the same label replaces it. InputError when it cannot be had."""
        ...  # pragma: no cover

    def register_remote(self, remote: Remote) -> Skill:
        """Offer what is done elsewhere; a later one of the same label replaces it. InputError for a builtin's label."""
        ...  # pragma: no cover

    def lane(self, label: str) -> Lane:
        """The queue that runs of that label wait in: the workers', or its own where it is done elsewhere."""
        ...  # pragma: no cover

    def unregister(self, label: str) -> bool:
        """Stop offering a user's skill or one done elsewhere; whether there was one. Work in progress goes on."""
        ...  # pragma: no cover

    async def run(self, job: Job) -> Execution:
        """Execute one task.

        InputError, UnknownSkillError, BusyError, TimeLimitError, MemoryLimitError, ExecutionError. Cancelling
        ends the work at once.
        """
        ...  # pragma: no cover

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
        """Judge `output`, whoever produced it; `seed` (secret until delivery) chooses what is sampled.

        Level none checks the form alone; redundant makes the full check here, and the caller compares with a
        second run (`check_agreement`). Malformed output is a refusal, never an error. Raises as `run` does.
        """
        ...  # pragma: no cover

    async def size(self, label: str, input: bytes, media_type: str, *, timeout_s: float = 30.0) -> int:  # noqa: A002
        """Work units of an input; InputError when it is malformed."""
        ...  # pragma: no cover

    async def probe(self, label: str, *, timeout_s: float = 30.0) -> tuple[bytes, str]:
        """An input of a builtin skill that shows how fast this machine is at it, and its media type."""
        ...  # pragma: no cover

    async def describe_user_function(
        self, target: str, *, directory: str, environment: Mapping[str, str], python: str, timeout_s: float = 60.0
    ) -> UserFunction:
        """Import "module:function" and read its hints and `@skill` data.

        InputError for everything that its author must change: no such module or function, no type hints, ...
        """
        ...  # pragma: no cover

    async def stop(self) -> None:
        """End all work; what is in progress fails."""
        ...  # pragma: no cover


def check_effort(skill: Skill, effort: Effort) -> None:
    """InputError when the skill has no such effort."""
    if effort not in skill.efforts:
        raise InputError(f"skill {skill.label!r} has no effort {effort!r}: use {', '.join(skill.efforts)}")


def judge_form(
    skill: Skill, output: bytes, output_media_type: str | None, level: Level, min_score_ppm: int
) -> Judgement | None:
    """The judgement where the form alone decides: it is wrong, or nothing more is checked. None: go on checking."""
    may_be = (skill.output_media_type, *skill.other_output_media_types)
    expected = output_media_type if output_media_type in may_be else skill.output_media_type
    form = check_form(output, output_media_type or expected, expected_media_type=expected)
    if form.score_ppm == 0 or level == "none" or not skill.is_builtin:
        return judge(form, min_score_ppm=min(min_score_ppm, FULL_SCORE_PPM) or 1, cpu_s=0.0)
    return None
