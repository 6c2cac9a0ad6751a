"""Level 2: what ratings come to for one node, which trusts itself and, half as much, each member of the committee.

Each of these anchors has a view. It begins with what the anchor itself experienced; then whoever agrees with the view
where both have hired is believed too, as far as it agrees, and what it says becomes part of the view; and again. How
far a rater agrees is the Bayes factor between "both saw the same success rate" and "they have nothing to do with each
other", contractor by contractor, with the rater's own words taken out of the view. Who shares no contractor with the
view is not believed at all, so that any number of invented clients weighs nothing: belief flows from the anchors.

A node's score of a contractor is the weighted median over its anchors' views: while the anchors that lie weigh less
than half, it stays between what honest ones say. Where the views are so far apart that there is no majority for
anything, or no anchor knows anything, level 1 is all there is, and the score says so.

Floats: for one node's own decisions, never for what is agreed on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Flags = NDArray[np.bool_]

SELF_WEIGHT = 1.0
MEMBER_WEIGHT = 0.5
"""Of an anchor's view: a node believes itself first, but five members of a committee together more."""
ROUNDS = 3
"""How often a view grows: at one, two and three hands. More changed nothing that could be measured."""
MOST_JOBS = 20.0
"""A view's count for one contractor weighs no more than this many jobs when others are compared with it: rates differ a
little between honest clients, and a large count would make every difference a lie."""
LEAST_JOBS = 1e-6
"""Below this a view says nothing about a contractor: what is left where a rater's own words were all there was."""
SURE = 8.0
"""Agreement on one contractor counts up to a factor e^8 for or against, so that no single one decides."""
LOST = 3.0
"""How much faster belief is lost than won. With 1, colluders who also tell the truth about others win a fifth of the
jobs (docs/ledger.md, camouflage); at 3 and at 6 a hundredth."""
KNOWING_JOBS = 5.0
"""An anchor with so many jobs of its own has half its weight, since what it knows may be luck."""
NEAR = 0.15
"""Views this close to the median agree with it."""
MAJORITY = 0.5
"""Of the anchors' weight that has to agree with the median; below it level 1 is used."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """Who said what, as four equally long columns: only pairs that exist are there, each once.

    `raters` and `contractors` are indices below `agents`; counts are in jobs, decayed and capped as on the chain.
    """

    agents: int
    raters: Integers
    contractors: Integers
    successes: Floats
    failures: Floats
    alone: Floats = field(init=False, repr=False)
    """log B(1 + successes, 1 + failures) of each pair, which every anchor needs."""

    def __post_init__(self) -> None:
        length = len(self.raters)
        if not len(self.contractors) == len(self.successes) == len(self.failures) == length:
            raise ValueError("the columns of ratings have different lengths")
        for indices in (self.raters, self.contractors):
            if length and not (indices.min() >= 0 and indices.max() < self.agents):
                raise ValueError(f"ratings name agents outside 0 to {self.agents - 1}")
        object.__setattr__(self, "alone", _log_beta(1.0 + self.successes, 1.0 + self.failures))


@dataclass(frozen=True, slots=True)
class View:
    """What one anchor makes of the ratings."""

    rates: Floats
    """Expected success rate of each agent; .5 where nothing is believed about it."""
    belief: Floats
    """How far each agent is believed as a rater, 0 to 1; an anchor believes itself."""
    jobs: Floats
    """How many jobs of each agent are behind its rate, by what those that are believed say."""
    own_jobs: float
    """Jobs of its own that the view begins with."""


@dataclass(frozen=True, slots=True)
class Trust:
    """One node's scores."""

    scores: Floats
    """Success rate of each agent: the median of the views, or level 1 where `fell_back`."""
    jobs: Floats
    """How many believed jobs are behind each score: those of the view that is the median."""
    fell_back: Flags
    weights: Floats
    """What each view weighs in the end: less for anchors that know little."""


