"""Level 1: what a contractor's ratings come to for everybody. Integers only, because every replica must get the same.

For each pair of client and contractor, successes S and failures F are kept as multiples of 2^-32 rating. They fade by
COALESCE eq. (14)'s lambda, .1 a month, in whole days: decaying the counts takes an idle agent back to what nothing is
known of it, where the printed equation, which decays the score, takes it to 0 and makes a new identity pay. What one
client says about one contractor never weighs more than a cap. Summed over clients they make Beta(1 + S, 1 + F).

This level does not resist collusion: a ring of enough clients outvotes the honest. See node/ledger/reputation/l2.
"""

import math
from typing import Final

import msgspec

from protocol.signed import Outcome

ONE: Final = 1 << 32
"""One rating: counts are fixed-point numbers with 32 bits after the point."""
DAILY: Final = 4_280_879_386
"""2^32 * e^(-.1 / 30.436875): what is left after a day (30.436875 days are a mean Gregorian month)."""
_HALF: Final = 1 << 31
FORGOTTEN_DAYS: Final = 20_000
"""After 55 years 2^-94 of a count is left: nothing of any that fits."""

WEIGHTS: Final[dict[Outcome, tuple[int, int]]] = {
    "ok": (ONE, 0),
    "late": (ONE // 2, ONE // 2),
    "refund": (ONE // 2, ONE // 2),
    "fail": (0, ONE),
}
"""How much success and how much failure a rating is. Late work was done; refunded work was not paid, but made good."""


class Counts(msgspec.Struct, frozen=True, gc=False):
    """Successes and failures in units of 2^-32 rating, as they stood on `day` (days since 1970)."""

    day: int
    successes: int
    failures: int


def daily_factor(days: int) -> int:
    """2^32 * e^(-lambda * days), by squaring with rounding: over a year within 1e-9 * 2^32 of the exact one."""
    if days >= FORGOTTEN_DAYS:
        return 0
    factor, square = ONE, DAILY
    while days:
        if days & 1:
            factor = factor * square + _HALF >> 32
        square = square * square + _HALF >> 32
        days >>= 1
    return factor


def decayed(counts: Counts, day: int) -> Counts:
    """`counts` as they stand on `day`; as they are when it is not after theirs."""
    if day <= counts.day:
        return counts
    factor = daily_factor(day - counts.day)
    return Counts(day, counts.successes * factor >> 32, counts.failures * factor >> 32)


def rated(pair: Counts, outcome: Outcome, day: int, cap: int) -> Counts:
    """One client's counts after one more rating: over `cap` ratings both shrink to it in proportion."""
    now = decayed(pair, day)
    success, failure = WEIGHTS[outcome]
    successes, failures = now.successes + success, now.failures + failure
    total, limit = successes + failures, cap * ONE
    if total > limit:
        successes, failures = successes * limit // total, failures * limit // total
    return Counts(now.day, successes, failures)


def replaced(sums: Counts, before: Counts, after: Counts) -> Counts:
    """A contractor's sums after one of its clients' counts went from `before` to `after`.

    Rounding may leave a sum 2^-32 below its parts, which is why it is held at 0.
    """
    day = after.day
    sums, before = decayed(sums, day), decayed(before, day)
    return Counts(
        max(sums.day, day),
        max(0, sums.successes - before.successes) + after.successes,
        max(0, sums.failures - before.failures) + after.failures,
    )


def beta_of(counts: Counts, day: int) -> tuple[float, float]:
    """The two parameters of Beta(1 + S, 1 + F) on `day`, for showing: never for what is agreed on."""
    now = decayed(counts, day)
    return 1.0 + now.successes / ONE, 1.0 + now.failures / ONE


def as_printed(good: float, bad: float, idle_months: float) -> float:
    """COALESCE eq. (14) as printed: the Beta mean times e^(-lambda t), t months after the last job.

    Kept to compare with. (A, B) = (1 + good, 1 + bad).
    """
    return (1.0 + good) / (2.0 + good + bad) * math.exp(-0.1 * idle_months)
