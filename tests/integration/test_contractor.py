"""A seller among buyers that break rules: what it declines, what it refuses, what it signs, and how it stops."""

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crypto.identity import Identity
from node.ledger.journal import open_body
from node.net.errors import NetError, RemoteRefused, SessionClosed
from node.outsource.config import ContractorConfig
from node.tasks.spec import encode_specification
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
from protocol.packing import unpack
from protocol.receipts import report_fault
from protocol.signed import QuoteTerms, sign
from tests.harness.hostile import Buyer, buying
from tests.harness.nodes import Node, World, world
from tests.harness.peering import until

DATA = b"The room was not clean, but the staff were wonderful."
STALL = """
import time
from coalesced.skill import skill

@skill("stall", price="0.00001")
def work(text: str) -> str:
    time.sleep(float(text))
    return "done"
"""


async def refused(sending: Any) -> RemoteRefused:
    """The refusal that a request ends with."""
    with pytest.raises(RemoteRefused) as caught:
        await sending
    return caught.value


async def quoting(made: World, **contractor: Any) -> Node:
    return await made.seller(sections={"contractor": ContractorConfig(**contractor)})


# --- quotes


@pytest.mark.parametrize(
    ("config", "wishes", "code"),
    [
        ({}, {"skill": "translation"}, "unknown_skill"),
        ({"skills": ("risk",)}, {}, "unknown_skill"),
        ({"privacy": "internal"}, {"privacy": "confidential"}, "privacy"),
        ({"regions": ("eu",)}, {"regions": ("us",)}, "region"),
        ({}, {"regions": ("us",)}, "region"),
        ({"max_input_bytes": 1024}, {"data": b"x" * 2000}, "too_large"),
        ({}, {"deadline_s": 0.001, "data": DATA * 100}, "too_late"),
        ({}, {"budget_micro": 0}, "over_budget"),
        ({}, {"libraries": ("torch",)}, "resources"),
        ({}, {"memory_bytes": 2**40}, "resources"),
    ],
)
async def test_what_a_seller_would_not_do_it_declines_and_says_why(
    config: dict[str, Any], wishes: dict[str, Any], code: str
) -> None:
    async with world() as made, buying() as buyer:
        node = await quoting(made, **config)
        specification = buyer.specify(wishes.pop("data", DATA), **wishes)
        answer = await buyer.ask_quote(node, specification)
        assert isinstance(answer, Decline), answer
        assert answer.code == code
        assert answer.text


async def test_a_region_that_matches_and_a_library_that_is_there_are_quoted() -> None:
    async with world() as made, buying() as buyer:
        node = await quoting(made, regions=("eu",), libraries=("torch",))
        specification = buyer.specify(DATA, regions=("us", "eu"), libraries=("torch",))
        assert isinstance(await buyer.ask_quote(node, specification), Quote)


async def test_one_buyer_can_hold_only_so_many_quotes_and_another_is_not_hindered() -> None:
    async with world() as made, buying() as flooder, buying() as other:
        node = await quoting(made, max_quotes_per_peer=5)
        specification = flooder.specify(DATA)
        answers = [await flooder.ask_quote(node, specification) for _ in range(20)]
        assert [type(answer) for answer in answers] == [Quote] * 5 + [Decline] * 15
        last = answers[-1]
        assert isinstance(last, Decline)
        assert (last.code, last.retry_after_ms > 0) == ("busy", True)
        assert isinstance(await other.ask_quote(node, specification), Quote)


async def test_only_a_job_that_is_taken_on_makes_room_for_another_quote() -> None:
    async with world() as made, buying() as buyer:
        node, specification = await quoting(made, max_quotes_per_peer=2), buyer.specify(DATA)
        award = buyer.order(await buyer.quoted(node, specification), specification, DATA)
        assert isinstance(await buyer.hire(node, award), Result)
        for _ in range(2):
            await buyer.quoted(node, specification)
        for _ in range(3):
            assert (await refused(buyer.hire(node, award))).code == "duplicate"
        assert isinstance(await buyer.ask_quote(node, specification), Decline)


# --- awards


async def test_an_honest_award_is_done_and_its_receipt_signed_once() -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller()
        award, result = await buyer.job(node, DATA)
        session = await buyer.session(node)
        offer = buyer.receipt(award, result)
        first = await session.request(offer, timeout_s=5)
        again = await session.request(offer, timeout_s=5)
        assert isinstance(first, ReceiptSigned)
        assert first == again
        assert await node.journal() == ["note", "receipt"]
        other = await refused(session.request(buyer.receipt(award, result), timeout_s=5))
        assert other.code == "duplicate"


Tampering = dict[str, Any]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"task_id": b"\x01" * 16}, "another task"),
        ({"quote_sha256": b"\x01" * 32}, "not for my quote"),
        ({"contractor": b"\x01" * 32}, "other parties"),
        ({"client": b"\x01" * 32}, "other parties"),
    ],
)
async def test_an_award_that_does_not_fit_its_quote_is_refused(changes: Tampering, text: str) -> None:
    async with world() as made, buying() as buyer:
        node, specification = await made.seller(), buyer.specify(DATA)
        award = buyer.order(await buyer.quoted(node, specification), specification, DATA, **changes)
        error = await refused(buyer.hire(node, award))
        assert (error.code, text in error.text) == ("bad_award", True)
        assert (await node.owner.tasks(limit=10)).tasks == ()


