"""What holds of every decision, whatever the sellers, the task and the prices."""

from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from node.decision.book import Book
from node.decision.decision import Decision
from node.decision.engine import decide, replay
from node.decision.explain import explain
from node.decision.inputs import Candidate, Inputs, InternalCost, PolicyMemory
from node.decision.policies.interface import Belief
from node.decision.policies.settings import PolicyConfig
from node.decision.policies.two_kinds import belief
from tests.harness.decisions import worlds


def among(world: Inputs, sellers: list[Candidate]) -> Decision:
    return decide(world.facts, world.local, sellers, world.options, world.config)


def changed(world: Inputs, index: int, **changes: Any) -> Decision:
    some = list(world.candidates)
    some[index] = msgspec.structs.replace(some[index], **changes)
    return among(world, some)


@given(worlds())
def test_a_hire_is_never_worse_than_local_by_its_own_estimate(world: Inputs) -> None:
    decision = replay(world)
    row = decision.chosen
    assert (row is not None) == (decision.choice == "outsource")
    if row is None:
        assert decision.choice == ("local" if decision.local.feasible else "none")
    else:
        assert row.score_micro < decision.limit_micro <= decision.local.score_micro
        assert decision.ceiling_micro is None or row.doubted_micro <= decision.ceiling_micro
        assert row.price_micro <= world.facts.budget_micro
        assert decision.ranking[0] == row.contractor


@given(worlds())
def test_every_seller_has_a_row_or_a_reason_and_its_terms_add_up(world: Inputs) -> None:
    decision = replay(world)
    named = [row.contractor for row in decision.rows] + [out.contractor for out in decision.excluded]
    assert sorted(named) == sorted(candidate.key for candidate in world.candidates)
    for row in decision.rows:
        parts = (
            row.payment_micro
            + row.communication_micro
            + row.integration_micro
            + row.verification_micro
            + row.waiting_micro
            + row.lateness_micro
            + row.undetected_micro
            + row.redo_micro
            + row.breach_micro
        )
        assert abs(parts - row.total_micro) <= 1e-9 * max(1.0, row.total_micro)
        assert 0 <= row.success <= row.p_good <= 1 + 1e-12
        assert 0 <= row.topsis <= 1
        assert row.total_micro == dict(row.levels)[row.level]
        # Where the price is above the cost of doing it again, found bad work is the cheaper end: nobody hires there.
        if row.score_micro < decision.limit_micro and world.config.risk_weight == 0:
            assert row.total_micro <= row.doubted_micro + 1e-9


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_sellers_and_levels_changes_nothing(world: Inputs, random: Any) -> None:
    decision = replay(world)
    some, options = list(world.candidates), list(world.options)
    random.shuffle(some)
    random.shuffle(options)
    other = decide(world.facts, world.local, some, options, world.config)
    assert (other.choice, other.contractor, other.ranking) == (decision.choice, decision.contractor, decision.ranking)
    assert [row.score_micro for row in other.rows] == [row.score_micro for row in decision.rows]


@given(worlds(least=2), st.data())
def test_a_higher_price_never_wins_a_seller_the_job(world: Inputs, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(world.candidates) - 1))
    dearer = changed(world, index, price_micro=world.candidates[index].price_micro + data.draw(st.integers(1, 2_000)))
    if dearer.contractor == world.candidates[index].key:
        assert replay(world).contractor == dearer.contractor


@given(worlds(least=2), st.data())
def test_more_good_receipts_never_lose_a_seller_the_job(world: Inputs, data: st.DataObject) -> None:
    decision = replay(world)
    if decision.contractor is None:
        return
    index = next(at for at, one in enumerate(world.candidates) if one.key == decision.contractor)
    more = world.candidates[index].successes + data.draw(st.floats(0, 100))
    assert changed(world, index, successes=more).contractor == decision.contractor


@given(worlds(least=2), st.data())
def test_more_failures_slower_work_and_more_breaches_never_win_a_seller_the_job(
    world: Inputs, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(world.candidates) - 1))
    one = world.candidates[index]
    worse: dict[str, Any] = data.draw(
        st.sampled_from(
            (
                {"failures": one.failures + 5},
                {"duration_s": one.duration_s * 1.5, "p95_s": one.p95_s * 1.5},
                {"breach_probabilities": (*one.breach_probabilities, 0.3)},
            )
        )
    )
    decision = changed(world, index, **worse)
    if decision.contractor == one.key:
        assert replay(world).contractor == one.key


