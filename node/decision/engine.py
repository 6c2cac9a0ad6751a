"""The decision: do it here, or hire which seller and check how closely; least expected total cost, hard LOCAL gate.

Pure and total: checked inputs in, a `Decision` with every number and reason out. Five phases, as in COALESCE Listing 1:
sellers are screened and priced (external_cost), weighed and scored, the policy picks one, it is explained at its best
verification level (rows), and hired only if it costs less than the local option. A task that this node cannot do costs,
undone, its value bounded by its budget.
"""

from collections.abc import Iterable

import numpy as np

from node.decision.config import DecisionConfig
from node.decision.decision import Choice, Decision, LocalRow, SellerRow, digest
from node.decision.exploration import watched
from node.decision.external_cost import Stakes, sensitivity
from node.decision.inputs import Candidate, Inputs, LocalOption, TaskFacts, VerificationOption
from node.decision.menu import menu_of, sellers_of
from node.decision.policies import batch
from node.decision.policies.interface import LOCAL
from node.decision.policies.pricing import ceiling_micro
from node.decision.policies.registry import policy
from node.decision.reasons import reason, warnings
from node.decision.risk import cvar, late_probability, spread
from node.decision.rows import Row, rows_of
from node.decision.screening import levels_allowed
from node.decision.state import experience_of
from node.wording import duration


def decide(
    facts: TaskFacts,
    local: LocalOption,
    candidates: Iterable[Candidate],
    options: Iterable[VerificationOption],
    config: DecisionConfig | None = None,
) -> Decision:
    """Choose LOCAL, one seller with a verification level, or nothing.

    Raises ValueError for a seller or a level given twice, and for no level at all; each value was checked when it
    was built. No candidates is an ordinary case: LOCAL, or `none` where this node cannot do the task.
    """
    return replay(
        Inputs(
            facts=facts,
            local=local,
            candidates=tuple(candidates),
            options=tuple(options),
            config=config or DecisionConfig(),
        )
    )


def replay(inputs: Inputs, *, value_micro: float | None = None) -> Decision:
    """The decision that follows from `inputs`: the same to the last bit, every time.

    `value_micro` holds V fixed where inputs are varied that it would otherwise be taken from.
    """
    facts, config = inputs.facts, inputs.config
    value = task_value_micro(facts, inputs.local, config) if value_micro is None else value_micro
    local = local_row(facts, inputs.local, config, value)
    stakes = stakes_of(facts, local, config, value)
    limit = limit_micro(facts, local, config)
    sellers, excluded = sellers_of(inputs, stakes)
    experience = experience_of([seller.candidate for seller in sellers], inputs.memory, config)
    rule = policy(config.policy)
    rows: tuple[Row, ...] = ()
    chosen: Row | None = None
    explored = False
    ceiling: float | None = None
    if sellers:
        menu = menu_of(facts, sellers, levels_allowed(facts, inputs.options), stakes, limit, config)
        draw = np.random.Generator(np.random.PCG64(inputs.seed)) if rule.draws else None
        pick, priced = batch.choose(rule, menu, experience, config, draw)
        column, explored = int(pick.seller), bool(pick.explored)
        level = menu.checks[int(pick.level)].level
        levels = {column: level} if column != LOCAL else {}
        careful = None if priced.careful is None else priced.careful.tolist()
        if careful is not None and menu.has_local:
            ceiling = float(np.min(ceiling_micro(menu, experience, config)))
        rows = rows_of(facts, sellers, priced.success.tolist(), careful, levels, stakes, config)
        chosen = next((row for row in rows if row.column == column), None)
    shown = tuple(row.seller for row in rows)
    hired = chosen.seller if chosen else None
    is_audited = hired is not None and hired.level == "none" and chosen is not None and chosen.draw < hired.audit_rate
    choice: Choice = "outsource" if hired else "local" if local.feasible else "none"
    exploration = watched(rule, experience, config)
    return Decision(
        choice=choice,
        contractor=hired.contractor if hired else None,
        level=hired.audit_level if is_audited and hired else hired.level if hired else "none",
        audited=is_audited,
        reason=reason(facts, local, shown, excluded, hired, limit, ceiling, is_tried=explored),
        local=local,
        rows=shown,
        excluded=excluded,
        ranking=(hired.contractor, *(r.contractor for r in shown if r is not hired and _worth(r, limit, ceiling)))
        if hired
        else (),
        runner_up=next((row.contractor for row in shown if row is not hired), None),
        value_micro=value,
        limit_micro=limit,
        ceiling_micro=ceiling,
        saving_micro=local.total_micro - hired.total_micro if hired else 0.0,
        warnings=warnings(inputs, local, shown, hired, exploration),
        explored=explored,
        exploration=exploration,
        inputs=inputs,
        inputs_sha256=digest(inputs),
    )


