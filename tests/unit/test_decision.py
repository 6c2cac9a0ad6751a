"""The decision engine on cases small enough to work out by hand."""

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.decision.config import DecisionConfig
from node.decision.decision import Decision
from node.decision.engine import decide, replay
from node.decision.explain import break_even, explain
from node.decision.external_cost import communication_micro
from node.decision.inputs import (
    NO_VERIFICATION,
    Candidate,
    Inputs,
    InternalCost,
    LocalOption,
    PolicyMemory,
    TaskFacts,
    VerificationOption,
)
from node.decision.risk import breach_probability, cvar, late_probability, risk_cost_micro, spread
from node.decision.topsis import closeness, fall
from node.decision.whatif import scaled

PLAIN = DecisionConfig(
    protocol_overhead_micro=0,
    transfer_usd_per_gb=0,
    time_value_micro_per_s=0,
    round_trips=0,
    audit_least=0,
    shirk_share=0,
)
"""Nothing but price, work and checks costs anything, and what is accepted unseen is never audited."""
TRUSTING = msgspec.structs.replace(PLAIN, doubted_share=PLAIN.dishonest_share)
"""Checks go by the same belief as the price."""
FULL = VerificationOption(level="full", cost_micro=5, detection=0.9, assumed=False)
LOCAL = LocalOption(feasible=True, time_s=1, p95_s=2, success=1.0, cost=InternalCost(compute_micro=100), samples=9)
CANNOT = LocalOption(feasible=False, why_not="this node has no GPU")


def facts(**changes: Any) -> TaskFacts:
    base = TaskFacts(skill="risk", budget_micro=1_000, deadline_s=600, value_micro=500, privacy="public")
    return msgspec.structs.replace(base, **changes)


def seller(name: str = "a", **changes: Any) -> Candidate:
    base = Candidate(
        key=name.encode(), name=name, price_micro=40, duration_s=1, p95_s=2, claimed_success=0.9, successes=18, jobs=18
    )
    return msgspec.structs.replace(base, **changes)


def made(
    *sellers: Candidate,
    task: TaskFacts | None = None,
    local: LocalOption = LOCAL,
    options: tuple[VerificationOption, ...] = (NO_VERIFICATION, FULL),
    config: DecisionConfig = PLAIN,
) -> Decision:
    return decide(task or facts(), local, sellers, options, config)


def test_the_worked_example_of_a_hire_with_a_full_check() -> None:
    # Odds of the other kinds: .135/.73 ((.25/.9)^18 + (.55/.9)^18) = 2.6e-5: its claim of .9 is believed, and weighs 60
    # jobs less 7e-6. q = (60 * .9 + 18) / 78 - 7e-6 = .923070. Unseen: q 40 + (1-q) 540 = 78.465.
    # Full check: 5 + q 40 + (1-q) (.9 * 100 + .1 * 540) = 53.001.
    decision = made(seller())
    row = decision.chosen
    assert row is not None
    assert (decision.choice, decision.level) == ("outsource", "full")
    assert row.success_mean == pytest.approx(0.981)
    assert row.success == pytest.approx(0.923070, abs=1e-6)
    assert dict(row.levels) == pytest.approx({"none": 78.465, "full": 53.001}, abs=1e-3)
    assert decision.saving_micro == pytest.approx(100 - 53.001, abs=1e-3)
    assert row.p_good == pytest.approx(0.923070 + 0.076930 * 0.9, abs=1e-6)


def test_a_level_is_taken_over_none_exactly_when_what_it_finds_pays_for_it() -> None:
    # Economics, section 4: check when (1-q) d (V + P - C_local) is above the cost of the check.
    row = made(seller(), config=TRUSTING).rows[0]
    pays = (1 - row.success) * 0.9 * (500 + 40 - 100)
    for cost, level in ((pays * 0.999, "full"), (pays * 1.001, "none")):
        option = msgspec.structs.replace(FULL, cost_micro=cost)
        assert made(seller(), options=(NO_VERIFICATION, option), config=TRUSTING).level == level


