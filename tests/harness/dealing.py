"""Parties that a test speaks for: an honest seller of one builtin skill, and a buyer, word by word.

Real channel, real signatures. Override a step of the seller to misbehave in it (hostile.py); tamper with what the
buyer signs before it is sent.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from crypto.identity import Identity, short_id
from dht.config import DhtConfig
from dht.ids import skill_key
from dht.service import KademliaDiscovery
from node.env import Env
from node.net.config import NetConfig
from node.net.endpoint import Endpoint
from node.net.errors import Refusal, RemoteRefused
from node.net.peers import Peers
from node.net.ports import free_port
from node.net.session import Call, Session
from node.net.websocket import WebSocketTransport
from node.tasks.content import Content
from node.tasks.spec import Wishes, digest, encode_specification, specify
from protocol.messages import (
    MAX_PART_BYTES,
    Advert,
    Answer,
    Award,
    FaultNotice,
    InputPart,
    Message,
    Ok,
    Quote,
    QuoteRequest,
    ReceiptOffer,
    ReceiptSigned,
    Result,
    ResultPart,
    encode_advert,
)
from protocol.packing import unpack
from protocol.receipts import accept
from protocol.signed import AwardTerms, QuoteTerms, ReceiptTerms, ResultTerms, open_signed, sign, sign_body
from protocol.specification import Specification
from tests.harness.nodes import LIMIT_S, NETWORK, WORK, Node

GENEROUS = NetConfig(drain_s=0.2)


class Party:
    """A key with sessions and an address; nothing above the channel."""

    def __init__(self, seed: bytes | None = None) -> None:
        self.identity = Identity(seed or os.urandom(32))
        self.endpoint = Endpoint("127.0.0.1", free_port(["127.0.0.1"]))
        self.env = Env()
        self.peers = Peers(
            self.identity,
            NETWORK,
            WebSocketTransport(GENEROUS.max_message_bytes),
            self.handle,
            os.urandom,
            GENEROUS,
        )

    @property
    def key(self) -> bytes:
        return self.identity.public_key

    @property
    def name(self) -> str:
        return short_id(self.key)

    async def handle(self, call: Call) -> Message:
        """What it answers; a party that sells nothing refuses everything."""
        raise Refusal("unexpected", f"a {type(call.body).__name__} is not answered here")


class Seller(Party):
    """An honest seller of one builtin skill, or of what gives back `answer`, at a fixed price.

    Override a step to misbehave in it.
    """

    label = "sentiment"
    answer: bytes | None = None
    price_micro = 10
    duration_ms = 10
    p95_ms = 20

    def __init__(self, seed: bytes | None = None, **changes: Any) -> None:
        super().__init__(seed)
        self.change: dict[str, Any] = {}
        """For those whose signed terms are wrong: the fields that are."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.requests: list[QuoteRequest] = []
        self.awards: list[Award] = []
        self.receipts: list[ReceiptTerms] = []
        self.notices: list[FaultNotice] = []
        self.answers: asyncio.Queue[str] = asyncio.Queue()
        self.input = bytearray()
        self.was_awarded = asyncio.Event()
        self.was_cancelled = asyncio.Event()
        self.was_noticed = asyncio.Event()

    async def handle(self, call: Call) -> Message:
        match call.body:
            case QuoteRequest() as request:
                self.requests.append(request)
                return await self.quote(call, request)
            case Award() as award:
                self.awards.append(award)
                self.was_awarded.set()
                try:
                    return await self.work(call, award)
                except asyncio.CancelledError:
                    self.was_cancelled.set()
                    raise
            case InputPart() as part:
                self.input += part.data
                return Ok()
            case Answer() as answer:
                self.answers.put_nowait(answer.text)
                return Ok()
            case ReceiptOffer() as offer:
                self.receipts.append(unpack(ReceiptTerms, offer.terms))
                return await self.countersign(call, offer)
            case FaultNotice() as notice:
                self.notices.append(notice)
                self.was_noticed.set()
                return Ok()
            case other:
                raise Refusal("unexpected", f"a {type(other).__name__} is not a request")

    # --- the steps of a job

    def terms(self, call: Call, request: QuoteRequest) -> QuoteTerms:
        now, specification = self.env.unix_ms(), request.specification
        return QuoteTerms(
            quote_id=os.urandom(16),
            task_id=request.task_id,
            specification_sha256=digest(encode_specification(specification)),
            network=NETWORK,
            client=call.peer_key,
            contractor=self.key,
            skill=specification.skill,
            effort=specification.effort,
            price_micro=self.price_micro,
            duration_ms=self.duration_ms,
            p95_ms=self.p95_ms,
            success_ppm=980_000,
            issued_unix_ms=now,
            expires_unix_ms=now + 60_000,
        )

    async def quote(self, call: Call, request: QuoteRequest) -> Message:
        return Quote(**signed(self.identity, self.terms(call, request)))

    async def work(self, call: Call, award: Award) -> Message:
        quoted = self.quoted(award)
        await call.emit(accept(self.identity, quoted, os.urandom(16), self.env.unix_ms()))
        return await self.deliver(call, award, self.output(award))

    def output(self, award: Award) -> bytes:
        if self.answer is not None:
            return self.answer
        specification = unpack(Specification, award.specification)
        data = award.input or bytes(self.input)
        return WORK.run(self.label, data, specification.input.media_type, specification.effort)

    def invoice_micro(self, quoted: QuoteTerms) -> int:
        return quoted.price_micro

    async def deliver(self, call: Call, award: Award, output: bytes) -> Message:
        quoted, now = self.quoted(award), self.env.unix_ms()
        terms = ResultTerms(
            task_id=quoted.task_id,
            quote_sha256=digest(award.quote.terms),
            session_hash=call.session.handshake_hash,
            result_sha256=hashlib.sha256(output).digest(),
            result_bytes=len(output),
            invoice_micro=self.invoice_micro(quoted),
            started_unix_ms=now,
            finished_unix_ms=now,
        )
        return await self.send(call, terms, output)

    async def send(self, call: Call, terms: ResultTerms, output: bytes) -> Message:
        in_parts = len(output) > MAX_PART_BYTES
        for offset in range(0, len(output) if in_parts else 0, MAX_PART_BYTES):
            await call.emit(ResultPart(offset=offset, data=output[offset : offset + MAX_PART_BYTES]))
        data = b"" if in_parts else output
        return Result(**signed(self.identity, terms), media_type="application/json", data=data)

    async def countersign(self, call: Call, offer: ReceiptOffer) -> Message:
        return ReceiptSigned(signature=sign_body(self.identity, ReceiptTerms, offer.terms))

    def quoted(self, award: Award) -> QuoteTerms:
        return open_signed(QuoteTerms, award.quote.terms, award.quote.signature, self.key)


