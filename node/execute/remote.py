"""A skill that is done elsewhere on its owner's account: a model behind an endpoint, another agent, a tool.

It takes none of this node's workers: `skill.slots` says how many may run at once, and its executor sees to that.
"""

from typing import Protocol

from node.execute.execution import Execution
from node.execute.job import Job
from node.execute.skill import Skill


class Remote(Protocol):
    """One skill and the way to have it done."""

    @property
    def skill(self) -> Skill:
        """What it is. `slots` is set."""
        ...  # pragma: no cover

    async def run(self, job: Job) -> Execution:
        """Have one task done within its time. InputError, ExecutionError, TimeLimitError; cancelling ends it."""
        ...  # pragma: no cover
