"""A seller's handlers: a whole node that sells, and a buyer who signs anything that still is a message.

What the schema refuses never reaches a handler; here the rest does, with every signature right.
"""

import asyncio
import hashlib
from collections.abc import Iterator, MutableMapping
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any

import structlog
from msgspec.structs import replace

from node.net.errors import NetError, RemoteRefused
from node.net.session import Session
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.messages import AnyMessage, Award, FaultNotice, Message, Quote, QuoteRequest, ReceiptOffer, Result
from protocol.packing import pack, unpack
from protocol.signed import AwardTerms, FaultTerms, QuoteTerms, ReceiptTerms, sign_body
from tests.fuzz.areas.messages import messages
from tests.fuzz.target import Parse, Target
from tests.harness.dealing import Buyer
from tests.harness.jobs import CLIENT, CONTRACTOR
from tests.harness.nodes import Node, World

INPUT = b"The service was good. The room was not clean."
TIMEOUT_S = 5.0


class HandlerError(Exception):
    """The seller's session answered for a handler that raised what none should."""


class Dealings:
    """One buyer and one seller, who talk over a real channel. `logs` takes what either logs."""

    def __init__(self, logs: list[MutableMapping[str, Any]]) -> None:
        self.logs = logs
        self._stack = AsyncExitStack()
        self._tasks = 2**64
        self.node: Node
        self.buyer: Buyer

    async def open(self) -> None:
        """Start both."""
        world = await self._stack.enter_async_context(World())
        self.node = await world.seller(seed=CONTRACTOR.seed())
        self.buyer = Buyer(CLIENT.seed())
        await self.buyer.peers.start([])
        self._stack.push_async_callback(self.buyer.peers.stop)

    async def close(self) -> None:
        """Stop both."""
        await self._stack.aclose()

    async def deal(self, message: Message) -> None:
        """Send it; if it was a request for a quote, go through with the job."""
        match message:
            case QuoteRequest():
                await self._hire(message)
            case Award():
                await self._send(self._signed_award(message))
            case ReceiptOffer():
                signature = sign_body(CLIENT, ReceiptTerms, message.terms)
                await self._send(replace(message, signature=signature))
            case FaultNotice():
                await self._send(replace(message, signature=sign_body(CLIENT, FaultTerms, message.terms)))
            case _:
                await self._send(message)

    async def _hire(self, request: QuoteRequest) -> None:
        described = replace(request.specification.input, size_bytes=len(INPUT), sha256=hashlib.sha256(INPUT).digest())
        specification = replace(request.specification, input=described)
        # A task of its own: the same one would be refused as awarded before.
        self._tasks += 1
        task_id = self._tasks.to_bytes(16, "big")
        quote = await self._send(replace(request, task_id=task_id, specification=specification))
        if not isinstance(quote, Quote):
            return
        award = self.buyer.order(quote, specification, INPUT)
        result = await self._send(award)
        if isinstance(result, Result):
            await self._send(self.buyer.receipt(award, result))

    def _signed_award(self, award: Award) -> Award:
        quote = replace(award.quote, signature=sign_body(CONTRACTOR, QuoteTerms, award.quote.terms))
        return replace(award, quote=quote, signature=sign_body(CLIENT, AwardTerms, award.terms))

    async def _send(self, message: Message) -> Message | None:
        """The answer; None for a refusal, which must not be for a bug of the seller's."""
        session = await self.buyer.session(self.node)
        if not await self._is_heard(session):
            session = await self.buyer.session(self.node)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await session.request(message, timeout_s=TIMEOUT_S)
        except RemoteRefused as error:
            if error.code == "internal":
                raise HandlerError(f"a bug answered this {type(message).__name__}: {self.logs[-1:]}") from error
            return None
        except LocalProtocolError:
            return None
        finally:
            assert session.is_open, "the seller ended the session"

    @staticmethod
    async def _is_heard(session: Session) -> bool:
        """Whether the session is alive: while other targets had their turn, this loop stood still for minutes."""
        try:
            await session.probe(TIMEOUT_S)
        except (NetError, TimeoutError):
            return False
        return True


@contextmanager
def dealing() -> Iterator[Parse]:
    """A seller and a buyer."""
    with asyncio.Runner() as runner, structlog.testing.capture_logs() as logs:
        dealings = Dealings(logs)
        runner.run(dealings.open())

        def parse(data: bytes) -> None:
            logs.clear()
            with suppress(RemoteProtocolError):
                message: Message = unpack(AnyMessage, data)  # type: ignore[arg-type]  # a union is no type[T] to mypy
                runner.run(dealings.deal(message))

        try:
            yield parse
        finally:
            with suppress(NetError):
                runner.run(dealings.close())


def _seeds() -> Iterator[bytes]:
    buyer_asks = messages()
    yield from (pack(message) for message in buyer_asks if isinstance(message, Award | ReceiptOffer | FaultNotice))
    for message in buyer_asks:
        if isinstance(message, QuoteRequest):
            constraints = replace(message.specification.constraints, budget_micro=10**6, regions=())
            resources = replace(message.specification.resources, libraries=())
            skills = ("sentiment",)
            wanted = replace(message.specification, skills=skills, constraints=constraints, resources=resources)
            yield pack(message)
            yield pack(replace(message, specification=wanted))
            yield pack(replace(message, specification=replace(wanted, effort="full", skills=("risk",))))
    kept = ("InputPart", "Answer", "Ping", "Progress")
    yield from (pack(message) for message in buyer_asks if type(message).__name__ in kept)


TARGETS = (Target(name="seller-request", form="msgpack", opened=dealing, seeds=_seeds, share=0.25, max_bytes=2**15),)
