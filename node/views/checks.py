"""Checks of one result: which were made, what each found, what it cost."""

from typing import Literal

from node.views.base import Part

CheckName = Literal["form", "schema", "citations", "recompute", "agreement", "judge"]


class CheckView(Part, frozen=True, kw_only=True):
    """One check of one result."""

    name: str
    passed: bool
    score_ppm: int
    text: str = ""
    """What it found, in words; it may quote the result."""
    cost_micro: int = 0
    """What somebody else charged for it; this machine's own time is not in it."""