def view_of(ratings: Ratings, anchor: int) -> View:
    """What the ratings look like to agent `anchor`."""
    own = ratings.raters == anchor
    jobs = float(ratings.successes[own].sum() + ratings.failures[own].sum())
    belief = np.zeros(ratings.agents)
    for _ in range(ROUNDS):
        belief[anchor] = 1.0
        belief = _agreement(ratings, belief)
    belief[anchor] = 1.0
    good, bad = _believed(ratings, belief)
    return View((1.0 + good) / (2.0 + good + bad), belief, good + bad, jobs)


def combine(views: Sequence[View], weights: Sequence[float], level_1: Floats) -> Trust:
    """The weighted median of the views for each agent, or `level_1` where there is no majority near it."""
    each = np.array(
        [weight * view.own_jobs / (view.own_jobs + KNOWING_JOBS) for view, weight in zip(views, weights, strict=True)]
    )
    total = float(each.sum())
    if total <= 0.0:
        return Trust(level_1.copy(), np.zeros(len(level_1)), np.ones(len(level_1), dtype=np.bool_), each)
    table = np.array([view.rates for view in views])
    order = np.argsort(table, axis=0, kind="stable")
    middle = np.argmax(np.cumsum(each[order], axis=0) >= total / 2.0, axis=0)
    chosen = np.take_along_axis(order, middle[None], axis=0)
    median = np.take_along_axis(table, chosen, axis=0)[0]
    jobs = np.take_along_axis(np.array([view.jobs for view in views]), chosen, axis=0)[0]
    fell_back = each @ (np.abs(table - median) <= NEAR) < MAJORITY * total
    return Trust(np.where(fell_back, level_1, median), jobs, fell_back, each)


def _believed(ratings: Ratings, belief: Floats) -> tuple[Floats, Floats]:
    """What the believed raters say together: jobs that went well and badly (agents)."""
    weight = belief[ratings.raters]
    good = np.bincount(ratings.contractors, weight * ratings.successes, ratings.agents)
    bad = np.bincount(ratings.contractors, weight * ratings.failures, ratings.agents)
    return good.astype(np.float64), bad.astype(np.float64)


def _agreement(ratings: Ratings, belief: Floats) -> Floats:
    """How far each rater is to be believed, by what the believed say about the contractors that it rated."""
    good, bad = _believed(ratings, belief)
    weight = belief[ratings.raters]
    others_good = np.maximum(0.0, good[ratings.contractors] - weight * ratings.successes)
    others_bad = np.maximum(0.0, bad[ratings.contractors] - weight * ratings.failures)
    (known,) = np.nonzero(others_good + others_bad > LEAST_JOBS)
    others_good, others_bad = others_good[known], others_bad[known]
    shrink = np.minimum(1.0, MOST_JOBS / (others_good + others_bad))
    others_good, others_bad = 1.0 + others_good * shrink, 1.0 + others_bad * shrink
    own_good, own_bad = ratings.successes[known], ratings.failures[known]
    together = _log_beta(others_good + own_good, others_bad + own_bad)
    apart = _log_beta(others_good, others_bad) + ratings.alone[known]
    each = np.clip(together - apart, -SURE, SURE)
    odds = np.bincount(ratings.raters[known], np.where(each < 0.0, LOST * each, each), ratings.agents)
    # What is above even odds: of whom the view shares no contractor with, nothing is known, and nothing is believed.
    return np.maximum(0.0, np.tanh(odds / 2.0))


def _log_beta(one: Floats, two: Floats) -> Floats:
    return _log_gamma(one) + _log_gamma(two) - _log_gamma(one + two)


def _log_gamma(x: Floats) -> Floats:
    """log Gamma(x) for x >= 1 within 1e-6: Stirling's series at x + 2, two steps back."""
    y = x + 2.0
    inverse = 1.0 / y
    square = inverse * inverse
    series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square / 1260.0))
    return (y - 0.5) * np.log(y) - y + 0.9189385332046727 + series - np.log(x * (x + 1.0))
