"""Single checks of a result, of which a verification level may be made up."""

from dataclasses import dataclass
from typing import Literal

CheckName = Literal["form", "schema", "citations", "recompute", "agreement", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckMade:
    """One check of one result: what it found, and what somebody else charged for it."""

    name: CheckName
    passed: bool
    score_ppm: int
    text: str = ""
    cost_micro: int = 0
