"""The decision: do it here, or hire which seller and check how closely; least expected total cost, hard LOCAL gate.

Pure and total: checked inputs in, a `Decision` with every number and reason out. Sellers are screened, each is
priced at its best verification level (external_cost), the policy picks one, and it is hired only if it costs less
than the local option. A task that this node cannot do costs, undone, its value bounded by its budget.
"""

from collections.abc import Iterable

from node.decision.config import DecisionConfig
from node.decision.decision import Choice, Decision, Excluded, LocalRow, SellerRow, digest
from node.decision.external_cost import LevelTerms, SellerTerms, Stakes, level_terms, seller_terms, sensitivity
from node.decision.inputs import Candidate, Inputs, LocalOption, TaskFacts, VerificationOption
from node.decision.reliability import wilson
from node.decision.risk import cvar, late_probability, spread
from node.decision.screening import affordable, exclusion, levels_allowed, usd
from node.decision.topsis import closeness, fall, weights

TOPSIS_COST_RANGE = 2.0
"""Best 0, worst twice the local cost: what costs more is equally out of the question."""
STRANGER_JOBS = 3


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
    rows, excluded = evaluate(inputs, local, value)
    limit = limit_micro(facts, local, config)
    chosen = _pick(rows, limit, config)
    ranking = _ranking(rows, chosen, limit)
    others = (row.contractor for row in rows if row is not chosen)
    choice: Choice = "outsource" if chosen else "local" if local.feasible else "none"
    return Decision(
        choice=choice,
        contractor=chosen.contractor if chosen else None,
        level=chosen.level if chosen else "none",
        reason=_reason(facts, local, rows, excluded, chosen, limit),
        local=local,
        rows=rows,
        excluded=excluded,
        ranking=ranking,
        runner_up=next(others, None),
        value_micro=value,
        limit_micro=limit,
        saving_micro=local.total_micro - chosen.total_micro if chosen else 0.0,
        warnings=_warnings(inputs, local, rows, chosen),
        explored=False,
        inputs=inputs,
        inputs_sha256=digest(inputs),
    )


def _pick(rows: tuple[SellerRow, ...], limit_micro: float, config: DecisionConfig) -> SellerRow | None:
    below = [row for row in rows if row.score_micro < limit_micro]
    if not below:
        return None
    band = min(row.score_micro for row in below) * (1 + config.tie_share)
    near = (row for row in below if row.score_micro <= band)
    return min(near, key=lambda row: (-row.topsis, row.score_micro, row.contractor))


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
        why_not = f"it takes about {local.time_s:.3g} s here; the deadline leaves {facts.deadline_s:.3g} s"
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


def evaluate(inputs: Inputs, local: LocalRow, value_micro: float) -> tuple[tuple[SellerRow, ...], tuple[Excluded, ...]]:
    """Every seller at its best level, best first; and those that are out."""
    facts, config = inputs.facts, inputs.config
    stakes = Stakes(
        value_micro=value_micro,
        time_value_micro_per_s=time_value_micro_per_s(facts, config),
        sensitivity=sensitivity(facts.privacy, config),
        not_done_micro=_not_done_micro(facts, value_micro),
        local_feasible=local.feasible,
        local_total_micro=local.total_micro,
        local_time_s=local.time_s,
        local_p_good=local.p_good,
    )
    allowed = levels_allowed(facts, inputs.options)
    weight = weights(config)
    rows: list[SellerRow] = []
    excluded: list[Excluded] = []
    for candidate in inputs.candidates:
        if (out := exclusion(facts, candidate, allowed, config)) is not None:
            excluded.append(out)
            continue
        terms = seller_terms(facts, candidate, config, stakes)
        priced = [
            level_terms(facts, candidate, option, terms, config, stakes)
            for option in allowed
            if affordable(facts, candidate, option, terms.time_s)
        ]
        if priced:
            rows.append(_seller_row(candidate, terms, priced, facts, config, stakes, weight))
        else:
            text = "checking its work at any allowed level goes over the budget, a cap or the deadline"
            excluded.append(Excluded(contractor=candidate.key, name=candidate.name, code="level", text=text))
    rows.sort(key=lambda row: (row.score_micro, row.contractor))
    excluded.sort(key=lambda out: out.contractor)
    return tuple(rows), tuple(excluded)


