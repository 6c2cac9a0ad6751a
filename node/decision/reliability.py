"""How likely a seller is to deliver good work: decayed counts, a discounted claim as prior, and pessimism."""

import math
from typing import Literal, NamedTuple

import msgspec

from node.decision.checked import Checked, Count, Probability, Whole, number
from protocol.fields import UnixMillis

DECAY_PER_MONTH = 0.1
"""lambda of eq. (14)."""
MONTH_MS = 30.436875 * 86_400_000
"""A mean Gregorian month."""
Z95 = 1.959963984540054
"""The two-sided 95 % point of the normal distribution."""


Scoring = Literal["two-levels", "paper"]
"""What is made of the words on the chain: the two levels of this program, or eq. (14) as printed, to compare with."""


class History(Checked, frozen=True, kw_only=True):
    """Receipts with one peer: counts as they stood at `at_unix_ms`, and how many there were in all."""

    successes: Count = 0.0
    failures: Count = 0.0
    jobs: Whole = 0
    at_unix_ms: UnixMillis = 0


class Reputation(Checked, frozen=True, kw_only=True):
    """What a community chain says of a seller (node/ledger/reputation), in two levels."""

    level_1: Probability
    """Expected success by all that was ever said, equal for everybody: what a ring can say is in it."""
    level_1_low: Probability
    """Its 5 % lower bound."""
    level_1_jobs: Count
    """Jobs behind it, as they count today."""
    level_2: Probability | None = None
    """Expected success by those whom this node believes; None where its anchors know nothing or contradict each
    other."""
    level_2_jobs: Count = 0.0
    """Jobs behind that."""
    raters: Whole = 0
    printed: Probability | None = None
    """Level 1 by COALESCE eq. (14) as printed, which fades with idleness; None where that is not known."""
    printed_jobs: Count = 0.0
    """Jobs behind that, as they counted on the day of the last."""


class Told(NamedTuple):
    """What others' words are worth, in jobs of one's own."""

    successes: float = 0.0
    failures: float = 0.0


def told(
    reputation: Reputation | None,
    *,
    discount: float,
    unanchored: float,
    most_jobs: float,
    scoring: Scoring = "two-levels",
) -> Told:
    """What a reputation adds to one's own receipts, at most `most_jobs`: own experience outweighs it in time.

    The more cautious level is the one with fewer believed words behind it, and that is level 2: a job reported by those
    whom this node believes weighs `discount`, and where it has no such view, any job that is reported `unanchored`.
    Taking the lower of the two rates instead lets slander through level 1 (docs/adr/0014). A seller of whom nothing is
    said stays at its prior, and the fewer the words, the wider its interval.

    With `paper` everybody's words weigh `discount` and give eq. (14)'s rate as printed: idleness counts as failure.
    """
    if reputation is None:
        return Told()
    if scoring == "paper" and reputation.printed is not None:
        jobs, rate, weight = reputation.printed_jobs, reputation.printed, discount
    elif reputation.level_2 is not None:
        jobs, rate, weight = reputation.level_2_jobs, reputation.level_2, discount
    else:
        jobs, rate, weight = reputation.level_1_jobs, reputation.level_1, unanchored
    # Both rates are means of Beta(1 + good, 1 + bad): the two jobs of that prior are not evidence.
    good = min(jobs, max(0.0, rate * (jobs + 2.0) - 1.0))
    scale = min(weight, most_jobs / jobs) if jobs > 0.0 else 0.0
    return Told(scale * good, scale * (jobs - good))


def decayed(history: History, now_unix_ms: int) -> History:
    """`history` as it counts at `now_unix_ms`: each count times e^(-lambda * months).

    COALESCE eq. (14) decays the score, which takes an idle honest agent to 0; decaying the counts takes it back
    to its prior. A clock that went backwards changes nothing.
    """
    now_unix_ms = max(now_unix_ms, history.at_unix_ms)
    keep = math.exp(-DECAY_PER_MONTH * (now_unix_ms - history.at_unix_ms) / MONTH_MS)
    return msgspec.structs.replace(
        history, successes=history.successes * keep, failures=history.failures * keep, at_unix_ms=now_unix_ms
    )


def record(history: History, *, success: bool, now_unix_ms: int) -> History:
    """`history` with one more receipt."""
    old = decayed(history, now_unix_ms)
    return msgspec.structs.replace(
        old,
        successes=old.successes + (1.0 if success else 0.0),
        failures=old.failures + (0.0 if success else 1.0),
        jobs=old.jobs + 1,
    )


def posterior(successes: float, failures: float, *, prior_mean: float, prior_jobs: float) -> tuple[float, float]:
    """Mean and standard deviation of the success probability: COALESCE eq. (14) with counts already decayed.

    The Beta prior weighs `prior_jobs` jobs (> 0) at `prior_mean`.
    """
    good = prior_jobs * prior_mean + successes
    total = prior_jobs + successes + failures
    mean = good / total
    return mean, math.sqrt(mean * (1.0 - mean) / (total + 1.0))


def pessimistic(mean: float, deviation: float, pessimism: float) -> float:
    """The posterior mean less `pessimism` standard deviations, not below 0."""
    return max(0.0, mean - pessimism * deviation)


def wilson(successes: float, failures: float, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval of a success rate; (0, 1) when nothing was seen.

    In place of COALESCE eq. (18), whose width is 0 at p = 0 and p = 1 however few the samples (Wilson 1927).
    """
    count = number("successes", successes, 0, 1e12) + number("failures", failures, 0, 1e12)
    if count == 0.0:
        return 0.0, 1.0
    rate = successes / count
    square = z * z / count
    middle = (rate + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(rate * (1 - rate) / count + square / (4 * count))
    return max(0.0, middle - half) if successes else 0.0, min(1.0, middle + half) if failures else 1.0