def signed(identity: Identity, terms: Any) -> dict[str, bytes]:
    body, signature = sign(identity, terms)
    return {"terms": body, "signature": signature}


# --- putting them into a world


@asynccontextmanager
async def on_sale(seller: Seller, bootstrap: Sequence[Endpoint]) -> AsyncIterator[Seller]:
    """Run a seller, its advert in the DHT, until the block ends."""
    discovery = KademliaDiscovery(
        seller.identity,
        NETWORK,
        DhtConfig(bootstrap_backoff_s=0.05),
        unix_ms=seller.env.unix_ms,
        rng=seller.env.rng,
        entropy=os.urandom,
    )
    address = (seller.endpoint.host, seller.endpoint.port)
    await seller.peers.start([seller.endpoint])
    try:
        await discovery.start([address])
        discovery.add_bootstrap((one.host, one.port) for one in bootstrap)
        async with asyncio.timeout(LIMIT_S):
            while bootstrap and not discovery.contacts():  # noqa: ASYNC110  # discovery has no event for it
                await asyncio.sleep(0.002)
        advert = Advert(host=address[0], port=address[1], skill=seller.label, price_hint_micro=seller.price_micro)
        await discovery.publish(skill_key(NETWORK, seller.label), encode_advert(advert))
        yield seller
    finally:
        await discovery.stop()
        await seller.peers.stop()


