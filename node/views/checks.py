"""Checks of one result, as its owner sees them."""

from node.tasks.checks import CheckMade
from node.views.base import Part


class CheckMadeView(Part, frozen=True, kw_only=True):
    """One check that was made."""

    name: str
    passed: bool
    score_ppm: int
    text: str = ""
    """What it found, in words; it may quote the result."""
    cost_micro: int = 0
    """What somebody else charged for it; this machine's own time is not in it."""


def check_view(made: CheckMade) -> CheckMadeView:
    """The view of one check."""
    return CheckMadeView(
        name=made.name, passed=made.passed, score_ppm=made.score_ppm, text=made.text, cost_micro=made.cost_micro
    )
