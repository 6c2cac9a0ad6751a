"""The course of a task between whole nodes: where it is done, what it costs, what ends it."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from node.errors import UsageError
from node.outsource.config import ClientConfig, ContractorConfig
from node.outsource.running import TooManyTasksError
from node.store.spending import Caps
from node.views import AskRequest, InputFile, SellRequest
from tests.harness import hostile
from tests.harness.hostile import Seller, on_sale
from tests.harness.nodes import LIMIT_S, Node, World, world
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
BIG = """
from coalesced.skill import skill

@skill("big", price="0.00001")
def work(data: bytes) -> bytes:
    return data[::-1]
"""


async def trade(made: World, directory: Path, code: str, **sell: object) -> tuple[Node, Node]:
    """A seller of a user's function, and a buyer without it."""
    seller = await made.seller(functions=True, sections={"contractor": ContractorConfig(skills=())})
    await seller.sell(directory, code, **sell)
    return seller, await made.buyer()


# --- where


async def test_a_lone_node_does_the_work_itself_and_says_why() -> None:
    async with world() as made:
        node = await made.node()
        task = await node.ask("sentiment", TEXT)
        assert (task.state, task.choice, task.side) == ("completed", "local", "client")
        why = await node.owner.why(task.id)
        assert why.decision is not None
        assert why.decision.reasons[0].startswith("Nobody offers sentiment")
        assert await node.journal() == []


async def test_light_work_is_done_here_though_sellers_offer() -> None:
    async with world() as made:
        await made.seller()
        node = await made.node(sections={"contractor": ContractorConfig(sell=False)})
        task = await node.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "local")


async def test_heavy_work_is_bought_and_both_journals_hold_the_receipt() -> None:
    async with world() as made:
        seller, buyer = await made.seller(), await made.buyer()
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        await seller.written("receipt")
        mine, theirs = await buyer.owner.receipt(task.id), await seller.owner.receipt(task.id)
        assert mine.countersigned
        assert (mine.digest, mine.price_micro) == (theirs.digest, theirs.price_micro)
        sold = await seller.parts.tasks.view(bytes.fromhex(task.id))
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
        _, buyer = await trade(made, tmp_path, STALL)
        task = await buyer.ask("stall", "0")
        assert (task.state, task.choice, task.level) == ("completed", "outsource", "none")
        assert await buyer.owner.result(task.id) == (b"done", "text/plain")


async def test_nobody_sells_it_and_we_cannot_do_it_is_one_clear_sentence() -> None:
    async with world() as made:
        node = await made.node()
        task = await node.ask("translation", TEXT)
        assert task.error is not None
        assert (task.state, task.error.code, task.error.exit_code) == ("failed", "no_offer", 4)
        assert task.error.text.startswith("Nobody offers translation: this node cannot do it")


async def test_a_label_that_is_none_is_refused_with_the_nearest() -> None:
    async with world() as made:
        node = await made.node()
        with pytest.raises(UsageError, match="sentiment"):
            await node.submit("Sentiment!", TEXT)
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
        seller, buyer = await trade(made, tmp_path, TALK)
        task_id = await buyer.submit("talk", "and you")
        event = await buyer.reached(task_id, "input_required")
        assert event.question == "and you?"
        for side in (buyer, seller):
            assert (await side.parts.tasks.view(task_id)).state == "input-required"
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
        _, buyer = await trade(made, tmp_path, TALK)
        task_id = await buyer.submit("talk", "and you")
        await buyer.reached(task_id, "input_required")
        await asyncio.sleep(1.5)  # Longer than the contractor's patience and ours: that is what is tested.
        await buyer.owner.answer(task_id.hex(), "late but there")
        task = await buyer.ended(task_id)
        assert task.state == "completed", task.error


async def test_cancelling_kills_the_contractors_work(tmp_path: Path) -> None:
    async with world() as made:
        seller, buyer = await trade(made, tmp_path, STALL)
        task_id = await buyer.submit("stall", "600")
        await buyer.reached(task_id, "accepted")
        await until(lambda: seller.parts.executor.running == 1)
        view = await buyer.owner.cancel(task_id.hex())
        assert view.error is not None
        assert (view.state, view.error.exit_code) == ("cancelled", 130)
        await until(lambda: seller.parts.executor.running == 0)
        sold = await seller.ended(task_id)
        assert sold.state == "cancelled"
        assert await buyer.parts.store.spending.open_reservations() == []
        with pytest.raises(UsageError, match="cancelled already"):
            await buyer.owner.cancel(task_id.hex())
        with pytest.raises(UsageError, match="only its client can cancel it"):
            await seller.owner.cancel(task_id.hex())


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
        seller, buyer = await trade(made, tmp_path, STALL)
        task_id = await buyer.submit("stall", "600", deadline_s=1.5)
        task = await buyer.ended(task_id)
        assert task.error is not None
        assert (task.state, task.error.exit_code) == ("failed", 6), task.error
        assert (await seller.ended(task_id)).state in ("cancelled", "failed")
        await until(lambda: seller.parts.executor.running == 0)