def test_without_sellers_a_task_is_done_here() -> None:
    decision = made()
    assert (decision.choice, decision.contractor, decision.rows, decision.ranking) == ("local", None, (), ())
    assert "There is no offer for risk" in decision.reason
    assert made(task=facts(was_asked=False)).reason.startswith("Nobody was asked about risk: doing it here costs")


def test_without_sellers_a_task_that_this_node_cannot_do_stays_undone_and_costs_its_value_within_the_budget() -> None:
    decision = made(local=CANNOT, task=facts(budget_micro=300))
    assert (decision.choice, decision.local.total_micro) == ("none", 300)
    assert "this node has no GPU" in decision.reason


def test_a_task_that_this_node_cannot_do_is_hired_below_the_cost_of_not_doing_it() -> None:
    decision = made(seller(price_micro=200), local=CANNOT)
    assert decision.choice == "outsource"
    assert decision.saving_micro == pytest.approx(500 - decision.rows[0].total_micro)
    # A bad result that is found leaves the task undone: nothing good comes of it.
    assert decision.rows[0].p_good == decision.rows[0].success


def test_a_task_is_not_hired_above_its_value_even_where_this_node_cannot_do_it() -> None:
    assert made(seller(price_micro=600), local=CANNOT).choice == "none"


def test_local_wins_where_it_is_cheaper_however_good_the_seller() -> None:
    perfect = seller(price_micro=101, successes=1e9, claimed_success=1.0)
    assert made(perfect).choice == "local"


def test_local_work_that_cannot_meet_the_deadline_is_not_an_option() -> None:
    decision = made(task=facts(deadline_s=0.5))
    assert decision.choice == "none"
    assert "takes about 1 s here; the deadline leaves 500 ms" in decision.local.why_not


def test_a_found_failure_costs_the_task_itself_when_no_time_is_left_to_do_it_here() -> None:
    slow = msgspec.structs.replace(LOCAL, time_s=10, p95_s=10)
    certain = seller(p95_s=1)
    ample = made(certain, local=slow, options=(FULL,), task=facts(deadline_s=12)).rows[0]
    tight = made(certain, local=slow, options=(FULL,), task=facts(deadline_s=10.5)).rows[0]
    bad = 1 - ample.success
    assert ample.redo_micro == pytest.approx(bad * 0.9 * 100)
    assert tight.redo_micro == pytest.approx(bad * 0.9 * 500)


@pytest.mark.parametrize(
    ("code", "says", "task", "one", "config"),
    [
        ("over_budget", "asks $0.000040; the budget is $0.000039", {"budget_micro": 39}, {}, {}),
        ("over_cap", "the spending cap leaves $0.000030", {"spend_left_micro": 30}, {}, {}),
        ("exposure", "outstanding with it leaves $0.000020", {}, {"exposure_left_micro": 20}, {}),
        (
            "exposure",
            "outstanding with unproven sellers of its subnet leaves $0.000020",
            {},
            {"exposure_left_micro": 20, "is_subnet_capped": True},
            {},
        ),
        ("late", "needs about 11.7 min; the deadline leaves 10 min", {}, {"duration_s": 700.0, "p95_s": 700.0}, {}),
        ("privacy", "secret data never leaves this node", {"privacy": "secret"}, {}, {}),
        ("privacy", "may see public data at most", {"privacy": "internal"}, {"most_private": "public"}, {}),
        ("region", "is in us-east; the task allows eu-west", {"regions": ("eu-west",)}, {"regions": ("us-east",)}, {}),
        ("region", "is in an unknown region", {"regions": ("eu-west",)}, {}, {}),
        ("skill", "matches the skill by 0.60, under 0.70", {}, {"skill_match": 0.6}, {}),
        ("level", "cannot be checked at level redundant", {"least_level": "redundant"}, {}, {}),
    ],
)
def test_who_breaks_a_hard_limit_is_out_with_the_reason(
    code: str, says: str, task: dict[str, Any], one: dict[str, Any], config: dict[str, Any]
) -> None:
    decision = made(seller(**one), task=facts(**task), config=msgspec.structs.replace(PLAIN, **config))
    (out,) = decision.excluded
    assert (decision.choice, out.code) == ("local", code)
    assert says in out.text