def _seller_row(
    candidate: Candidate,
    terms: SellerTerms,
    priced: list[LevelTerms],
    facts: TaskFacts,
    config: DecisionConfig,
    stakes: Stakes,
    weight: tuple[float, ...],
) -> SellerRow:
    """One seller at the level of least score; of equal ones, the one that checks least."""
    best = min(priced, key=lambda level: level.score_micro)
    low, high = wilson(candidate.successes, candidate.failures)
    # Only criteria that no level changes, but the total: a dominated seller then never scores above its better.
    goodness = (
        fall(best.score_micro, TOPSIS_COST_RANGE * stakes.local_total_micro),
        terms.success,
        fall(terms.time_s, facts.deadline_s),
        1.0 - terms.p_breach,
    )
    return SellerRow(
        contractor=candidate.key,
        name=candidate.name,
        level=best.option.level,
        assumed=best.option.assumed,
        price_micro=candidate.price_micro,
        payment_micro=best.payment_micro,
        communication_micro=terms.communication_micro,
        integration_micro=config.integration_micro,
        verification_micro=best.verification_micro,
        waiting_micro=stakes.time_value_micro_per_s * terms.time_s,
        lateness_micro=best.lateness_micro,
        undetected_micro=best.undetected_micro,
        redo_micro=best.redo_micro,
        breach_micro=terms.breach_micro,
        total_micro=best.total_micro,
        score_micro=best.score_micro,
        success=terms.success,
        success_mean=terms.success_mean,
        wilson_low=low,
        wilson_high=high,
        p_good=best.p_good,
        p_late=best.p_late,
        p_breach=terms.p_breach,
        time_s=terms.time_s,
        topsis=closeness(goodness, weight),
        levels=tuple((level.option.level, level.total_micro) for level in priced),
    )


def _ranking(rows: tuple[SellerRow, ...], chosen: SellerRow | None, limit: float) -> tuple[bytes, ...]:
    if chosen is None:
        return ()
    rest = (row.contractor for row in rows if row is not chosen and row.score_micro < limit)
    return (chosen.contractor, *rest)


def _reason(
    facts: TaskFacts,
    local: LocalRow,
    rows: tuple[SellerRow, ...],
    excluded: tuple[Excluded, ...],
    chosen: SellerRow | None,
    limit: float,
) -> str:
    """The deciding comparison in one sentence."""
    here = f"doing it here costs {usd(local.total_micro)}"
    if not local.feasible:
        here = f"this node cannot do it ({local.why_not}), and leaving it undone costs {usd(local.total_micro)}"
    if chosen is not None:
        return f"{chosen.name} is expected to cost {usd(chosen.total_micro)} in all; {here}."
    if rows:
        best = rows[0]
        wanted = f", and --prefer local asks for less than {usd(limit)}" if facts.prefer == "local" else ""
        return f"No seller costs less: {here}{wanted}; the best seller, {best.name}, {usd(best.total_micro)} in all."
    if excluded:
        return f"None of {len(excluded)} offers can be taken: {here}. {excluded[0].name} {excluded[0].text}."
    return f"Nobody offers {facts.skill}: {here}."


def _warnings(
    inputs: Inputs, local: LocalRow, rows: tuple[SellerRow, ...], chosen: SellerRow | None
) -> tuple[str, ...]:
    """What the reader should know before trusting the numbers."""
    found: list[str] = []
    if local.feasible and inputs.local.samples == 0:
        found.append("The local time is a guess: this kind of task was never measured here.")
    if local.feasible and inputs.local.p95_s > inputs.facts.deadline_s:
        found.append(
            f"The local p95 of {inputs.local.p95_s:.3g} s is over the deadline of {inputs.facts.deadline_s:.3g} s."
        )
    if chosen is None:
        return tuple(found)
    candidate = next(one for one in inputs.candidates if one.key == chosen.contractor)
    if candidate.jobs < STRANGER_JOBS:
        found.append(f"{chosen.name} is nearly a stranger: {candidate.jobs} jobs with it so far.")
    if chosen.level != "none" and chosen.assumed:
        found.append(f"How much a {chosen.level} check finds is assumed for {inputs.facts.skill}, not measured.")
    if len(rows) == 1:
        found.append("Only one seller to choose from.")
    return tuple(found)
