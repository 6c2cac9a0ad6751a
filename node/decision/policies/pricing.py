"""Expected cost, TOPSIS and the ordinary choice over arrays: the same arithmetic as external_cost, for many at once.

Operations stand in the same order as in `external_cost.level_terms`, so both give equal bits (without a tail).
"""

import numpy as np

from node.decision.policies.interface import (
    LOCAL,
    Amount,
    Bools,
    CheckTerms,
    Draw,
    Experience,
    Floats,
    Ints,
    Menu,
    Pick,
    Priced,
    TailTerms,
)
from node.decision.policies.settings import CRITERIA, FEATURES, PolicyConfig

TOPSIS_COST_RANGE = 2.0
"""Best 0, worst twice the local cost: what costs more is equally out of the question."""
UNSAID = 1e-300
"""In place of an empty range, so that a quotient is defined."""


def posterior(prior: Floats, successes: Floats, failures: Floats, jobs: float) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each success probability; see `reliability.posterior`."""
    total = jobs + successes + failures
    mean = (jobs * prior + successes) / total
    return mean, np.sqrt(mean * (1.0 - mean) / (total + 1.0))


def pessimistic(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw = None) -> Floats:
    """The posterior mean less c standard deviations, not below 0."""
    mean, deviation = posterior(menu.prior, experience.successes, experience.failures, settings.prior_jobs)
    return np.maximum(0.0, mean - settings.pessimism * deviation)


def optimistic(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw = None) -> Floats:
    """The posterior mean plus `optimism` standard deviations, not above 1."""
    mean, deviation = posterior(menu.prior, experience.successes, experience.failures, settings.prior_jobs)
    return np.minimum(1.0, mean + settings.optimism * deviation)


def price(menu: Menu, success: Floats) -> Priced:
    """Every seller at every level, and at its best one."""
    bad = 1.0 - success
    stake = menu.price_micro + menu.value_micro
    unseen = menu.fixed_micro + success * menu.price_micro + bad * stake
    found = bad * (menu.redo_micro - stake)
    by_level: list[Floats] = []
    best: Floats | None = None
    for check in menu.checks:
        relief = found if check.redo_micro is None else bad * (check.redo_micro - stake)
        cost = unseen + check.detection * relief + check.cost_micro
        if check.price_share:
            cost += check.price_share * menu.price_micro
        if menu.tail is not None:
            can = np.isfinite(cost)
            worst = worst_micro(
                menu, menu.tail, check._replace(cost_micro=np.where(can, check.cost_micro, 0.0)), success
            )
            cost = np.where(can, (1.0 - menu.tail.weight) * np.where(can, cost, 0.0) + menu.tail.weight * worst, np.inf)
        by_level.append(cost)
        best = cost if best is None else np.minimum(best, cost)
    assert best is not None
    return Priced(success, tuple(by_level), np.where(menu.usable, best, np.inf))


def worst_micro(menu: Menu, tail: TailTerms, check: CheckTerms, success: Floats) -> Floats:
    """(..., sellers): CVaR of one hire: work good, found bad or missed; late or not; leaked or not. See `risk.cvar`."""
    value = menu.value_micro
    bad = 1.0 - success
    p_late = np.broadcast_to(check.p_late, success.shape)
    lateness = p_late * value
    fixed = menu.fixed_micro - tail.breach_micro + (check.cost_micro - lateness)
    if check.price_share:
        fixed = fixed + check.price_share * menu.price_micro
    redo = menu.redo_micro if check.redo_micro is None else check.redo_micro
    works = (
        (success, menu.price_micro),
        (bad * check.detection, np.broadcast_to(redo, success.shape)),
        (bad * (1.0 - check.detection), menu.price_micro + value),
    )
    chances, costs = [], []
    for p_work, work in works:
        for p_time, late in ((1.0 - p_late, 0.0 * lateness), (p_late, np.broadcast_to(value, success.shape))):
            for p_leak, leak in ((1.0 - menu.p_breach, 0.0), (menu.p_breach, value * tail.gamma)):
                chances.append(p_work * p_time * p_leak)
                costs.append(fixed + work + late + leak)
    return _cvar(np.stack(chances), np.stack(costs), tail.tail)


def _cvar(chances: Floats, costs: Floats, tail: float) -> Floats:
    """Mean cost of the worst `tail` share; the outcomes are the first axis. The same steps as `risk.cvar`."""
    order = np.argsort(-costs, axis=0, kind="stable")
    chances, costs = np.take_along_axis(chances, order, 0), np.take_along_axis(costs, order, 0)
    left, total = np.full(costs.shape[1:], tail), np.zeros(costs.shape[1:])
    for chance, cost in zip(chances, costs, strict=True):
        share = np.minimum(chance, left)
        total += np.where(left > 0.0, share * cost, 0.0)
        left -= share
    return np.asarray((total + np.where(left > 0.0, left * costs[-1], 0.0)) / tail)


def goodness(menu: Menu, priced: Priced) -> Floats:
    """(..., sellers, CRITERIA): each seller's place on the fixed range of each criterion, 0 worst and 1 best."""
    placed = np.empty((*priced.success.shape, CRITERIA))
    # An unusable seller's cost is infinite, and so as bad as can be.
    placed[..., 0] = _fall(priced.cost_micro, TOPSIS_COST_RANGE * menu.local_micro)
    placed[..., 1] = priced.success
    placed[..., 2] = _fall(menu.time_s, menu.deadline_s)
    placed[..., 3] = 1.0 - menu.p_breach
    return np.minimum(1.0, np.maximum(0.0, placed))


