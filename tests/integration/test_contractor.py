"""A seller among buyers that break rules: what it declines to quote, and which awards it refuses."""

import asyncio
import os
from typing import Any

import msgspec
import pytest

from crypto.identity import Identity
from node.outsource.config import ContractorConfig
from node.tasks.spec import encode_specification
from protocol.messages import (
    Award,
    Decline,
    Failed,
    Quote,
    ReceiptSigned,
    Result,
)
from protocol.packing import unpack
from protocol.signed import QuoteTerms, sign
from tests.harness.dealing import Buyer, buying, quoted, refused
from tests.harness.nodes import Node, World, world
from tests.harness.peering import until

DATA = b"The room was not clean, but the staff were wonderful."


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


async def test_a_region_that_matches_and_a_library_that_is_there_arequoted() -> None:
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
        first = await session.request(offer, timeout_s=60)
        again = await session.request(offer, timeout_s=60)
        assert isinstance(first, ReceiptSigned)
        assert first == again
        assert await node.journal() == ["note", "receipt"]
        other = await refused(session.request(buyer.receipt(award, result), timeout_s=60))
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
    terms = msgspec.structs.replace(quoted(award), price_micro=0)
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
        await until(lambda: node.parts.env.unix_ms() >= unpack(QuoteTerms, quote.terms).expires_unix_ms)
        error = await refused(buyer.hire(node, buyer.order(quote, specification, DATA)))
        assert "expired" in error.text


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
        done, waiting = await asyncio.wait(jobs, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 2:
            more, waiting = await asyncio.wait(waiting, timeout=60, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        for job in done:
            answer = job.result()
            assert isinstance(answer, Failed)
            assert answer.code == "busy"
        for job in waiting:
            job.cancel()
