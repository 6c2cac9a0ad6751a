"""Plans on whole nodes: parallel steps, merging, failure, cancellation, budget."""

import asyncio
import json
from typing import Any

import pytest

from node.errors import UsageError
from node.outsource.config import ClientConfig
from node.views import AskRequest, InputFile, TaskView
from tests.harness import hostile
from tests.harness.dealing import Seller, on_sale
from tests.harness.nodes import Node, world
from tests.harness.peering import until

GOOD, BAD = "It was wonderful.", "It was terrible."


def files(*texts: str) -> tuple[InputFile, ...]:
    return tuple(
        InputFile(name=f"{number}.txt", media_type="text/plain", data=text.encode())
        for number, text in enumerate(texts, 1)
    )


def plan(*steps: dict[str, Any]) -> str:
    return json.dumps({"step": steps})


async def result(node: Node, task: TaskView) -> Any:
    return json.loads((await node.owner.result(task.id))[0])


async def test_one_subtask_a_document_then_merged() -> None:
    async with world() as made:
        node = await made.node()
        task = await node.ask("sentiment", files=files(GOOD, BAD, GOOD), split=True)
        assert (task.state, len(task.subtasks)) == ("completed", 3)
        parts = (await result(node, task))["parts"]
        assert [part["source"] for part in parts] == ["part-1", "part-2", "part-3"]
        assert [part["files"] for part in parts] == [["1.txt"], ["2.txt"], ["3.txt"]]
        scores = [part["result"]["score"] for part in parts]
        assert scores[0] == scores[2] > 0 > scores[1]
        why = await node.owner.why(task.id)
        assert [(sub.parent, sub.state) for sub in why.subtasks] == [(task.id, "completed")] * 3


async def test_independent_steps_run_at_the_same_time_and_dependent_ones_after() -> None:
    async with world() as made:
        node = await made.node(pace_s=0.3)
        steps = plan(
            {"name": "a", "skill": "sentiment", "text": GOOD},
            {"name": "b", "skill": "sentiment", "text": BAD},
            {"name": "both", "merge": True, "needs": ["a", "b"]},
            {"name": "again", "skill": "sentiment", "text": "Well.", "needs": ["both"]},
        )
        task_id = await node.submit("plan", plan=steps)
        await until(lambda: node.parts.executor.running == 2)
        task = await node.ended(task_id)
        assert task.state == "completed", task.error
        assert "score" in await result(node, task)


async def test_more_steps_than_may_run_at_once_wait_instead_of_failing() -> None:
    async with world() as made:
        node = await made.node(pace_s=0.01, sections={"client": ClientConfig(max_plan_steps_at_once=2)})
        task = await node.ask("sentiment", files=files(*[GOOD] * 12), split=True)
        assert (task.state, len(task.subtasks)) == ("completed", 12), task.error


async def test_a_step_that_fails_ends_the_plan_and_is_named() -> None:
    async with world() as made:
        node = await made.node(pace_s=0.2)
        steps = plan(
            {"name": "fine", "skill": "sentiment", "text": GOOD},
            {"name": "odd", "skill": "translation", "text": GOOD},
            {"name": "both", "merge": True, "needs": ["fine", "odd"]},
        )
        task = await node.ask("plan", plan=steps)
        assert task.error is not None
        assert (task.state, task.error.exit_code) == ("failed", 4)
        assert task.error.text.startswith("step 'odd': ")
        states = {sub.skill: sub.state for sub in (await node.owner.why(task.id)).subtasks}
        assert states == {"sentiment": "cancelled", "translation": "failed"}
        await until(lambda: len(node.parts.running) == 0)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (
            [{"name": "a", "skill": "sentiment", "needs": ["b"]}, {"name": "b", "skill": "risk", "needs": ["a"]}],
            "circle",
        ),
        ([{"name": "a", "skill": "sentiment", "needs": ["a"]}], "circle"),
        ([{"name": "a", "skill": "sentiment"}, {"name": "a", "skill": "risk"}], "two steps named 'a'"),
        ([{"name": "a", "skill": "sentiment", "needs": ["z"]}], "'z', which is not a step"),
        ([{"name": "a", "skill": "sentiment", "files": ["z"]}], "'z', which was not handed over"),
        ([{"name": "a"}], "either a skill or merge"),
        ([{"name": "a", "merge": True}], "merges nothing"),
        ([{"name": "a", "skill": "Sentiment!"}], "plan is not valid"),
        ([{"name": "a", "skill": "sentiment", "colour": "red"}], "plan is not valid"),
        ([{"name": "a", "skill": "sentiment", "budget_usd": 0.01}], r'write dollars as a text, budget_usd = "0\.01"'),
        ([{"name": "a", "skill": "Sentiment!"}], "write its label"),
        ([], "plan is not valid"),
    ],
)
async def test_a_plan_that_cannot_be_run_is_refused_before_anything_is_done(
    steps: list[dict[str, Any]], text: str
) -> None:
    async with world() as made:
        node = await made.node()
        with pytest.raises(UsageError, match=text):
            await node.submit("plan", plan=plan(*steps))
        assert (await node.owner.tasks(limit=10)).tasks == ()