def _forged_quote(buyer: Buyer, award: Award) -> Award:
    terms = msgspec.structs.replace(_quoted(award), price_micro=0)
    body, signature = sign(Identity(os.urandom(32)), terms)
    return msgspec.structs.replace(award, quote=Quote(terms=body, signature=signature))


def _cheaper_quote(buyer: Buyer, award: Award) -> Award:
    body = award.quote.terms[:-1] + bytes([award.quote.terms[-1] ^ 1])
    return msgspec.structs.replace(award, quote=msgspec.structs.replace(award.quote, terms=body))


def _bad_signature(buyer: Buyer, award: Award) -> Award:
    return msgspec.structs.replace(award, signature=bytes(64))


def _other_specification(buyer: Buyer, award: Award) -> Award:
    other = buyer.specify(DATA, effort="cheapest")
    return msgspec.structs.replace(award, specification=encode_specification(other))


def _garbage_specification(buyer: Buyer, award: Award) -> Award:
    return msgspec.structs.replace(award, specification=b"\xc1\xff\x00")


def _shorter_input(buyer: Buyer, award: Award) -> Award:
    return msgspec.structs.replace(award, input=award.input[:-1])


def _quoted(award: Award) -> QuoteTerms:
    return unpack(QuoteTerms, award.quote.terms)


TAMPERED = [
    (_forged_quote, "bad_signature"),
    (_cheaper_quote, "bad_signature"),
    (_bad_signature, "bad_signature"),
    (_other_specification, "bad_award"),
    (_garbage_specification, "bad_message"),
    (_shorter_input, "bad_award"),
]


@pytest.mark.parametrize(("tamper", "code"), TAMPERED)
async def test_a_tampered_award_is_refused(tamper: Any, code: str) -> None:
    async with world() as made, buying() as buyer:
        node, specification = await made.seller(), buyer.specify(DATA)
        award = tamper(buyer, buyer.order(await buyer.quoted(node, specification), specification, DATA))
        assert (await refused(buyer.hire(node, award))).code == code
        assert node.parts.executor.running == 0
        assert await node.journal() == []


async def test_a_replayed_award_is_refused_and_so_is_one_of_somebody_elses_quote() -> None:
    async with world() as made, buying() as buyer, buying() as thief:
        node, specification = await made.seller(), buyer.specify(DATA)
        award = buyer.order(await buyer.quoted(node, specification), specification, DATA)
        assert isinstance(await buyer.hire(node, award), Result)
        assert (await refused(buyer.hire(node, award))).code == "duplicate"
        assert (await refused(thief.hire(node, award))).code == "bad_signature"
        quote = await buyer.quoted(node, specification)
        assert "another client" in (await refused(thief.hire(node, thief.order(quote, specification, DATA)))).text


async def test_an_expired_quote_cannot_be_awarded() -> None:
    async with world() as made, buying() as buyer:
        node, specification = await quoting(made, quote_valid_s=0.05), buyer.specify(DATA)
        quote = await buyer.quoted(node, specification)
        await until(lambda: node.parts.env.unix_ms() >= _expiry(quote))
        error = await refused(buyer.hire(node, buyer.order(quote, specification, DATA)))
        assert "expired" in error.text


def _expiry(quote: Quote) -> int:
    return unpack(QuoteTerms, quote.terms).expires_unix_ms


async def test_other_bytes_than_specified_are_not_worked_on() -> None:
    async with world() as made, buying() as buyer:
        node, specification = await made.seller(), buyer.specify(DATA)
        quote = await buyer.quoted(node, specification)
        answer = await buyer.hire(node, buyer.order(quote, specification, DATA[::-1]))
        assert isinstance(answer, Failed)
        assert "digest" in answer.text


async def test_more_work_than_was_quoted_for_is_not_done() -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller()
        honest = buyer.specify(DATA)
        understated = msgspec.structs.replace(honest, input=msgspec.structs.replace(honest.input, work_units=1))
        quote = await buyer.quoted(node, understated)
        answer = await buyer.hire(node, buyer.order(quote, understated, DATA))
        assert isinstance(answer, Failed)
        assert "work units" in answer.text


