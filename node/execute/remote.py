"""A skill that is done elsewhere on its owner's account: a model behind an endpoint, another agent, a tool.

It takes none of this node's workers: `skill.slots` says how many may run at once, and its executor sees to that.
"""

from dataclasses import dataclass
from typing import Protocol

from node.execute.conversation import Ask
from node.execute.execution import Execution
from node.execute.skill import Progress, Skill


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteJob:
    """One task for it."""

    input: bytes
    media_type: str
    timeout_s: float
    on_progress: Progress | None = None
    ask: Ask | None = None


class Remote(Protocol):
    """One skill and the way to have it done."""

    @property
    def skill(self) -> Skill:
        """What it is. `slots` is set."""
        ...  # pragma: no cover

    async def run(self, job: RemoteJob) -> Execution:
        """Have one task done within its time. InputError, ExecutionError, TimeLimitError; cancelling ends it."""
        ...  # pragma: no cover
