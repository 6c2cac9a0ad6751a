"""The default policy's choice among many quotes without a word of explanation: what a busy client runs first.

A `Book` holds the sellers of one skill as arrays, worked out once when quotes or receipts change; `choose` then takes
some thirty array operations. They are arranged to be few, so they are not the explaining path's to the last bit:
where the answer hangs on less than `SLACK`, on the tie band, on a check that time or money may rule out, or on the
tail, the sellers in question are priced again by the explaining path's own functions. Both give the same choice.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from node.decision.audit import audit_of, audit_option
from node.decision.config import DecisionConfig
from node.decision.decision import Decision, LocalRow, SellerRow
from node.decision.engine import decide, limit_micro, local_row, stakes_of, task_value_micro
from node.decision.external_cost import Stakes, communication_micro, seller_terms, transfer_s
from node.decision.inputs import Candidate, LocalOption, TaskFacts, VerificationOption
from node.decision.menu import Seller, by_key, seller_of
from node.decision.policies.interface import LOCAL, Bools, Floats
from node.decision.policies.pricing import TOPSIS_COST_RANGE, UNSAID, closeness
from node.decision.policies.settings import CRITERIA
from node.decision.reliability import pessimistic, wilson
from node.decision.risk import spread
from node.decision.rows import row_of
from node.decision.screening import levels_allowed
from node.decision.topsis import closeness as closeness_of_one
from node.decision.topsis import fall, weights
from protocol.specification import PRIVACY_LEVELS, Level

SLACK = 1e-9
"""Sums in another order differ by 1e-15 or so; what is nearer than this is worked out exactly."""
CERTAIN_DEVIATIONS = 9.0
"""A lognormal duration is over its median by so many deviations once in 10^19: less than the last bit of any total."""
FEW = 8
"""Sellers in a tie band up to which plain numbers are faster than arrays."""
CHUNK = 4096
"""Sellers priced at a time: a dozen arrays of this length fit a processor's nearest caches."""


class Quick(NamedTuple):
    """Who is hired, and how it is checked: what `Decision` says of the same inputs, and nothing else."""

    contractor: bytes | None
    level: Level
    explain: Callable[[], Decision]
    """The whole decision, worked out when it is asked for."""


class _Task(NamedTuple):
    """One task's figures as the arrays need them."""

    facts: TaskFacts
    local: LocalRow
    stakes: Stakes
    limit_micro: float
    most_micro: float
    """The most that may be paid: the budget and the owner's cap."""
    moved_bytes: int
    constant_micro: float
    """What every seller costs alike; the arrays go without it."""


