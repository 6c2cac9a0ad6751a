"""What one attempt at a task may take, and what it comes to."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from node.tasks.content import Content

Question = Callable[[str], Awaitable[str]]
"""Puts a contractor's question to the task's owner and gives the answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one contractor may take, and how much of the task's deadline is left."""

    patience_s: float
    remaining_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """A result that passed, what it cost in the end, and how much of that was paid to somebody."""

    content: Content
    cost_micro: int
    paid_micro: int
    charged_micro: int = 0
    """Spent beside what was paid: charged by endpoints and judges, or on attempts that gave nothing. Set at the end."""

    @property
    def spent_micro(self) -> int:
        """Money, whoever gets it: what a budget is for."""
        return self.paid_micro + self.charged_micro


@dataclass(frozen=True, slots=True)
class Failed:
    """Why this attempt gave nothing; `code` is that of the error it would be if it were the last.

    `others` are contractors that had a part in it beside the one that was chosen: they are not tried again.
    """

    code: str
    text: str
    others: tuple[bytes, ...] = ()
    cost_micro: int = 0
    """What was spent on it all the same: on a judge, on an endpoint or an agent that bills for attempts."""