async def test_awards_beyond_what_can_wait_are_refused_as_busy() -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller(pace_s=600.0, sections={"contractor": ContractorConfig(max_queued_jobs=1)})
        specification = buyer.specify(DATA)
        quotes = [await buyer.quoted(node, specification) for _ in range(6)]
        jobs = [asyncio.create_task(buyer.hire(node, buyer.order(quote, specification, DATA))) for quote in quotes]
        done, waiting = await asyncio.wait(jobs, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 2:
            more, waiting = await asyncio.wait(waiting, timeout=10, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        for job in done:
            answer = job.result()
            assert isinstance(answer, Failed)
            assert answer.code == "busy"
        for job in waiting:
            job.cancel()


# --- inputs in parts, answers


async def parts(buyer: Buyer, node: Node, award: Award, *sent: InputPart) -> tuple[asyncio.Task[Message], Any]:
    """Award a job with a large input and send these parts; the job, and what the last part was answered with."""
    job = asyncio.create_task(buyer.hire(node, award))
    await until(lambda: _quoted(award).task_id in node.parts.contractor.intake)
    session = await buyer.session(node)
    outcome: Any = None
    for part in sent:
        try:
            outcome = await session.request(part, timeout_s=5)
        except RemoteRefused as error:
            outcome = error
    return job, outcome


BIG = b"not bad. ".ljust(2_700_000)
PART = 2**20


async def test_input_parts_out_of_order_beyond_the_end_or_of_strangers_are_refused() -> None:
    async with world() as made, buying() as buyer, buying() as stranger:
        node, specification = await made.seller(speeds={"sentiment": 1e-7}), buyer.specify(BIG)
        award = buyer.order(await buyer.quoted(node, specification), specification, BIG)
        task_id = _quoted(award).task_id
        late = InputPart(task_id=task_id, offset=PART, data=BIG[PART : 2 * PART])
        job, outcome = await parts(buyer, node, award, late)
        assert outcome.code == "bad_part"
        session = await stranger.session(node)
        first = InputPart(task_id=task_id, offset=0, data=BIG[:PART])
        assert (await refused(session.request(first, timeout_s=5))).code == "unknown_task"
        answer = Answer(task_id=task_id, text="unasked")
        assert (await refused(session.request(answer, timeout_s=5))).code == "unknown_task"
        own = await buyer.session(node)
        assert (await refused(own.request(answer, timeout_s=5))).code == "no_question"
        for offset in range(0, len(BIG), PART):
            part = InputPart(task_id=task_id, offset=offset, data=BIG[offset : offset + PART])
            assert isinstance(await own.request(part, timeout_s=5), Ok)
        excess = InputPart(task_id=task_id, offset=len(BIG), data=b"x")
        assert (await refused(own.request(excess, timeout_s=5))).code in ("too_large", "unknown_task")
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
        sold = await node.ended(_quoted(award).task_id)
        assert (sold.state, sold.side) == ("cancelled", "contractor")


async def test_a_buyers_deadline_ends_the_work() -> None:
    async with world() as made, buying() as buyer:
        node, specification = await made.seller(pace_s=600.0), buyer.specify(DATA)
        award = buyer.order(await buyer.quoted(node, specification), specification, DATA)
        with pytest.raises(TimeoutError):
            await buyer.hire(node, award, timeout_s=0.3)
        await until(lambda: node.parts.executor.running == 0)
        assert (await node.ended(_quoted(award).task_id)).state in ("failed", "cancelled")


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
        await refused(session.request(buyer.receipt(award, result, **changes), timeout_s=5))
        assert await node.journal() == ["note"]


async def test_a_rejection_is_countersigned_too() -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller()
        award, result = await buyer.job(node, DATA)
        session = await buyer.session(node)
        offer = buyer.receipt(award, result, verdict="rejected", paid_micro=0, score_ppm=0)
        assert isinstance(await session.request(offer, timeout_s=5), ReceiptSigned)


async def test_nobody_gets_a_receipt_for_anothers_job_or_for_none() -> None:
    async with world() as made, buying() as buyer, buying() as stranger:
        node = await made.seller()
        award, result = await buyer.job(node, DATA)
        session = await stranger.session(node)
        theirs = stranger.receipt(award, result)
        assert (await refused(session.request(theirs, timeout_s=5))).code == "unknown_task"
        none = buyer.receipt(award, result, task_id=b"\x07" * 16)
        assert (await refused((await buyer.session(node)).request(none, timeout_s=5))).code == "unknown_task"


async def test_a_fault_notice_is_kept_once_and_only_from_its_client() -> None:
    async with world() as made, buying() as buyer, buying() as stranger:
        node = await made.seller()
        award, _ = await buyer.job(node, DATA)
        quoted = _quoted(award)

        def notice(reporter: Buyer, **changes: Any) -> FaultNotice:
            fields = {
                "task_id": quoted.task_id,
                "network": quoted.network,
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
            assert isinstance(await session.request(notice(buyer), timeout_s=5), Ok)
        assert len(await node.journal("fault")) == 1
        unknown = notice(buyer, task_id=b"\x07" * 16)
        assert (await refused(session.request(unknown, timeout_s=5))).code == "unknown_task"
        about_another = notice(buyer, contractor=stranger.key)
        assert (await refused(session.request(about_another, timeout_s=5))).code == "not_mine"
        foreign = (await stranger.session(node)).request(notice(stranger), timeout_s=5)
        assert (await refused(foreign)).code == "unknown_task"
        forged = msgspec.structs.replace(notice(buyer), signature=bytes(64))
        assert (await refused(session.request(forged, timeout_s=5))).code == "bad_signature"


async def test_messages_that_are_no_requests_are_refused_and_the_session_goes_on() -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller()
        session = await buyer.session(node)
        assert (await refused(session.request(Ok(), timeout_s=5))).code == "unexpected"
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
