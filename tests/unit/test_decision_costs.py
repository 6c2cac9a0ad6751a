"""Internal cost by equations 1 to 5, and the menu of checks, worked by hand."""

import math

import pytest

from node.decision.internal_cost import (
    MachineRates,
    Pending,
    does_not_fit,
    internal_cost,
    local_option,
    opportunity_micro,
)
from node.decision.verification import CheckFigures, VerificationConfig, figures, verification_options
from protocol.specification import LEVELS

RATES = MachineRates(
    hourly_rate_usd=0.36,
    memory_hourly_usd=0.36,
    memory_bytes=16 * 2**30,
    power_watts=1000,
    utilization=0.9,
    energy_usd_per_kwh=0.2,
    pue=1.5,
    purchase_usd=8_760,
    lifetime_hours=8_760,
)


def test_ten_seconds_cost_what_the_owner_pays_for_them() -> None:
    # 10 s at $.36/h = $.001; a quarter of the memory for $.00025; 1 kW * .9 * 10/3600 h * $.2 * 1.5 = $.00075.
    cost = internal_cost(10, RATES, memory_bytes=4 * 2**30)
    assert cost.compute_micro == pytest.approx(1_000)
    assert cost.memory_micro == pytest.approx(250)
    assert cost.energy_micro == pytest.approx(750)
    assert (cost.opportunity_micro, cost.depreciation_micro) == (0, 0)
    assert cost.total_micro == pytest.approx(2_000)


def test_depreciation_and_energy_are_counted_once() -> None:
    apart = MachineRates(
        hourly_rate_usd=0.36,
        rate_includes_depreciation=False,
        rate_includes_energy=True,
        purchase_usd=8_760,
        lifetime_hours=8_760,
    )
    cost = internal_cost(3_600, apart)
    assert cost.depreciation_micro == pytest.approx(1e6)
    assert cost.energy_micro == 0


def test_a_run_that_takes_a_part_of_the_machine_costs_that_part() -> None:
    whole, half = internal_cost(10, RATES), internal_cost(10, RATES, machine_share=0.5)
    assert half.compute_micro == whole.compute_micro / 2
    assert half.energy_micro == whole.energy_micro / 2


def test_opportunity_is_the_best_waiting_rate_and_never_more_than_all_that_waits() -> None:
    # Eq. (5): the better of 10/5 and 30/10 a second, for 4 s.
    queue = [Pending(10, 5), Pending(30, 10)]
    assert opportunity_micro(4, queue) == pytest.approx(12)
    assert opportunity_micro(1_000, queue) == 40
    assert opportunity_micro(4, []) == 0
    assert opportunity_micro(4, [Pending(10, 0)]) == 10


def test_what_does_not_fit_into_memory_is_not_feasible_and_says_so() -> None:
    option = local_option(time_s=1, p95_s=2, samples=0, success=0.99, rates=RATES, memory_bytes=15 * 2**30)
    assert not option.feasible
    assert option.why_not == "it does not fit: it needs 15 GiB of memory and 14.7 GiB can be used"
    assert does_not_fit(14 * 2**30, RATES) == ""
    assert does_not_fit(2**50, MachineRates()) == ""


def test_the_nodes_own_queue_is_waited_for_and_not_paid_for() -> None:
    option = local_option(time_s=10, p95_s=12, samples=3, success=0.9, rates=RATES, wait_s=5)
    assert (option.time_s, option.p95_s, option.samples) == (15, 17, 3)
    assert option.cost == internal_cost(10, RATES)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
def test_times_and_rates_that_cannot_be_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="time_s is"):
        internal_cost(wrong, RATES)
    with pytest.raises(ValueError, match="machine_share is"):
        internal_cost(1, RATES, machine_share=wrong)
    with pytest.raises(ValueError, match=r"Pending\.value_micro is"):
        opportunity_micro(1, [Pending(wrong, 1)])
    with pytest.raises(ValueError, match=r"MachineRates\.hourly_rate_usd is"):
        MachineRates(hourly_rate_usd=wrong)


def test_the_menu_holds_what_the_verifier_supports_after_accepting_unseen() -> None:
    options = verification_options("ocr", ("full", "cheap"), work_micro=1_000, work_s=10)
    assert [option.level for option in options] == ["none", "cheap", "full"]
    assert options[0].detection == 0
    assert options[1].cost_micro == pytest.approx(90)
    assert options[2].time_s == pytest.approx(1.4)
    assert all(option.assumed for option in options[1:])
    assert [option.level for option in verification_options("ocr", (), work_micro=1, work_s=1)] == ["none"]


def test_measured_figures_come_before_assumed_ones_and_are_not_marked() -> None:
    measured = VerificationConfig(measured={"risk": {"full": CheckFigures(work_share=0.5, detection=0.6)}})
    _, option = verification_options("risk", ("full",), work_micro=1_000, work_s=10, config=measured)
    assert (option.cost_micro, option.detection, option.assumed) == (500, 0.6, False)


def test_every_level_has_figures_for_every_skill() -> None:
    for skill in ("document-analysis", "risk", "portfolio", "sentiment", "anything"):
        for level in LEVELS[1:]:
            assert 0 < figures(skill, level, VerificationConfig()).detection <= 1
    with pytest.raises(ValueError, match="no figures for a check at level 'none'"):
        figures("risk", "none", VerificationConfig())


def test_a_skill_that_was_never_measured_can_be_priced_however_long_it_may_take() -> None:
    option = local_option(time_s=9e8, p95_s=1e9, samples=0, success=0.99, rates=MachineRates(), wait_s=9e8)
    assert (option.time_s, option.p95_s) == (1e9, 1e9)
