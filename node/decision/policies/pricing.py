"""Expected cost, TOPSIS and the ordinary choice over arrays: the same arithmetic as external_cost, for many at once.

Operations stand in the same order as in `external_cost.level_terms`, so both give equal bits (without a tail).
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from node.decision.policies.interface import (
    LOCAL,
    Amount,
    Belief,
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
from node.decision.topsis import closeness as closeness_of_one
from node.decision.topsis import fall, weights

Number = TypeVar("Number", np.float64, np.int64)

TOPSIS_COST_RANGE = 2.0
"""Best 0, worst twice the local cost: what costs more is equally out of the question."""
FEW = 16
"""Sellers in tie bands up to which plain numbers are faster than arrays."""
UNSAID = 1e-300
"""In place of an empty range, so that a quotient is defined."""


def posterior(prior: Floats, successes: Floats, failures: Floats, jobs: float) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each success probability; see `reliability.posterior`."""
    # The steps of `reliability.posterior`; in place where the array is our own, which is most of the speed.
    total = jobs + successes
    total += failures
    mean = jobs * prior
    mean += successes
    mean /= total
    spread = 1.0 - mean
    spread *= mean
    total += 1.0
    spread /= total
    return mean, np.sqrt(spread, out=spread)


def pessimistic(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw = None) -> Belief:
    """The posterior mean less c standard deviations, not below 0."""
    mean, deviation = posterior(menu.prior, experience.successes, experience.failures, settings.prior_jobs)
    deviation *= settings.pessimism
    mean -= deviation
    return Belief(np.maximum(0.0, mean, out=mean))


def optimistic(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw = None) -> Belief:
    """The posterior mean plus `optimism` standard deviations, not above 1."""
    mean, deviation = posterior(menu.prior, experience.successes, experience.failures, settings.prior_jobs)
    return Belief(np.minimum(1.0, mean + settings.optimism * deviation))


def ceiling_micro(menu: Menu, experience: Experience, settings: PolicyConfig) -> Amount:
    """What a seller may cost at most by the careful belief: the gate, and what may be staked of the savings so far."""
    if not menu.has_local:
        return np.inf
    stake: Floats = settings.stake_share * np.maximum(0.0, experience.saved_micro)
    return np.asarray(menu.limit_micro + stake[..., None])


def price(menu: Menu, belief: Belief, ceiling_micro: Amount = np.inf) -> Priced:
    """Every seller, at its best level.

    q P + (1-q) (P + V) is P + (1-q) V; what a level adds to it is d (1-q) (redo - P - V) and its own cost. The level is
    chosen by what it adds, or where the tail counts by the whole: to the careful belief, where there is one, and then
    the seller is priced at that level by the other, and is out where the careful cost is above the ceiling.
    """
    success, careful = belief
    bad = 1.0 - success
    unseen = menu.fixed_micro + menu.price_micro
    relief = menu.redo_micro - menu.value_micro - menu.price_micro
    if careful is None:
        cost, level = _at_best(_levels(menu, success, bad, unseen, relief))
        if not menu.tail:
            cost = unseen + bad * menu.value_micro + cost
        return Priced(success, level, np.where(menu.usable, cost, np.inf))
    doubted = 1.0 - careful
    by_level = _levels(menu, careful, doubted, unseen, relief)
    plain = _levels(menu, success, bad, unseen, relief)
    best, level = _at_best(by_level)
    chosen = plain[0]
    for at, beside in enumerate(plain[1:], 1):
        chosen = np.where(level == at, beside, chosen)
    if not menu.tail:
        doubted *= menu.value_micro
        best = best + (unseen + doubted)
        unseen += bad * menu.value_micro
        chosen = chosen + unseen
    safe = best <= ceiling_micro
    return Priced(success, level, np.where(safe & menu.usable, chosen, np.inf), careful, safe)


def _at_best(by_level: Sequence[Floats]) -> tuple[Floats, Ints]:
    """(..., sellers): the least of the levels, and which one that is; of equal ones, the one that checks least."""
    best, level = by_level[0], np.zeros(by_level[0].shape, np.int64)
    for at, added in enumerate(by_level[1:], 1):
        level[added < best] = at
        best = np.minimum(best, added)
    return best, level


def _levels(menu: Menu, success: Floats, bad: Floats, unseen: Floats, relief: Floats) -> list[Floats]:
    """(..., sellers) for each level: what it adds to accepting unseen; with a tail, the whole.

    `relief` is what finding one bad work changes: redo - V - P.
    """
    found = relief * bad
    by_level: list[Floats] = []
    for check in menu.checks:
        here = found
        if check.redo_micro is not None:
            here = bad * (check.redo_micro - menu.value_micro - menu.price_micro)
        added = here * check.detection
        added += check.cost_micro
        if check.price_share:
            added += check.price_share * menu.price_micro
        if menu.tail is not None:
            added = _with_tail(menu, menu.tail, check, success, added + (unseen + bad * menu.value_micro))
        by_level.append(added)
    return by_level