def _worth(row: SellerRow, limit_micro: float, ceiling_micro: float | None) -> bool:
    return row.score_micro < limit_micro and (ceiling_micro is None or row.doubted_micro <= ceiling_micro)


def stakes_of(facts: TaskFacts, local: LocalRow, config: DecisionConfig, value_micro: float) -> Stakes:
    """What the task puts at stake, resolved once for all sellers."""
    return Stakes(
        value_micro=value_micro,
        time_value_micro_per_s=time_value_micro_per_s(facts, config),
        sensitivity=sensitivity(facts.privacy, config),
        not_done_micro=_not_done_micro(facts, value_micro),
        local_feasible=local.feasible,
        local_total_micro=local.total_micro,
        local_time_s=local.time_s,
        local_p_good=local.p_good,
    )


def task_value_micro(facts: TaskFacts, local: LocalOption, config: DecisionConfig) -> float:
    """V: as the owner states it, else `default_value_ratio` local costs, bounded by the budget.

    A budget of 0 means free work only, not worthless work, and bounds nothing.
    """
    if facts.value_micro is not None:
        return float(facts.value_micro)
    if not local.feasible:
        return float(facts.budget_micro or config.least_value_micro)
    rate = config.time_value_micro_per_s if facts.time_value_micro_per_s is None else facts.time_value_micro_per_s
    assumed = config.default_value_ratio * (local.cost.total_micro + rate * local.time_s)
    return min(assumed, float(facts.budget_micro)) if facts.budget_micro else assumed


def time_value_micro_per_s(facts: TaskFacts, config: DecisionConfig) -> float:
    """What one second of waiting costs, with the owner's preference."""
    rate = config.time_value_micro_per_s if facts.time_value_micro_per_s is None else facts.time_value_micro_per_s
    match facts.prefer:
        case "cheap":
            return 0.0
        case "fast":
            return rate * config.fast_factor
        case "auto" | "local":
            return rate


def limit_micro(facts: TaskFacts, local: LocalRow, config: DecisionConfig) -> float:
    """The hard gate: a seller must score below this. `prefer local` asks for a real saving."""
    if facts.prefer == "local" and local.feasible:
        return local.score_micro * (1.0 - config.local_advantage)
    return local.score_micro


def local_row(facts: TaskFacts, local: LocalOption, config: DecisionConfig, value_micro: float) -> LocalRow:
    """The local option priced with the same yardstick as a seller: direct cost, waiting, lateness, failure."""
    why_not = local.why_not or "this node does not have the skill"
    feasible = local.feasible
    if feasible and local.time_s > facts.deadline_s:
        feasible = False
        why_not = (
            f"it takes about {duration(local.time_s, 3)} here; the deadline leaves {duration(facts.deadline_s, 3)}"
        )
    if not feasible:
        undone = _not_done_micro(facts, value_micro)
        return LocalRow(
            feasible=False,
            why_not=why_not,
            cost=local.cost,
            direct_micro=0.0,
            waiting_micro=0.0,
            lateness_micro=0.0,
            failure_micro=undone,
            total_micro=undone,
            score_micro=undone,
            time_s=0.0,
            p_late=1.0,
            p_good=0.0,
        )
    direct = local.cost.total_micro
    waiting = time_value_micro_per_s(facts, config) * local.time_s
    p_late = late_probability(local.time_s, spread(local.time_s, local.p95_s), facts.deadline_s)
    lateness, failure = p_late * value_micro, (1.0 - local.success) * value_micro
    total = direct + waiting + lateness + failure
    score = total
    if config.risk_weight > 0.0:
        outcomes = [
            (p_work * p_time, direct + waiting + work + time)
            for p_work, work in ((local.success, 0.0), (1.0 - local.success, value_micro))
            for p_time, time in ((1.0 - p_late, 0.0), (p_late, value_micro))
        ]
        score = (1.0 - config.risk_weight) * total + config.risk_weight * cvar(outcomes, config.tail)
    return LocalRow(
        feasible=True,
        why_not="",
        cost=local.cost,
        direct_micro=direct,
        waiting_micro=waiting,
        lateness_micro=lateness,
        failure_micro=failure,
        total_micro=total,
        score_micro=score,
        time_s=local.time_s,
        p_late=p_late,
        p_good=local.success,
    )


def _not_done_micro(facts: TaskFacts, value_micro: float) -> float:
    return min(value_micro, float(facts.budget_micro)) if facts.budget_micro else value_micro
