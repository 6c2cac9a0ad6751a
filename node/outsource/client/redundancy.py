"""What follows from several results of the same task (redundant verification). Pure."""

from collections.abc import Sequence

from node.tasks.content import Content
from node.tasks.verify import FULL_SCORE_PPM, check_agreement


def rulings(bought: Sequence[Content], own: Content | None) -> tuple[str, ...]:
    """For each bought result, why it is refused; empty where it stands.

    `own` was made here and decides where it is there. Without it, two bought results stand or fall together:
    nobody can tell which of two that differ is the good one.
    """
    yardstick = own if own is not None else bought[0]
    found = tuple(difference(result, yardstick) for result in bought)
    if own is None and any(found):
        return tuple(max(found) for _ in bought)
    return found


def difference(one: Content, other: Content) -> str:
    """How two results of one task differ; empty when they say the same."""
    if one.media_type != other.media_type:
        return f"one result is {one.media_type}, the other {other.media_type}"
    finding = check_agreement(one.data, other.data, one.media_type)
    return "" if finding.score_ppm == FULL_SCORE_PPM else "; ".join(finding.reasons)
