"""What hiring costs: COALESCE eq. (6), all six terms, as an expectation over what may come back.

    E[C_j,l] = communication + settlement + integration + verification_l + latency penalty
             + q P + (1-q) [ d_l redo + (1-d_l)(P + V) ] + V gamma P_breach

q is the pessimistic success probability, P the quote (paid on acceptance), d_l the detection probability of
verification level l, V the value at risk, and redo the cost of doing the work here after a bad result was found.
"""

from typing import NamedTuple

from node.decision.config import DecisionConfig
from node.decision.inputs import Candidate, TaskFacts, VerificationOption
from node.decision.reliability import posterior
from node.decision.risk import breach_probability, cvar, late_probability, risk_cost_micro, spread
from protocol.specification import Privacy

BYTES_PER_GB = 1e9


class Stakes(NamedTuple):
    """What the task puts at stake, resolved once for all sellers."""

    value_micro: float
    time_value_micro_per_s: float
    sensitivity: float
    """DS of eq. (15)."""
    not_done_micro: float
    """Cost of the task staying undone: its value, bounded by its budget."""
    local_feasible: bool
    local_total_micro: float
    """The local total; where this node cannot do the task, the cost of not doing it."""
    local_time_s: float
    local_p_good: float


class SellerTerms(NamedTuple):
    """What does not depend on the verification level."""

    prior: float
    """The claim, as discounted."""
    success_mean: float
    success_deviation: float
    communication_micro: float
    fixed_micro: float
    """Communication, settlement, integration, waiting and breach."""
    time_s: float
    sigma: float
    p_breach: float
    breach_micro: float


class LevelTerms(NamedTuple):
    """One seller at one verification level; the nine costs add up to `total_micro`."""

    option: VerificationOption
    payment_micro: float
    verification_micro: float
    lateness_micro: float
    undetected_micro: float
    redo_micro: float
    p_late: float
    p_good: float
    total_micro: float
    score_micro: float
    preference_micro: float
    """By which the levels of one seller are compared: what each adds, so that no rounding of the whole decides."""


def communication_micro(total_bytes: int, config: DecisionConfig) -> float:
    """COALESCE eq. (8): bytes times the price of transfer, plus the protocol's overhead.

    The print divides by the bandwidth, which leaves s*$/GB; the time that the transfer takes is in `seller_time_s`.
    An overhead of None is for whoever knows the machine's rates to fill in before (`node/outsource`); here it is 0.
    """
    return total_bytes / BYTES_PER_GB * config.transfer_usd_per_gb * 1e6 + (config.protocol_overhead_micro or 0.0)


def transfer_s(facts: TaskFacts, candidate: Candidate, config: DecisionConfig) -> float:
    """Time before and beside the work: its price locked, round trips, and both contents through the bandwidth."""
    bandwidth = candidate.bandwidth_bytes_per_s or config.bandwidth_bytes_per_s
    wire_s = config.round_trips * candidate.rtt_s + (facts.input_bytes + facts.expected_output_bytes) / bandwidth
    return candidate.settlement_s + wire_s if candidate.settlement_s else wire_s


def sensitivity(privacy: Privacy, config: DecisionConfig) -> float:
    """DS of eq. (15): how much a leak of data of this privacy level matters, 0 to 1."""
    match privacy:
        case "public":
            return 0.0
        case "internal":
            return config.internal_sensitivity
        case "confidential":
            return config.confidential_sensitivity
        case "secret":
            return 1.0


def seller_terms(facts: TaskFacts, candidate: Candidate, config: DecisionConfig, stakes: Stakes) -> SellerTerms:
    """The terms that one seller has at every level."""
    claim = config.prior_factor * candidate.claimed_success * candidate.advertised_success
    others = candidate.told(config)
    successes, failures = candidate.successes + others.successes, candidate.failures + others.failures
    mean, deviation = posterior(successes, failures, prior_mean=claim, prior_jobs=config.prior_jobs)
    wire_s = transfer_s(facts, candidate, config)
    general = min(1.0, config.breach_base + config.breach_slope * (1.0 - mean))
    strength = config.channel_strength if candidate.channel_strength is None else candidate.channel_strength
    p_breach = breach_probability((general, *candidate.breach_probabilities), stakes.sensitivity, strength)
    moved_micro = communication_micro(facts.input_bytes + facts.expected_output_bytes, config)
    breach_micro = risk_cost_micro(stakes.value_micro, (p_breach,), config.gamma)
    time_s = wire_s + candidate.duration_s
    waited_micro = stakes.time_value_micro_per_s * (time_s + candidate.ahead_s)
    fixed = moved_micro + config.integration_micro + waited_micro + breach_micro
    if candidate.settlement_micro:
        fixed += candidate.settlement_micro
    return SellerTerms(
        prior=claim,
        success_mean=mean,
        success_deviation=deviation,
        communication_micro=moved_micro,
        fixed_micro=fixed,
        time_s=time_s,
        sigma=spread(time_s, wire_s + candidate.p95_s),
        p_breach=p_breach,
        breach_micro=breach_micro,
    )


