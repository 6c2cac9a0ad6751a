"""What the engine learns, explores and audits, from one decision to the next."""

from typing import Any

import msgspec
import numpy as np
import pytest

from node.decision.config import DecisionConfig
from node.decision.decision import Decision
from node.decision.engine import replay
from node.decision.inputs import (
    NO_VERIFICATION,
    Candidate,
    Inputs,
    InternalCost,
    LocalOption,
    PolicyMemory,
    SellerMemory,
    TaskFacts,
    VerificationOption,
)
from node.decision.policies.settings import FEATURES
from node.decision.state import Lesson, learnt, lesson_of

LOCAL = LocalOption(feasible=True, time_s=1, p95_s=2, success=1.0, cost=InternalCost(compute_micro=30_000))
CHEAP = VerificationOption(level="cheap", cost_micro=300, detection=0.9, assumed=False)


def seller(name: str, **changes: Any) -> Candidate:
    base = Candidate(key=name.encode(), name=name, price_micro=10_000, duration_s=1, p95_s=2, successes=50, jobs=50)
    return msgspec.structs.replace(base, **changes)


def decided(*sellers: Candidate, seed: int = 1, memory: PolicyMemory | None = None, **config: Any) -> Decision:
    return replay(
        Inputs(
            facts=TaskFacts(skill="risk", budget_micro=50_000, deadline_s=600, value_micro=60_000, privacy="public"),
            local=LOCAL,
            candidates=sellers,
            options=(NO_VERIFICATION, CHEAP),
            config=DecisionConfig(**config),
            memory=memory or PolicyMemory(),
            seed=seed,
        )
    )


def test_a_lesson_says_what_share_of_the_local_cost_was_saved() -> None:
    decision = decided(seller("a"))
    row = decision.chosen
    assert row is not None
    good, bad = lesson_of(decision, good=True), lesson_of(decision, good=False)
    aside = row.communication_micro + row.verification_micro + row.waiting_micro
    assert good.reward == pytest.approx(1 - (10_000 + aside) / decision.local.total_micro)
    assert bad.reward == pytest.approx(-aside / decision.local.total_micro)
    assert good.features[0] == 1
    assert len(good.features) == FEATURES
    assert good.features[2] == row.success


def test_memory_goes_round_through_storage_without_loss() -> None:
    client, one = PolicyMemory(), SellerMemory()
    for good in (True, True, False):
        client, one = learnt(client, one, lesson_of(decided(seller("a", memory=one), memory=client), good=good))
    assert (client.decisions, client.hires) == (3, 3)
    assert msgspec.json.decode(msgspec.json.encode(client), type=PolicyMemory) == client
    assert one.awards == pytest.approx(1 + 0.96 + 0.96**2)
    assert np.array(client.gram).reshape(FEATURES, FEATURES)[0, 0] == 4  # the identity, and three ones


def test_awards_fade_while_others_are_hired() -> None:
    lesson = lesson_of(decided(seller("a")), good=True)
    client, one = learnt(PolicyMemory(), SellerMemory(), lesson)
    for _ in range(200):
        client, _ = learnt(client, SellerMemory(), lesson)
    faded = decided(seller("a", memory=one), seller("b", price_micro=11_000), memory=client, policy="portfolio")
    assert faded.contractor == b"a"


def test_local_decisions_are_counted_while_sellers_are_there() -> None:
    decision = decided(seller("a", price_micro=40_000))
    client, _ = learnt(PolicyMemory(), SellerMemory(), lesson_of(decision, good=True))
    assert (decision.choice, client.local_run, client.hires) == ("local", 1, 0)
    alone, _ = learnt(PolicyMemory(), SellerMemory(), lesson_of(decided(), good=True))
    assert (alone.decisions, alone.local_run) == (0, 0)


def test_memory_of_a_wrong_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"PolicyMemory\.gram has 3 numbers: write 25, or none"):
        PolicyMemory(gram=(1.0, 2.0, 3.0))


def test_nodes_with_other_seeds_explore_other_tasks_and_the_same_seed_decides_alike() -> None:
    sellers = [seller("a"), seller("b", price_micro=12_000), seller("c", price_micro=14_000)]
    explored = [decided(*sellers, seed=seed, policy="paper", epsilon=0.5).explored for seed in range(40)]
    assert 8 < sum(explored) < 32
    first = decided(*sellers, seed=7, policy="thompson")
    assert first == decided(*sellers, seed=7, policy="thompson")
    assert first.to_json() == replay(Decision.from_json(first.to_json()).inputs).to_json()


def test_an_exploration_is_marked_and_told() -> None:
    for seed in range(40):
        decision = decided(seller("a"), seller("b", price_micro=12_000), seed=seed, policy="paper", epsilon=1.0)
        if decision.explored:
            break
    assert decision.explored
    assert "is tried to learn about it" in decision.reason
    assert decision.exploration.target == 1.0


def test_a_stranger_is_not_explored_with_a_task_above_the_caps() -> None:
    strangers = [seller("a", successes=0, jobs=0), seller("b", successes=0, jobs=0)]
    for seed in range(20):
        assert not decided(*strangers, seed=seed, policy="paper", epsilon=1.0, unproven_value_micro=50_000).explored
    assert decided(*strangers, policy="paper", epsilon=1.0, unproven_value_micro=70_000).explored


def test_work_that_is_accepted_unseen_is_checked_when_the_draw_says_so() -> None:
    partner = seller("a", successes=500, jobs=500)
    seen = decided(msgspec.structs.replace(partner, audit_draw=0.9))
    drawn = decided(msgspec.structs.replace(partner, audit_draw=0.001))
    assert (seen.level, seen.audited) == ("none", False)
    assert (drawn.level, drawn.audited) == ("cheap", True)
    assert seen.chosen is not None
    assert seen.chosen.audit_rate == 0.05
    assert seen.chosen.verification_micro == pytest.approx(0.05 * 300)
    assert seen.rows[0].total_micro == drawn.rows[0].total_micro, "what is expected does not depend on the draw"


def test_an_alert_stands_among_the_warnings() -> None:
    stuck = PolicyMemory(decisions=60, local_run=60)
    decision = decided(seller("a", price_micro=40_000), memory=stuck)
    assert any("60 decisions in a row were for LOCAL" in warning for warning in decision.warnings)


def test_a_lesson_of_local_work_teaches_no_model() -> None:
    lesson = Lesson(None, True, 0.0, 0.0, False, (), True, DecisionConfig())
    client, one = learnt(PolicyMemory(), SellerMemory(), lesson)
    assert np.array_equal(np.array(client.moment), np.zeros(FEATURES))
    assert one.awards == 0


def test_a_wilson_gate_keeps_out_whom_too_little_is_known_of() -> None:
    few = seller("a", successes=3, jobs=3)
    assert decided(few).choice == "outsource"
    decision = decided(few, seller("b", price_micro=12_000), wilson_least=0.8)
    assert decision.contractor == b"b"
    assert [(out.name, out.code) for out in decision.excluded] == [("a", "unproven")]
