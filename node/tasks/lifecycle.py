"""The life of a task, as one table.

A task is submitted, then works until it is completed, failed or cancelled; while it works it may wait for
its agent's answer. `rejected` is a task that was refused before any work: by policy, by budget, by its form.
The four ended states are final: nothing leaves them.
"""

from enum import StrEnum

from node.errors import NodeError


class TaskState(StrEnum):
    """Where a task is (the names of A2A's task states)."""

    SUBMITTED = "submitted"
    WORKING = "working"
    INPUT_REQUIRED = "input-required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def ended(self) -> bool:
        """Whether the task can no longer change."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    TaskState.SUBMITTED: frozenset(
        {TaskState.WORKING, TaskState.FAILED, TaskState.CANCELLED, TaskState.REJECTED},
    ),
    TaskState.WORKING: frozenset(
        {TaskState.INPUT_REQUIRED, TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED},
    ),
    TaskState.INPUT_REQUIRED: frozenset(
        {TaskState.WORKING, TaskState.FAILED, TaskState.CANCELLED},
    ),
    TaskState.COMPLETED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
    TaskState.REJECTED: frozenset(),
}


class TransitionError(NodeError):
    """A task was asked to go where its state does not lead."""

    code = "bad_transition"


def advance(current: TaskState, to: TaskState) -> TaskState:
    """The state `to`, if `current` leads there; staying where one is, unless ended, is no change and allowed."""
    if to in TRANSITIONS[current] or (to == current and not current.ended):
        return to
    allowed = ", ".join(sorted(TRANSITIONS[current])) or "nothing: it has ended"
    raise TransitionError(f"a {current} task cannot become {to}; allowed: {allowed}")
