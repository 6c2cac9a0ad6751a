"""What a run gives back."""

from dataclasses import dataclass

from node.decision.tokens import Usage


@dataclass(frozen=True, slots=True)
class Execution:
    """A result and what it took: wall and CPU seconds of the work itself, without queueing; peak resident bytes."""

    output: bytes
    media_type: str
    wall_s: float
    cpu_s: float
    peak_memory_bytes: int
    usage: Usage | None = None
    """Tokens as the model's endpoint counted them; None for other work, and for counts that cannot be true."""
    wasted_micro: int = 0
    """What attempts before it have cost at most, that gave nothing and may be billed all the same."""
    paid_micro: int = 0
    """What a user's function paid for tasks of its own, out of the budget that it was given."""
