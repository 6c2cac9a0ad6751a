"""What follows from several results of the same task (redundant verification). Pure."""

from collections.abc import Callable, Sequence

from node.tasks.content import Content
from node.tasks.verify import FULL_SCORE_PPM, check_agreement

Differ = Callable[[Content, Content], str]
"""How two results of one task differ; empty when they say the same."""


def exactly(one: Content, other: Content) -> str:
    """How two results differ where honest work always comes to the same."""
    if one.media_type != other.media_type:
        return f"one result is {one.media_type}, the other {other.media_type}"
    finding = check_agreement(one.data, other.data, one.media_type)
    return "" if finding.score_ppm == FULL_SCORE_PPM else "; ".join(finding.reasons)


def rulings(bought: Sequence[Content], own: Content | None, differ: Differ = exactly) -> tuple[str, ...]:
    """For each bought result, why it is refused; empty where it stands.

    `own` was made here and decides where it is there. Without it, those stand that say the same as another one; where
    no two do, all fall: nobody can tell which of them is the good one. One alone has nothing against it.
    """
    if own is not None:
        return tuple(differ(result, own) for result in bought)
    if len(bought) == 1:
        return ("",)
    group = majority(bought, differ)
    yardstick = bought[group[0]] if group else bought[0]
    why = next(filter(None, (differ(yardstick, result) for result in bought)), "")
    return tuple("" if at in group else (differ(yardstick, result) or why) for at, result in enumerate(bought))


def majority(results: Sequence[Content], differ: Differ) -> tuple[int, ...]:
    """The places of the most results that agree with one of them; () where no two do. Of equal groups, the first."""
    best: tuple[int, ...] = ()
    for first, result in enumerate(results):
        group = tuple(at for at, other in enumerate(results) if at == first or not differ(result, other))
        if len(group) > max(1, len(best)):
            best = group
    return best