@given(worlds(least=1), st.data())
def test_a_dominated_seller_never_changes_the_choice(world: Inputs, data: st.DataObject) -> None:
    better = data.draw(st.sampled_from(world.candidates))
    decoy = msgspec.structs.replace(
        better,
        key=data.draw(st.sampled_from((b"\x00", b"\xff"))),
        price_micro=better.price_micro + data.draw(st.integers(1, 500)),
        duration_s=better.duration_s + 0.01,
        p95_s=better.p95_s + data.draw(st.floats(0.02, 50)),
        failures=better.failures + data.draw(st.floats(0, 5)),
        breach_probabilities=(*better.breach_probabilities, data.draw(st.floats(0, 1))),
    )
    decision, beside = replay(world), among(world, [*world.candidates, decoy])
    assert (beside.choice, beside.contractor, beside.level) == (decision.choice, decision.contractor, decision.level)


@given(worlds(), st.sampled_from((2, 16, 1024)))
def test_the_currency_does_not_matter(world: Inputs, rate: int) -> None:
    """Every amount of money in a unit `rate` times smaller: the same choice, and all totals `rate` times larger."""
    facts, local, config = world.facts, world.local, world.config
    value = facts.value_micro
    replace = msgspec.structs.replace
    cost = InternalCost(compute_micro=local.cost.compute_micro * rate, energy_micro=local.cost.energy_micro * rate)
    other = decide(
        replace(facts, budget_micro=facts.budget_micro * rate, value_micro=None if value is None else value * rate),
        replace(local, cost=cost),
        [replace(one, price_micro=one.price_micro * rate) for one in world.candidates],
        [replace(option, cost_micro=option.cost_micro * rate) for option in world.options],
        replace(
            config,
            time_value_micro_per_s=config.time_value_micro_per_s * rate,
            protocol_overhead_micro=(config.protocol_overhead_micro or 0.0) * rate,
            transfer_usd_per_gb=min(1000.0, config.transfer_usd_per_gb * rate),
            least_value_micro=config.least_value_micro * rate,
        ),
    )
    decision = replay(world)
    assert (other.choice, other.contractor, other.level) == (decision.choice, decision.contractor, decision.level)
    assert [row.total_micro for row in other.rows] == [row.total_micro * rate for row in decision.rows]
    assert other.local.total_micro == decision.local.total_micro * rate


@given(worlds())
def test_a_decision_is_stored_exactly_and_made_again_to_the_last_bit(world: Inputs) -> None:
    decision = replay(world)
    stored = Decision.from_json(decision.to_json())
    assert stored == decision
    assert replay(stored.inputs) == decision


@given(worlds())
def test_every_decision_can_be_explained_and_each_line_adds_up(world: Inputs) -> None:
    decision = replay(world)
    explanation = explain(decision)
    assert len(explanation.options) == 1 + len(world.candidates)
    assert sum(option.chosen for option in explanation.options) == (decision.choice != "none")
    assert explanation.sentences[0] == decision.reason


@settings(max_examples=200)
@given(worlds())
def test_the_lean_path_and_the_explaining_path_choose_alike(world: Inputs) -> None:
    quick = Book(world.candidates, world.options, world.config).choose(world.facts, world.local)
    decision = replay(world)
    assert (quick.contractor, quick.level) == (decision.contractor, decision.level)
    assert quick.explain() == decision


COUNTS = st.floats(0, 1e6)


@given(st.floats(0, 1), COUNTS, COUNTS, st.floats(0, 100))
def test_belief_rises_with_good_jobs_falls_with_bad_ones_and_care_is_never_the_brighter(
    claim: float, good: float, bad: float, more: float
) -> None:
    config = PolicyConfig()

    def after(good: float, bad: float) -> Belief:
        return belief(np.array([config.prior_factor * claim]), np.array([good]), np.array([bad]), config)

    now, better, worse = after(good, bad), after(good + more, bad), after(good, bad + more)
    for one, two in ((worse, now), (now, better)):
        assert one.success[0] <= two.success[0] + 1e-12
        assert one.careful is not None
        assert two.careful is not None
        assert one.careful[0] <= two.careful[0] + 1e-12
    assert now.careful is not None
    assert 0 < now.careful[0] <= now.success[0] < 1


@given(worlds(), st.floats(0, 1e6))
def test_what_was_saved_only_ever_admits_sellers(world: Inputs, saved: float) -> None:
    poor = replay(msgspec.structs.replace(world, memory=PolicyMemory()))
    rich = replay(msgspec.structs.replace(world, memory=PolicyMemory(saved_micro=saved)))
    if poor.chosen is not None:
        assert rich.chosen is not None
        assert rich.chosen.score_micro <= poor.chosen.score_micro * (1 + world.config.tie_share) + 1e-9
    quick = Book(world.candidates, world.options, world.config).choose(world.facts, world.local, saved)
    assert (quick.contractor, quick.level) == (rich.contractor, rich.level)