class Book:
    """The sellers of one skill, and the ways to check their work, under one configuration."""

    def __init__(
        self, candidates: Iterable[Candidate], options: Iterable[VerificationOption], config: DecisionConfig
    ) -> None:
        self.candidates = tuple(by_key(candidates))
        self.options = tuple(options)
        self.config = config
        self._weights = weights(config)
        self._weight = np.array(self._weights)
        sellers = self.candidates
        # Terms of a task that moves nothing, of value 0: what is left are the sellers' own figures.
        nothing = Stakes(0.0, 0.0, 1.0, 0.0, True, 0.0, 0.0, 1.0)
        still = TaskFacts(skill="", budget_micro=0, deadline_s=0.0)
        terms = [seller_terms(still, one, config, nothing) for one in sellers]
        good = _array(pessimistic(one.success_mean, one.success_deviation, config.pessimism) for one in terms)
        self._price = _array(one.price_micro for one in sellers)
        self._bad = 1.0 - good
        self._bad_price = self._bad * self._price
        self._time_s = _array(transfer_s(still, one, config) + one.duration_s for one in sellers)
        self._bandwidth = _array(one.bandwidth_bytes_per_s or config.bandwidth_bytes_per_s for one in sellers)
        self._surely = np.exp(_array(min(600.0, CERTAIN_DEVIATIONS * spread(o.duration_s, o.p95_s)) for o in sellers))
        self._breach = _array(one.p_breach for one in terms)
        self._exposure = _array(np.inf if o.exposure_left_micro is None else o.exposure_left_micro for o in sellers)
        self._is_capped = bool(np.isfinite(self._exposure).any())
        fit = _array(
            one.skill_match >= config.theta and wilson(one.successes, one.failures)[0] >= config.wilson_least
            for one in sellers
        )
        most_private = _array(PRIVACY_LEVELS.index(one.most_private) for one in sellers)
        outsourced = PRIVACY_LEVELS.index(config.most_private_outsourced)
        self._admitted = [
            (fit > 0.0) & (most_private >= rank) & (rank <= outsourced) for rank in range(len(PRIVACY_LEVELS))
        ]
        self._all_admitted = [bool(admitted.all()) for admitted in self._admitted]
        # Bounds over all sellers: where a task is within them, no seller needs to be looked at.
        self._most_price = float(self._price.max(initial=0.0))
        self._most_surely_s = float((self._time_s * self._surely).max(initial=0.0))
        self._most_surely = float(self._surely.max(initial=1.0))
        self._most_time_s = float(self._time_s.max(initial=0.0))
        self._least_bandwidth = float(self._bandwidth.min(initial=np.inf))
        self._menus: dict[Level, _Checks] = {}

    def choose(self, facts: TaskFacts, local: LocalOption) -> Quick:
        """What the default policy would do with this task, done here at `local`."""
        config = self.config
        value = task_value_micro(facts, local, config)
        here = local_row(facts, local, config, value)
        left = facts.spend_left_micro
        moved = facts.input_bytes + facts.expected_output_bytes
        task = _Task(
            facts=facts,
            local=here,
            stakes=stakes_of(facts, here, config, value),
            limit_micro=limit_micro(facts, here, config),
            most_micro=float(facts.budget_micro if left is None else min(facts.budget_micro, left)),
            moved_bytes=moved,
            constant_micro=communication_micro(moved, config) + config.integration_micro,
        )

        def explain() -> Decision:
            return decide(facts, local, self.candidates, self.options, config)

        checks = self._checks(facts)
        if not checks.allowed:
            return Quick(None, "none", explain)
        column, level = self._found(task, checks)
        return Quick(None if column == LOCAL else self.candidates[column].key, level, explain)

    def _checks(self, facts: TaskFacts) -> "_Checks":
        found = self._menus.get(facts.least_level)
        if found is None:
            allowed = levels_allowed(facts, self.options)
            auditing = audit_option(allowed)
            audits = [audit_of(one, auditing, self.config) for one in self.candidates]
            found = _Checks(allowed, auditing, _array(audit.rate if audit else 0.0 for audit in audits))
            self._menus[facts.least_level] = found
        return found

    def _found(self, task: _Task, checks: "_Checks") -> tuple[int, Level]:
        """The column and level of the choice."""
        size = len(self.candidates)
        if size <= CHUNK:
            cost, is_open = self._costs(task, checks, 0, size)
        else:
            parts = [self._costs(task, checks, at, at + CHUNK) for at in range(0, size, CHUNK)]
            cost = np.concatenate([part.cost for part in parts])
            masks = [part.is_open for part in parts]
            is_open = None
            if any(mask is not None for mask in masks):
                is_open = np.concatenate(
                    [np.zeros(part.cost.shape, bool) if part.is_open is None else part.is_open for part in parts]
                )
        if not size:
            return LOCAL, "none"
        first = int(cost.argmin())
        least, limit = float(cost[first]) + task.constant_micro, task.limit_micro
        if least * (1.0 - SLACK) >= limit:
            return LOCAL, "none"
        column: int | None = None
        if is_open is None and least * (1.0 + SLACK) < limit:
            band = least * (1.0 + self.config.tie_share)
            near = cost <= band * (1.0 + SLACK) - task.constant_micro
            column = first if np.count_nonzero(near) == 1 else self._tied(task, cost, np.flatnonzero(near), band)
        level = None if column is None else self._level(task, checks, column)
        return self._exact(task, checks, cost) if column is None or level is None else (column, level)

    def _tied(self, task: _Task, cost: Floats, near: NDArray[np.intp], band: float) -> int | None:
        """Of sellers in the tie band, the one of the highest TOPSIS score; None where that is too close to tell."""
        stakes = task.stakes
        if near.size <= FEW:
            return self._tied_few(task, cost, near.tolist(), band)
        total = cost[near] + task.constant_micro
        time_s = self._time_s[near]
        if task.moved_bytes:
            time_s = time_s + task.moved_bytes / self._bandwidth[near]
        deadline_s = task.facts.deadline_s
        placed = np.empty((near.size, CRITERIA))
        placed[:, 0] = 1.0 - total / (TOPSIS_COST_RANGE * max(stakes.local_total_micro, UNSAID))
        placed[:, 1] = 1.0 - self._bad[near]
        placed[:, 2] = 1.0 - time_s / max(deadline_s, UNSAID)
        placed[:, 3] = 1.0 - self._breach[near] * stakes.sensitivity
        score = closeness(np.minimum(1.0, np.maximum(0.0, placed)), self._weight)
        best = int(score.argmax())
        sure = total[best] < min(band, task.limit_micro) * (1.0 - SLACK)
        alone = np.count_nonzero(score >= score[best] - SLACK) == 1
        return int(near[best]) if sure and alone else None

    def _tied_few(self, task: _Task, cost: Floats, near: list[int], band: float) -> int | None:
        """`_tied` without arrays, which cost more than they save for two or three sellers."""
        stakes, deadline_s = task.stakes, task.facts.deadline_s
        scored = []
        for column in near:
            total = float(cost[column]) + task.constant_micro
            time_s = float(self._time_s[column]) + task.moved_bytes / float(self._bandwidth[column])
            goodness = (
                fall(total, TOPSIS_COST_RANGE * stakes.local_total_micro),
                1.0 - float(self._bad[column]),
                fall(time_s, deadline_s),
                1.0 - float(self._breach[column]) * stakes.sensitivity,
            )
            scored.append((closeness_of_one(goodness, self._weights), column, total))
        scored.sort(key=lambda one: -one[0])
        score, column, total = scored[0]
        sure = total < min(band, task.limit_micro) * (1.0 - SLACK)
        return column if sure and scored[1][0] < score - SLACK else None

    def _costs(self, task: _Task, checks: "_Checks", start: int, end: int) -> "_Costs":
        """Some sellers' costs: exact up to rounding, or where they are open below the true ones; infinite if out."""
        facts, stakes = task.facts, task.stakes
        price, bad, time_s = self._price[start:end], self._bad[start:end], self._time_s[start:end]
        if task.moved_bytes:
            time_s = time_s + task.moved_bytes / self._bandwidth[start:end]
        is_open = self._open(task, checks, time_s, start, end)
        relief = bad * (stakes.local_total_micro - stakes.value_micro)
        relief -= self._bad_price[start:end]
        added: Floats | None = None
        for option in checks.allowed:
            if option.level == "none":
                continue
            one = relief * option.detection
            one += option.cost_micro + stakes.time_value_micro_per_s * option.time_s
            if option.price_share:
                one += option.price_share * price
            if option is checks.auditing and checks.is_unseen_allowed:
                one = np.minimum(one, one * checks.audit_rate[start:end])
            added = one if added is None else np.minimum(added, one, out=added)
        if checks.is_unseen_allowed and (checks.auditing is None or is_open is not None):
            free = (
                np.zeros(price.shape) if is_open is None or checks.auditing is None else np.where(is_open, 0.0, np.inf)
            )
            added = free if added is None else np.minimum(added, free)
        assert added is not None
        added += price
        added += bad * stakes.value_micro
        if stakes.sensitivity:
            added += self._breach[start:end] * (stakes.sensitivity * stakes.value_micro * self.config.gamma)
        if stakes.time_value_micro_per_s:
            added += time_s * stakes.time_value_micro_per_s
        usable = self._usable(facts, task.most_micro, price, time_s, start, end)
        if usable is not None:
            added[~usable] = np.inf
        return _Costs(added, is_open)

    def _usable(
        self, facts: TaskFacts, most_micro: float, price: Floats, time_s: Floats, start: int, end: int
    ) -> Bools | None:
        """Within every hard limit; None: all are."""
        rank = PRIVACY_LEVELS.index(facts.privacy)
        usable: Bools | None = None if self._all_admitted[rank] else self._admitted[rank][start:end]
        limits: list[Bools] = []
        if self._most_price > most_micro:
            limits.append(price <= most_micro)
        if self._is_capped:
            limits.append(price <= self._exposure[start:end])
        if self._latest_s(facts.input_bytes + facts.expected_output_bytes) > facts.deadline_s:
            limits.append(time_s <= facts.deadline_s)
        if facts.regions:
            limits.append(self._in_regions(facts.regions)[start:end])
        for limit in limits:
            usable = limit if usable is None else usable & limit
        return usable

    def _latest_s(self, moved_bytes: int) -> float:
        return self._most_time_s + moved_bytes / self._least_bandwidth

    def _open(self, task: _Task, checks: "_Checks", time_s: Floats, start: int, end: int) -> Bools | None:
        """Where time or money may rule out a check, a repetition or punctuality, or the tail counts; None: nowhere."""
        if self.config.risk_weight > 0.0:
            return np.ones(time_s.shape, bool)
        deadline_s, more_s = task.facts.deadline_s, checks.longest_s
        wire_s = task.moved_bytes / self._least_bandwidth
        surely_s = self._most_surely_s + (wire_s + more_s) * self._most_surely
        latest_s = self._latest_s(task.moved_bytes) + more_s + task.stakes.local_time_s
        is_rich = self._most_price * (1.0 + checks.most_share) <= task.most_micro or not checks.most_share
        if is_rich and surely_s <= deadline_s and latest_s <= deadline_s:
            return None
        is_open = (time_s + more_s) * self._surely[start:end] > deadline_s
        is_open |= time_s + (more_s + task.stakes.local_time_s) > deadline_s
        if checks.most_share:
            is_open |= self._price[start:end] * (1.0 + checks.most_share) > task.most_micro
        return is_open if is_open.any() else None

    def _in_regions(self, regions: tuple[str, ...]) -> Bools:
        return np.array([bool(set(regions) & set(one.regions)) for one in self.candidates], bool)

    def _level(self, task: _Task, checks: "_Checks", column: int) -> Level | None:
        """The level of one seller that nothing rules out; None where two are too close to tell."""
        stakes = task.stakes
        price, bad, rate = float(self._price[column]), float(self._bad[column]), float(checks.audit_rate[column])
        relief = bad * (stakes.local_total_micro - stakes.value_micro - price)
        best: tuple[float, Level] | None = None
        scale = SLACK * (price + stakes.value_micro + stakes.local_total_micro)
        for option in checks.allowed:
            priced = checks.auditing if option.level == "none" else option
            added = 0.0
            if priced is not None:
                added = relief * priced.detection + priced.cost_micro + stakes.time_value_micro_per_s * priced.time_s
                added += priced.price_share * price
                if option.level == "none":
                    added *= rate
                elif option is checks.auditing and rate == 1.0 and best is not None:
                    continue  # accepting unseen and auditing always is the same, and came first
            if best is not None and abs(added - best[0]) <= scale:
                return None
            if best is None or added < best[0]:
                best = added, option.level
        assert best is not None
        if best[1] == "none" and checks.auditing is not None and self.candidates[column].audit_draw < rate:
            return checks.auditing.level
        return best[1]

    def _exact(self, task: _Task, checks: "_Checks", cost: Floats) -> tuple[int, Level]:
        """The choice by the explaining path's own functions, over the sellers that could be in the tie band."""
        config, tie = self.config, 1.0 + self.config.tie_share
        rows: list[tuple[SellerRow, int]] = []
        band = np.inf
        for column in np.argsort(cost, kind="stable").tolist():
            if not (cost[column] + task.constant_micro) * (1.0 - SLACK) <= min(band, task.limit_micro):
                break
            seller = seller_of(
                self.candidates[column], task.facts, checks.allowed, checks.auditing, config, task.stakes
            )
            if isinstance(seller, Seller):
                success = pessimistic(seller.terms.success_mean, seller.terms.success_deviation, config.pessimism)
                row = row_of(seller, success, None, task.facts, config, task.stakes, self._weights)
                if row.score_micro < task.limit_micro:
                    rows.append((row, column))
                    band = min(band, row.score_micro * tie)
        near = [(row, column) for row, column in rows if row.score_micro <= band]
        if not near:
            return LOCAL, "none"
        row, column = min(near, key=lambda one: (-one[0].topsis, one[0].score_micro, one[1]))
        is_audited = row.level == "none" and self.candidates[column].audit_draw < row.audit_rate
        return column, row.audit_level if is_audited else row.level


class _Costs(NamedTuple):
    cost: Floats
    """Without what is the same for all."""
    is_open: Bools | None


class _Checks:
    """The levels that a task allows, and how often each seller's unseen work is audited."""

    def __init__(
        self, allowed: tuple[VerificationOption, ...], auditing: VerificationOption | None, audit_rate: Floats
    ) -> None:
        self.allowed = allowed
        self.auditing = auditing
        self.audit_rate = audit_rate
        self.is_unseen_allowed = any(option.level == "none" for option in allowed)
        self.longest_s = max((option.time_s for option in allowed), default=0.0)
        self.most_share = max((option.price_share for option in allowed), default=0.0)


def _array(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=float)