def test_a_second_purchase_must_fit_the_budget_too() -> None:
    twice = VerificationOption(level="redundant", price_share=1.0, detection=0.9)
    assert made(seller(), options=(twice,), task=facts(budget_micro=80)).choice == "outsource"
    (out,) = made(seller(), options=(twice,), task=facts(budget_micro=79)).excluded
    assert out.code == "level"


def test_the_least_level_that_a_task_insists_on_is_a_floor() -> None:
    cheap = VerificationOption(level="cheap", cost_micro=50, detection=0.1)
    decision = made(seller(successes=1e6), options=(NO_VERIFICATION, cheap, FULL), task=facts(least_level="cheap"))
    assert dict(decision.rows[0].levels).keys() == {"cheap", "full"}


def test_a_seller_who_may_leak_the_data_costs_more_though_its_work_is_as_good() -> None:
    leaky = seller("leaky", breach_probabilities=(0.5,))
    decision = made(seller("tight"), leaky, task=facts(privacy="confidential"))
    tight_row, leaky_row = decision.row(b"tight"), decision.row(b"leaky")
    assert tight_row is not None
    assert leaky_row is not None
    assert leaky_row.success == tight_row.success
    assert leaky_row.total_micro - tight_row.total_micro == pytest.approx(
        500 * (leaky_row.p_breach - tight_row.p_breach)
    )
    assert decision.contractor == b"tight"


def test_sellers_within_two_percent_are_equal_and_topsis_decides() -> None:
    proven = seller("proven", price_micro=1_020_000, successes=200.0)
    cheap = seller("cheap", price_micro=1_000_000, successes=90.0, duration_s=300, p95_s=300)
    task = facts(budget_micro=10_000_000, value_micro=2_000_000)
    local = msgspec.structs.replace(LOCAL, cost=InternalCost(compute_micro=2e6))
    decision = made(proven, cheap, task=task, local=local)
    assert decision.rows[0].contractor == b"cheap"
    assert decision.contractor == b"proven"
    assert decision.ranking == (b"proven", b"cheap")
    assert decision.runner_up == b"cheap"
    apart = made(proven, cheap, task=task, local=local, config=msgspec.structs.replace(PLAIN, tie_share=0.0))
    assert apart.contractor == b"cheap"


def test_who_to_try_next_is_ranked_and_holds_only_sellers_below_the_local_cost() -> None:
    decision = made(*(seller(name, price_micro=price) for name, price in (("c", 60), ("a", 20), ("d", 150), ("b", 40))))
    assert decision.ranking == (b"a", b"b", b"c")
    assert [row.contractor for row in decision.rows] == [b"a", b"b", b"c", b"d"]


def test_identical_sellers_have_a_defined_winner() -> None:
    assert made(seller("b"), seller("a"), seller("c")).contractor == b"a"


def test_preferences_change_what_waiting_costs_or_what_a_hire_must_save() -> None:
    config = msgspec.structs.replace(PLAIN, time_value_micro_per_s=1.0)
    quick = seller(duration_s=1, p95_s=1, price_micro=98, successes=1e6)
    slow_local = msgspec.structs.replace(LOCAL, time_s=20, p95_s=20)
    assert made(quick, local=slow_local, config=config).choice == "outsource"
    assert made(quick, local=slow_local, config=config, task=facts(prefer="cheap")).local.waiting_micro == 0
    assert made(quick, local=slow_local, config=config, task=facts(prefer="fast")).local.waiting_micro == 200
    kept = made(quick, local=slow_local, config=config, task=facts(prefer="local"))
    assert kept.choice == "local"
    assert "--prefer local asks for less than" in kept.reason
    assert made(quick, local=CANNOT, config=config, task=facts(prefer="local")).choice == "outsource"


