"""One task for whatever executes it, here or elsewhere."""

from dataclasses import KW_ONLY, dataclass

from node.execute.conversation import Ask
from node.execute.skill import Progress
from protocol.specification import Effort


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done, and within what. `timeout_s` runs from when it is given, waiting for a worker included."""

    label: str
    input: bytes
    media_type: str
    _: KW_ONLY
    timeout_s: float
    effort: Effort = "full"
    memory_bytes: int | None = None
    """None: as much as the executor allows."""
    on_progress: Progress | None = None
    ask: Ask | None = None
    budget_micro: int = 0
    """The most that a user's function may spend on tasks of its own, which it submits with `token`."""
    token: str = ""