async def test_a_deadline_ends_a_question_that_nobody_answers() -> None:
    seller = hostile.Asking()
    async with world() as made:
        buyer = await made.buyer(speeds={"sentiment": 0.001})
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


# --- large contents


async def test_three_mebibytes_travel_in_parts_both_ways(tmp_path: Path) -> None:
    data = bytes(range(256)) * (3 * 2**20 // 256)
    async with world() as made:
        _, buyer = await trade(made, tmp_path, BIG)
        file = InputFile(name="data.bin", media_type="application/octet-stream", data=data)
        task = await buyer.ask("big", files=(file,))
        assert (task.state, task.choice, task.input_bytes) == ("completed", "outsource", len(data)), task.error
        result, _ = await buyer.owner.result(task.id)
        assert result == data[::-1]


async def test_a_result_over_the_clients_limit_is_not_sent(tmp_path: Path) -> None:
    async with world() as made:
        seller = await made.seller(functions=True, sections={"contractor": ContractorConfig(skills=())})
        await seller.sell(tmp_path, BIG)
        buyer = await made.buyer(sections={"client": ClientConfig(max_output_bytes=1024)})
        file = InputFile(name="data.bin", media_type="application/octet-stream", data=bytes(2000))
        task = await buyer.ask("big", files=(file,))
        assert task.error is not None
        assert "too_large" in task.error.text
        sold = await seller.ended(bytes.fromhex(task.id))
        assert sold.error is not None
        assert sold.error.code == "too_large"


async def test_an_input_over_the_limit_is_refused_before_it_is_stored() -> None:
    async with world() as made:
        node = await made.node(sections={"client": ClientConfig(max_input_bytes=1024)})
        with pytest.raises(UsageError, match=r"over the limit of 1024: .*client\.max_input_bytes"):
            await node.submit("sentiment", "x" * 2000)
        assert await node.parts.store.blobs.used_bytes() == 0


# --- limits of money and number


async def test_the_day_cap_stops_buying_and_says_so() -> None:
    seller = Seller(price_micro=600)
    async with world() as made:
        buyer = await made.buyer(sections={"caps": Caps(day_micro=1000)})
        async with on_sale(seller, [buyer.endpoint]):
            assert (await buyer.ask("sentiment", TEXT)).choice == "outsource"
            task = await buyer.ask("sentiment", TEXT)
            assert task.choice == "local"
            why = await buyer.owner.why(task.id)
            assert why.decision is not None
            assert any("cap" in option.note for option in why.decision.options)


async def test_the_peer_cap_bounds_what_one_seller_may_take_unchecked() -> None:
    seller = Seller(price_micro=600)
    async with world() as made:
        buyer = await made.buyer(sections={"caps": Caps(peer_micro=1000)})
        async with on_sale(seller, [buyer.endpoint]):
            first = await buyer.ask("sentiment", TEXT)
            tasks = [await buyer.ask("sentiment", TEXT) for _ in range(3)]
            exposure = await buyer.parts.store.spending.peer_exposure_micro(seller.key, buyer.parts.env.unix_ms())
            assert first.choice == "outsource"
            assert exposure <= 1000
            assert [task.state for task in tasks] == ["completed"] * 3


async def test_tasks_at_once_never_promise_more_than_the_cap_together() -> None:
    seller = hostile.Slow(price_micro=600)
    async with world() as made:
        buyer = await made.buyer(sections={"caps": Caps(day_micro=1000)})
        async with on_sale(seller, [buyer.endpoint]):
            ids = [await buyer.submit("sentiment", TEXT) for _ in range(4)]
            await until(seller.was_awarded.is_set)
            done = [task for task in await asyncio.gather(*(settled(buyer, task_id) for task_id in ids)) if task]
            assert done.count("local") == 3
            assert len(seller.awards) == 1
            for task_id in ids:
                buyer.parts.running.cancel(task_id)


async def settled(node: Node, task_id: bytes) -> str:
    """`local` once it ended here, or `awarded`."""
    async with asyncio.timeout(LIMIT_S):
        async for event in node.parts.tasks.watch(task_id):
            if event.name in ("awarded", "completed"):
                return "awarded" if event.name == "awarded" else "local"
    return ""


async def test_a_budget_of_nothing_buys_nothing() -> None:
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(Seller(), [buyer.endpoint]):
            task = await buyer.ask("sentiment", TEXT, budget_micro=0)
            assert (task.state, task.choice) == ("completed", "local")
        async with on_sale(Seller(label="translation"), [buyer.endpoint]):
            refused = await buyer.ask("translation", TEXT, budget_micro=0)
            assert refused.error is not None
            assert (refused.state, refused.error.exit_code) == ("rejected", 5)


async def test_the_same_idempotency_key_gives_the_same_task() -> None:
    async with world() as made:
        node = await made.node()
        first = await node.submit("sentiment", TEXT, idempotency_key="monday")
        again = await node.submit("sentiment", TEXT, idempotency_key="monday")
        assert first == again
        await node.ended(first)
        assert await node.submit("sentiment", TEXT, idempotency_key="monday") == first
        with pytest.raises(UsageError, match="'monday' was used for another task"):
            await node.submit("sentiment", "something else", idempotency_key="monday")
        assert len((await node.owner.tasks(limit=10)).tasks) == 1


async def test_a_flood_of_tasks_is_bounded_even_when_they_come_at_once() -> None:
    async with world() as made:
        node = await made.node(pace_s=600.0, sections={"client": ClientConfig(max_running_tasks=3)})
        outcomes = await asyncio.gather(*(node.submit("sentiment", TEXT) for _ in range(8)), return_exceptions=True)
        refused = [one for one in outcomes if isinstance(one, TooManyTasksError)]
        assert len(refused) == 5
        assert len(node.parts.running) == 3
        assert "client.max_running_tasks" in str(refused[0])


# --- limits of sold functions


async def test_a_sold_functions_own_time_limit_kills_it(tmp_path: Path) -> None:
    async with world() as made:
        seller, buyer = await trade(made, tmp_path, STALL, timeout_s=0.5)
        task_id = await buyer.submit("stall", "600")
        task = await buyer.ended(task_id)
        assert task.error is not None
        assert "did not end within 0.5 s" in task.error.text
        assert (await seller.ended(task_id)).error.code == "timed_out"  # type: ignore[union-attr]


async def test_limits_and_names_of_builtin_skills_cannot_be_changed_by_selling_them() -> None:
    async with world() as made:
        node = await made.node()
        for wrong in ({"timeout_s": 5.0}, {"memory_bytes": 2**26}, {"label": "feelings"}):
            with pytest.raises(UsageError, match="sentiment is builtin"):
                await node.owner.sell(SellRequest(target="sentiment", **wrong))


# --- redundant checks


async def redundant(*sellers: Seller, speeds: dict[str, float] | None = None) -> tuple[dict[str, object], list[str]]:
    """What a task with a redundant check comes to with these sellers, and what each receipt says."""
    async with world() as made, AsyncExitStack() as stack:
        buyer = await made.buyer(**({"speeds": speeds} if speeds else {}))
        for seller in sellers:
            await stack.enter_async_context(on_sale(seller, [buyer.endpoint]))
        task = await buyer.ask("sentiment", TEXT, least_level="redundant")
        await until(lambda: all(seller.receipts for seller in sellers if seller.awards))
        verdicts = [seller.receipts[0].verdict if seller.receipts else "unasked" for seller in sellers]
        assert await buyer.parts.store.spending.open_reservations() == []
        paid = await buyer.parts.store.spending.day_used_micro(buyer.parts.env.unix_ms())
        found = {"state": task.state, "choice": task.choice, "level": task.level, "paid": paid}
        if task.state == "completed":
            found["score"] = json.loads((await buyer.owner.result(task.id))[0])["score"]
        return found, verdicts


async def test_two_sellers_that_agree_are_both_paid() -> None:
    found, verdicts = await redundant(Seller(price_micro=10), Seller(price_micro=20))
    assert (found["state"], found["choice"], found["level"], found["paid"]) == (
        "completed",
        "outsource",
        "redundant",
        30,
    )
    assert verdicts == ["accepted", "accepted"]


async def test_of_two_that_differ_the_one_that_local_work_confirms_is_paid() -> None:
    honest, subtle = Seller(price_micro=10), Subtle(price_micro=20)
    found, verdicts = await redundant(honest, subtle)
    assert (found["state"], found["paid"]) == ("completed", 10)
    assert verdicts == ["accepted", "rejected"]


async def test_a_redundant_check_with_one_seller_compares_with_local_work() -> None:
    found, verdicts = await redundant(Seller(price_micro=10))
    assert found["state"] == "completed"
    assert verdicts in (["accepted"], ["unasked"])


class Subtle(Seller):
    """A result that passes the check of the form and of the sentences, with another summary."""

    def output(self, award: object) -> bytes:
        plain = json.loads(super().output(award))  # type: ignore[arg-type]
        plain["summary"] = plain["summary"] + " "
        return json.dumps(plain).encode()
