"""A decision in a form that a person can check: one line an option, then the sentences that decide it.

    option   price    +time    +risk    +verify  =total   p(good)

Price is what is paid in expectation, or burnt here, with communication, escrow and integration; time is waiting and the
chance of being late; risk is bad work and breach.
"""

from collections.abc import Callable

import msgspec

from node.decision.decision import Choice, Decision, LocalRow, SellerRow
from node.decision.engine import replay
from node.decision.grounds import grounds
from node.decision.inputs import Candidate
from node.decision.whatif import scaled
from node.wording import duration, usd
from protocol.specification import Level

PRECISION = 0.004
"""Of a break-even, relative: two digits of it are shown."""
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
    """The explanation of `decision`. It searches for the break-even, which costs a few more decisions."""
    options = [_local(decision.local, decision), *(_seller(row, decision) for row in decision.rows)]
    # Rows come best first, and stay so where whole micro-dollars are equal: the first one is what the sentences name.
    options.sort(key=lambda option: (not option.chosen, not option.feasible, option.total_micro))
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
    sentences = (decision.reason, break_even(decision), explored, *grounds(decision), *decision.warnings)
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

    def at(scale: float) -> Decision:
        inputs = msgspec.structs.replace(decision.inputs, local=scaled(local, scale))
        return replay(inputs, value_micro=decision.value_micro)

    fastest = at(LEAST_SCALE)
    if fastest.choice != "local":
        return "Local would not win however fast it were."
    scale = _search(at, "local", (LEAST_SCALE, fastest), (1.0, decision))
    return f"Local wins if its p95 falls under {duration(local.p95_s * scale)}."


def _price_break_even(decision: Decision) -> str:
    if not decision.rows:
        return ""
    best = decision.rows[0]
    candidate = next(one for one in decision.inputs.candidates if one.key == best.contractor)

    def at(price_micro: float) -> Decision:
        cheaper: Candidate = msgspec.structs.replace(candidate, price_micro=int(price_micro))
        inputs = msgspec.structs.replace(decision.inputs, candidates=(cheaper,))
        return replay(inputs, value_micro=decision.value_micro)

    if at(0).choice != "outsource":
        return f"{best.name} would not be hired even for nothing."
    if best.price_micro < 2:
        return ""
    cheapest = at(1)
    hired = cheapest.choice == "outsource"
    price = _search(at, "outsource", (1.0, cheapest), (float(best.price_micro), decision)) if hired else 0.0
    return f"{best.name} wins if its price falls to {usd(float(price))} or less."


def _search(
    at: Callable[[float], Decision], choice: Choice, low: tuple[float, Decision], high: tuple[float, Decision]
) -> float:
    """The largest x found between the two, to `PRECISION`, at which the decision is `choice`, as it is at the low one.

    Costs follow x in nearly straight lines, so the turn is looked for where these cross; then by bisection of the
    logarithm.
    """
    least, most = low[0], high[0]
    crossing = _crossing(low, high)
    for probe in (crossing * (1.0 - PRECISION / 2), crossing * (1.0 + PRECISION / 2)):
        if least < probe < most:
            least, most = (probe, most) if at(probe).choice == choice else (least, probe)
    while most > least * (1.0 + PRECISION) ** 1.5:
        middle = (least * most) ** 0.5
        least, most = (middle, most) if at(middle).choice == choice else (least, middle)
    return least


def _crossing(low: tuple[float, Decision], high: tuple[float, Decision]) -> float:
    """Where the best seller costs just as much as the gate allows, if that changes in a straight line; 0 if unknown."""
    if not (low[1].rows and high[1].rows):
        return 0.0
    at_low, at_high = (decision.rows[0].score_micro - decision.limit_micro for _, decision in (low, high))
    if at_low == at_high:
        return 0.0
    return low[0] + (high[0] - low[0]) * at_low / (at_low - at_high)


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
        price_micro=round(row.payment_micro + row.communication_micro + row.settlement_micro + row.integration_micro),
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