def test_a_value_that_nobody_stated_is_ten_local_costs_within_the_budget() -> None:
    assert made(task=facts(value_micro=None)).value_micro == 1_000
    assert made(task=facts(value_micro=None, budget_micro=700)).value_micro == 700
    assert made(task=facts(value_micro=None, budget_micro=0)).value_micro == 1_000
    assert made(task=facts(value_micro=None, budget_micro=700), local=CANNOT).value_micro == 700
    assert made(task=facts(value_micro=None, budget_micro=0), local=CANNOT).value_micro == 1_000


def test_free_work_is_hired_on_a_budget_of_nothing() -> None:
    assert made(seller(price_micro=0), task=facts(budget_micro=0), local=CANNOT).choice == "outsource"


def test_a_weight_on_the_worst_cases_prefers_the_surer_seller() -> None:
    risky = seller("risky", price_micro=10, successes=30.0)
    sure = seller("sure", price_micro=45, successes=2_000.0)
    unseen = (NO_VERIFICATION,)
    assert made(risky, sure, options=unseen).contractor == b"risky"
    averse = msgspec.structs.replace(PLAIN, risk_weight=0.3)
    decision = made(risky, sure, options=unseen, config=averse)
    assert decision.contractor == b"sure"
    assert decision.rows[0].score_micro > decision.rows[0].total_micro


def test_warnings_say_what_is_guessed() -> None:
    guessed = msgspec.structs.replace(LOCAL, samples=0)
    option = msgspec.structs.replace(FULL, assumed=True)
    warnings = " ".join(made(seller(jobs=0), local=guessed, options=(option,)).warnings)
    for part in ("local time is a guess", "nearly a stranger", "is assumed for risk", "Only one seller"):
        assert part in warnings


def test_a_decision_survives_json_and_is_made_again_to_the_last_bit() -> None:
    decision = made(seller(), seller("b", duration_s=1 / 3, p95_s=2 / 3), seller("out", price_micro=2_000))
    again = Decision.from_json(decision.to_json())
    assert again == decision
    assert replay(again.inputs) == decision


def test_a_stored_decision_whose_inputs_were_altered_is_refused() -> None:
    text = made(seller()).to_json().replace('"price_micro":40,"duration_s"', '"price_micro":41,"duration_s"')
    with pytest.raises(ValueError, match="inputs have digest"):
        Decision.from_json(text)


def test_a_seller_or_a_level_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="names a seller twice"):
        made(seller(), seller())
    for options in ((), (FULL, FULL)):
        with pytest.raises(ValueError, match="give each level once, and at least one"):
            made(options=options)


@pytest.mark.parametrize("kind", [TaskFacts, LocalOption, Candidate, VerificationOption, InternalCost, DecisionConfig])
def test_every_number_at_the_door_refuses_nan_infinity_and_what_is_below_its_range(kind: type[msgspec.Struct]) -> None:
    by_kind: dict[type[msgspec.Struct], dict[str, Any]] = {
        TaskFacts: {"skill": "risk", "budget_micro": 1, "deadline_s": 1.0},
        LocalOption: {"feasible": True},
        Candidate: {"key": b"k", "name": "k", "price_micro": 1, "duration_s": 1.0, "p95_s": 1.0},
        VerificationOption: {"level": "full"},
    }
    required = by_kind.get(kind, {})
    tried = 0
    for field in msgspec.structs.fields(kind):
        if not any(word in str(field.type) for word in ("float", "int")) or "tuple" in str(field.type):
            continue
        for wrong in (math.nan, math.inf, -math.inf, -1.0, -1, "1", True):
            tried += 1
            with pytest.raises(ValueError, match=rf"{kind.__name__}\.{field.encode_name} is "):
                kind(**{**required, field.name: wrong})
    assert tried


