"""What each task under way has spent, its subtasks included, whatever became of it.

Payments are in the book of promises (node/store/spending.py), where an open promise counts in full. What is in no book
is told here: what endpoints, judges and planners charge, and what subtasks came to, once they have ended.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from node.store.spending import Spending


@dataclass(slots=True)
class Account:
    """Of one task. `total_micro` is what it came to when that was last asked."""

    told_micro: int = 0
    total_micro: int = 0


class Expenses:
    """The accounts of all tasks under way, of both roles."""

    def __init__(self, spending: Spending) -> None:
        self._spending = spending
        self._open: dict[bytes, Account] = {}

    @contextmanager
    def kept(self, task_id: bytes, parent_id: bytes | None = None) -> Iterator[Account]:
        """Keep an account while the block runs; what it came to then counts as its parent's."""
        account = self._open[task_id] = Account()
        try:
            yield account
        finally:
            del self._open[task_id]
            if parent_id is not None:
                self.add(parent_id, max(account.total_micro, account.told_micro))

    def add(self, task_id: bytes, micro: int) -> None:
        """So much was charged to a task. What comes after its end is not counted: its account is closed."""
        if (account := self._open.get(task_id)) is not None:
            account.told_micro += micro

    async def spent_micro(self, task_id: bytes) -> int:
        """Paid, promised and charged so far, for the task itself and for its subtasks that have ended."""
        paid_micro = await self._spending.of_task_micro(task_id)
        account = self._open.get(task_id, Account())
        account.total_micro = paid_micro + account.told_micro
        return account.total_micro
