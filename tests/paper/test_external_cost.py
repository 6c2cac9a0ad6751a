"""COALESCE section III.E.2: external cost, worked by hand."""

import pytest

from node.decision.config import DecisionConfig
from node.decision.engine import decide
from node.decision.external_cost import communication_micro
from node.decision.inputs import NO_VERIFICATION, Candidate, InternalCost, LocalOption, TaskFacts, VerificationOption
from node.decision.risk import risk_cost_micro
from node.market.pricing import Load, PricingConfig, demand_factor_ppm, quote_price_micro


def test_eq_6_external_cost_is_the_sum_of_six_terms_in_expectation() -> None:
    """COALESCE eq. (6): price, communication, verification, integration, risk and latency penalty."""
    config = DecisionConfig(
        audit_least=0,
        shirk_share=0,
        integration_micro=7,
        protocol_overhead_micro=3,
        transfer_usd_per_gb=0,
        dishonest_share=0.001,
        claim_most=0.95,
        claim_jobs=20,
    )
    seller = Candidate(
        key=b"a", name="a", price_micro=40, duration_s=2, p95_s=2, claimed_success=1.0, successes=18, jobs=18
    )
    facts = TaskFacts(
        skill="risk", budget_micro=1000, deadline_s=600, value_micro=500, privacy="internal", time_value_micro_per_s=2
    )
    local = LocalOption(feasible=True, time_s=1, p95_s=1, success=1.0, cost=InternalCost(compute_micro=498))
    full = VerificationOption(level="full", cost_micro=5, time_s=1, detection=0.9)
    row = decide(facts, local, [seller], [NO_VERIFICATION, full], config).rows[0]
    q, mean = (20 * 0.95 + 18) / 38, (2 * 0.9 + 18) / 20
    breach = (0.02 + 0.1 * (1 - mean)) * 0.3 * 0.5
    price = q * 40 + (1 - q) * 0.1 * 40
    risk = (1 - q) * (0.9 * 500 + 0.1 * 500) + 500 * breach
    assert dict(row.levels)["full"] == pytest.approx(price + 3 + 5 + 2 * 1 + 7 + risk + 2 * 2, rel=1e-5)


@pytest.mark.parametrize(
    ("demand", "slots", "factor"), [(0, 4, 0.85), (2, 4, 1.0), (4, 4, 1.5), (8, 4, 2.0), (99, 4, 3)]
)
def test_eq_7_a_price_rises_with_demand_and_falls_with_free_slots(demand: int, slots: int, factor: float) -> None:
    """COALESCE eq. (7): base (1 + .5 (D - S_available) / S_total) beta, D and S in jobs, clamped to .85 to 3."""
    config = PricingConfig(demand_sensitivity_ppm=500_000)
    assert demand_factor_ppm(Load(demand, slots), config) == factor * 1e6
    assert quote_price_micro(1000, Load(demand, slots), config, complexity_ppm=2_000_000) == 2000 * factor


def test_eq_8_communication_is_bytes_times_the_price_of_transfer_and_the_overhead() -> None:
    """COALESCE eq. (8): the print divides by the bandwidth, which leaves s*$/GB."""
    config = DecisionConfig(transfer_usd_per_gb=0.09, protocol_overhead_micro=10)
    assert communication_micro(3 * 10**9, config) == pytest.approx(270_010)


def test_eq_9_risk_is_value_times_severity_times_the_chance_of_any_of_three() -> None:
    """COALESCE eq. (9): V gamma (1 - (1-P_f)(1-P_s)(1-P_q)); the print names gamma and leaves it out."""
    assert risk_cost_micro(1000, (0.1, 0.05, 0.02)) == pytest.approx(1000 * (1 - 0.9 * 0.95 * 0.98))
    assert risk_cost_micro(1000, (0.1, 0.05, 0.02), gamma=3) == pytest.approx(3000 * (1 - 0.9 * 0.95 * 0.98))
