"""The course of a task between whole nodes: where it is done, what it asks, what ends it."""

import asyncio
from pathlib import Path

import pytest

from node.decision.asking import LEAST_ROUNDS
from node.decision.config import DecisionConfig
from node.errors import UsageError
from node.outsource.config import ClientConfig, ContractorConfig
from node.views import AskRequest
from tests.harness import hostile
from tests.harness.dealing import Seller, on_sale
from tests.harness.nodes import world
from tests.harness.peering import until

TEXT = "The room was not clean, but the staff were wonderful."
TALK = """
from coalesced.skill import ask, progress, skill

@skill("talk", price="0.00001")
async def work(text: str) -> str:
    progress(500_000, "half way")
    return await ask(f"{text}?")
"""
STALL = """
import time
from coalesced.skill import skill

@skill("stall", price="0.00001")
def work(text: str) -> str:
    time.sleep(float(text))
    return "done"
"""
PLAIN = """
from coalesced.skill import skill

@skill("plain", price="0.00001")
def work(text: str) -> str:
    return text
"""
TRUSTING = DecisionConfig(doubted_share=0.2)
"""A stranger is hired where it is expected to be worth it, though nothing was saved yet that could bear its failure."""
# --- where


async def test_a_lone_node_does_the_work_itself_and_says_why() -> None:
    async with world() as made:
        node = await made.node()
        task = await node.ask("sentiment", TEXT)
        assert (task.state, task.choice, task.side) == ("completed", "local", "client")
        why = await node.owner.why(task.id)
        assert why.decision is not None
        assert why.decision.reasons[0].startswith("There is no offer for sentiment")
        secret = await node.owner.why((await node.ask("sentiment", TEXT, privacy="secret")).id)
        assert secret.decision is not None
        assert secret.decision.reasons[1].startswith("Nobody was asked about sentiment")
        assert await node.journal() == []


async def test_light_work_is_done_here_though_sellers_offer() -> None:
    async with world() as made:
        await made.seller()
        node = await made.node(sections={"contractor": ContractorConfig(sell=False)})
        task = await node.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "local")


async def test_nobody_is_asked_where_quotes_never_came_near_but_now_and_then() -> None:
    seller = Seller()
    sections = {"contractor": ContractorConfig(sell=False), "client": ClientConfig(unasked_most=2)}
    async with world() as made:
        node = await made.node(sections=sections)
        async with on_sale(seller, [node.endpoint]):
            asked = []
            for _ in range(LEAST_ROUNDS + 5):
                task = await node.ask("sentiment", TEXT)
                assert (task.state, task.choice) == ("completed", "local")
                asked.append(len(seller.requests))
            assert asked == [1, 2, 3, 3, 3, 4, 4, 4]
            why = await node.owner.why(task.id)
            assert why.decision is not None
            assert why.decision.reasons[0].startswith("Not asked: doing it here costs")
            assert [row.text[:9] for row in why.timeline if row.name == "sellers_found"] == ["not asked"]


async def test_a_dry_run_asks_all_the_same_and_says_that_a_task_would_not() -> None:
    seller = Seller()
    async with world() as made:
        node = await made.node(sections={"contractor": ContractorConfig(sell=False)})
        async with on_sale(seller, [node.endpoint]):
            for _ in range(LEAST_ROUNDS):
                await node.ask("sentiment", TEXT)
            view = await node.owner.decide(AskRequest(skill="sentiment", text=TEXT, privacy="public"))
            assert [row.name for row in view.options] == ["local", seller.name]
            assert view.reasons[-1].startswith("Not worth asking about: doing it here costs")
            supposed = AskRequest(skill="sentiment", text=TEXT, privacy="public", what_if=("local-time=1h",))
            assert not any("Not worth" in reason for reason in (await node.owner.decide(supposed)).reasons)


