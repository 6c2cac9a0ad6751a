"""A decision on its way through whole nodes: what it learns, how it explores and audits, and how it is made again."""

import sqlite3

import pytest

from node.decision.config import DecisionConfig
from node.decision.decision import Decision
from node.decision.inputs import PolicyMemory
from node.errors import NodeError, UsageError
from node.outsource.client.replaying import replayed
from node.store.decisions import StoredDecision
from node.views import AskRequest
from tests.harness.nodes import Node, world

TEXT = "The room was not clean, but the staff were wonderful."


async def stored(node: Node, task_id: str) -> Decision:
    """The last decision of a task."""
    kept = await node.parts.store.decisions.of_task(bytes.fromhex(task_id))
    return Decision.from_json(kept[-1].body)


async def remembered(node: Node) -> PolicyMemory:
    return (await node.parts.store.policy_memories.load("sentiment", ())).client


async def test_a_stored_decision_is_made_again_to_the_last_bit_and_under_other_circumstances() -> None:
    async with world() as made:
        await made.seller()
        buyer = await made.buyer()
        task = await buyer.ask("sentiment", TEXT)
        again = await buyer.owner.replay(task.id, number=None, what_if=())
        assert (again.same, again.differs, again.number) == (True, (), 1)
        assert again.decision.choice == "outsource"
        assert again.decision.policy == "expected-cost"
        otherwise = await buyer.owner.replay(task.id, number=1, what_if=["price=5000"])
        assert otherwise.same, "the stored decision stays what it is"
        assert otherwise.decision.choice == "local"
        with pytest.raises(UsageError, match="has no decision 7: there are 1"):
            await buyer.owner.replay(task.id, number=7, what_if=())
        with pytest.raises(UsageError, match="with a name like price"):
            await buyer.owner.replay(task.id, number=None, what_if=["prise=1"])


async def test_a_decision_that_was_altered_is_not_made_again() -> None:
    async with world() as made:
        await made.seller()
        buyer = await made.buyer()
        task = await buyer.ask("sentiment", TEXT)
        kept = await buyer.parts.store.decisions.of_task(bytes.fromhex(task.id))
        body = kept[0].body.replace('"pessimism":0.5', '"pessimism":0.1')
        with pytest.raises(NodeError, match="cannot be read: the decision's inputs have digest"):
            replayed(StoredDecision(1, 0, body), task.id, (), buyer.parts.work.rates)


async def test_every_outcome_is_learnt_and_the_memory_outlives_the_node() -> None:
    async with world() as made:
        await made.seller()
        buyer = await made.buyer()
        for _ in range(2):
            task = await buyer.ask("sentiment", TEXT)
            assert task.choice == "outsource"
        memory = await remembered(buyer)
        assert (memory.decisions, memory.hires, memory.explorations) == (2, 2, 0)
        assert len(memory.gram) == 25
        await buyer.owner.decide(AskRequest(skill="sentiment", text=TEXT))
        assert await remembered(buyer) == memory, "a dry run teaches nothing"


async def test_a_damaged_memory_is_learnt_anew() -> None:
    async with world() as made:
        await made.seller()
        buyer = await made.buyer()
        await buyer.ask("sentiment", TEXT)

        def damage(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE policy_memory SET state = '{}x'")

        await buyer.parts.store.database.write(damage)
        assert await remembered(buyer) == PolicyMemory()
        assert (await buyer.ask("sentiment", TEXT)).choice == "outsource"


async def test_another_policy_can_be_asked_for_and_an_unknown_one_is_answered_with_the_nearest() -> None:
    async with world() as made:
        await made.seller()
        buyer = await made.buyer()
        # A lone seller scores one half by min-max, and the paper's rule refuses it.
        view = await buyer.owner.decide(AskRequest(skill="sentiment", text=TEXT, policy="adaptive-threshold"))
        assert view.policy == "adaptive-threshold"
        with pytest.raises(UsageError, match="did you mean thompson"):
            await buyer.owner.decide(AskRequest(skill="sentiment", text=TEXT, policy="thomson"))
        with pytest.raises(UsageError, match="what-if changes only a dry run"):
            await buyer.parts.client.submit(AskRequest(skill="sentiment", text=TEXT, what_if=("price=1",)))
        otherwise = await buyer.owner.decide(AskRequest(skill="sentiment", text=TEXT, what_if=("price=5000",)))
        assert otherwise.choice == "local"


async def test_an_exploration_is_marked_from_the_decision_to_the_receipt_of_both_sides() -> None:
    always = DecisionConfig(policy="paper", epsilon=1.0, unproven_value_micro=10**12, unproven_privacy="confidential")
    async with world() as made:
        seller, buyer = await made.seller(), await made.buyer(sections={"decision": always})
        task = await buyer.ask("sentiment", TEXT)
        assert (task.choice, task.explored) == ("outsource", True)
        assert (await stored(buyer, task.id)).explored
        receipt = await buyer.owner.receipt(task.id)
        assert receipt.explored
        (sold,) = (await seller.owner.tasks(limit=5)).tasks
        assert (await seller.owner.receipt(sold.id)).explored
        assert (await remembered(buyer)).explorations == 1


async def test_no_two_decisions_draw_from_the_same_seed() -> None:
    async with world() as made:
        await made.seller()
        buyer = await made.buyer()
        decisions = [await stored(buyer, (await buyer.ask("sentiment", TEXT)).id) for _ in range(3)]
        assert len({decision.inputs.seed for decision in decisions}) == 3
        draws = {decision.inputs.candidates[0].audit_draw for decision in decisions}
        assert len(draws) == 3
        assert all(0 <= draw < 1 for draw in draws)


async def test_what_waits_here_makes_local_work_dearer() -> None:
    async with world() as made:
        node = await made.node()
        work = node.parts.work
        idle = work.option("sentiment", "full", 100)
        with work.counted("sentiment", "full", 100, 5_000.0), work.counted("sentiment", "full", 100, 7_000.0):
            waiting = work.waiting()
            busy = work.option("sentiment", "full", 100)
        assert len(waiting) == max(0, 2 - work.executor.slots)
        assert (busy.cost.opportunity_micro > idle.cost.opportunity_micro) == bool(waiting)
        assert work.waiting() == ()


async def test_an_order_costs_a_dear_machine_more_unless_its_owner_says_what_it_costs() -> None:
    stated = DecisionConfig(protocol_overhead_micro=7.0)
    async with world() as made:
        dear = await made.buyer()
        told = await made.buyer(sections={"decision": stated})
        for buyer, expected_micro in ((dear, dear.parts.work.spent_micro(stated.protocol_s)), (told, 7.0)):
            task = await buyer.ask("sentiment", TEXT)
            assert (await stored(buyer, task.id)).inputs.config.protocol_overhead_micro == expected_micro > 1.0