class Buyer(Party):
    """A buyer that a test speaks for, word by word."""

    async def session(self, node: Node) -> Session:
        return await self.peers.session(node.key, node.endpoint)

    def specify(self, data: bytes, **wishes: Any) -> Specification:
        """What it asks for: sentiment of a text."""
        label = wishes.pop("skill", "sentiment")
        wanted = Wishes(**{"budget_micro": 250_000, "deadline_s": 60.0, "privacy": "public", **wishes})
        return specify((label,), Content("text/plain", data), len(data), wanted, usual_score_ppm=500_000)

    async def ask_quote(self, node: Node, specification: Specification, task_id: bytes | None = None) -> Message:
        request = QuoteRequest(task_id=task_id or os.urandom(16), specification=specification)
        return await (await self.session(node)).request(request, timeout_s=LIMIT_S)

    async def quoted(self, node: Node, specification: Specification, task_id: bytes | None = None) -> Quote:
        quote = await self.ask_quote(node, specification, task_id)
        assert isinstance(quote, Quote), quote
        return quote

    def order(self, quote: Quote, specification: Specification, data: bytes, **changes: Any) -> Award:
        """An award of the quote; `changes` replace fields of its signed terms."""
        quoted = unpack(QuoteTerms, quote.terms)
        terms = AwardTerms(
            task_id=quoted.task_id,
            quote_sha256=digest(quote.terms),
            client=self.key,
            contractor=quoted.contractor,
            awarded_unix_ms=self.env.unix_ms(),
        )
        return Award(
            **signed(self.identity, msgspec.structs.replace(terms, **changes)),
            quote=quote,
            specification=encode_specification(specification),
            input=data if len(data) <= MAX_PART_BYTES else b"",
        )

    async def hire(self, node: Node, award: Award, timeout_s: float = LIMIT_S) -> Message:
        return await (await self.session(node)).request(award, timeout_s=timeout_s)

    async def job(self, node: Node, data: bytes) -> tuple[Award, Result]:
        """A whole honest job."""
        specification = self.specify(data)
        award = self.order(await self.quoted(node, specification), specification, data)
        result = await self.hire(node, award)
        assert isinstance(result, Result), result
        return award, result

    def receipt(self, award: Award, result: Result, **changes: Any) -> ReceiptOffer:
        """This buyer's half of a receipt; `changes` replace fields of its signed terms."""
        quoted, delivered = unpack(QuoteTerms, award.quote.terms), unpack(ResultTerms, result.terms)
        ordered = unpack(AwardTerms, award.terms)
        terms = ReceiptTerms(
            task_id=quoted.task_id,
            salt=os.urandom(16),
            network=quoted.network,
            client=self.key,
            contractor=quoted.contractor,
            skill=quoted.skill,
            effort=quoted.effort,
            specification_sha256=quoted.specification_sha256,
            quote_sha256=digest(award.quote.terms),
            result_sha256=delivered.result_sha256,
            price_micro=quoted.price_micro,
            paid_micro=delivered.invoice_micro,
            awarded_unix_ms=ordered.awarded_unix_ms,
            finished_unix_ms=self.env.unix_ms(),
            deadline_met=True,
            level="none",
            verdict="accepted",
            score_ppm=1_000_000,
            explored=False,
        )
        return ReceiptOffer(**signed(self.identity, msgspec.structs.replace(terms, **changes)))


@asynccontextmanager
async def buying() -> AsyncIterator[Buyer]:
    """A buyer that can open sessions, until the block ends."""
    one = Buyer()
    await one.peers.start([])
    try:
        yield one
    finally:
        await one.peers.stop()


def quoted(award: Award) -> QuoteTerms:
    """What the quote of an award says."""
    return unpack(QuoteTerms, award.quote.terms)


async def refused(sending: Awaitable[Message]) -> RemoteRefused:
    """The refusal that a request ends with."""
    try:
        answer = await sending
    except RemoteRefused as error:
        return error
    raise AssertionError(f"it was answered with {answer}")
