"""What to say of a task for which no option is left: which kind of error it is depends on what was tried."""

from collections.abc import Sequence
from typing import Final

from node.decision.decision import Decision
from node.errors import DeadlineError, NodeError, NoOfferError, RefusedError, VerificationError
from node.outsource.client.offers import SHOWN_REFUSALS
from node.outsource.client.outcome import Failed
from node.outsource.client.survey import Survey

REFUSING: Final = frozenset({"over_budget", "over_cap", "exposure", "privacy", "region", "level", "security"})
"""Exclusions that are the owner's own rules: nothing is wrong with the market."""
OWN_LIMITS: Final = frozenset({"over_budget", "privacy", "region", "security"})
"""Declines that the task's own constraints cause, or the owner's: a larger budget or another place would do."""
TOOK_TOO_LONG: Final = frozenset({"timeout", DeadlineError.code})


def nothing_left(survey: Survey, decision: Decision, tried: list[Failed], near: Sequence[str]) -> NodeError:
    """The error of a task for which no option is left: what kind it is depends on what was tried.

    `near` are known labels like the one that was asked for; empty when this node knows that one itself.
    """
    codes = {failure.code for failure in tried}
    if tried:
        text = with_tried("nothing is left to try", tried)
        if VerificationError.code in codes or "bad_result" in codes:
            return VerificationError(text)
        if codes == {RefusedError.code}:
            return RefusedError(text)
        return DeadlineError(text) if codes <= TOOK_TOO_LONG else NodeError(text)
    if survey.alone:
        return RefusedError(f"{survey.alone}, and this one cannot do it: {decision.local.why_not}")
    if survey.refusals and not decision.excluded:
        return _all_declined(survey)
    text = decision.reason.rstrip(".")
    is_refusal = any(excluded.code in REFUSING for excluded in decision.excluded)
    if is_refusal:
        return RefusedError(text)
    return NoOfferError(f"{text}; did you mean {' or '.join(near)}?" if near else text)


def _all_declined(survey: Survey) -> NodeError:
    """The error of a task that every seller declined: whose rule it was that forbade it."""
    codes = {refusal.code for refusal in survey.refusals}
    shown = "; ".join(f"{refusal.seller.name} {refusal.reason}" for refusal in survey.refusals[:SHOWN_REFUSALS])
    text = f"no seller of {survey.ask.skill} takes this task, and this node cannot do it itself: {shown}"
    if codes == {"too_late"}:
        return DeadlineError(text)
    return RefusedError(text) if codes <= OWN_LIMITS else NoOfferError(text)


def with_tried(text: str, tried: list[Failed]) -> str:
    """What went wrong, and what was tried before."""
    return f"{text}; tried: {', then '.join(failure.text.rstrip('.') for failure in tried)}" if tried else text
