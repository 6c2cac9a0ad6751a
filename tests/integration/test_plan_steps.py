"""What a plan's steps may say, on whole nodes: budgets and checks of their own, second attempts, steps done without."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.errors import UsageError
from node.views import TaskView
from tests.harness.dealing import Seller, on_sale
from tests.harness.nodes import Node, world

GOOD = "It was wonderful."
FLAKY = """
from pathlib import Path

def work(text: str) -> str:
    seen = Path(__file__).with_suffix(".seen")
    if not seen.exists():
        seen.touch()
        raise RuntimeError("not today")
    return "done"
"""


def plan(*steps: dict[str, Any]) -> str:
    return json.dumps({"step": steps})


async def parts(node: Node, task: TaskView) -> dict[str, dict[str, Any]]:
    assert task.state == "completed", task.error
    merged = json.loads((await node.owner.result(task.id))[0])["parts"]
    return {part["source"]: part for part in merged}


async def test_what_an_optional_step_would_have_led_to_is_left_out_and_said() -> None:
    async with world() as made:
        node = await made.node()
        steps = plan(
            {"name": "fine", "skill": "sentiment", "text": GOOD},
            {"name": "odd", "skill": "translation", "text": GOOD, "optional": True},
            {"name": "after", "skill": "sentiment", "needs": ["odd"]},
            {"name": "all", "merge": True, "needs": ["fine", "odd", "after"]},
        )
        task = await node.ask("plan", plan=steps)
        found = await parts(node, task)
        assert found["fine"]["by"] == "this node"
        assert "translation" in found["odd"]["error"]
        assert found["after"] == {"source": "after", "error": "it needs odd"}
        drawn = {step.name: (step.state, step.by) for step in (await node.owner.why(task.id)).steps}
        assert drawn == {
            "fine": ("completed", "this node"),
            "odd": ("failed", ""),
            "after": ("left out", ""),
            "all": ("completed", ""),
        }


async def test_a_step_that_fails_is_tried_again_and_stands_once_in_the_graph(tmp_path: Path) -> None:
    async with world() as made:
        node = await made.node(functions=True)
        label = await node.sell(tmp_path, FLAKY)
        steps = plan({"name": "only", "skill": label, "text": "x"})
        task = await node.ask("plan", plan=steps, prefer="local")
        assert (task.state, len(task.subtasks)) == ("completed", 2), task.error
        assert [step.state for step in (await node.owner.why(task.id)).steps] == ["completed"]
        (tmp_path / f"{next(tmp_path.glob('*.seen')).stem}.seen").unlink()
        task = await node.ask("plan", plan=plan({"name": "only", "skill": label, "text": "x", "retries": 0}))
        assert task.state == "failed"


async def test_a_step_spends_no_more_than_its_own_budget_nor_all_more_than_the_plans() -> None:
    seller = Seller(price_micro=40)
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(seller, [buyer.endpoint]):
            steps = (
                {"name": "poor", "skill": "sentiment", "text": GOOD, "budget_usd": "0.00003"},
                {"name": "rich", "skill": "sentiment", "text": GOOD, "budget_usd": "0.00005"},
            )
            task = await buyer.ask("plan", plan=plan(*steps), budget_micro=100)
            found = await parts(buyer, task)
            assert found["poor"]["by"] == "this node"
            assert (found["rich"]["by"], len(seller.awards)) != ("this node", 0)
            with pytest.raises(UsageError, match=r"over the plan's \$0\.000070"):
                await buyer.submit("plan", plan=plan(*steps), budget_micro=70)


async def test_a_step_on_unverified_input_is_verified_and_its_result_says_so() -> None:
    seller = Seller(price_micro=40)
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(seller, [buyer.endpoint]):
            steps = plan(
                {"name": "first", "skill": "sentiment", "text": GOOD},
                {"name": "second", "skill": "sentiment", "text": "Well.", "needs": ["first"]},
                {"name": "checked", "skill": "sentiment", "text": GOOD, "verify": "full"},
                {"name": "all", "merge": True, "needs": ["first", "second", "checked"]},
            )
            task = await buyer.ask("plan", plan=steps, budget_micro=4000)
            found = await parts(buyer, task)
            assert found["checked"]["verification"] in ("full", "own work")
            shaky = found["first"]["verification"] == "none"
            assert found["second"].get("rests_on_unverified", []) == (["first"] if shaky else [])
            if shaky:
                assert found["second"]["verification"] != "none"
            assert 0 < found["second"]["p_good"] <= found["first"]["p_good"] <= 1
            drawn = {step.name: step for step in (await buyer.owner.why(task.id)).steps}
            for name, part in found.items():
                step = drawn[name]
                assert (part["by"], part["task"], part["skill"]) == (step.by, step.task, step.skill)
                assert part.get("rests_on_unverified", []) == list(step.rests_on)
                is_hired = step.by != "this node"
                assert (part.get("receipt", ""), bool(step.receipt)) == (step.receipt, is_hired)
                assert (step.price_micro, part["cost_micro"]) == ((40 if is_hired else None), step.cost_micro)
            unseen = {name for name, part in found.items() if part["verification"] == "none"}
            assert set(drawn["all"].rests_on) == unseen


async def test_a_step_that_wants_what_cannot_be_checked_is_refused_before_anything_is_done() -> None:
    async with world() as made:
        node = await made.node()
        step = {"name": "first", "skill": "sentiment", "text": GOOD}
        for field, said in (
            ({"verify": "truth"}, "step 'first': nothing can be verified by 'truth'"),
            ({"verify": ["judge"]}, "step 'first': no judge is configured"),
            ({"result_schema": {"pattern": "a"}}, "step 'first': .*pattern"),
        ):
            with pytest.raises(UsageError, match=said):
                await node.submit("plan", plan=plan({**step, **field}))


async def test_a_step_is_checked_by_what_it_says_itself() -> None:
    seller = Seller(price_micro=40)
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(seller, [buyer.endpoint]):
            wrong = {"type": "object", "required": ["haiku"]}
            steps = (
                {"name": "any", "skill": "sentiment", "text": GOOD},
                {"name": "odd", "skill": "sentiment", "text": GOOD, "verify": ["cheap"], "result_schema": wrong},
            )
            task = await buyer.ask("plan", plan=plan(*steps), budget_micro=4000)
            found = await parts(buyer, task)
            assert found["odd"]["by"] == "this node"
            odd = {step.name: step for step in (await buyer.owner.why(task.id)).steps}["odd"]
            verified = await buyer.reached(bytes.fromhex(odd.task), "verified")
            assert {check.name: check.passed for check in verified.checks}["schema"] is False