async def test_work_that_fails_here_goes_to_the_market_though_nobody_was_asked_about_it(tmp_path: Path) -> None:
    sections = {"contractor": ContractorConfig(skills=())}
    async with world() as made:
        seller = await made.seller(functions=True, sections=sections)
        await seller.sell(tmp_path, PLAIN)
        buyer = await made.node(functions=True, sections=sections)
        await buyer.sell(tmp_path, PLAIN.replace("return text", "raise RuntimeError('broken here')"))
        task = await buyer.ask("plain", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        why = await buyer.owner.why(task.id)
        said = [row.text for row in why.timeline if row.name == "sellers_found"]
        assert said[0].startswith("not asked")
        assert said[1].startswith("1 advertise plain")


async def test_heavy_work_is_bought_and_both_journals_hold_the_receipt() -> None:
    async with world() as made:
        seller, buyer = await made.seller(), await made.buyer()
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        await seller.written("receipt")
        order = buyer.order_of(task.id, seller.key)
        mine, theirs = await buyer.owner.receipt(task.id), await seller.owner.receipt(order.hex())
        assert mine.countersigned
        assert (mine.digest, mine.price_micro) == (theirs.digest, theirs.price_micro)
        sold = await seller.parts.tasks.view(order)
        assert (sold.side, sold.state, sold.input_bytes) == ("contractor", "completed", len(TEXT))


async def test_secret_work_never_leaves_the_node() -> None:
    seller = Seller()
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(seller, [buyer.endpoint]):
            task = await buyer.ask("sentiment", TEXT, privacy="secret")
            assert (task.state, task.choice) == ("completed", "local")
            assert seller.requests == []
            why = await buyer.owner.why(task.id)
            assert why.decision is not None
            assert why.decision.reasons[0] == "Secret work never leaves this node."
            refused = await buyer.ask("no-such-skill", TEXT, privacy="secret")
            assert refused.error is not None
            assert (refused.state, refused.error.exit_code) == ("rejected", 5)
            assert refused.error.text.startswith("secret work never leaves this node")


async def test_a_dry_run_awards_nothing_and_ask_refuses_to_be_one() -> None:
    seller = Seller()
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(seller, [buyer.endpoint]):
            view = await buyer.owner.decide(AskRequest(skill="sentiment", text=TEXT, privacy="public"))
            assert (view.choice, view.contractor, view.task_id) == ("outsource", seller.name, "")
            with pytest.raises(UsageError, match="dry run"):
                await buyer.submit("sentiment", TEXT, dry_run=True)
            assert seller.awards == []
            assert (await buyer.owner.tasks(limit=10)).tasks == ()


async def test_a_skill_that_only_the_seller_has_can_be_bought(tmp_path: Path) -> None:
    async with world() as made:
        _, buyer = await made.trade(tmp_path, STALL)
        task = await buyer.ask("stall", "0")
        assert (task.state, task.choice, task.level) == ("completed", "outsource", "none")
        assert await buyer.owner.result(task.id) == (b"done", "text/plain")


async def test_nobody_sells_it_and_we_cannot_do_it_is_one_clear_sentence() -> None:
    async with world() as made:
        node = await made.node()
        task = await node.ask("translation", TEXT)
        assert task.error is not None
        assert (task.state, task.error.code, task.error.exit_code) == ("failed", "no_offer", 4)
        assert task.error.text.startswith("There is no offer for translation: this node cannot do it")


async def test_what_is_neither_a_label_nor_means_anything_is_refused_with_the_nearest() -> None:
    async with world() as made:
        node = await made.node()
        with pytest.raises(UsageError, match="did you mean sentiment"):
            await node.submit("Sntiment!", TEXT)
        assert (await node.owner.tasks(limit=10)).tasks == ()


async def test_wrong_input_is_told_at_once_and_never_offered_to_sellers() -> None:
    seller = Seller(label="risk")
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(seller, [buyer.endpoint]):
            with pytest.raises(UsageError):
                await buyer.submit("risk", "this is no portfolio")
            assert seller.requests == []


# --- questions, cancellation, deadlines


async def test_both_sides_wait_for_input_and_go_on_with_the_answer(tmp_path: Path) -> None:
    async with world() as made:
        seller, buyer = await made.trade(tmp_path, TALK)
        task_id = await buyer.submit("talk", "and you")
        event = await buyer.reached(task_id, "input_required")
        assert event.question == "and you?"
        for side, known_as in ((buyer, task_id), (seller, buyer.order_of(task_id, seller.key))):
            assert (await side.parts.tasks.view(known_as)).state == "input-required"
        with pytest.raises(UsageError, match="65536"):
            await buyer.owner.answer(task_id.hex(), "x" * 65_537)
        await buyer.owner.answer(task_id.hex(), "very well")
        task = await buyer.ended(task_id)
        assert (task.state, await buyer.owner.result(task.id)) == ("completed", (b"very well", "text/plain"))
        with pytest.raises(UsageError, match="not waiting for an answer"):
            await buyer.owner.answer(task_id.hex(), "too late")


async def test_the_time_an_owner_takes_to_answer_is_not_the_contractors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.outsource.patience.LEAST_S", 1.0)
    async with world() as made:
        _, buyer = await made.trade(tmp_path, TALK)
        task_id = await buyer.submit("talk", "and you")
        await buyer.reached(task_id, "input_required")
        await asyncio.sleep(1.5)  # Longer than the contractor's patience and ours: that is what is tested.
        await buyer.owner.answer(task_id.hex(), "late but there")
        task = await buyer.ended(task_id)
        assert task.state == "completed", task.error


async def test_cancelling_kills_the_contractors_work(tmp_path: Path) -> None:
    async with world() as made:
        seller, buyer = await made.trade(tmp_path, STALL)
        task_id = await buyer.submit("stall", "600")
        await buyer.reached(task_id, "accepted")
        await until(lambda: seller.parts.executor.running == 1)
        view = await buyer.owner.cancel(task_id.hex())
        assert view.error is not None
        assert (view.state, view.error.exit_code) == ("cancelled", 130)
        await until(lambda: seller.parts.executor.running == 0)
        order = buyer.order_of(task_id, seller.key)
        sold = await seller.ended(order)
        assert sold.state == "cancelled"
        assert await buyer.parts.store.spending.open_reservations() == []
        with pytest.raises(UsageError, match="cancelled already"):
            await buyer.owner.cancel(task_id.hex())
        with pytest.raises(UsageError, match="only its client can cancel it"):
            await seller.owner.cancel(order.hex())


async def test_a_task_can_be_cancelled_while_quotes_are_awaited() -> None:
    seller = hostile.Silent()
    async with world() as made:
        buyer = await made.buyer(sections={"client": ClientConfig(quote_timeout_s=60.0)})
        async with on_sale(seller, [buyer.endpoint]):
            task_id = await buyer.submit("sentiment", TEXT)
            await buyer.reached(task_id, "sellers_found")
            assert (await buyer.owner.cancel(task_id.hex())).state == "cancelled"


async def test_a_task_can_be_cancelled_while_its_question_waits() -> None:
    seller = hostile.Asking()
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(seller, [buyer.endpoint]):
            task_id = await buyer.submit("sentiment", TEXT)
            await buyer.reached(task_id, "input_required")
            assert (await buyer.owner.cancel(task_id.hex())).state == "cancelled"
            await until(seller.was_cancelled.is_set)


async def test_a_task_done_here_can_be_cancelled() -> None:
    async with world() as made:
        node = await made.node(pace_s=600.0)
        task_id = await node.submit("sentiment", TEXT)
        await node.reached(task_id, "decided")
        assert (await node.owner.cancel(task_id.hex())).state == "cancelled"
        await until(lambda: node.parts.executor.running == 0)


async def test_a_deadline_ends_local_work_that_was_thought_quick() -> None:
    async with world() as made:
        node = await made.node(pace_s=600.0)
        task = await node.ask("sentiment", TEXT, deadline_s=0.4)
        assert task.error is not None
        assert (task.state, task.error.code, task.error.exit_code) == ("failed", "timed_out", 6)


async def test_a_deadline_ends_a_contractor_that_was_thought_quick(tmp_path: Path) -> None:
    async with world() as made:
        seller, buyer = await made.trade(tmp_path, STALL)
        task_id = await buyer.submit("stall", "600", deadline_s=1.5)
        task = await buyer.ended(task_id)
        assert task.error is not None
        assert (task.state, task.error.exit_code) == ("failed", 6), task.error
        assert (await seller.ended(buyer.order_of(task_id, seller.key))).state in ("cancelled", "failed")
        await until(lambda: seller.parts.executor.running == 0)


async def test_a_deadline_ends_a_question_that_nobody_answers() -> None:
    seller = hostile.Asking()
    async with world() as made:
        buyer = await made.buyer(sections={"decision": TRUSTING}, speeds={"sentiment": 0.001})
        async with on_sale(seller, [buyer.endpoint]):
            task_id = await buyer.submit("sentiment", TEXT, deadline_s=1.0, prefer="cheap")
            await buyer.reached(task_id, "input_required")
            task = await buyer.ended(task_id)
            assert task.error is not None
            assert (task.state, task.error.exit_code, task.question) == ("failed", 6, "")
            await until(seller.was_cancelled.is_set)


async def test_silent_sellers_leave_a_short_deadline_enough_time_for_local_work() -> None:
    async with world() as made:
        buyer = await made.buyer(sections={"client": ClientConfig(quote_timeout_s=60.0)}, speeds={"sentiment": 0.001})
        async with on_sale(hostile.Silent(), [buyer.endpoint]):
            task = await buyer.ask("sentiment", TEXT, deadline_s=1.5)
            assert (task.state, task.choice) == ("completed", "local"), task.error
