"""The default policy's choice among many quotes without a word of explanation: what a busy client runs first.

A `Book` holds the sellers of one skill as a `Sheet`, worked out once when quotes or receipts change; `choose` then
takes a product of matrices and some dozen array operations. Its sums are not the explaining path's to the last bit:
where the answer hangs on less than `SLACK`, on a check that time or money may rule out, or on the tail, the sellers in
question are priced again by the explaining path's own functions. Both give the same choice.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from node.decision.config import DecisionConfig
from node.decision.decision import Decision, LocalRow, SellerRow
from node.decision.engine import limit_micro, local_row, replay, stakes_of, task_value_micro
from node.decision.external_cost import Stakes, communication_micro
from node.decision.inputs import Candidate, Inputs, LocalOption, PolicyMemory, TaskFacts, VerificationOption
from node.decision.menu import Seller, by_key, seller_of
from node.decision.policies.interface import LOCAL, Floats
from node.decision.policies.pricing import TOPSIS_COST_RANGE, UNSAID, closeness
from node.decision.policies.settings import CRITERIA
from node.decision.rows import row_of
from node.decision.sheet import Checks, Sheet
from node.decision.topsis import closeness as closeness_of_one
from node.decision.topsis import fall, weights
from protocol.specification import Level

SLACK = 1e-9
"""Sums in another order differ by 1e-15 or so; what is nearer than this is worked out exactly."""
FEW = 8
"""Sellers in a tie band up to which plain numbers are faster than arrays."""
CHUNK = 4096
"""Sellers priced at a time: the costs of so many at all levels fit a processor's nearest caches."""


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
    ceiling_micro: float
    """What a seller may cost by the careful belief."""
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
        self._sheet = Sheet(self.candidates, config)
        self._checks: dict[Level, Checks] = {}

    def choose(self, facts: TaskFacts, local: LocalOption, saved_micro: float = 0.0) -> Quick:
        """What the default policy would do with this task, done here at `local`, after hiring saved `saved_micro`."""
        config = self.config
        value = task_value_micro(facts, local, config)
        here = local_row(facts, local, config, value)
        left = facts.spend_left_micro
        moved = facts.input_bytes + facts.expected_output_bytes
        limit = limit_micro(facts, here, config)
        task = _Task(
            facts=facts,
            local=here,
            stakes=stakes_of(facts, here, config, value),
            limit_micro=limit,
            ceiling_micro=limit + config.stake_share * max(0.0, saved_micro) if here.feasible else np.inf,
            most_micro=float(facts.budget_micro if left is None else min(facts.budget_micro, left)),
            moved_bytes=moved,
            constant_micro=communication_micro(moved, config) + config.integration_micro,
        )

        def explain() -> Decision:
            return replay(
                Inputs(
                    facts=facts,
                    local=local,
                    candidates=self.candidates,
                    options=self.options,
                    config=config,
                    memory=PolicyMemory(saved_micro=saved_micro),
                )
            )

        checks = self._checks.get(facts.least_level)
        if checks is None:
            checks = self._checks[facts.least_level] = self._sheet.checks(facts, self.options)
        if not checks.allowed or not self.candidates:
            return Quick(None, "none", explain)
        column, level = self._found(task, checks)
        return Quick(None if column == LOCAL else self.candidates[column].key, level, explain)

    def _found(self, task: _Task, checks: Checks) -> tuple[int, Level]:
        """The column and level of the choice."""
        size, facts = len(self.candidates), task.facts
        is_open = self._sheet.open(facts, checks, task.stakes.local_time_s, task.most_micro, 0, size)
        if size <= CHUNK:
            cost, doubted = self._costs(task, checks, 0, size, is_open=is_open)
        else:
            parts = [
                self._costs(task, checks, at, min(at + CHUNK, size), is_open=is_open) for at in range(0, size, CHUNK)
            ]
            cost, doubted = (np.concatenate(some) for some in zip(*parts, strict=True))
        if is_open:
            return self._exact(task, checks, cost)
        first = int(cost.argmin())
        least, limit = float(cost[first]) + task.constant_micro, task.limit_micro
        if least * (1.0 - SLACK) >= limit:
            return LOCAL, "none"
        ceiling = task.ceiling_micro - task.constant_micro
        column: int | None = None
        if least * (1.0 + SLACK) < limit:
            band = least * (1.0 + self.config.tie_share)
            near = cost <= band * (1.0 + SLACK) - task.constant_micro
            column = first if np.count_nonzero(near) == 1 else self._tied(task, cost, np.flatnonzero(near), band)
        # A seller at the ceiling but for rounding was let in: as the cheapest it decides how far the tie band goes.
        if column is None or max(doubted[column], doubted[first]) > ceiling - SLACK * abs(task.ceiling_micro):
            return self._exact(task, checks, cost)
        level = self._level(task, checks, column)
        return self._exact(task, checks, cost) if level is None else (column, level)

    def _costs(self, task: _Task, checks: Checks, start: int, end: int, *, is_open: bool) -> tuple[Floats, Floats]:
        """Some sellers' expected and careful costs: exact up to rounding, or where it `is_open` not above the true
        ones; infinite if out.
        """
        facts, stakes, levels = task.facts, task.stakes, len(checks.allowed)
        value, second = stakes.value_micro, stakes.time_value_micro_per_s
        figures = np.array(
            (
                1.0,
                value,
                stakes.local_total_micro,
                second,
                second * task.moved_bytes,
                stakes.sensitivity * value * self.config.gamma,
            )
        )
        costs = checks.costs(figures, start, end)
        if is_open:
            cost = costs[:levels].min(0)
            if checks.is_unseen_allowed:
                cost = np.minimum(cost, costs[-1])
            doubted = cost
        else:
            cost, doubted = costs[0], costs[levels]
            for at in range(1, levels):
                other = costs[levels + at]
                cost = np.where(other < doubted, costs[at], cost)
                doubted = np.minimum(doubted, other)
            # Those that are at the ceiling but for rounding are let in, and looked at again when one of them wins.
            ceiling = task.ceiling_micro * (1.0 + SLACK) - task.constant_micro
            cost = np.where(doubted <= ceiling, cost, np.inf)
        usable = self._sheet.usable(facts, task.most_micro, start, end)
        return cost if usable is None else np.where(usable, cost, np.inf), doubted

    def _tied(self, task: _Task, cost: Floats, near: NDArray[np.intp], band: float) -> int | None:
        """Of sellers in the tie band, the one of the highest TOPSIS score; None where that is too close to tell."""
        stakes, sheet = task.stakes, self._sheet
        if near.size <= FEW:
            return self._tied_few(task, cost, near.tolist(), band)
        total = cost[near] + task.constant_micro
        time_s = sheet.time_s[near] + task.moved_bytes / sheet.bandwidth[near]
        placed = np.empty((near.size, CRITERIA))
        placed[:, 0] = 1.0 - total / (TOPSIS_COST_RANGE * max(stakes.local_total_micro, UNSAID))
        placed[:, 1] = sheet.success[near]
        placed[:, 2] = 1.0 - time_s / max(task.facts.deadline_s, UNSAID)
        placed[:, 3] = 1.0 - sheet.breach[near] * stakes.sensitivity
        score = closeness(np.minimum(1.0, np.maximum(0.0, placed)), self._weight)
        best = int(score.argmax())
        sure = total[best] < min(band, task.limit_micro) * (1.0 - SLACK)
        alone = np.count_nonzero(score >= score[best] - SLACK) == 1
        return int(near[best]) if sure and alone else None

    def _tied_few(self, task: _Task, cost: Floats, near: list[int], band: float) -> int | None:
        """`_tied` without arrays, which cost more than they save for two or three sellers."""
        stakes, sheet, deadline_s = task.stakes, self._sheet, task.facts.deadline_s
        scored = []
        for column in near:
            total = float(cost[column]) + task.constant_micro
            time_s = float(sheet.time_s[column]) + task.moved_bytes / float(sheet.bandwidth[column])
            goodness = (
                fall(total, TOPSIS_COST_RANGE * stakes.local_total_micro),
                float(sheet.success[column]),
                fall(time_s, deadline_s),
                1.0 - float(sheet.breach[column]) * stakes.sensitivity,
            )
            scored.append((closeness_of_one(goodness, self._weights), column, total))
        scored.sort(key=lambda one: -one[0])
        score, column, total = scored[0]
        sure = total < min(band, task.limit_micro) * (1.0 - SLACK)
        return column if sure and scored[1][0] < score - SLACK else None

    def _level(self, task: _Task, checks: Checks, column: int) -> Level | None:
        """The level of one seller that nothing rules out; None where two are too close to tell."""
        stakes, sheet = task.stakes, self._sheet
        price, rate = float(sheet.price[column]), float(checks.audit_rate[column])
        relief = (1.0 - float(sheet.careful[column])) * (stakes.local_total_micro - stakes.value_micro - price)
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

    def _exact(self, task: _Task, checks: Checks, cost: Floats) -> tuple[int, Level]:
        """The choice by the explaining path's own functions, over the sellers that could be in the tie band."""
        config, sheet, tie = self.config, self._sheet, 1.0 + self.config.tie_share
        rows: list[tuple[SellerRow, int]] = []
        band = np.inf
        for column in np.argsort(cost, kind="stable").tolist():
            if not (cost[column] + task.constant_micro) * (1.0 - SLACK) <= min(band, task.limit_micro):
                break
            seller = seller_of(
                self.candidates[column], task.facts, checks.allowed, checks.auditing, config, task.stakes
            )
            if isinstance(seller, Seller):
                believed = float(sheet.success[column]), float(sheet.careful[column])
                row = row_of(seller, *believed, None, task.facts, config, task.stakes, self._weights)
                if row.score_micro < task.limit_micro and row.doubted_micro <= task.ceiling_micro:
                    rows.append((row, column))
                    band = min(band, row.score_micro * tie)
        near = [(row, column) for row, column in rows if row.score_micro <= band]
        if not near:
            return LOCAL, "none"
        row, column = min(near, key=lambda one: (-one[0].topsis, one[0].score_micro, one[1]))
        is_audited = row.level == "none" and self.candidates[column].audit_draw < row.audit_rate
        return column, row.audit_level if is_audited else row.level
