"""A buyer among sellers that each break one rule: what it makes of them, what it records, and that it never hangs."""

import asyncio
import os

import pytest

from node.ledger.journal import open_body
from node.net.session import Call
from node.outsource.config import ClientConfig
from node.views import TaskView
from protocol.messages import Award, FaultNotice, InputRequired, Message
from protocol.receipts import open_evidence, open_fault
from protocol.signed import FaultTerms, QuoteTerms, ResultTerms
from tests.harness import hostile
from tests.harness.dealing import Seller
from tests.harness.hostile import market
from tests.harness.nodes import Node
from tests.harness.peering import until

TEXT = "The room was not clean, but the staff were wonderful."


async def faults(buyer: Node) -> list[FaultTerms]:
    """Every fault in the buyer's journal, checked as anybody could."""
    entries = await buyer.parts.store.journal.tail(500)
    found = []
    for entry in entries:
        if entry.kind == "fault":
            content = open_body(entry.kind, entry.body)
            assert not isinstance(content, dict)
            assert isinstance(content.terms, FaultTerms)
            found.append(content.terms)
    return found


async def spent(buyer: Node) -> int:
    spending = buyer.parts.store.spending
    assert await spending.open_reservations() == []
    return await spending.day_used_micro(buyer.parts.env.unix_ms())


async def test_an_honest_seller_is_hired_paid_and_has_its_receipt() -> None:
    seller = Seller()
    async with market(seller) as buyer:
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice, task.peer) == ("completed", "outsource", seller.name)
        assert (task.cost_micro, await spent(buyer)) == (10, 10)
        assert (await buyer.journal())[:3] == ["award", "receipt_offer", "receipt"]
        (receipt,) = seller.receipts
        assert (receipt.verdict, receipt.paid_micro, receipt.deadline_met) == ("accepted", 10, True)


NO_OFFER = [
    (hostile.Silent(), "no answer within"),
    (hostile.Declining(), "declined: busy: come back later"),
    (hostile.Forging(), "signature"),
    (hostile.WrongQuote(change={"task_id": os.urandom(16)}), "for task"),
    (hostile.WrongQuote(change={"specification_sha256": os.urandom(32)}), "another specification"),
    (hostile.WrongQuote(change={"client": os.urandom(32)}), "another client"),
    (hostile.WrongQuote(change={"contractor": os.urandom(32)}), "another contractor"),
    (hostile.WrongQuote(change={"network": "elsewhere"}), "network 'elsewhere'"),
    (hostile.WrongQuote(change={"skill": "risk"}), "offers skill 'risk'"),
    (hostile.WrongQuote(change={"effort": "cheapest"}), "cheapest effort"),
    (hostile.WrongQuote(change={"p95_ms": 1}), "below its expected"),
    (hostile.WrongQuote(change={"expires_unix_ms": 1}), "valid for"),
]


@pytest.mark.parametrize(("seller", "reason"), NO_OFFER, ids=[f"{type(s).__name__}-{r}" for s, r in NO_OFFER])
async def test_a_seller_without_a_usable_quote_is_passed_over_and_named(seller: Seller, reason: str) -> None:
    config = ClientConfig(quote_timeout_s=0.3)
    async with market(type(seller)(change=seller.change), sections={"client": config}) as buyer:
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "local")
        events = await buyer.parts.tasks.events(bytes.fromhex(task.id))
        (quotes,) = [event.text for event in events if event.name == "quotes"]
        assert reason in quotes
        assert await buyer.journal() == []


FAULTY = [
    (hostile.Refusing, "failed"),
    (hostile.Disconnecting, "disconnect"),
    (hostile.Overcharging, "overcharge"),
    (hostile.Fabricating, "bad_result"),
    (hostile.Garbage, "bad_result"),
    (hostile.Oversized, "invalid"),
    (hostile.WrongMessage, "invalid"),
]