def test_the_door_names_the_place_in_a_list_and_the_words_that_are_allowed() -> None:
    with pytest.raises(ValueError, match=r"Candidate\.breach_probabilities\[1\] is nan"):
        seller(breach_probabilities=(0.1, math.nan))
    with pytest.raises(ValueError, match="write one of"):
        facts(privacy="hidden")
    with pytest.raises(ValueError, match=r"p95_s is 0\.5: write at least duration_s, 1\.0"):
        seller(p95_s=0.5)
    with pytest.raises(ValueError, match=r"p95_s is 1\.0: write at least time_s, 2\.0"):
        LocalOption(feasible=True, time_s=2, p95_s=1)
    with pytest.raises(ValueError, match=r"breach_probabilities is \[\]: write a tuple"):
        seller(breach_probabilities=[])
    with pytest.raises(ValueError, match="all four TOPSIS weights are 0"):
        DecisionConfig(weight_cost=0, weight_reliability=0, weight_latency=0, weight_security=0)


def test_numpy_numbers_are_taken_as_plain_ones() -> None:
    one = seller(successes=np.float64(3.5), duration_s=np.float32(0.5))
    assert (type(one.successes), type(one.duration_s)) == (float, float)
    with pytest.raises(ValueError, match="successes is"):
        seller(successes=np.float64("nan"))


def test_local_wins_below_the_break_even_p95_and_not_above_it() -> None:
    config = msgspec.structs.replace(PLAIN, time_value_micro_per_s=20.0)
    slow = msgspec.structs.replace(LOCAL, time_s=30, p95_s=50)
    decision = made(seller(), local=slow, config=config)
    text = break_even(decision)
    assert text.startswith("Local wins if its p95 falls under ")
    p95_s = float(text.split()[-2])
    for factor, choice in ((0.95, "local"), (1.06, "outsource")):
        local = scaled(slow, factor * p95_s / slow.p95_s)
        assert decide(decision.inputs.facts, local, [seller()], [NO_VERIFICATION, FULL], config).choice == choice


def test_a_refused_seller_is_told_the_price_at_which_it_wins() -> None:
    assert "would not be hired even for nothing" in break_even(made(seller(successes=0.0, failures=50.0)))
    decision = made(seller(price_micro=120))
    text = break_even(decision)
    price = round(float(text.split("$")[1].split()[0]) * 1e6)
    assert made(seller(price_micro=price - 1)).choice == "outsource"
    assert made(seller(price_micro=price + 2)).choice == "local"


def test_an_explanation_adds_up_and_ends_with_who_is_out() -> None:
    explanation = explain(made(seller(), seller("b", price_micro=70), seller("z", price_micro=2_000)))
    first, *_, last = explanation.options
    assert (first.name, first.chosen, first.level) == ("a", True, "full")
    assert (last.name, last.feasible) == ("z", False)
    assert "the budget is" in last.note
    assert {option.name for option in explanation.options} == {"a", "b", "local", "z"}
    assert first.total_micro == 53  # 53.0, from parts that are rounded each
    assert first.total_micro == first.price_micro + first.time_micro + first.risk_micro + first.verify_micro
    assert "Explored: no." in explanation.sentences


def test_communication_is_bytes_times_the_transfer_price_and_the_overhead() -> None:
    # Eq. (8): 2 GB at $.05 and one micro-dollar.
    assert communication_micro(2 * 10**9, DecisionConfig(protocol_overhead_micro=1)) == pytest.approx(100_001)


def test_risk_cost_multiplies_value_severity_and_the_chance_of_any_of_the_three() -> None:
    # Eq. (9): 100 * (1 - .9 * .95 * .98) = 16.21.
    assert risk_cost_micro(100, (0.1, 0.05, 0.02)) == pytest.approx(16.21)
    assert risk_cost_micro(100, (0.1, 0.05, 0.02), gamma=2) == pytest.approx(32.42)
    assert risk_cost_micro(100, ()) == 0


def test_breach_grows_with_sensitivity_and_falls_with_the_strength_of_the_channel() -> None:
    # Eq. (15) corrected: (1 - .9 * .8) * .5 * (1 - .75) = .035.
    assert breach_probability((0.1, 0.2), 0.5, 0.75) == pytest.approx(0.035)
    assert breach_probability((0.1, 0.2), 0.9, 0.75) > breach_probability((0.1, 0.2), 0.5, 0.75)
    assert breach_probability((0.1, 0.2), 0.5, 0.9) < breach_probability((0.1, 0.2), 0.5, 0.75)


