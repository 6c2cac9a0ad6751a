"""The figures of one node in one market, beside those of the node that did the same tasks by itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coalesced.testnet.real_tasks.outcome import Outcome
from coalesced.testnet.real_tasks.regimes import BASELINE, HOUR_S, MICRO
from node.execute.mix import COUNTS

LEARNING_RUNS: Final = 20
"""After so many runs of a type its time should be known."""
Floats = NDArray[np.float64]
RESAMPLES: Final = 2000
_SEED: Final = 240
"""The same resamples every time: an interval that changes from call to call cannot be quoted."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """A node's outcomes and the all-local node's, task by task; what only one of them has done is left out."""

    own: tuple[Outcome, ...]
    alone: tuple[Outcome, ...]
    rate_micro_per_hour: int
    """What an hour of the buyer's machine costs."""

    @property
    def usd_per_s(self) -> float:
        """What a second of the buyer's machine costs."""
        return self.rate_micro_per_hour / MICRO / HOUR_S

    def local_usd(self) -> Floats:
        """The all-local node's cost of each task: the time that its work took, on the wall. It books $1 a second."""
        return np.array([one.booked_micro / MICRO * self.usd_per_s for one in self.alone])

    def booked_usd(self) -> Floats:
        """What each task cost by the node's own books: the price, or the time that the work took here."""
        return np.array([one.booked_micro / MICRO for one in self.own])

    def overhead_usd(self) -> Floats:
        """What the books leave out: processor time for asking, checking, cryptography, above that of the work itself.

        Of a hired task all that the buyer used; of one done here what it used more than the all-local node.
        """
        return np.array(
            [_overhead_s(own, alone) * self.usd_per_s for own, alone in zip(self.own, self.alone, strict=True)]
        )


def _overhead_s(own: Outcome, alone: Outcome) -> float:
    if own.cpu_s is None or (alone.cpu_s is None and not own.is_hired):
        return 0.0
    return own.cpu_s if own.is_hired else own.cpu_s - (alone.cpu_s or 0.0)


class Share(Struct, frozen=True, kw_only=True):
    """A saving in percent of the all-local figure, with its 95 % bootstrap interval over tasks."""

    percent: float
    low: float
    high: float

    def text(self) -> str:
        """As `35.2 % (34.0 to 36.1)`; a saving of under -1,000 % as a multiple of the all-local figure."""
        if self.percent < -1000.0:
            return f"{1 - self.percent / 100:,.0f} times the all-local figure"
        return f"{self.percent:.1f} % ({self.low:.1f} to {self.high:.1f})"


class Figures(Struct, frozen=True, kw_only=True):
    """One node over all its tasks."""

    by: str
    tasks: int
    completed: int
    hired: int
    hired_of: dict[str, int]
    """Of the tasks of each skill."""
    explored: int
    paid_usd: float
    """To sellers."""
    booked_usd: float
    """What the node's own books say that it spent: prices, and the time of the work done here at its owner's rate."""
    overhead_usd: float
    """What they leave out: processor time for asking, checking and cryptography, at that rate."""
    local_usd: float
    """The time of the same work done by the all-local node, at that rate."""
    saved_by_books: Share
    saved: Share
    """With the overhead."""
    wall_s: float
    local_wall_s: float
    time_saved: Share
    good: int
    bad_accepted: int
    """Results that the node accepted and that fail the harness's full check."""
    mean_score: float
    awards: dict[str, int]
    """Hires by the conduct of the seller, those that came to nothing included."""
    fallbacks: int
    failures: int
    topsis: float | None
    """Mean score of the sellers chosen."""
    prices_usd: tuple[float, float, float] | None
    """Lowest, median and highest price paid."""


class Prediction(Struct, frozen=True, kw_only=True):
    """How far the predicted time of local work was off, after the first 20 runs of a type."""

    skill: str
    runs: int
    mean_relative_error: float
    median_relative_error: float