@pytest.mark.parametrize(("kind", "fault"), FAULTY)
async def test_a_contractor_at_fault_is_reported_unpaid_and_replaced_by_local_work(
    kind: type[Seller], fault: str
) -> None:
    seller = kind()
    client = ClientConfig(max_output_bytes=4096, default_least_level="full", receipt_timeout_s=2.0)
    async with market(seller, sections={"client": client}) as buyer:
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice, task.peer) == ("completed", "local", "")
        (tried,) = task.tried
        assert seller.name in tried
        (report,) = await faults(buyer)
        assert (report.kind, report.contractor, report.reporter) == (fault, seller.key, buyer.key)
        assert await spent(buyer) == 0
        totals = (await buyer.parts.store.outcomes.totals())[seller.key]
        assert (totals.jobs, totals.successes, totals.paid_micro) == (1, 0, 0)


async def test_an_overcharge_is_proven_by_the_sellers_own_signatures_and_told_to_it() -> None:
    seller = hostile.Overcharging()
    async with market(seller) as buyer:
        await buyer.ask("sentiment", TEXT)
        (report,) = await faults(buyer)
        signed = [open_evidence(piece, (seller.key,))[1] for piece in report.evidence]
        quoted, result = signed
        assert isinstance(quoted, QuoteTerms)
        assert isinstance(result, ResultTerms)
        assert result.invoice_micro > quoted.price_micro
        await until(lambda: bool(seller.notices))
        (notice,) = seller.notices
        assert isinstance(notice, FaultNotice)
        assert open_fault(notice.terms, notice.signature).terms == report


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task_id", b"\x01" * 16),
        ("quote_sha256", b"\x01" * 32),
        ("session_hash", b"\x01" * 32),
        ("result_sha256", b"\x01" * 32),
        ("result_bytes", 1),
    ],
)
async def test_a_result_signed_for_anything_else_is_refused_with_proof(field: str, value: object) -> None:
    seller = hostile.Misbinding(change={field: value})
    async with market(seller) as buyer:
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "local")
        (report,) = await faults(buyer)
        assert report.kind == "invalid"
        assert field in report.text
        assert len(report.evidence) == 2


async def test_a_replayed_result_of_an_earlier_task_is_refused() -> None:
    seller = hostile.Replaying()
    async with market(seller) as buyer:
        first = await buyer.ask("sentiment", TEXT)
        second = await buyer.ask("sentiment", TEXT)
        assert (first.choice, second.choice) == ("outsource", "local")
        (report,) = await faults(buyer)
        assert (report.task_id, report.kind) == (buyer.order_of(second.id, seller.key), "invalid")


async def test_a_refused_result_still_has_a_receipt_that_says_rejected_and_pays_nothing() -> None:
    seller = hostile.Fabricating()
    async with market(seller, sections={"client": ClientConfig(default_least_level="full")}) as buyer:
        task = await buyer.ask("sentiment", TEXT)
        assert task.choice == "local"
        await until(lambda: bool(seller.receipts))
        (receipt,) = seller.receipts
        assert (receipt.verdict, receipt.paid_micro, receipt.level) == ("rejected", 0, "full")


@pytest.mark.parametrize("kind", [hostile.NoReceipt, hostile.ForgedReceipt])
async def test_a_good_result_without_a_countersignature_is_kept_and_its_absence_recorded(kind: type[Seller]) -> None:
    seller = kind()
    async with market(seller) as buyer:
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        assert await spent(buyer) == 10
        await until(lambda: bool(seller.notices))
        (report,) = await faults(buyer)
        assert report.kind == "refused_receipt"
        totals = (await buyer.parts.store.outcomes.totals())[seller.key]
        assert totals.successes == 1, "the work itself was good"


async def test_a_result_that_is_here_is_not_held_back_by_a_late_countersignature() -> None:
    seller = hostile.LateReceipt()
    async with market(seller, sections={"client": ClientConfig(receipt_timeout_s=15.0)}) as buyer:
        task_id = await buyer.submit("sentiment", TEXT, deadline_s=1.0)
        task = await buyer.ended(task_id)
        assert (task.state, task.choice, task.receipt) == ("completed", "outsource", "")
        assert await spent(buyer) == 10, "what was offered counts before it is countersigned"
        seller.release.set()
        await buyer.written("receipt")


