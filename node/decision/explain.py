"""A decision in a form that a person can check: one line an option, then the sentences that decide it.

    option   price    +time    +risk    +verify  =total   p(good)

Price is what is paid in expectation, or burnt here, with communication and integration; time is waiting and the
chance of being late; risk is bad work and breach.
"""

from collections.abc import Callable

import msgspec

from node.decision.decision import Decision, LocalRow, SellerRow
from node.decision.engine import replay
from node.decision.inputs import Candidate, InternalCost, LocalOption
from node.decision.screening import usd
from protocol.specification import Level

SEARCH_STEPS = 12
"""Halvings in the search for a break-even: with `LEAST_SCALE`, to about a third of a percent."""
LEAST_SCALE = 1e-6


class ExplainedOption(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table, in whole micro-dollars: price + time + risk + verify = total, exactly."""

    contractor: bytes | None
    """None for the local option."""
    name: str
    level: Level
    quoted_micro: int | None
    price_micro: int
    time_micro: int
    risk_micro: int
    verify_micro: int
    p_good: float
    success: float
    time_s: float
    topsis: float | None
    chosen: bool
    feasible: bool
    note: str

    @property
    def total_micro(self) -> int:
        """The sum of the line."""
        return self.price_micro + self.time_micro + self.risk_micro + self.verify_micro


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The table, best option first and sellers that are out last; and whole sentences, the deciding one first."""

    options: tuple[ExplainedOption, ...]
    sentences: tuple[str, ...]


def explain(decision: Decision) -> Explanation:
    """The explanation of `decision`. It searches for the break-even, so it costs about ten decisions."""
    options = [_local(decision.local, decision), *(_seller(row, decision) for row in decision.rows)]
    options.sort(key=lambda option: (not option.chosen, not option.feasible, option.total_micro, option.name))
    out = [
        ExplainedOption(
            contractor=one.contractor,
            name=one.name,
            level="none",
            quoted_micro=None,
            price_micro=0,
            time_micro=0,
            risk_micro=0,
            verify_micro=0,
            p_good=0.0,
            success=0.0,
            time_s=0.0,
            topsis=None,
            chosen=False,
            feasible=False,
            note=one.text,
        )
        for one in decision.excluded
    ]
    explored = f"Explored: {'yes' if decision.explored else 'no'}."
    sentences = (decision.reason, break_even(decision), explored, *decision.warnings)
    return Explanation(options=(*options, *out), sentences=tuple(sentence for sentence in sentences if sentence))


def break_even(decision: Decision) -> str:
    """What would have to change for the decision to turn, as a sentence; empty when nothing single would do.

    Hired: the local p95 below which LOCAL wins. Not hired: the price at which the best seller would be.
    """
    if decision.choice == "outsource":
        return _local_break_even(decision)
    return _price_break_even(decision)


def _local_break_even(decision: Decision) -> str:
    local = decision.inputs.local
    if not decision.local.feasible or local.p95_s <= 0.0:
        return ""

    def local_wins(scale: float) -> bool:
        inputs = msgspec.structs.replace(decision.inputs, local=scaled(local, scale))
        return replay(inputs, value_micro=decision.value_micro).choice == "local"

    if not local_wins(LEAST_SCALE):
        return "Local would not win however fast it were."
    scale = _search(local_wins, LEAST_SCALE, 1.0)
    return f"Local wins if its p95 falls under {local.p95_s * scale:.2g} s."


def _price_break_even(decision: Decision) -> str:
    if not decision.rows:
        return ""
    best = decision.rows[0]
    candidate = next(one for one in decision.inputs.candidates if one.key == best.contractor)

    def hired(price_micro: float) -> bool:
        cheaper: Candidate = msgspec.structs.replace(candidate, price_micro=int(price_micro))
        inputs = msgspec.structs.replace(decision.inputs, candidates=(cheaper,))
        return replay(inputs, value_micro=decision.value_micro).choice == "outsource"

    if not hired(0):
        return f"{best.name} would not be hired even for nothing."
    if best.price_micro < 2:
        return ""
    price = _search(hired, 1.0, float(best.price_micro)) if hired(1) else 0.0
    return f"{best.name} wins if its price falls to {usd(float(price))} or less."


def _search(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The largest x in [low, high] found for which `holds`, which it does at `low`: bisection of the logarithm."""
    for _ in range(SEARCH_STEPS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def scaled(local: LocalOption, scale: float) -> LocalOption:
    """The local option on a machine that needs `scale` times as long: every cost of eq. (1) follows the time."""
    cost = local.cost
    return msgspec.structs.replace(
        local,
        time_s=local.time_s * scale,
        p95_s=local.p95_s * scale,
        cost=InternalCost(
            compute_micro=cost.compute_micro * scale,
            memory_micro=cost.memory_micro * scale,
            energy_micro=cost.energy_micro * scale,
            opportunity_micro=cost.opportunity_micro * scale,
            depreciation_micro=cost.depreciation_micro * scale,
        ),
    )


def _local(row: LocalRow, decision: Decision) -> ExplainedOption:
    return ExplainedOption(
        contractor=None,
        name="local",
        level="none",
        quoted_micro=None,
        price_micro=round(row.direct_micro),
        time_micro=round(row.waiting_micro + row.lateness_micro),
        risk_micro=round(row.failure_micro),
        verify_micro=0,
        p_good=row.p_good,
        success=row.p_good,
        time_s=row.time_s,
        topsis=None,
        chosen=decision.choice == "local",
        feasible=row.feasible,
        note=row.why_not,
    )


def _seller(row: SellerRow, decision: Decision) -> ExplainedOption:
    return ExplainedOption(
        contractor=row.contractor,
        name=row.name,
        level=row.level,
        quoted_micro=row.price_micro,
        price_micro=round(row.payment_micro + row.communication_micro + row.integration_micro),
        time_micro=round(row.waiting_micro + row.lateness_micro),
        risk_micro=round(row.undetected_micro + row.redo_micro + row.breach_micro),
        verify_micro=round(row.verification_micro),
        p_good=row.p_good,
        success=row.success,
        time_s=row.time_s,
        topsis=row.topsis,
        chosen=row.contractor == decision.contractor,
        feasible=True,
        note="",
    )