async def test_files_of_one_name_cannot_be_told_apart_and_are_refused() -> None:
    async with world() as made:
        node = await made.node()
        twice = (files(GOOD)[0], InputFile(name="1.txt", media_type="text/plain", data=BAD.encode()))
        with pytest.raises(UsageError, match=r"two files are named '1\.txt'"):
            await node.submit("sentiment", files=twice, split=True)
        with pytest.raises(UsageError, match="at least two documents"):
            await node.submit("sentiment", files=files(GOOD), split=True)


async def test_the_same_plan_with_other_files_is_another_task() -> None:
    async with world() as made:
        node = await made.node()
        first = await node.submit("sentiment", files=files(GOOD, BAD), split=True, idempotency_key="k")
        assert await node.submit("sentiment", files=files(GOOD, BAD), split=True, idempotency_key="k") == first
        with pytest.raises(UsageError, match="another task"):
            await node.submit("sentiment", files=files(GOOD, GOOD), split=True, idempotency_key="k")
        await node.ended(first)


async def test_the_steps_together_never_cost_more_than_the_budget() -> None:
    seller = Seller(price_micro=40)
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(seller, [buyer.endpoint]):
            task = await buyer.ask("sentiment", files=files(GOOD, BAD, GOOD), split=True, budget_micro=100)
            assert task.state == "completed"
            assert seller.awards == [], "a third of 100 does not buy a step at 40"
            task = await buyer.ask("sentiment", files=files(GOOD, BAD), split=True, budget_micro=100)
            assert (task.state, task.cost_micro, len(seller.awards)) == ("completed", 80, 2)


async def test_cancelling_a_plan_cancels_its_subtasks_and_their_contractors() -> None:
    seller = hostile.Slow()
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(seller, [buyer.endpoint]):
            task_id = await buyer.submit("sentiment", files=files(GOOD, BAD), split=True)
            await until(lambda: len(seller.awards) == 2)
            view = await buyer.owner.cancel(task_id.hex())
            assert view.state == "cancelled"
            subtasks = (await buyer.owner.why(task_id.hex())).subtasks
            assert [sub.state for sub in subtasks] == ["cancelled", "cancelled"]
            await until(seller.was_cancelled.is_set)
            await until(lambda: len(buyer.parts.running) == 0)
            assert await buyer.parts.store.spending.open_reservations() == []


async def test_cancelling_one_subtask_ends_its_plan_at_once_with_that_reason() -> None:
    async with world() as made:
        node = await made.node(pace_s=600.0)
        task_id = await node.submit("sentiment", files=files(GOOD, BAD), split=True)
        await until(lambda: node.parts.executor.running == 2)
        why = await node.owner.why(task_id.hex())
        await node.owner.cancel(why.subtasks[0].id)
        task = await node.ended(task_id)
        assert task.error is not None
        assert (task.state, "it was cancelled" in task.error.text) == ("failed", True)
        await until(lambda: len(node.parts.running) == 0)


async def test_a_plans_deadline_ends_all_its_steps() -> None:
    async with world() as made:
        node = await made.node(pace_s=600.0)
        task = await node.ask("sentiment", files=files(GOOD, BAD), split=True, deadline_s=0.5)
        assert task.error is not None
        assert (task.state, task.error.exit_code) == ("failed", 6)
        await until(lambda: len(node.parts.running) == 0)
        await until(lambda: node.parts.executor.running == 0)


async def test_a_plan_is_decided_step_by_step_and_not_as_a_whole() -> None:
    async with world() as made:
        node = await made.node()
        with pytest.raises(UsageError, match="subtask by subtask"):
            await node.owner.decide(AskRequest(skill="sentiment", files=files(GOOD, BAD), split=True))


async def test_a_question_of_one_step_waits_while_another_goes_on() -> None:
    seller = hostile.Asking()
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(seller, [buyer.endpoint]):
            task_id = await buyer.submit("sentiment", files=files(GOOD, BAD), split=True)
            await until(lambda: len(seller.awards) == 2)
            subtasks = (await buyer.owner.why(task_id.hex())).subtasks
            for sub in subtasks:
                await buyer.reached(bytes.fromhex(sub.id), "input_required")
            async with asyncio.timeout(60):
                for sub in subtasks:
                    await buyer.owner.answer(sub.id, "yes")
            task = await buyer.ended(task_id)
            assert task.state == "completed", task.error
