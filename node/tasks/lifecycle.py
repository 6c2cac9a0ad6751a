"""The life of a task, as one table.

A task is submitted, then works until it is completed, failed or cancelled; while it works it may wait for
its agent's answer. `rejected` is a task that was refused before any work: by policy, by budget, by its form.
The four ended states are final: nothing leaves them. The names are those of A2A's task states.
"""

from typing import Literal, get_args

from node.errors import NodeError

TaskState = Literal["submitted", "working", "input-required", "completed", "failed", "cancelled", "rejected"]

TRANSITIONS: dict[TaskState, frozenset[TaskState]] = {
    "submitted": frozenset({"working", "failed", "cancelled", "rejected"}),
    "working": frozenset({"input-required", "completed", "failed", "cancelled"}),
    "input-required": frozenset({"working", "failed", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "rejected": frozenset(),
}

ENDED: frozenset[TaskState] = frozenset(state for state, onward in TRANSITIONS.items() if not onward)
"""The states that nothing leaves."""

assert set(TRANSITIONS) == set(get_args(TaskState))


class TransitionError(NodeError):
    """A task was asked to go where its state does not lead."""

    code = "bad_transition"


def advance(current: TaskState, to: TaskState) -> TaskState:
    """The state `to`, if `current` leads there; staying where one is, unless ended, is no change and allowed."""
    if to in TRANSITIONS[current] or (to == current and current not in ENDED):
        return to
    allowed = ", ".join(sorted(TRANSITIONS[current])) or "nothing: it has ended"
    raise TransitionError(f"a {current} task cannot become {to}; allowed: {allowed}")