def test_lateness_is_one_in_twenty_at_the_p95_and_one_half_at_the_median() -> None:
    sigma = spread(10, 30)
    assert late_probability(10, sigma, 30) == pytest.approx(0.05)
    assert late_probability(10, sigma, 10) == pytest.approx(0.5)
    assert late_probability(10, spread(10, 10), 10) == 0
    assert late_probability(10, spread(10, 10), 9.99) == 1
    assert late_probability(0, spread(0, 0), 0) == 0


@given(*[st.floats(0, 1e9)] * 3)
def test_lateness_is_a_probability_for_any_durations(expected_s: float, longer_s: float, deadline_s: float) -> None:
    sigma = spread(expected_s, expected_s + longer_s)
    assert 0 <= late_probability(expected_s, sigma, deadline_s) <= 1


def test_cvar_averages_the_worst_tail() -> None:
    outcomes = [(0.9, 10.0), (0.08, 100.0), (0.02, 1000.0)]
    assert cvar(outcomes, 0.02) == pytest.approx(1000)
    assert cvar(outcomes, 0.05) == pytest.approx((0.02 * 1000 + 0.03 * 100) / 0.05)
    assert cvar(outcomes, 1.0) == pytest.approx(9 + 8 + 20)
    assert cvar([(0.1, 1.0)] * 10, 1.0) == pytest.approx(1)  # ten tenths are not quite one


def test_topsis_on_fixed_ranges_is_the_relative_distance_from_the_worst_end() -> None:
    weight = (0.4, 0.25, 0.2, 0.15)
    assert closeness((1, 1, 1, 1), weight) == 1
    assert closeness((0, 0, 0, 0), weight) == 0
    assert closeness((0.5, 0.5, 0.5, 0.5), weight) == 0.5
    assert closeness((7, -3, 1, 0), weight) == closeness((1, 0, 1, 0), weight)
    assert [fall(0, 2), fall(1, 2), fall(4, 2), fall(0, 0), fall(1, 0)] == [1, 0.5, -1, 1, 0]


def test_inputs_of_a_decision_are_one_value() -> None:
    inputs = made(seller()).inputs
    assert msgspec.json.decode(msgspec.json.encode(inputs), type=Inputs) == inputs


def test_a_stranger_is_hired_once_what_was_saved_can_bear_the_doubt() -> None:
    """Unknown, at 60 of 100: by the careful belief it costs more than doing it here, by the other one less."""
    stranger = seller("a", successes=0.0, jobs=0, price_micro=60, claimed_success=1.0)
    poor = made(stranger)
    row = poor.rows[0]
    assert (poor.choice, poor.ceiling_micro) == ("local", 100)
    assert row.total_micro < 100 < row.doubted_micro
    assert "is too little known" in poor.reason
    wanted = (row.doubted_micro - 100) / PLAIN.stake_share
    for saved, choice in ((0.99 * wanted, "local"), (1.01 * wanted, "outsource")):
        inputs = msgspec.structs.replace(poor.inputs, memory=PolicyMemory(saved_micro=saved))
        assert replay(inputs).choice == choice


def test_doubt_keeps_nobody_out_where_this_node_cannot_do_the_task() -> None:
    decision = made(seller("a", successes=0.0, jobs=0, claimed_success=1.0), local=CANNOT)
    assert (decision.choice, decision.ceiling_micro) == ("outsource", None)


def test_sellers_that_cost_the_same_micro_dollar_are_shown_in_the_order_that_the_sentences_use() -> None:
    prices = {"a": 0.4, "b": 0.2, "c": 0.0}
    config = DecisionConfig(protocol_overhead_micro=1_000.0, time_value_micro_per_s=0.0)
    sellers = [seller(name, price_micro=9, claimed_success=1.0 - price / 1e6) for name, price in prices.items()]
    decision = decide(facts(value_micro=1_000), LOCAL, sellers, [NO_VERIFICATION], config)
    shown = [option.name for option in explain(decision).options if option.contractor is not None]
    assert shown == [row.name for row in decision.rows]