async def test_a_flood_of_progress_neither_fills_the_log_nor_stops_the_work() -> None:
    seller = hostile.Flooding()
    async with market(seller) as buyer:
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        events = await buyer.parts.tasks.events(bytes.fromhex(task.id))
        assert sum(event.name == "progress" for event in events) <= 101


async def test_the_next_seller_is_hired_when_the_first_fails_and_then_local_work() -> None:
    gone, liar = hostile.Disconnecting(price_micro=1), hostile.Garbage(price_micro=500)
    async with market(gone, liar, sections={"client": ClientConfig(default_least_level="full")}) as buyer:
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "local")
        assert [name in text for name, text in zip((gone.name, liar.name), task.tried, strict=True)] == [True, True]
        assert [fault.kind for fault in await faults(buyer)] == ["disconnect", "bad_result"]


async def test_a_seller_that_never_finishes_is_given_up_and_its_work_cancelled() -> None:
    seller = hostile.Slow()
    async with market(seller, speeds={"sentiment": 0.01}) as buyer:
        task = await buyer.ask("sentiment", TEXT, deadline_s=2.0)
        assert (task.state, task.choice) == ("completed", "local"), task
        (report,) = await faults(buyer)
        assert report.kind == "timeout"
        await until(seller.was_cancelled.is_set)


async def test_many_silent_sellers_do_not_delay_a_task_by_the_whole_quote_timeout() -> None:
    honest = [Seller(), Seller()]
    async with market(*honest, hostile.Silent(), sections={"client": ClientConfig(quote_timeout_s=60.0)}) as buyer:
        async with asyncio.timeout(15):
            task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")


# --- questions


async def answered(buyer: Node, task_id: bytes, text: str) -> TaskView:
    await buyer.reached(task_id, "input_required")
    return await buyer.parts.client.answer(task_id, text)


async def test_a_question_reaches_the_owner_and_the_answer_the_contractor() -> None:
    seller = hostile.Asking()
    async with market(seller) as buyer:
        task_id = await buyer.submit("sentiment", TEXT)
        event = await buyer.reached(task_id, "input_required")
        assert event.question == "question 0"
        view = await buyer.parts.tasks.view(task_id)
        assert (view.state, view.question) == ("input-required", "question 0")
        await buyer.parts.client.answer(task_id, "an answer")
        task = await buyer.ended(task_id)
        assert (task.state, task.choice, task.question) == ("completed", "outsource", "")


async def test_a_contractor_that_does_not_wait_for_its_answer_leaves_no_task_waiting() -> None:
    seller = hostile.Asking(waits=False)
    async with market(seller) as buyer:
        task = await buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")


class AskingThenGone(Seller):
    """Asks, and drops the connection before the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.leaves = asyncio.Event()

    async def work(self, call: Call, award: Award) -> Message:
        await call.emit(InputRequired(question="who are you?"))
        await self.leaves.wait()
        call.session.abort("gone")
        return await super().work(call, award)


async def test_a_contractor_that_leaves_while_its_question_waits_is_replaced() -> None:
    seller = AskingThenGone()
    async with market(seller) as buyer:
        task_id = await buyer.submit("sentiment", TEXT)
        await buyer.reached(task_id, "input_required")
        seller.leaves.set()
        task = await buyer.ended(task_id)
        assert (task.state, task.choice) == ("completed", "local")
        (report,) = await faults(buyer)
        assert report.kind == "disconnect"


async def test_a_flood_of_questions_ends_the_job() -> None:
    seller = hostile.Asking(count=50)
    async with market(seller) as buyer:
        task = await buyer.ask("sentiment", TEXT)
        assert task.choice == "local"
        (report,) = await faults(buyer)
        assert (report.kind, "questions" in report.text) == ("invalid", True)