def _with_tail(menu: Menu, tail: TailTerms, check: CheckTerms, success: Floats, total: Floats) -> Floats:
    """(1 - eta) times the expectation and eta times the CVaR; infinite where the level cannot be used."""
    can = np.isfinite(total)
    worst = worst_micro(menu, tail, check._replace(cost_micro=np.where(can, check.cost_micro, 0.0)), success)
    return np.where(can, (1.0 - tail.weight) * np.where(can, total, 0.0) + tail.weight * worst, np.inf)


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
    width = cost.shape[-1]
    first = np.asarray(cost.argmin(-1))
    least = cost.min(-1, keepdims=True)
    is_below = least < menu.limit_micro
    # Up to the gate, and not at it: the next smaller number is the last one below.
    band = np.minimum(least * (1.0 + settings.tie_share), np.nextafter(menu.limit_micro, -np.inf))
    near = np.flatnonzero(cost <= band)
    # Most rows have one seller in the band, or none below the gate; only the others are weighed.
    rows = near // width
    crowded = np.bincount(rows, minlength=first.size) > 1
    chosen = np.where(is_below[..., 0], first, LOCAL)
    tied = crowded[rows]
    if tied.any():
        near = near[tied]
        settled = _settled_few if near.size <= FEW else _settled
        winners = settled(menu, priced, cost, near, settings)
        flat = np.array(chosen).reshape(-1)
        flat[crowded] = winners
        chosen = flat.reshape(chosen.shape)
    return chosen


def _settled(menu: Menu, priced: Priced, cost: Floats, near: NDArray[np.intp], settings: PolicyConfig) -> Ints:
    """(tied rows,): the winner of each tie band. `near` holds the places of their sellers in the flattened arrays."""
    width = cost.shape[-1]
    rows, columns = near // width, near % width
    costs = cost.reshape(-1)[near]

    def of_task(values: Amount) -> Floats:
        return np.asarray(np.broadcast_to(values, (*cost.shape[:-1], 1)).reshape(-1)[rows])

    placed = np.empty((near.size, CRITERIA))
    placed[:, 0] = _fall(costs, TOPSIS_COST_RANGE * of_task(menu.local_micro))
    placed[:, 1] = priced.success.reshape(-1)[near]
    placed[:, 2] = _fall(menu.time_s.reshape(-1)[near], of_task(menu.deadline_s))
    placed[:, 3] = 1.0 - menu.p_breach.reshape(-1)[near]
    score = closeness(np.minimum(1.0, np.maximum(0.0, placed)), configured_weights(settings))
    order = np.lexsort((columns, costs, -score, rows))
    ordered = rows[order]
    is_first = np.concatenate(((True,), ordered[1:] != ordered[:-1]))
    return np.asarray(columns[order[is_first]])


def _settled_few(menu: Menu, priced: Priced, cost: Floats, near: NDArray[np.intp], settings: PolicyConfig) -> Ints:
    """`_settled` in plain numbers, by the same steps."""
    width, weight = cost.shape[-1], weights(settings)
    best: dict[int, tuple[float, float, int]] = {}
    for place in near.tolist():
        row, at = divmod(place, width)
        total = float(cost.item(place))
        goodness = (
            fall(total, TOPSIS_COST_RANGE * _figure(menu.local_micro, row)),
            float(priced.success.item(place)),
            fall(float(menu.time_s.item(place)), _figure(menu.deadline_s, row)),
            1.0 - float(menu.p_breach.item(place)),
        )
        rank = (-closeness_of_one(goodness, weight), total, at)
        best[row] = min(best.get(row, rank), rank)
    return np.array([at for _, _, at in best.values()])


def _figure(values: Amount, row: int) -> float:
    """A task's figure in one row of a batch."""
    return float(values.item(row if values.size > 1 else 0)) if isinstance(values, np.ndarray) else float(values)


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


def hire(priced: Priced, seller: Ints, explored: Bools | None = None) -> Pick:
    """The pick of these sellers, each at its level."""
    seller = np.asarray(seller)
    is_hired = seller != LOCAL
    level = np.where(is_hired, column(priced.level, seller), 0)
    return Pick(seller, level, np.zeros(seller.shape, bool) if explored is None else explored & is_hired)


def column(values: NDArray[Number], seller: Ints) -> NDArray[Number]:
    """(...,): the figure of each row's seller; where LOCAL, the first column's or 0."""
    if not values.size:
        return np.zeros(seller.shape, values.dtype)
    place = np.arange(0, values.size, values.shape[-1]).reshape(seller.shape)
    place += np.maximum(seller, 0)
    return values.reshape(-1)[place]