class LevelBase(NamedTuple):
    """What one seller at one level costs whatever the belief in it."""

    check_micro: float
    """The check, the time it takes, and being late by it; without bought work."""
    lateness_micro: float
    redo_micro: float
    redo_good: float
    p_late: float


def level_base(facts: TaskFacts, option: VerificationOption, terms: SellerTerms, stakes: Stakes) -> LevelBase:
    """The part of a level's cost that no success probability enters."""
    spent_s = terms.time_s + option.time_s
    redo, redo_good = redo_micro(spent_s, facts, stakes)
    p_late = late_probability(spent_s, terms.sigma, facts.deadline_s)
    lateness = p_late * stakes.value_micro
    check = option.cost_micro + stakes.time_value_micro_per_s * option.time_s + lateness
    return LevelBase(check, lateness, redo, redo_good, p_late)


def redo_micro(spent_s: float, facts: TaskFacts, stakes: Stakes) -> tuple[float, float]:
    """Cost and success probability of doing the work here after `spent_s` seconds were lost on a bad result.

    Where the deadline leaves no time for that, it stays undone.
    """
    if not stakes.local_feasible:
        return stakes.not_done_micro, 0.0
    if spent_s + stakes.local_time_s <= facts.deadline_s:
        return stakes.local_total_micro, stakes.local_p_good
    return max(stakes.local_total_micro, stakes.not_done_micro), 0.0


def level_terms(
    facts: TaskFacts,
    candidate: Candidate,
    option: VerificationOption,
    terms: SellerTerms,
    success: float,
    config: DecisionConfig,
    stakes: Stakes,
) -> LevelTerms:
    """Expected total cost of hiring `candidate`, believed to be good with `success`, and checking at `option`.

    The steps of the total are those of `policies.pricing.price`, so that both give the same bits.
    """
    price, value, q, d = candidate.price_micro, stakes.value_micro, success, option.detection
    base = level_base(facts, option, terms, stakes)
    bad, bought = 1.0 - q, 0.0
    added = bad * (base.redo_micro - value - price) * d + base.check_micro
    if option.price_share:
        bought = option.price_share * price
        added += bought
    total = added + (terms.fixed_micro + price + bad * value)
    found, missed = bad * d, bad * (1.0 - d)
    score, preference = total, added
    if config.risk_weight > 0.0:
        fixed = terms.fixed_micro - terms.breach_micro + (base.check_micro - base.lateness_micro) + bought
        outcomes = _outcomes(
            fixed, price, value, base.redo_micro, q, found, missed, base.p_late, terms.p_breach, config.gamma
        )
        score = preference = (1.0 - config.risk_weight) * total + config.risk_weight * cvar(outcomes, config.tail)
    return LevelTerms(
        option=option,
        payment_micro=(q + missed) * price,
        verification_micro=base.check_micro - base.lateness_micro + bought,
        lateness_micro=base.lateness_micro,
        undetected_micro=missed * value,
        redo_micro=found * base.redo_micro,
        p_late=base.p_late,
        p_good=q + found * base.redo_good,
        total_micro=total,
        score_micro=score,
        preference_micro=preference,
    )


def _outcomes(
    fixed: float,
    price: float,
    value: float,
    redo: float,
    q: float,
    found: float,
    missed: float,
    p_late: float,
    p_breach: float,
    gamma: float,
) -> list[tuple[float, float]]:
    """All (probability, cost) of one hire: the work good, found bad or missed, late or not, leaked or not."""
    return [
        (p_work * p_time * p_leak, fixed + work + time + leak)
        for p_work, work in ((q, price), (found, redo), (missed, price + value))
        for p_time, time in ((1.0 - p_late, 0.0), (p_late, value))
        for p_leak, leak in ((1.0 - p_breach, 0.0), (p_breach, value * gamma))
    ]
