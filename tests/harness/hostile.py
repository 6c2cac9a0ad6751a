"""Sellers that break the rules, each in one way. They are found and hired like anybody."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from crypto.identity import Identity
from node.net.errors import Refusal
from node.net.session import Call
from node.net.wsstream import WebSocketStream
from protocol.messages import (
    Award,
    Decline,
    InputRequired,
    Message,
    Ok,
    Progress,
    Quote,
    QuoteRequest,
    ReceiptOffer,
    ReceiptSigned,
)
from protocol.packing import unpack
from protocol.receipts import accept
from protocol.signed import QuoteTerms, ResultTerms
from protocol.specification import Specification
from tests.harness.dealing import Seller, on_sale, signed
from tests.harness.nodes import Node, world


class Silent(Seller):
    """Takes quote requests and never answers."""

    async def quote(self, call: Call, request: QuoteRequest) -> Message:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


class Declining(Seller):
    """Makes no offer, and says why."""

    async def quote(self, call: Call, request: QuoteRequest) -> Message:
        return Decline(code="busy", text="come back later")


class Refusing(Seller):
    """Quotes, and refuses the award."""

    async def work(self, call: Call, award: Award) -> Message:
        raise Refusal("busy", "no room any more")


class WrongQuote(Seller):
    """Signs quotes that are not about what was asked; `change` says how."""

    def terms(self, call: Call, request: QuoteRequest) -> QuoteTerms:
        return msgspec.structs.replace(super().terms(call, request), **self.change)


class Forging(Seller):
    """Signs its quotes with another key."""

    async def quote(self, call: Call, request: QuoteRequest) -> Message:
        return Quote(**signed(Identity(os.urandom(32)), self.terms(call, request)))


class Slow(Seller):
    """Accepts the job and never finishes it."""

    async def work(self, call: Call, award: Award) -> Message:
        await call.emit(accept(self.identity, self.quoted(award), os.urandom(16), self.env.unix_ms()))
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


class Disconnecting(Seller):
    """Accepts the job and drops the connection."""

    async def work(self, call: Call, award: Award) -> Message:
        await call.emit(accept(self.identity, self.quoted(award), os.urandom(16), self.env.unix_ms()))
        call.session.abort("gone")
        return Ok()


class Overcharging(Seller):
    """Invoices more than it quoted."""

    def invoice_micro(self, quoted: QuoteTerms) -> int:
        return quoted.price_micro + 1


class Huge(Seller):
    """Accepts the job and sends a frame that no message fits into."""

    frame_bytes = 4 * 2**20

    async def work(self, call: Call, award: Award) -> Message:
        await call.emit(accept(self.identity, self.quoted(award), os.urandom(16), self.env.unix_ms()))
        call.session._stream.write(bytes(self.frame_bytes))
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


class SlowReading(Seller):
    """Accepts the job and takes nothing more from its socket: what is sent to it piles up."""

    async def work(self, call: Call, award: Award) -> Message:
        await call.emit(accept(self.identity, self.quoted(award), os.urandom(16), self.env.unix_ms()))
        stream = call.session._stream
        assert isinstance(stream, WebSocketStream)
        stream._transport.pause_reading()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


class Fabricating(Seller):
    """Delivers something of the right form that is not the answer."""

    def output(self, award: Award) -> bytes:
        return super().output(award).replace(b'"score":', b'"score":1', 1)


class Garbage(Seller):
    """Delivers bytes that are no result at all."""

    def output(self, award: Award) -> bytes:
        return b"\x00\xff" * 100


class Oversized(Seller):
    """Delivers more than the specification allows."""

    def output(self, award: Award) -> bytes:
        return b"x" * (unpack(Specification, award.specification).output.max_bytes + 1)


class Misbinding(Seller):
    """Signs results that belong elsewhere: `change` replaces fields of the signed terms."""

    async def send(self, call: Call, terms: ResultTerms, output: bytes) -> Message:
        return await super().send(call, msgspec.structs.replace(terms, **self.change), output)


class Replaying(Seller):
    """Does its first job, and answers every later one with the very same message."""

    def __init__(self, seed: bytes | None = None, **changes: Any) -> None:
        super().__init__(seed, **changes)
        self.first: Message | None = None

    async def work(self, call: Call, award: Award) -> Message:
        if self.first is None:
            self.first = await super().work(call, award)
        return self.first


class WrongMessage(Seller):
    """Ends the job with a message that cannot end one."""

    async def work(self, call: Call, award: Award) -> Message:
        return Ok()


class Flooding(Seller):
    """Sends progress without end before it delivers."""

    count = 5000

    async def work(self, call: Call, award: Award) -> Message:
        for number in range(self.count):
            await call.emit(Progress(done_ppm=number * 7919 % 1_000_001, text=f"step {number}"))
        return await super().work(call, award)


class Asking(Seller):
    """Asks `count` questions, and delivers once all are answered, or without waiting."""

    count = 1
    waits = True

    async def work(self, call: Call, award: Award) -> Message:
        for number in range(self.count):
            await call.emit(InputRequired(question=f"question {number}"))
        for _ in range(self.count if self.waits else 0):
            await self.answers.get()
        return await super().work(call, award)


class NoReceipt(Seller):
    """Does the work and will not sign for it."""

    async def countersign(self, call: Call, offer: ReceiptOffer) -> Message:
        raise Refusal("no", "I sign nothing")


class LateReceipt(Seller):
    """Does the work and leaves the receipt unanswered until `release` is set; from then on it signs, or `refuses`."""

    refuses = False

    def __init__(self, seed: bytes | None = None, **changes: Any) -> None:
        super().__init__(seed, **changes)
        self.release = asyncio.Event()
        self.was_offered = asyncio.Event()

    async def countersign(self, call: Call, offer: ReceiptOffer) -> Message:
        self.was_offered.set()
        await self.release.wait()
        if self.refuses:
            raise Refusal("no", "I sign nothing")
        return await super().countersign(call, offer)


class ForgedReceipt(Seller):
    """Answers a receipt with a signature that is not one."""

    async def countersign(self, call: Call, offer: ReceiptOffer) -> Message:
        return ReceiptSigned(signature=bytes(64))


@asynccontextmanager
async def market(*sellers: Seller, **plan: Any) -> AsyncIterator[Node]:
    """A buyer that knows these sellers."""
    async with world() as made, AsyncExitStack() as stack:
        buyer = await made.buyer(**plan)
        for seller in sellers:
            await stack.enter_async_context(on_sale(seller, [buyer.endpoint]))
        yield buyer
