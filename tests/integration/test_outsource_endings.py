"""However a task ends, each order of it has an end of its own: a receipt, a report, or a note that says what was."""

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from coalesced.cli.explain import outcome
from node.ledger.journal import ABANDONED, Entry, open_body
from node.net.session import Call
from node.outsource.config import ClientConfig
from protocol.messages import Message, QuoteRequest
from protocol.receipts import Receipt, Signed
from protocol.signed import FaultTerms
from tests.harness import hostile
from tests.harness.dealing import Buyer, Seller, on_sale
from tests.harness.nodes import Node, snapshot, world
from tests.harness.peering import until

TEXT = "The room was not clean, but the staff were wonderful."
KEY = b"\x42" * 32


def home(tmp_path: Path, name: str) -> Path:
    directory = tmp_path / name
    directory.mkdir(mode=0o700)
    return directory


async def entries_of(node: Node, task_id: bytes) -> list[Entry]:
    return await node.parts.store.journal.of_task(task_id)


async def note_of(node: Node, task_id: bytes) -> dict[str, object]:
    """The one note about a task."""
    (note,) = [open_body(entry.kind, entry.body) for entry in await entries_of(node, task_id) if entry.kind == "note"]
    assert isinstance(note, dict)
    return note


# --- a deadline that strikes while a result is being judged


@pytest.mark.parametrize("seller", [Seller(), hostile.Fabricating()], ids=["honest", "fabricating"])
async def test_a_result_that_the_deadline_finds_unjudged_is_judged_and_settled_all_the_same(seller: Seller) -> None:
    async with world() as made:
        buyer = await made.buyer(pace_s=20.0)  # A check takes two seconds here.
        async with on_sale(seller, [buyer.endpoint]):
            task = await buyer.ask("sentiment", TEXT, least_level="full", deadline_s=1.5)
            assert task.error is not None
            assert (task.state, task.error.code) == ("failed", "timed_out")
            await buyer.written("receipt")
            (receipt,) = [
                content
                for entry in await entries_of(buyer, bytes.fromhex(task.id))
                if isinstance(content := open_body(entry.kind, entry.body), Receipt)
            ]
            honest = not isinstance(seller, hostile.Fabricating)
            assert receipt.terms.verdict == ("accepted" if honest else "rejected")
            assert receipt.terms.paid_micro == (seller.price_micro if honest else 0)
            assert await buyer.journal("fault") == ([] if honest else ["fault"])
            assert await buyer.parts.store.spending.open_reservations() == []


async def test_a_second_contractor_is_not_hired_for_a_check_that_it_cannot_end_in_time() -> None:
    late = Seller(price_micro=20, p95_ms=60_000)
    async with world() as made:
        buyer = await made.buyer(speeds={"sentiment": 0.5})
        async with on_sale(Seller(price_micro=10), [buyer.endpoint]), on_sale(late, [buyer.endpoint]):
            task = await buyer.ask("sentiment", TEXT, least_level="redundant", deadline_s=10.0)
            assert (task.state, task.choice) == ("completed", "outsource")
            assert late.requests
            assert late.awards == []


# --- a stop or a crash before the countersignature


async def test_a_stopping_node_waits_for_the_countersignature(tmp_path: Path) -> None:
    seller = hostile.LateReceipt()
    async with world() as made:
        buyer = await made.buyer(directory=home(tmp_path, "buyer"))
        async with on_sale(seller, [buyer.endpoint]):
            await buyer.submit("sentiment", TEXT)
            await seller.was_offered.wait()
            stopping = asyncio.create_task(buyer.stop())
            await until(lambda: buyer.daemon.is_stopping)
            seller.release.set()
            await stopping
        await buyer.start()
        assert await buyer.journal() == ["award", "receipt_offer", "receipt"]


async def test_what_was_not_countersigned_before_a_stop_is_asked_for_again_and_nobody_is_blamed(tmp_path: Path) -> None:
    seller = hostile.LateReceipt()
    async with world() as made:
        patient = {"client": ClientConfig(receipt_timeout_s=15.0)}
        buyer = await made.buyer(directory=home(tmp_path, "buyer"), sections=patient)
        async with on_sale(seller, [buyer.endpoint]):
            task_id = await buyer.submit("sentiment", TEXT)
            await seller.was_offered.wait()
            await buyer.stop()
            seller.release.set()
            await buyer.start()
            await buyer.written("receipt")
            assert await buyer.journal() == ["award", "receipt_offer", "receipt"]
            assert (await buyer.owner.receipt(task_id.hex())).countersigned


