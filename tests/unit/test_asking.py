"""Whether sellers are asked at all."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from node.decision.asking import CHEAPER, FRESH_S, LEAST_ROUNDS, Asked, Past, after_round, nearly_affordable, needless
from node.decision.config import DecisionConfig
from node.decision.engine import decide, replay
from node.decision.inputs import (
    NO_VERIFICATION,
    Candidate,
    Inputs,
    InternalCost,
    LocalOption,
    PolicyMemory,
    TaskFacts,
)
from tests.harness.decisions import worlds

NOW_S = 1e9
CONFIG = DecisionConfig(protocol_overhead_micro=10.0, time_value_micro_per_s=0.0, transfer_usd_per_gb=0.0)
FACTS = TaskFacts(skill="risk", budget_micro=10**6, deadline_s=300, privacy="public")


def here(micro: float) -> LocalOption:
    return LocalOption(feasible=True, time_s=1, p95_s=2, success=1.0, cost=InternalCost(compute_micro=micro), samples=9)


def said(asked: Asked, local: LocalOption, **changes: Any) -> str:
    known: dict[str, Any] = {"saved_micro": 0.0, "unasked_most": 20, "now_unix_s": NOW_S}
    config = changes.pop("config", CONFIG)
    return needless(asked, changes.pop("facts", FACTS), local, config, **(known | changes))


def lately(*shares: float, limit_micro: float = 1_000.0, unix_s: float = NOW_S) -> Asked:
    return Asked(tuple(Past(unix_s, limit_micro, share) for share in shares))


def test_no_order_pays_where_its_overhead_alone_costs_as_much_as_doing_it_here() -> None:
    assert "any order" in said(Asked(), here(10.0))
    assert said(Asked(), here(10.1)) == ""


def test_a_market_that_lately_never_came_near_is_left_alone_until_a_round_says_otherwise() -> None:
    asked = lately(1.5, 2.0, 1.3)
    assert "the last 3 rounds" in said(asked, here(500.0))
    near = asked._replace(past=(*asked.past, Past(NOW_S, 1_000.0, 1.0)))
    assert said(near, here(500.0)) == ""


def test_of_few_rounds_old_rounds_and_smaller_tasks_nothing_is_concluded() -> None:
    assert said(lately(*[2.0] * (LEAST_ROUNDS - 1)), here(500.0)) == ""
    assert said(lately(2.0, 2.0, 2.0, unix_s=NOW_S - FRESH_S - 1), here(500.0)) == ""
    assert said(lately(9.0, 9.0, 9.0, limit_micro=300.0), here(500.0)) == ""


def test_for_a_somewhat_larger_task_a_seller_is_taken_to_ask_as_much_as_for_the_smaller() -> None:
    assert said(lately(2.0, 2.0, 2.0, limit_micro=400.0), here(500.0))
    assert said(lately(1.3, 1.3, 1.3, limit_micro=400.0), here(500.0)) == ""


def test_sellers_are_asked_where_this_node_cannot_do_it_and_by_rules_that_do_not_know_the_gate() -> None:
    assert said(lately(2.0, 2.0, 2.0), LocalOption(feasible=False, why_not="no GPU")) == ""
    assert said(lately(2.0, 2.0, 2.0), here(1.0), config=msgspec.structs.replace(CONFIG, policy="paper")) == ""


def test_what_hiring_has_saved_can_make_asking_worth_it() -> None:
    asked = lately(1.2, 1.2, 1.2)
    assert said(asked, here(500.0))
    assert said(asked, here(500.0), saved_micro=1_000.0) == ""


def test_the_price_of_a_decision_without_sellers_or_by_a_rule_without_doubt_teaches_nothing() -> None:
    alone = decide(FACTS, here(500.0), [], [NO_VERIFICATION], CONFIG)
    assert after_round(Asked(unasked=7), alone, NOW_S) == Asked()


def test_a_seller_that_was_a_little_over_the_budget_is_asked_again() -> None:
    facts = msgspec.structs.replace(FACTS, budget_micro=37)
    dear = Candidate(key=b"A", name="a", price_micro=5_000, duration_s=1, p95_s=1, claimed_success=1.0)
    asked = Asked()
    for _ in range(LEAST_ROUNDS):
        over = msgspec.structs.replace(dear, key=b"B", name="b", price_micro=38)
        asked = after_round(
            asked,
            decide(facts, here(66.0), [over, msgspec.structs.replace(dear, price_micro=30)], [NO_VERIFICATION], CONFIG),
            NOW_S,
        )
    assert said(asked, here(66.0), facts=facts) == ""
    assert nearly_affordable(decide(facts, here(66.0), [over], [NO_VERIFICATION], CONFIG).inputs)
    assert not nearly_affordable(decide(facts, here(66.0), [dear], [NO_VERIFICATION], CONFIG).inputs)


@given(st.integers(0, 50), st.integers(1, 200))
def test_sellers_are_asked_again_after_at_most_so_many_tasks(unasked_most: int, tasks: int) -> None:
    asked, unasked = lately(9.0, 9.0, 9.0), 0
    for _ in range(tasks):
        if said(asked, here(500.0), unasked_most=unasked_most):
            asked, unasked = asked._replace(unasked=asked.unasked + 1), unasked + 1
        else:
            asked, unasked = asked._replace(unasked=0), 0
        assert unasked <= unasked_most
    assert unasked == tasks % (unasked_most + 1)


@given(worlds(least=1), st.floats(1.0 - CHEAPER + 1e-6, 2.0), st.lists(st.floats(1.0, 5.0), max_size=3))
def test_nobody_goes_unasked_whom_a_quote_within_the_recent_range_would_have_won(
    world: Inputs, factor: float, others: list[float]
) -> None:
    """Rounds at these quotes and dearer ones; then every quote changes by a factor. A hire is never missed."""
    asked = Asked()
    for dearer in (1.0, *others, 1.0, 1.0):
        asked = after_round(asked, replay(repriced(world, dearer)), NOW_S)
    now = replay(repriced(world, factor))
    if now.choice == "outsource":
        assert said(asked, world.local, facts=world.facts, config=world.config) == ""


@given(worlds(least=1), st.floats(0, 1e6))
def test_where_the_overhead_is_too_much_nobody_would_have_been_hired_even_for_nothing(
    world: Inputs, saved: float
) -> None:
    config = msgspec.structs.replace(world.config, protocol_overhead_micro=2_000.0)
    if said(Asked(), world.local, facts=world.facts, config=config, saved_micro=saved):
        free = repriced(world, 0.0)
        memory = PolicyMemory(saved_micro=saved, local_run=1e6)
        assert replay(msgspec.structs.replace(free, config=config, memory=memory)).choice != "outsource"


def repriced(world: Inputs, factor: float) -> Inputs:
    def priced(one: Candidate) -> Candidate:
        return msgspec.structs.replace(one, price_micro=-int(-one.price_micro * factor // 1))

    return msgspec.structs.replace(world, candidates=tuple(map(priced, world.candidates)))
