"""The buying role under races: cancellation at any moment, unusable results, quotes that run out, redundancy."""

import asyncio
import json

import msgspec
import pytest

from node.net.session import Call
from node.outsource.config import ClientConfig
from node.tasks.lifecycle import ENDED
from node.views import TaskView
from protocol.messages import Award, Message, QuoteRequest
from protocol.signed import QuoteTerms
from tests.harness import hostile
from tests.harness.dealing import Seller
from tests.harness.hostile import market
from tests.harness.nodes import world
from tests.harness.peering import until

TEXT = "The room was not clean, but the staff were wonderful."


async def test_the_event_that_ends_a_task_carries_the_task_with_its_cost_and_the_size_of_its_result() -> None:
    async with world() as made:
        node = await made.node()
        task_id = await node.submit("sentiment", TEXT)
        ended = await node.ended(task_id)
        last = (await node.parts.tasks.events(task_id))[-1]
        assert last.task is not None
        assert (last.task, last.task.cost_micro) == (ended, last.cost_micro)
        assert last.task.result is not None
        assert last.task.result.size_bytes == last.result_bytes


# --- cancellation at any moment


async def test_whenever_a_task_is_cancelled_it_ends_once_and_keeps_no_promise_open() -> None:
    seller = Seller()
    async with market(seller) as buyer:
        states = []
        for step in range(24):
            task_id = await buyer.submit("sentiment", TEXT)
            for _ in range(step * 3):
                await asyncio.sleep(0)
            buyer.parts.running.cancel(task_id)
            buyer.parts.running.cancel(task_id)
            task = await buyer.ended(task_id)
            events = [event.name for event in await buyer.parts.tasks.events(task_id)]
            assert task.state in ENDED
            assert sum(name in ENDED for name in events) == 1
            states.append(task.state)
        await until(lambda: not len(buyer.parts.running))
        assert "cancelled" in states
        assert await buyer.parts.store.spending.open_reservations() == []
        assert await buyer.parts.store.blobs.live_tasks() == []


async def test_a_caller_that_leaves_while_its_task_is_taken_on_leaves_no_task_behind_that_nobody_runs() -> None:
    async with world() as made:
        node = await made.node()
        for step in range(12):
            submitting = asyncio.create_task(node.submit("sentiment", TEXT))
            for _ in range(step):
                await asyncio.sleep(0)
            submitting.cancel()
            await asyncio.wait([submitting])
        await until(lambda: not len(node.parts.running))
        assert await node.parts.store.tasks.unfinished() == []
        assert await node.parts.store.blobs.live_tasks() == []


# --- nothing usable


class Other(Seller):
    """Sells what no node here can do: it gives back `answer`."""

    label = "translation"
    answer = b'{"text": "das Zimmer"}'


def exit_code(task: TaskView) -> int:
    assert task.error is not None, task
    return task.error.exit_code


async def test_work_that_only_a_liar_sells_ends_as_verification_failed() -> None:
    seller = Other(answer=b"\xff no json")
    async with market(seller) as buyer:
        task = await buyer.ask("translation", TEXT)
        assert (task.state, exit_code(task)) == ("failed", 7)
        assert task.error is not None
        assert task.error.text.startswith("nothing is left to try; tried: ")
        assert "\n" not in task.error.text


async def test_a_skill_that_nobody_here_can_check_is_not_bought_where_a_check_is_asked_for() -> None:
    async with market(Other()) as buyer:
        task = await buyer.ask("translation", TEXT, least_level="full")
        assert (task.state, exit_code(task)) == ("rejected", 5)
        assert task.error is not None
        assert "level full" in task.error.text


# --- quotes that run out while another seller works


class Brief(Seller):
    """Its price binds for a fifth of a second."""

    def terms(self, call: Call, request: QuoteRequest) -> QuoteTerms:

        terms = super().terms(call, request)
        return msgspec.structs.replace(terms, expires_unix_ms=terms.issued_unix_ms + 200)


class GoneLater(hostile.Disconnecting):
    """Drops the connection once the other quote has run out."""

    async def work(self, call: Call, award: Award) -> Message:
        await asyncio.sleep(0.4)  # Longer than the other seller's quote binds: that is what is tested.
        return await super().work(call, award)


async def test_a_quote_that_ran_out_meanwhile_is_asked_for_again() -> None:
    first, second = GoneLater(price_micro=1), Brief(price_micro=20)
    async with market(first, second) as buyer:
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice, task.peer) == ("completed", "outsource", second.name)
        assert len(second.requests) == 2


# --- redundant checks where this node cannot do the work


async def redundant(*sellers: Other) -> tuple[TaskView, list[str], int]:
    async with market(*sellers) as buyer:
        task = await buyer.ask("translation", TEXT, least_level="redundant")
        await until(lambda: all(seller.receipts for seller in sellers if seller.awards))
        assert await buyer.parts.store.spending.open_reservations() == []
        paid = await buyer.parts.store.spending.day_used_micro(buyer.parts.env.unix_ms())
        return task, [seller.receipts[0].verdict if seller.receipts else "" for seller in sellers], paid


async def test_two_strangers_that_agree_are_believed_and_paid() -> None:
    task, verdicts, paid = await redundant(Other(price_micro=10), Other(price_micro=20))
    assert (task.state, task.level, task.cost_micro) == ("completed", "redundant", 30)
    assert (verdicts, paid) == (["accepted", "accepted"], 30)


async def test_two_strangers_that_differ_are_neither_believed_nor_paid() -> None:
    other = json.dumps({"text": "the room"}).encode()
    task, verdicts, paid = await redundant(Other(price_micro=10), Other(price_micro=20, answer=other))
    assert (task.state, exit_code(task)) == ("failed", 7)
    assert (verdicts, paid) == (["rejected", "rejected"], 0)
    assert task.error is not None
    assert "$.text" in task.error.text


async def test_one_stranger_alone_cannot_be_checked_redundantly_and_is_not_hired() -> None:
    task, verdicts, paid = await redundant(Other(price_micro=10))
    assert (task.state, exit_code(task), verdicts, paid) == ("rejected", 5, [""], 0)
    assert task.error is not None
    assert "redundant" in task.error.text


class Vanishing(Other):
    """Gone after the award."""

    async def work(self, call: Call, award: Award) -> Message:
        call.session.abort("gone")
        return await super().work(call, award)


async def test_a_second_that_vanishes_leaves_the_first_paid_and_the_task_failed() -> None:
    first, second = Other(price_micro=10), Vanishing(price_micro=20)
    async with market(first, second, sections={"client": ClientConfig(receipt_timeout_s=1.0)}) as buyer:
        task = await buyer.ask("translation", TEXT, least_level="redundant")
        assert (task.state, exit_code(task)) == ("failed", 7)
        await until(lambda: bool(first.receipts))
        assert first.receipts[0].verdict == "accepted"
        assert len(second.awards) == 1, "who vanished once is not tried again"


# --- more than one at once


@pytest.mark.parametrize("count", [12])
async def test_many_tasks_at_once_are_all_served_and_paid_once(count: int) -> None:
    seller = Seller()
    async with market(seller) as buyer:
        tasks = await asyncio.gather(*(buyer.ask("sentiment", f"{TEXT} {number}") for number in range(count)))
        assert {task.state for task in tasks} == {"completed"}
        bought = [task for task in tasks if task.choice == "outsource"]
        spent = await buyer.parts.store.spending.day_used_micro(buyer.parts.env.unix_ms())
        assert spent == 10 * len(bought) == 10 * len(seller.awards)
        assert (await buyer.owner.journal_verify()).ok
