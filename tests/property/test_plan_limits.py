"""A plan's limits, whatever its graph and whatever happens to its steps: never exceeded in sum, never lost."""

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from node.decision.tokens import FRAME_TOKENS, Tariff, Usage, charge_micro
from node.errors import NodeError, NoOfferError
from node.outsource.client.outcome import Done
from node.outsource.client.planner import allowance
from node.outsource.client.planrun import Share, StepDone, run_plan
from node.tasks.content import Content
from node.tasks.plan import Origin, Plan, Step, chain_lengths, parse_plan
from node.tasks.purse import Purse
from node.tasks.spec import Wishes
from node.views import TokenRate

BUDGET = 1_000


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Graphs of up to eight steps, some merges, some optional, some with a budget of their own."""
    steps: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 8))):
        earlier = [f"s{n}" for n in range(number)]
        most = 3 if earlier else 0
        needs = draw(st.lists(st.sampled_from(earlier or ["s0"]), unique_by=str, max_size=most))
        step: dict[str, Any] = {"name": f"s{number}", "needs": needs}
        is_merge = draw(st.booleans())
        if needs and is_merge:
            step["merge"] = True
        else:
            step |= {
                "skill": "sentiment",
                "text": "t",
                "retries": draw(st.integers(0, 2)),
                "optional": draw(st.booleans()),
            }
            if draw(st.integers(0, 3)) == 0:
                step["budget_usd"] = f"0.{draw(st.integers(0, 100)):06d}"
        steps.append(step)
    return parse_plan({"step": steps}, ())


@given(plans(), st.integers(0, BUDGET // 4), st.data())
@settings(max_examples=60)
def test_what_planning_cost_what_steps_may_spend_at_once_and_what_they_spent_never_exceeds_the_budget(
    plan: Plan, planning_micro: int, data: st.DataObject
) -> None:
    held: dict[str, int] = {}
    spent: list[int] = []
    wasted: list[int] = []

    async def run_step(step: Step, content: Content, share: Share) -> StepDone:
        assert share.budget_micro >= 0
        held[step.name] = share.budget_micro
        assert planning_micro + sum(held.values()) + sum(spent) + sum(wasted) <= BUDGET
        for _ in range(data.draw(st.integers(0, 3))):
            await asyncio.sleep(0)
        del held[step.name]
        match data.draw(st.sampled_from(["paid", "free", "fails", "never"])):
            case "fails":
                failure = NodeError("it failed, and may be billed all the same")
                failure.spent_micro = data.draw(st.integers(0, share.budget_micro))
                wasted.append(failure.spent_micro)
                raise failure
            case "never":
                raise NoOfferError("nobody")
            case "free":
                paid = 0
            case _:
                paid = data.draw(st.integers(0, share.budget_micro))
        spent.append(paid)
        done = Done(Content("text/plain", b"x"), cost_micro=paid, paid_micro=paid)
        return StepDone(done, Origin("peer", "none", is_verified=False, success_ppm=900_000))

    async def report(text: str, done_ppm: int) -> None:
        assert 0 <= done_ppm <= 1_000_000

    wishes = Wishes(budget_micro=BUDGET - planning_micro, deadline_s=60)
    running = run_plan(plan, (), wishes, max_input_bytes=10**6, max_steps_at_once=3, run_step=run_step, report=report)
    try:
        done = asyncio.run(running)
    except NodeError:
        return
    assert done.paid_micro == sum(spent) <= BUDGET - planning_micro - sum(wasted)


rates = st.builds(TokenRate, read_micro=st.integers(0, 10**8), written_micro=st.integers(0, 10**8))


@given(
    st.none() | rates,
    st.integers(1, 10**6),
    st.floats(0, 10**4),
    st.integers(0, 10**6),
    st.integers(0, 10**7),
    st.floats(0, 600),
)
def test_two_drafts_never_cost_more_than_their_share_whatever_the_model_writes(
    cost: TokenRate | None, max_written: int, second_micro: float, request_bytes: int, share_micro: int, left_s: float
) -> None:
    tariff, left_micro = Tariff(model="m", max_written=max_written, cost=cost), float(share_micro)
    for _ in range(2):
        allowed = allowance(tariff, second_micro, request_bytes=request_bytes, left_micro=left_micro, left_s=left_s)
        if allowed is None:
            return
        assert 0 < allowed.timeout_s <= left_s
        assert 0 < allowed.max_tokens <= max_written
        worst = Usage(request_bytes + FRAME_TOKENS, allowed.max_tokens)
        spent = second_micro * allowed.timeout_s if cost is None else charge_micro(cost, worst)
        assert spent <= allowed.most_micro + 1e-6
        left_micro -= spent
        assert left_micro >= -1e-3


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 100), st.booleans()), max_size=40))
def test_a_purse_neither_loses_nor_makes_money(moves: list[tuple[int, int, bool]]) -> None:
    purse = Purse(BUDGET, {"s0": None, "s1": 100, "s2": None, "s3": 0, "s4": 250, "s5": None})
    for number, percent, is_over in moves:
        name = f"s{number}"
        held = purse.take(name)
        assert purse.is_whole
        purse.give_back(name, held * percent // 100, is_over=is_over)
        assert purse.is_whole
    assert purse.spent_micro <= BUDGET


@given(plans())
def test_the_time_of_steps_that_follow_each_other_adds_up_to_no_more_than_the_deadline(plan: Plan) -> None:
    chains = chain_lengths(plan)
    latest: dict[str, float] = {}
    for _ in plan.step:
        for step in plan.step:
            starts = max((latest.get(need, 0.0) for need in step.needs), default=0.0)
            latest[step.name] = starts if step.merge else starts + (60 - starts) / chains[step.name]
    assert max(latest.values()) <= 60 + 1e-9


@given(plans(), st.sets(st.integers(0, 7)))
@settings(max_examples=40)
def test_a_step_on_unverified_input_is_verified_and_says_what_it_rests_on(plan: Plan, unverified: set[int]) -> None:
    levels: dict[str, str] = {}

    async def run_step(step: Step, content: Content, share: Share) -> StepDone:
        levels[step.name] = share.least_level
        origin = Origin("peer", "cheap", is_verified=int(step.name[1:]) not in unverified, success_ppm=900_000)
        return StepDone(Done(Content("text/plain", b"x"), cost_micro=0, paid_micro=0), origin)

    async def report(text: str, done_ppm: int) -> None:
        return

    wishes = Wishes(budget_micro=BUDGET, deadline_s=60)
    running = run_plan(plan, (), wishes, max_input_bytes=10**6, max_steps_at_once=9, run_step=run_step, report=report)
    done = asyncio.run(running)
    above: dict[str, set[str]] = {}
    for step in plan.step:
        shaky = {need for need in step.needs if need in levels and int(need[1:]) in unverified}
        above[step.name] = shaky.union(*(above[need] for need in step.needs))
        if not step.merge:
            assert (levels[step.name] != "none") == bool(above[step.name])
    needed = {name for step in plan.step for name in step.needs}
    sinks = [step.name for step in plan.step if step.name not in needed]
    if len(sinks) > 1:
        for part in json.loads(done.content.data)["parts"]:
            assert set(part.get("rests_on_unverified", [])) == above[part["source"]]
            assert 0 < part["p_good"] <= 1