def _fall(value: Floats, worst: Amount) -> Floats:
    return np.asarray(np.where(np.greater(worst, 0.0), 1.0 - value / np.maximum(worst, UNSAID), value <= 0.0))


def closeness(placed: Floats, weights: Floats) -> Floats:
    """TOPSIS on fixed ranges: (..., sellers) from `goodness` and weights of (CRITERIA,) or (..., CRITERIA)."""
    share = weights if weights.ndim == 1 else weights[..., None, :]
    ideal, worst = share * (1.0 - placed), share * placed
    to_ideal, to_worst = np.sqrt((ideal * ideal).sum(-1)), np.sqrt((worst * worst).sum(-1))
    return np.asarray(to_worst / (to_ideal + to_worst))


def configured_weights(settings: PolicyConfig) -> Floats:
    """(CRITERIA,): the owner's TOPSIS weights, summing to 1."""
    raw = np.array(
        (settings.weight_cost, settings.weight_reliability, settings.weight_latency, settings.weight_security)
    )
    return np.asarray(raw / raw.sum())


def features(menu: Menu, priced: Priced) -> Floats:
    """(..., sellers, FEATURES): what the linear policies and eq. (13) learn from."""
    placed = goodness(menu, priced)
    return np.concatenate((np.ones((*placed.shape[:-1], FEATURES - CRITERIA)), placed), axis=-1)


def least_cost(menu: Menu, priced: Priced, settings: PolicyConfig, among: Bools | None = None) -> Ints:
    """(...,): the seller of least expected cost below the gate, or LOCAL.

    Among those within `tie_share` of the least, the highest TOPSIS score wins, then the lower cost, then the first
    column. `among` narrows the choice.
    """
    cost = priced.cost_micro if among is None else np.where(among, priced.cost_micro, np.inf)
    if cost.shape[-1] == 0:
        return np.full(cost.shape[:-1], LOCAL)
    first = cost.argmin(-1)
    least = cost.min(-1, keepdims=True)
    near = (cost <= least * (1.0 + settings.tie_share)) & (cost < menu.limit_micro)
    count = near.sum(-1)
    if not (count > 1).any():
        return np.where(count, first, LOCAL)
    score = np.where(near, closeness(goodness(menu, priced), configured_weights(settings)), -1.0)
    equal = near & (score == score.max(-1, keepdims=True))
    return np.where(count, np.where(equal, cost, np.inf).argmin(-1), LOCAL)


def best_of(menu: Menu, score: Floats, least: Amount, among: Bools) -> Ints:
    """(...,): the seller of the highest `score` above `least` among some; the first of equals; or LOCAL."""
    if score.shape[-1] == 0:
        return np.full(score.shape[:-1], LOCAL)
    open_ = np.where(among & menu.usable & (score > least), score, -np.inf)
    return np.where(open_.max(-1) > -np.inf, open_.argmax(-1), LOCAL)


def random_of(among: Bools, draw: np.random.Generator) -> Ints:
    """(...,): one seller of `among`, each with the same chance; LOCAL where there is none."""
    if among.shape[-1] == 0:
        return np.full(among.shape[:-1], LOCAL)
    return np.where(among.any(-1), np.where(among, draw.random(among.shape), -1.0).argmax(-1), LOCAL)


def hire(menu: Menu, priced: Priced, seller: Ints, explored: Bools | None = None) -> Pick:
    """The pick of these sellers, each at its level of least cost; of equal ones, the one that checks least."""
    seller = np.asarray(seller)
    costs = np.stack([column(cost, seller) for cost in priced.by_level])
    level = np.where(seller == LOCAL, 0, costs.argmin(0))
    return Pick(seller, level, np.zeros(seller.shape, bool) if explored is None else explored & (seller != LOCAL))


def column(values: Floats, seller: Ints) -> Floats:
    """(...,): the figure of each row's seller; where LOCAL, the first column's or 0."""
    if values.shape[-1] == 0:
        return np.zeros(seller.shape)
    return np.take_along_axis(values, np.maximum(seller, 0)[..., None], -1)[..., 0]