def paired(outcomes: Sequence[Outcome], by: str, rate_micro_per_hour: int) -> Pairs:
    """The tasks that both have done."""
    alone = {one.number: one for one in outcomes if one.by == BASELINE}
    own = [one for one in outcomes if one.by == by and one.number in alone]
    return Pairs(tuple(own), tuple(alone[one.number] for one in own), rate_micro_per_hour)


def figures(by: str, pairs: Pairs) -> Figures:
    """Everything about one node. ValueError when it has done nothing."""
    if not pairs.own:
        raise ValueError(f"{by} has done no task")
    own, done = pairs.own, [one for one in pairs.own if one.is_completed]
    hired = [one for one in done if one.is_hired]
    booked_usd, overhead_usd, local_usd = pairs.booked_usd(), pairs.overhead_usd(), pairs.local_usd()
    wall_s, local_wall_s = (np.array([one.wall_s for one in side]) for side in (own, pairs.alone))
    scores = [one.topsis_ppm / 1e6 for one in hired if one.topsis_ppm is not None]
    prices = [one.price_micro / MICRO for one in hired]
    return Figures(
        by=by,
        tasks=len(own),
        completed=len(done),
        hired=len(hired),
        hired_of={label: sum(one.skill == label for one in hired) for label in COUNTS},
        explored=sum(one.explored for one in own),
        paid_usd=sum(one.price_micro for one in own) / MICRO,
        booked_usd=float(booked_usd.sum()),
        overhead_usd=float(overhead_usd.sum()),
        local_usd=float(local_usd.sum()),
        saved_by_books=_saved(booked_usd, local_usd),
        saved=_saved(booked_usd + overhead_usd, local_usd),
        wall_s=float(wall_s.sum()),
        local_wall_s=float(local_wall_s.sum()),
        time_saved=_saved(wall_s, local_wall_s),
        good=sum(one.good for one in done),
        bad_accepted=sum(not one.good for one in done),
        mean_score=float(np.mean([one.score_ppm / 1e6 for one in done])) if done else 0.0,
        awards=dict(Counter(award.conduct for one in own for award in one.awards)),
        fallbacks=sum(len(one.fallbacks) for one in own),
        failures=len(own) - len(done),
        topsis=float(np.mean(scores)) if scores else None,
        prices_usd=(min(prices), float(np.median(prices)), max(prices)) if prices else None,
    )


def _saved(own: Floats, alone: Floats) -> Share:
    """1 - (all that was spent) / (all-local), tasks resampled in pairs."""
    rng = np.random.default_rng(_SEED)
    picks = rng.integers(len(own), size=(RESAMPLES, len(own)))
    sums = alone[picks].sum(1)
    shares = 100.0 * (1.0 - own[picks].sum(1) / np.where(sums > 0.0, sums, np.nan))
    low, high = np.nanpercentile(shares, (2.5, 97.5)) if np.isfinite(shares).any() else (0.0, 0.0)
    total = float(alone.sum())
    return Share(percent=100.0 * (1.0 - float(own.sum()) / total) if total else 0.0, low=float(low), high=float(high))


def predictions(outcomes: Sequence[Outcome]) -> list[Prediction]:
    """The all-local node's predictions beside what it measured: it alone runs every task itself."""
    found = []
    for label in COUNTS:
        # It books at $1 a second.
        runs = [
            (one.predicted_s, one.booked_micro / MICRO)
            for one in outcomes
            if one.by == BASELINE and one.skill == label and one.is_completed and one.predicted_s and one.booked_micro
        ]
        errors = [abs(expected / measured - 1.0) for expected, measured in runs[LEARNING_RUNS:]]
        if errors:
            found.append(
                Prediction(
                    skill=label,
                    runs=len(errors),
                    mean_relative_error=float(np.mean(errors)),
                    median_relative_error=float(np.median(errors)),
                )
            )
    return found