async def test_a_crash_before_the_countersignature_ends_in_a_receipt_or_where_nobody_signs_in_a_report(
    tmp_path: Path,
) -> None:
    directory, seller = home(tmp_path, "buyer"), hostile.LateReceipt()
    async with world() as made:
        buyer = await made.buyer(seed=KEY, directory=directory)
        async with on_sale(seller, [buyer.endpoint]):
            await buyer.submit("sentiment", TEXT)
            await seller.was_offered.wait()
            signing, refusing = (snapshot(directory, tmp_path / name) for name in ("signing", "refusing"))
            seller.release.set()
            await buyer.stop()
            after = await made.node(seed=KEY, directory=signing, bootstrap=())
            await after.written("receipt")
            await after.stop()
            seller.refuses = True
            after = await made.node(seed=KEY, directory=refusing, bootstrap=())
            await after.written("fault")
            (report,) = [open_body(entry.kind, entry.body) for entry in await after.parts.store.journal.tail(1)]
            assert isinstance(report, Signed)
            assert isinstance(report.terms, FaultTerms)
            assert report.terms.kind == "refused_receipt"


# --- an order that is let go of


async def test_an_order_that_a_crash_cut_short_is_noted_and_its_contractor_is_not_blamed(tmp_path: Path) -> None:
    directory, seller = home(tmp_path, "buyer"), hostile.Slow()
    async with world() as made:
        buyer = await made.buyer(seed=KEY, directory=directory)
        async with on_sale(seller, [buyer.endpoint]):
            task_id = await buyer.submit("sentiment", TEXT)
            await buyer.reached(task_id, "accepted")
            crashed = snapshot(directory, tmp_path / "crashed")
        after = await made.node(seed=KEY, directory=crashed, bootstrap=())
        assert await after.journal() == ["award", "note"]
        note = await note_of(after, task_id)
        assert (note["what"], note["contractor"]) == (ABANDONED, seller.key)
        assert "the node stopped" in str(note["text"])
        task = await after.owner.task(task_id.hex())
        said = outcome(msgspec.to_builtins(task))
        assert f"failed by {seller.name}" not in said
        assert "the node stopped while this was under way" in said


async def test_a_cancelled_order_is_noted_too() -> None:
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(hostile.Slow(), [buyer.endpoint]):
            task_id = await buyer.submit("sentiment", TEXT)
            await buyer.reached(task_id, "accepted")
            await buyer.owner.cancel(task_id.hex())
            assert await buyer.journal() == ["award", "note"]
            assert (await note_of(buyer, task_id))["what"] == ABANDONED


# --- a row that says nothing any more


async def test_a_damaged_row_is_ended_with_a_reason_and_hides_no_other(tmp_path: Path) -> None:
    directory = home(tmp_path, "buyer")
    async with world() as made:
        buyer = await made.buyer(seed=KEY, directory=directory)
        done = await buyer.ask("sentiment", TEXT)
        async with on_sale(hostile.Slow(), [buyer.endpoint]):
            task_id = await buyer.submit("sentiment", TEXT)
            await buyer.reached(task_id, "accepted")
            crashed = snapshot(directory, tmp_path / "crashed")
        with sqlite3.connect(crashed / "node.db") as connection:
            connection.execute("UPDATE tasks SET specification = x'c1' WHERE task_id = ?", (task_id,))
        connection.close()
        after = await made.node(seed=KEY, directory=crashed, bootstrap=())
        task = await after.owner.task(task_id.hex())
        assert task.error is not None
        assert (task.state, task.error.code) == ("failed", "interrupted")
        assert "specification" in task.error.text
        assert {one.id for one in (await after.owner.tasks(limit=10)).tasks} == {task.id, done.id}


# --- what an order is called


class Poaching(Seller):
    """Before it quotes, it awards the task that it was asked about to a rival, in its own name."""

    price_micro = 100

    def __init__(self, rival: Node, buyer: Buyer) -> None:
        super().__init__()
        self.rival, self.buyer = rival, buyer

    async def quote(self, call: Call, request: QuoteRequest) -> Message:
        quote = await self.buyer.quoted(self.rival, request.specification, request.task_id)
        data = TEXT.encode()
        await self.buyer.hire(self.rival, self.buyer.order(quote, request.specification, data))
        return await super().quote(call, request)


async def test_who_learns_of_a_task_cannot_take_its_name_at_a_rival() -> None:
    async with world() as made:
        rival = await made.seller()
        buyer = await made.buyer()
        poacher = Poaching(rival, Buyer())
        await poacher.buyer.peers.start([])
        try:
            async with on_sale(poacher, [buyer.endpoint]):
                await until(lambda: len(rival.parts.discovery.contacts()) == 2)
                task = await buyer.ask("sentiment", TEXT)
                assert poacher.requests
                assert (task.state, task.choice, task.tried) == ("completed", "outsource", ())
                assert await buyer.journal("fault") == []
        finally:
            await poacher.buyer.peers.stop()


async def test_every_seller_hears_another_name_and_the_same_one_when_it_is_asked_again() -> None:
    one, other = Seller(price_micro=1), Seller(price_micro=2)
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(one, [buyer.endpoint]), on_sale(other, [buyer.endpoint]):
            task = await buyer.ask("sentiment", TEXT)
        names = {seller.requests[0].task_id for seller in (one, other)}
        assert len(names | {bytes.fromhex(task.id)}) == 3
        assert names == {buyer.order_of(task.id, seller.key) for seller in (one, other)}
