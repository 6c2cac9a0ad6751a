"""The rule that the authors' code runs, which is not the rule that the paper prints: behind Table I is this one.

Read in github.com/mbhatt1/COALESCE (2026-11) and written anew. Beside Listing 2 it differs in this: weights are fixed
but for a small random walk; the confidence is not eq. (18) of a seller but 1 - 2 min(p, 1-p) 1.96 / sqrt(n), with p
the share of the engine's own last 50 decisions that scored above .7; and all clients share that one engine. A decision
for LOCAL scores 0, so hiring stops whenever between about .36 and .64 of the recent decisions were hires: that, and
nothing in the market, is where an outsourcing rate of a third comes from.
"""

from typing import Final

import numpy as np

from coalesced.sim.market.binding import SIMULATED, Choice, Chooser, Rule, View
from coalesced.sim.market.outcome import AUTOMATED_ABOVE, printed_cost_usd
from coalesced.sim.market.parameters import Flags, Floats, Ints, breach_probability
from node.decision.policies.interface import LOCAL
from node.decision.policies.paper import topsis
from node.decision.policies.pricing import random_of
from node.decision.policies.settings import CRITERIA, FEATURES, PolicyConfig

NAME: Final = "authors"
WEIGHTS: Final = (0.4, 0.25, 0.2, 0.15)
WALK: Final = 0.001
"""Standard deviation of the weights' step after a decision that scored at most .8."""
MEMORY: Final = 50
LEAST_HISTORY: Final = 10
DEFAULT_CONFIDENCE: Final = 0.8
"""Not above rho: the first ten decisions of a run are always LOCAL."""
GOOD_SCORE, FINE_SCORE = 0.7, 0.8
Z: Final = 1.96


class _Engine:
    """What the engine of each run remembers."""

    def __init__(self, runs: int) -> None:
        self.weights: Floats = np.tile(WEIGHTS, (runs, 1))
        self.good: Flags = np.zeros((runs, MEMORY), bool)
        self.count: Ints = np.zeros(runs, np.int64)

    def confidence(self) -> Floats:
        """(runs,): of the next decision."""
        n = np.maximum(1, np.minimum(self.count, MEMORY))
        p = self.good.sum(1) / n
        sure = np.clip(1.0 - 2.0 * np.minimum(p, 1.0 - p) / np.sqrt(n) * Z, 0.0, 1.0)
        return np.where(self.count < LEAST_HISTORY, DEFAULT_CONFIDENCE, sure)

    def remember(self, decided: Flags, score: Floats, draw: np.random.Generator) -> None:
        """Keep the score of each run that came to a decision by rule."""
        rows = np.flatnonzero(decided)
        self.good[rows, self.count[rows] % MEMORY] = score[rows] > GOOD_SCORE
        self.count[rows] += 1
        walked = np.abs(self.weights + draw.normal(0.0, WALK, self.weights.shape))
        walked /= walked.sum(1, keepdims=True)
        moves = decided & (score <= FINE_SCORE) & (self.count > 1)
        self.weights = np.where(moves[:, None], walked, self.weights)


def rule(settings: PolicyConfig = SIMULATED) -> Rule:
    """Their rule; epsilon, theta, tau and rho come from the settings."""
    return Rule(NAME, lambda runs: _chooser(_Engine(runs), settings), settings)


def _chooser(engine: _Engine, settings: PolicyConfig) -> Chooser:
    def choose(view: View, draw: np.random.Generator) -> Choice:
        return _choose(engine, settings, view, draw)

    return choose


def _choose(engine: _Engine, settings: PolicyConfig, view: View, draw: np.random.Generator) -> Choice:
    now, sellers = view.now, view.world.sellers
    runs = np.arange(view.world.runs)
    eligible = now.answered & (now.match >= settings.theta)
    table = np.empty((*eligible.shape, CRITERIA))
    table[..., 0] = printed_cost_usd(view.world, now)
    table[..., 1] = sellers.claimed
    table[..., 2] = sellers.latency_min
    table[..., 3] = breach_probability(sellers.claimed)
    scores = topsis(table, engine.weights, eligible)
    best = np.where(eligible, scores, -1.0).argmax(1)
    score = scores[runs, best]
    sure = engine.confidence()
    hires = eligible.any(1) & (score > settings.tau) & (sure > settings.rho)

    tried = random_of(now.answered, draw)
    explores = (draw.random(len(runs)) < settings.epsilon) & (tried != LOCAL)
    decided = eligible.any(1) & ~explores & now.present
    engine.remember(decided, np.where(hires, score, 0.0), draw)
    seller = np.where(explores, tried, np.where(hires, best, LOCAL))
    column = np.maximum(seller, 0)
    level = np.where(sellers.claimed[runs, column] > AUTOMATED_ABOVE, 1, 2)
    confidence = np.where(explores, 0.7, np.where(eligible.any(1), sure, 1.0))
    return Choice(
        seller=seller,
        level=np.where(seller == LOCAL, 0, level),
        explored=explores,
        features=np.zeros((len(runs), FEATURES)),
        score=np.where(explores, 0.5, score),
        confidence=confidence,
    )
