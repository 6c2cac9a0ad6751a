"""What running functions hand on: tasks that they submit to this node while they run.

A function is given a token with its task. A task that shows it becomes a subtask: it spends from what its parent may
spend, together with all others of that parent, ends with it at the latest, and goes to nobody to whom its parent may
not go. Without the token nobody can charge a task with another; once its parent has ended, a token is worth nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from node.background import completed
from node.decision.security import Demand
from node.errors import RefusedError
from node.tasks.mandate import Mandate
from protocol.specification import Privacy

LEAST_TIME_S: Final = 0.001

EndTasks = Callable[[Sequence[bytes]], Coroutine[Any, Any, None]]
"""Cancels those of these tasks that are under way, and returns once they have ended."""


@dataclass(frozen=True, slots=True)
class Reach:
    """To whom a task may go, and so whatever it hands on. As it stands, to anybody."""

    privacy: Privacy = "public"
    regions: tuple[str, ...] = ()
    demand: Demand = field(default_factory=Demand)


class Delegation:
    """What one running function may hand on, for as long as the block runs. Leaving it ends what is under way."""

    def __init__(
        self, delegations: "Delegations", task_id: bytes, token: str, *, budget_micro: int, left_s: float, reach: Reach
    ) -> None:
        self._delegations = delegations
        self._ends_s = asyncio.get_running_loop().time() + left_s
        self.task_id = task_id
        self.token = token
        self.reach = reach
        self.mandate = Mandate(budget_micro)
        self.children: set[bytes] = set()
        self.is_over = False

    @property
    def left_s(self) -> float:
        """How long a subtask may take."""
        return max(LEAST_TIME_S, self._ends_s - asyncio.get_running_loop().time())

    @property
    def spent_micro(self) -> int:
        """What its subtasks came to; final once the block has been left."""
        return self.mandate.spent_micro

    async def __aenter__(self) -> Self:
        self._delegations.open[self.token] = self
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_over = True
        del self._delegations.open[self.token]
        if self.children:
            await completed(self._delegations.end(tuple(self.children)))


class Part:
    """What one subtask was given of its parent's budget, until `end`."""

    def __init__(self, delegation: Delegation, wanted_micro: int) -> None:
        self._delegation = delegation
        self._task_id: bytes | None = None
        self.parent_id = delegation.task_id
        self.left_s = delegation.left_s
        self.reach = delegation.reach
        self.budget_micro = delegation.mandate.take(wanted_micro)

    def begin(self, task_id: bytes) -> bool:
        """The subtask runs from now on; False when its parent has ended meanwhile: it is to be ended at once."""
        self._task_id = task_id
        self._delegation.children.add(task_id)
        return not self._delegation.is_over

    def end(self, spent_micro: int) -> None:
        """It has ended, or was never begun: what it did not spend is there for others."""
        self._delegation.mandate.give_back(self.budget_micro, spent_micro)
        if self._task_id is not None:
            self._delegation.children.discard(self._task_id)


class Delegations:
    """The open ones, by token. `name` is this node's: a function may speak to other nodes as well."""

    def __init__(self, name: str, entropy: Callable[[int], bytes], end: EndTasks) -> None:
        self._name = name
        self._entropy = entropy
        self.end = end
        self.open: dict[str, Delegation] = {}

    def make(self, task_id: bytes, *, budget_micro: int, left_s: float, reach: Reach) -> Delegation:
        """For one run of a task; to be entered."""
        token = f"{self._name}.{self._entropy(16).hex()}"
        return Delegation(self, task_id, token, budget_micro=budget_micro, left_s=left_s, reach=reach)

    def part(self, token: str, wanted_micro: int) -> Part | None:
        """A part of that parent's budget. None without a token, or for another node's: such a task has no parent here.

        RefusedError for a token of this node's that is not, or no longer, good.
        """
        if token.partition(".")[0] != self._name:
            return None
        if (delegation := self.open.get(token)) is None:
            raise RefusedError("the task that hands this on has ended: what it starts must end before it does")
        return Part(delegation, wanted_micro)
