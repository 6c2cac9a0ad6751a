"""COALESCE as printed: Listing 2 over Listing 1, with its constants. It is here to be compared with, not to be used.

Where the print leaves something open: criteria are normalised by min-max; a lone seller, for whom every range is
empty, scores .5 (and is refused, tau being .6); the four market signals are `signals`; with no history the
confidence of eq. (18) is 1. The equilibrium of line 17 changes nothing in Listing 2 and is not computed, and the
internal cost is never compared with the external one. Eq. (17) is a claim about the chain of choices, with nothing
to compute. Hard limits (`menu.usable`) come first in both phases.
"""

import numpy as np

from node.decision.policies.interface import LOCAL, Belief, Draw, Experience, Floats, Menu, Pick, Policy, Priced
from node.decision.policies.pricing import posterior, random_of
from node.decision.policies.settings import PolicyConfig
from node.decision.weights import correlation_adjusted

QUALITY_BASE, QUALITY_SLOPE = 0.01, 0.05
"""P_quality = .01 + .05 (1 - reliability): the authors' simulator."""
Z = 1.96
EXPLORATION_CONFIDENCE, EXPLORATION_SCORE = 0.7, 0.5
"""What IV.A.3 reports for an exploration; neither enters the choice."""


def believe(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw) -> Belief:
    """Eq. (14) of counts that were aged before; no pessimism."""
    return Belief(posterior(menu.prior, experience.successes, experience.failures, settings.prior_jobs)[0])


def criteria(menu: Menu, priced: Priced) -> Floats:
    """(..., sellers, CRITERIA): lines 7 to 11 of Listing 1: eq. (6), reliability, latency, security risk."""
    reliability = priced.success
    quality = QUALITY_BASE + QUALITY_SLOPE * (1.0 - reliability)
    risk = menu.value_micro * (1.0 - reliability * (1.0 - menu.p_breach) * (1.0 - quality))
    check = menu.checks[0].cost_micro + menu.checks[0].price_share * menu.price_micro
    external = menu.price_micro + menu.fixed_micro + check + risk
    return np.stack(np.broadcast_arrays(external, reliability, menu.time_s, menu.p_breach), axis=-1)


def signals(menu: Menu, priced: Priced) -> Floats:
    """(..., CRITERIA): market pressure, failure rate, urgency, risk level of lines 18 to 21, each from 0 to 1.

    Mean price over local cost, mean unreliability, mean time over the deadline, mean breach risk, of usable sellers.
    """
    counted = np.maximum(1, menu.usable.sum(-1))

    def mean(values: Floats) -> Floats:
        return np.asarray(np.where(menu.usable, values, 0.0).sum(-1) / counted)

    shares = (
        mean(menu.price_micro / np.maximum(menu.local_micro, 1e-9)),
        mean(1.0 - priced.success),
        mean(menu.time_s / np.maximum(menu.deadline_s, 1e-9)),
        mean(menu.p_breach),
    )
    return np.clip(np.stack(shares, axis=-1), 0.0, 1.0)


def weights(menu: Menu, priced: Priced, table: Floats, experience: Experience, settings: PolicyConfig) -> Floats:
    """(..., CRITERIA): lines 17 to 24: beta * signal + (1 - beta) * learnt, normalised, then eq. (11)."""
    beta = settings.market_response
    mixed = beta * signals(menu, priced) + (1.0 - beta) * experience.weights
    mixed = mixed / mixed.sum(-1, keepdims=True)
    eligible = menu.usable & (menu.match >= settings.theta)
    return correlation_adjusted(mixed, table, eligible, settings.correlation_penalty)


def topsis(table: Floats, share: Floats, among: np.typing.NDArray[np.bool_]) -> Floats:
    """(..., sellers): TOPSIS by min-max over `among`; .5 where ideal and anti-ideal are one; 0 outside `among`."""
    inside = among[..., None]
    low = np.where(inside, table, np.inf).min(-2, keepdims=True, initial=np.inf)
    high = np.where(inside, table, -np.inf).max(-2, keepdims=True, initial=-np.inf)
    width = np.where(high > low, high - low, 1.0)
    low = np.where(np.isfinite(low), low, 0.0)
    placed = np.where(high > low, (table - low) / width, 0.0)
    is_benefit = np.array((False, True, False, False))
    spread = high > low
    good = np.where(spread, np.where(is_benefit, placed, 1.0 - placed), 0.0)
    bad = np.where(spread, 1.0 - good, 0.0)
    weighed = share[..., None, :]
    to_ideal = np.sqrt(((weighed * bad) ** 2).sum(-1))
    to_worst = np.sqrt(((weighed * good) ** 2).sum(-1))
    both = to_ideal + to_worst
    score = np.where(both > 0.0, to_worst / np.where(both > 0.0, both, 1.0), EXPLORATION_SCORE)
    return np.where(among, score, 0.0)


def confidence(successes: Floats, count: Floats) -> Floats:
    """COALESCE eq. (18) as printed: 1 - z sqrt(p (1 - p)) / sqrt(n); 1 where n = 0."""
    n = np.maximum(count, 1e-9)
    p = np.clip(successes / n, 0.0, 1.0)
    return np.asarray(np.where(count > 0.0, 1.0 - Z * np.sqrt(p * (1.0 - p)) / np.sqrt(n), 1.0))


def exploit(menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig) -> Floats:
    """(...,): lines 13 to 23 of Listing 2."""
    eligible = menu.usable & (menu.match >= settings.theta)
    table = criteria(menu, priced)
    if not table.shape[-2]:
        return np.full(eligible.shape[:-1], LOCAL)
    score = topsis(table, weights(menu, priced, table, experience, settings), eligible)
    best = np.where(eligible, score, -1.0).argmax(-1)
    sure = confidence(experience.successes, experience.successes + experience.failures)
    taken = (score > settings.tau) & (sure > settings.rho) & eligible
    return np.where(np.take_along_axis(taken, best[..., None], -1)[..., 0], best, LOCAL)


def rate(experience: Experience, settings: PolicyConfig) -> Floats:
    """Eq. (19): epsilon, always."""
    return np.full(experience.decisions.shape, settings.epsilon)


def choose(menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig, draw: Draw) -> Pick:
    """Listing 2: with chance epsilon a seller at random, else the best TOPSIS score above the thresholds."""
    assert draw is not None
    tried = random_of(menu.explorable & menu.usable, draw)
    explores = (draw.random(tried.shape) < settings.epsilon) & (tried != LOCAL)
    seller = np.where(explores, tried, exploit(menu, priced, experience, settings))
    return Pick(seller, np.zeros(seller.shape, np.int64), explores)


POLICY = Policy(
    name="paper",
    summary="Listing 2 as printed: epsilon-greedy over TOPSIS with thresholds",
    believe=believe,
    choose=choose,
    is_gated=False,
    draws=True,
    explores=rate,
)
