"""The sellers of one skill as one matrix, so that a task prices all of them, at every level, in one product.

Every cost of `external_cost.level_terms` is linear in what a seller brings (price, chance of bad work, time, ...) and
in what a task brings (its value, the local cost, ...), as long as no deadline or cap cuts in. So with `fields` of
shape (FIELDS, sellers) and a table that is made once,

    costs = (task's figures @ table) @ fields        (levels, sellers), by the expected and by the careful belief

Sums are in another order than on the explaining path, so they are its own but for rounding.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from node.decision.audit import audit_of, audit_option
from node.decision.config import DecisionConfig
from node.decision.external_cost import Stakes, seller_terms, transfer_s
from node.decision.inputs import Candidate, TaskFacts, VerificationOption
from node.decision.policies.interface import Bools, Floats
from node.decision.policies.two_kinds import belief
from node.decision.reliability import wilson
from node.decision.risk import spread
from node.decision.screening import levels_allowed
from protocol.specification import PRIVACY_LEVELS

CERTAIN_DEVIATIONS = 9.0
"""A lognormal duration is over its median by so many deviations once in 10^19: less than the last bit of any total."""

ONE, PRICE, BAD, BAD_PRICE, DOUBT, DOUBT_PRICE, TIME, PER_BYTE, BREACH = range(9)
"""What a seller brings. Doubt is the chance of bad work by the careful belief, PER_BYTE the time a byte takes."""
RATE, RATE_BAD, RATE_BAD_PRICE, RATE_DOUBT, RATE_DOUBT_PRICE = range(9, 14)
"""The same times the rate of audits."""
SETTLING, FIELDS = range(14, 16)
"""And what settling with it costs."""
FIXED, VALUE, LOCAL_COST, SECOND, MOVED_SECOND, LEAK, FIGURES = range(7)
"""What a task brings: 1, V, the local total, the cost of a second, of a second for each byte moved, and of a leak."""


class Checks(NamedTuple):
    """The levels that a task allows, and what they make of the sellers."""

    allowed: tuple[VerificationOption, ...]
    auditing: VerificationOption | None
    audit_rate: Floats
    is_unseen_allowed: bool
    longest_s: float
    most_share: float
    most_charged_micro: float
    fields: Floats
    """(FIELDS, sellers)."""
    table: Floats
    """(FIGURES, 2 * levels + 1, FIELDS) flattened: by the expected belief, by the careful one, accepting unseen."""

    def costs(self, figures: Floats, start: int, end: int) -> Floats:
        """(2 * levels + 1, some sellers): see `table`."""
        rows: Floats = (figures @ self.table).reshape(-1, FIELDS)
        part = self.fields if end - start >= self.fields.shape[1] else self.fields[:, start:end]
        return np.asarray(rows @ part)


class Sheet:
    """Sellers in the order of their keys, worked out once; arrays are (sellers,)."""

    def __init__(self, candidates: Sequence[Candidate], config: DecisionConfig) -> None:
        self.candidates = candidates
        self._config = config
        # Terms of a task that moves nothing, of value 0: what is left are the sellers' own figures.
        nothing = Stakes(0.0, 0.0, 1.0, 0.0, True, 0.0, 0.0, 1.0)
        still = TaskFacts(skill="", budget_micro=0, deadline_s=0.0)
        terms = [seller_terms(still, one, config, nothing) for one in candidates]
        others = [one.told(config) for one in candidates]
        believed = belief(
            array(one.prior for one in terms),
            array(own.successes + told.successes for own, told in zip(candidates, others, strict=True)),
            array(own.failures + told.failures for own, told in zip(candidates, others, strict=True)),
            config,
        )
        assert believed.careful is not None
        self.success, self.careful = believed.success, believed.careful
        self.price = array(one.price_micro for one in candidates)
        self.bad = 1.0 - self.success
        self.time_s = array(transfer_s(still, one, config) + one.duration_s for one in candidates)
        self.ahead_s = array(one.ahead_s for one in candidates)
        self.bandwidth = array(one.bandwidth_bytes_per_s or config.bandwidth_bytes_per_s for one in candidates)
        self.surely = np.exp(array(min(600.0, CERTAIN_DEVIATIONS * spread(o.duration_s, o.p95_s)) for o in candidates))
        self.breach = array(one.p_breach for one in terms)
        self.settlement = array(one.settlement_micro for one in candidates)
        self._exposure = array(np.inf if o.exposure_left_micro is None else o.exposure_left_micro for o in candidates)
        self._is_capped = bool(np.isfinite(self._exposure).any())
        fit = array(
            one.skill_match >= config.theta and wilson(one.successes, one.failures)[0] >= config.wilson_least
            for one in candidates
        )
        most_private = array(PRIVACY_LEVELS.index(one.most_private) for one in candidates)
        outsourced = PRIVACY_LEVELS.index(config.most_private_outsourced)
        self._admitted = [
            (fit > 0.0) & (most_private >= rank) & (rank <= outsourced) for rank in range(len(PRIVACY_LEVELS))
        ]
        self._all_admitted = [bool(admitted.all()) for admitted in self._admitted]
        # Bounds over all sellers: where a task is within them, no seller needs to be looked at.
        self._most_price = float(self.price.max(initial=0.0))
        self._most_surely_s = float((self.time_s * self.surely).max(initial=0.0))
        self._most_surely = float(self.surely.max(initial=1.0))
        self._most_time_s = float(self.time_s.max(initial=0.0))
        self._least_bandwidth = float(self.bandwidth.min(initial=np.inf))

    def checks(self, facts: TaskFacts, options: tuple[VerificationOption, ...]) -> Checks:
        """The levels among `options` that the task allows."""
        allowed = levels_allowed(facts, options)
        auditing = audit_option(allowed)
        canary_share = next((option.price_share for option in allowed if option.level == "none"), 0.0)
        audits = [audit_of(one, auditing, self._config, canary_share) for one in self.candidates]
        rate = array(audit.rate if audit else 0.0 for audit in audits)
        fields = np.zeros((FIELDS, len(self.candidates)))
        doubt = 1.0 - self.careful
        fields[:RATE] = (
            np.ones(self.price.shape),
            self.price,
            self.bad,
            self.bad * self.price,
            doubt,
            doubt * self.price,
            self.time_s + self.ahead_s,
            1.0 / self.bandwidth,
            self.breach,
        )
        fields[RATE] = rate
        fields[RATE_BAD:SETTLING] = rate * fields[BAD : DOUBT_PRICE + 1]
        fields[SETTLING] = self.settlement
        beliefs = ((BAD, BAD_PRICE, RATE_BAD, RATE_BAD_PRICE), (DOUBT, DOUBT_PRICE, RATE_DOUBT, RATE_DOUBT_PRICE))
        rows = [_weights(option, auditing, *by) for by in beliefs for option in allowed]
        rows.append(_weights(None, None, *beliefs[0]))
        return Checks(
            allowed=allowed,
            auditing=auditing,
            audit_rate=rate,
            is_unseen_allowed=any(option.level == "none" for option in allowed),
            longest_s=max((option.time_s for option in allowed), default=0.0),
            most_share=max((option.price_share for option in allowed), default=0.0),
            most_charged_micro=max((option.charged_micro for option in allowed), default=0.0),
            fields=fields,
            table=np.stack(rows, axis=1).reshape(FIGURES, -1),
        )

    def usable(self, facts: TaskFacts, most_micro: float, start: int, end: int) -> Bools | None:
        """Who is within every hard limit; None: all are."""
        rank = PRIVACY_LEVELS.index(facts.privacy)
        usable: Bools | None = None if self._all_admitted[rank] else self._admitted[rank][start:end]
        limits: list[Bools] = []
        if self._most_price > most_micro:
            limits.append(self.price[start:end] <= most_micro)
        if self._is_capped:
            limits.append(self.price[start:end] <= self._exposure[start:end])
        moved = facts.input_bytes + facts.expected_output_bytes
        if self._latest_s(moved) > facts.deadline_s:
            limits.append(self._arrival_s(moved, start, end) <= facts.deadline_s)
        if facts.regions:
            some = self.candidates[start:end]
            limits.append(np.array([bool(set(facts.regions) & set(one.regions)) for one in some], bool))
        for limit in limits:
            usable = limit if usable is None else usable & limit
        return usable

    def open(
        self, facts: TaskFacts, checks: Checks, local_time_s: float, most_micro: float, start: int, end: int
    ) -> bool:
        """Whether time or money may rule out a check, a repetition or punctuality, or the tail counts."""
        if self._config.risk_weight > 0.0:
            return True
        deadline_s, more_s = facts.deadline_s, checks.longest_s
        moved = facts.input_bytes + facts.expected_output_bytes
        surely_s = self._most_surely_s + (moved / self._least_bandwidth + more_s) * self._most_surely
        latest_s = self._latest_s(moved) + more_s + local_time_s
        charged = checks.most_charged_micro
        is_rich = self._most_price * (1.0 + checks.most_share) + charged <= most_micro or not (
            checks.most_share or charged
        )
        if is_rich and surely_s <= deadline_s and latest_s <= deadline_s:
            return False
        time_s = self._arrival_s(moved, start, end)
        is_open = (time_s + more_s) * self.surely[start:end] > deadline_s
        is_open |= time_s + (more_s + local_time_s) > deadline_s
        if checks.most_share or charged:
            is_open |= self.price[start:end] * (1.0 + checks.most_share) + charged > most_micro
        return bool(is_open.any())

    def _arrival_s(self, moved_bytes: int, start: int, end: int) -> Floats:
        return self.time_s[start:end] + moved_bytes / self.bandwidth[start:end]

    def _latest_s(self, moved_bytes: int) -> float:
        return self._most_time_s + moved_bytes / self._least_bandwidth


def array(values: Iterable[float]) -> Floats:
    """The numbers as an array."""
    return np.fromiter(values, dtype=float)


def _weights(
    option: VerificationOption | None,
    auditing: VerificationOption | None,
    bad: int,
    bad_price: int,
    rate_bad: int,
    rate_bad_price: int,
) -> Floats:
    """(FIGURES, FIELDS): how often each product of a task's and a seller's figure counts in the cost of a level.

    `bad` and so on are the fields of one belief. None: accepting unseen, and no audits.
    """
    found = np.zeros((FIGURES, FIELDS))
    found[FIXED, PRICE] = found[FIXED, SETTLING] = found[VALUE, bad] = found[SECOND, TIME] = found[
        MOVED_SECOND, PER_BYTE
    ] = 1.0
    found[LEAK, BREACH] = 1.0
    check, one, of_bad, of_price = option, ONE, bad, bad_price
    if option is None or option.level == "none":
        check, one, of_bad, of_price = auditing, RATE, rate_bad, rate_bad_price
    if check is not None and option is not None:
        found[VALUE, of_bad] -= check.detection
        found[LOCAL_COST, of_bad] += check.detection
        found[FIXED, of_price] -= check.detection
        found[FIXED, one] += check.cost_micro
        found[SECOND, one] += check.time_s
    if option is not None:
        found[FIXED, PRICE] += option.price_share
    return found
