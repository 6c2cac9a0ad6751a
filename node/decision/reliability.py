"""How likely a seller is to deliver good work: decayed counts, a discounted claim as prior, and pessimism."""

import math

import msgspec

from node.decision.checked import Checked, Count, Whole, number
from protocol.fields import UnixMillis

DECAY_PER_MONTH = 0.1
"""lambda of eq. (14)."""
MONTH_MS = 30.436875 * 86_400_000
"""A mean Gregorian month."""
Z95 = 1.959963984540054
"""The two-sided 95 % point of the normal distribution."""


class History(Checked, frozen=True, kw_only=True):
    """Receipts with one peer: counts as they stood at `at_unix_ms`, and how many there were in all."""

    successes: Count = 0.0
    failures: Count = 0.0
    jobs: Whole = 0
    at_unix_ms: UnixMillis = 0


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
