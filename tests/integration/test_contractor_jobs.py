"""A seller's jobs: inputs in parts, who may end them, receipts and notices, and how it stops."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from node.ledger.journal import open_body
from node.net.errors import NetError, RemoteRefused, SessionClosed
from protocol.messages import (
    Answer,
    Award,
    Decline,
    Failed,
    FaultNotice,
    InputPart,
    Message,
    Ok,
    Quote,
    ReceiptSigned,
    Result,
)
from protocol.receipts import report_fault
from tests.harness.dealing import Buyer, buying, quoted, refused
from tests.harness.nodes import Node, world
from tests.harness.peering import until

DATA = b"The room was not clean, but the staff were wonderful."
# --- inputs in parts, answers


async def parts(buyer: Buyer, node: Node, award: Award, *sent: InputPart) -> tuple[asyncio.Task[Message], Any]:
    """Award a job with a large input and send these parts; the job, and what the last part was answered with."""
    job = asyncio.create_task(buyer.hire(node, award))
    await until(lambda: quoted(award).task_id in node.parts.contractor.intake)
    session = await buyer.session(node)
    outcome: Any = None
    for part in sent:
        try:
            outcome = await session.request(part, timeout_s=60)
        except RemoteRefused as error:
            outcome = error
    return job, outcome


BIG = b"not bad. ".ljust(2_700_000)
PART = 2**20


async def test_input_parts_out_of_order_beyond_the_end_or_of_strangers_are_refused() -> None:
    async with world() as made, buying() as buyer, buying() as stranger:
        node, specification = await made.seller(speeds={"sentiment": 1e-7}), buyer.specify(BIG)
        award = buyer.order(await buyer.quoted(node, specification), specification, BIG)
        task_id = quoted(award).task_id
        late = InputPart(task_id=task_id, offset=PART, data=BIG[PART : 2 * PART])
        job, outcome = await parts(buyer, node, award, late)
        assert outcome.code == "bad_part"
        session = await stranger.session(node)
        first = InputPart(task_id=task_id, offset=0, data=BIG[:PART])
        assert (await refused(session.request(first, timeout_s=60))).code == "unknown_task"
        answer = Answer(task_id=task_id, text="unasked")
        assert (await refused(session.request(answer, timeout_s=60))).code == "unknown_task"
        own = await buyer.session(node)
        assert (await refused(own.request(answer, timeout_s=60))).code == "no_question"
        for offset in range(0, len(BIG), PART):
            part = InputPart(task_id=task_id, offset=offset, data=BIG[offset : offset + PART])
            assert isinstance(await own.request(part, timeout_s=60), Ok)
        excess = InputPart(task_id=task_id, offset=len(BIG), data=b"x")
        assert (await refused(own.request(excess, timeout_s=60))).code in ("too_large", "unknown_task")
        assert isinstance(await job, Result)


async def test_a_buyer_that_leaves_ends_the_work() -> None:
    async with world() as made:
        node = await made.seller(pace_s=600.0)
        async with buying() as buyer:
            specification = buyer.specify(DATA)
            award = buyer.order(await buyer.quoted(node, specification), specification, DATA)
            job = asyncio.create_task(buyer.hire(node, award))
            await until(lambda: node.parts.executor.running == 1)
        with pytest.raises(NetError):
            await job
        await until(lambda: node.parts.executor.running == 0)
        sold = await node.ended(quoted(award).task_id)
        assert (sold.state, sold.side) == ("cancelled", "contractor")


async def test_a_buyers_deadline_ends_the_work() -> None:
    async with world() as made, buying() as buyer:
        node, specification = await made.seller(pace_s=600.0), buyer.specify(DATA)
        award = buyer.order(await buyer.quoted(node, specification), specification, DATA)
        with pytest.raises(TimeoutError):
            await buyer.hire(node, award, timeout_s=0.3)
        await until(lambda: node.parts.executor.running == 0)
        assert (await node.ended(quoted(award).task_id)).state in ("failed", "cancelled")


async def test_a_job_that_takes_far_longer_than_quoted_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.outsource.patience.LEAST_S", 0.3)
    async with world() as made, buying() as buyer:
        node = await made.seller(pace_s=600.0)
        specification = buyer.specify(DATA)
        answer = await buyer.hire(node, buyer.order(await buyer.quoted(node, specification), specification, DATA))
        assert isinstance(answer, Failed)
        assert (answer.code, "given up" in answer.text) == ("timed_out", True)


# --- receipts and notices


@pytest.mark.parametrize(
    "changes",
    [
        {"paid_micro": 0},
        {"price_micro": 999_999, "paid_micro": 0},
        {"result_sha256": b"\x01" * 32},
        {"quote_sha256": b"\x01" * 32},
        {"skill": "risk"},
        {"explored": True},
    ],
)
async def test_a_receipt_that_is_not_what_happened_is_not_signed(changes: dict[str, Any]) -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller()
        award, result = await buyer.job(node, DATA)
        session = await buyer.session(node)
        await refused(session.request(buyer.receipt(award, result, **changes), timeout_s=60))
        assert await node.journal() == ["note"]


async def test_a_rejection_is_countersigned_too() -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller()
        award, result = await buyer.job(node, DATA)
        session = await buyer.session(node)
        offer = buyer.receipt(award, result, verdict="rejected", paid_micro=0, score_ppm=0)
        assert isinstance(await session.request(offer, timeout_s=60), ReceiptSigned)


async def test_nobody_gets_a_receipt_for_anothers_job_or_for_none() -> None:
    async with world() as made, buying() as buyer, buying() as stranger:
        node = await made.seller()
        award, result = await buyer.job(node, DATA)
        session = await stranger.session(node)
        theirs = stranger.receipt(award, result)
        assert (await refused(session.request(theirs, timeout_s=60))).code == "unknown_task"
        none = buyer.receipt(award, result, task_id=b"\x07" * 16)
        assert (await refused((await buyer.session(node)).request(none, timeout_s=60))).code == "unknown_task"


async def test_a_fault_notice_is_kept_once_and_only_from_its_client() -> None:
    async with world() as made, buying() as buyer, buying() as stranger:
        node = await made.seller()
        award, _ = await buyer.job(node, DATA)
        job = quoted(award)

        def notice(reporter: Buyer, **changes: Any) -> FaultNotice:
            fields = {
                "task_id": job.task_id,
                "network": job.network,
                "client": reporter.key,
                "contractor": node.key,
                "kind": "timeout",
                "text": "slow",
                "unix_ms": 1,
                **changes,
            }
            report = report_fault(reporter.identity, **fields)
            return FaultNotice(terms=report.body, signature=report.signature)

        session = await buyer.session(node)
        for _ in range(3):
            assert isinstance(await session.request(notice(buyer), timeout_s=60), Ok)
        assert len(await node.journal("fault")) == 1
        unknown = notice(buyer, task_id=b"\x07" * 16)
        assert (await refused(session.request(unknown, timeout_s=60))).code == "unknown_task"
        about_another = notice(buyer, contractor=stranger.key)
        assert (await refused(session.request(about_another, timeout_s=60))).code == "not_mine"
        foreign = (await stranger.session(node)).request(notice(stranger), timeout_s=60)
        assert (await refused(foreign)).code == "unknown_task"
        forged = msgspec.structs.replace(notice(buyer), signature=bytes(64))
        assert (await refused(session.request(forged, timeout_s=60))).code == "bad_signature"


async def test_messages_that_are_no_requests_are_refused_and_the_session_goes_on() -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller()
        session = await buyer.session(node)
        assert (await refused(session.request(Ok(), timeout_s=60))).code == "unexpected"
        assert isinstance(await buyer.ask_quote(node, buyer.specify(DATA)), Quote)


async def test_what_the_seller_keeps_of_a_job_names_no_content() -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller()
        _, result = await buyer.job(node, DATA)
        entries = await node.parts.store.journal.tail(10)
        kept = b"".join(entry.body for entry in entries)
        assert DATA not in kept
        assert result.data not in kept
        assert await node.parts.store.blobs.used_bytes() == 0
        assert isinstance(open_body(entries[0].kind, entries[0].body), dict)


# --- stopping


async def test_a_draining_seller_finishes_its_job_and_takes_no_other() -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller(pace_s=0.5)
        specification = buyer.specify(DATA)
        award = buyer.order(await buyer.quoted(node, specification), specification, DATA)
        spare = buyer.order(await buyer.quoted(node, specification), specification, DATA)
        job = asyncio.create_task(buyer.hire(node, award))
        await until(lambda: node.parts.executor.running == 1)
        node.daemon.ask_to_stop(drain=True)
        await until(lambda: node.daemon.is_stopping)
        answer = await buyer.ask_quote(node, specification)
        assert isinstance(answer, Decline)
        assert answer.code == "draining"
        refused_award = await buyer.hire(node, spare)
        assert isinstance(refused_award, Failed)
        assert refused_award.code == "draining"
        assert isinstance(await job, Result)
        await node.stop()


async def test_a_second_stop_forces_the_first_and_the_client_is_told() -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller(pace_s=600.0)
        specification = buyer.specify(DATA)
        award = buyer.order(await buyer.quoted(node, specification), specification, DATA)
        job = asyncio.create_task(buyer.hire(node, award))
        await until(lambda: node.parts.executor.running == 1)
        node.daemon.ask_to_stop(drain=True)
        await until(lambda: node.daemon.is_stopping)
        node.daemon.ask_to_stop(drain=True)
        answer = await job
        assert isinstance(answer, Failed)
        assert answer.code == "stopping"
        await node.stop()
        with pytest.raises((SessionClosed, NetError)):
            await buyer.ask_quote(node, specification)
