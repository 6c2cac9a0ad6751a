"""The protocol alone: one small task from its quote to its receipt, natively and over A2A, both ends in this process.

Natively: quote, award, acceptance, result and receipt over the channel, each signed and checked by both sides. Over
A2A: quote, contract and receipt as JWS over JSON-RPC and HTTP, requests signed. Behind neither stand a decision, a
database or any work: an answer is ready, tasks are kept in memory.
"""

import hashlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import a2a_pb2 as pb
from aiohttp import web

from coalesced.gateway.a2a.buying.agents import A2aAgents
from coalesced.gateway.a2a.callers import Callers
from coalesced.gateway.a2a.cards import RPC_PATH
from coalesced.gateway.a2a.config import A2aConfig, A2aSeller
from coalesced.gateway.a2a.door import Door
from coalesced.gateway.a2a.economics import QuoteTerms, agreement, receipt, sign
from coalesced.gateway.a2a.handler import Handler
from coalesced.gateway.a2a.rpc import RpcBinding
from coalesced.gateway.a2a.shared import ECONOMICS
from coalesced.gateway.a2a.streams import EventStreams
from coalesced.gateway.a2a.terms import quote_in
from coalesced.gateway.a2a.words import plain, said, struct
from coalesced.gateway.quotas import RequestRates
from crypto.identity import Identity, did_key
from crypto.jcs import canonical
from crypto.jws import sign_parts
from node.env import Env
from node.net.session import Call
from node.outsource.client.agents import AgentJob, AgentWork
from node.outsource.client.hiring import Delivery, Job, Listener, hire
from node.outsource.client.offers import Market, Tender
from node.outsource.client.request import Ask
from node.outsource.client.rollcall import Absences
from node.outsource.client.seller import Seller
from node.tasks.content import Content
from node.tasks.spec import Wishes, digest, encode_specification, specify
from protocol.messages import Award, Message, ReceiptOffer, ReceiptSigned
from protocol.receipts import complete_receipt, offer_receipt, open_receipt_offer
from protocol.signed import AwardTerms, ReceiptTerms, open_signed
from protocol.signed import sign as sign_terms
from tests.harness import dealing
from tests.harness.nodes import NETWORK

LABEL = "sentiment"
ANSWER = b'{"label": "positive", "score": 0.5}'
TIMEOUT_S = 20.0
Exchange = Callable[[], Awaitable[None]]
IDENTITY, ENV = Identity(b"q" * 32), Env()


def asked(text: str) -> Ask:
    """A task."""
    content = Content("text/plain", text.encode())
    wishes = Wishes(budget_micro=10**6, deadline_s=TIMEOUT_S, privacy="public")
    specification = specify((LABEL,), content, 1, wishes, usual_score_ppm=10**6)
    encoded = encode_specification(specification)
    return Ask(
        task_id=os.urandom(16),
        specification=specification,
        encoded=encoded,
        content=content,
        value_micro=None,
        prefer="auto",
    )


async def _silent(*_: object) -> None:
    """Nobody listens."""


async def _shown_to_all(key: bytes, regions: tuple[str, ...]) -> str:
    return ""


async def _no_answer(_: str) -> str:
    return ""


class _Honest(dealing.Seller):
    """A seller that checks what it is sent, as a node does."""

    answer = ANSWER

    async def work(self, call: Call, award: Award) -> Message:
        terms = open_signed(AwardTerms, award.terms, award.signature, call.peer_key)
        assert terms.quote_sha256 == digest(award.quote.terms)
        return await super().work(call, award)

    async def countersign(self, call: Call, offer: ReceiptOffer) -> Message:
        open_receipt_offer(offer.terms, offer.signature)
        signed = await super().countersign(call, offer)
        assert isinstance(signed, ReceiptSigned)
        complete_receipt(open_receipt_offer(offer.terms, offer.signature), signed.signature)
        return signed


@asynccontextmanager
async def native(text: str) -> AsyncIterator[Exchange]:
    """Exchanges between two keys over one session."""
    seller, buyer = _Honest(), dealing.Party()
    await seller.peers.start([seller.endpoint])
    await buyer.peers.start([buyer.endpoint])
    market, whom = Market(buyer.peers, Absences(), ENV.unix_ms), Seller(seller.key, seller.endpoint)

    async def exchange() -> None:
        ask = asked(text)
        tender = Tender(
            task_id=ask.task_id,
            id_key=b"k" * 32,
            specification=ask.specification,
            specification_sha256=ask.specification_sha256,
            network=NETWORK,
            client=buyer.key,
            timeout_s=TIMEOUT_S,
        )
        (offer,), _ = await market.quotes(tender, [whom])
        now, quoted = ENV.unix_ms(), offer.terms
        terms = AwardTerms(
            task_id=quoted.task_id,
            quote_sha256=digest(offer.quote.terms),
            client=buyer.key,
            contractor=seller.key,
            awarded_unix_ms=now,
            explored=False,
        )
        body, signature = sign_terms(buyer.identity, terms)
        award = Award(
            terms=body, signature=signature, quote=offer.quote, specification=ask.encoded, input=ask.content.data
        )
        session = await buyer.peers.session(seller.key, seller.endpoint)
        job = Job(
            offer=offer,
            award=award,
            content=ask.content,
            max_output_bytes=2**20,
            patience_s=TIMEOUT_S,
            remaining_s=TIMEOUT_S,
        )
        delivery = await hire(session, job, Listener(accepted=_silent, progress=_silent, question=_no_answer))
        assert isinstance(delivery, Delivery), delivery
        paid = ReceiptTerms(
            task_id=quoted.task_id,
            salt=os.urandom(16),
            network=quoted.network,
            client=buyer.key,
            contractor=seller.key,
            skill=quoted.skill,
            effort=quoted.effort,
            specification_sha256=quoted.specification_sha256,
            quote_sha256=digest(offer.quote.terms),
            result_sha256=delivery.result.terms.result_sha256,
            price_micro=quoted.price_micro,
            paid_micro=quoted.price_micro,
            awarded_unix_ms=now,
            finished_unix_ms=ENV.unix_ms(),
            deadline_met=True,
            level="none",
            verdict="accepted",
            score_ppm=10**6,
            explored=False,
        )
        offered = offer_receipt(buyer.identity, paid)
        answer = await session.request(
            ReceiptOffer(terms=offered.body, signature=offered.signature), timeout_s=TIMEOUT_S
        )
        assert isinstance(answer, ReceiptSigned)
        complete_receipt(offered, answer.signature)

    try:
        yield exchange
    finally:
        await buyer.peers.stop()
        await seller.peers.stop()


class Contractor(AgentExecutor):
    """Quotes, and delivers under the contract."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        message, task_id, context_id = context.message, context.task_id or "", context.context_id or ""
        assert message is not None
        caller, own = context.call_context.user.user_name, did_key(IDENTITY.public_key)
        updater = TaskUpdater(event_queue, task_id, context_id)
        if context.current_task is None:
            now = ENV.unix_ms()
            terms = QuoteTerms(
                task_id=task_id,
                skill=LABEL,
                input_sha256=hashlib.sha256(message.parts[0].text.encode()).hexdigest(),
                client=caller,
                contractor=own,
                price_usd="0.00001",
                duration_ms=10,
                p95_ms=20,
                issued_unix_ms=now,
                expires_unix_ms=now + 60_000,
            )
            status = pb.TaskStatus(state=pb.TaskState.TASK_STATE_SUBMITTED)
            await event_queue.enqueue_event(
                pb.Task(id=task_id, context_id=context_id, status=status, history=[message])
            )
            metadata = {ECONOMICS: {"quote": sign(IDENTITY, terms)}}
            await updater.requires_input(said("a price", task_id=task_id, context_id=context_id, metadata=metadata))
            return
        agreed = agreement(
            IDENTITY.public_key,
            quote_in(context.current_task),
            plain(message.metadata)[ECONOMICS]["contract"],
            task_id=task_id,
            caller=caller,
            now_unix_ms=ENV.unix_ms(),
        )
        token = receipt(IDENTITY, agreed, ANSWER, finished_unix_ms=ENV.unix_ms())
        artifact = pb.Artifact(
            artifact_id="result", parts=[pb.Part(text=ANSWER.decode(), media_type="application/json")]
        )
        artifact.metadata.CopyFrom(struct({ECONOMICS: {"receipt": token}}))
        event = pb.TaskArtifactUpdateEvent(task_id=task_id, context_id=context_id, artifact=artifact, last_chunk=True)
        await event_queue.enqueue_event(event)
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        """Nothing runs long enough."""


@asynccontextmanager
async def over_a2a(text: str) -> AsyncIterator[Exchange]:
    """The same between our buyer of A2A and our server of it."""
    handler = Handler(
        Contractor(), InMemoryTaskStore(), push_store=None, push_sender=None, allow_private=False, any_media_type=True
    )
    listening = socket.create_server(("127.0.0.1", 0))
    base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    door = Door(
        Callers({}, anonymous=False),
        RequestRates(10**6),
        base_url=base_url,
        max_request_bytes=2**22,
        supported=frozenset({ECONOMICS}),
        unix_ms=ENV.unix_ms,
    )
    app = web.Application()
    app.router.add_routes(RpcBinding(handler, door.enter, EventStreams(15.0), frozenset(), None).routes(RPC_PATH))
    card: dict[str, Any] = {
        "name": "bench",
        "skills": [{"id": LABEL}],
        "capabilities": {"extensions": [{"uri": ECONOMICS}]},
    }

    async def shown(request: web.Request) -> web.Response:
        interface = {"protocolBinding": "JSONRPC", "protocolVersion": "1.0", "url": f"{request.url.origin()}{RPC_PATH}"}
        whole = card | {"supportedInterfaces": [interface]}
        head, signature = sign_parts(IDENTITY, canonical(whole), typ="JOSE")
        return web.json_response(whole | {"signatures": [{"protected": head, "signature": signature}]})

    app.router.add_get("/.well-known/agent-card.json", shown)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    config = A2aSeller(card=base_url, skill=LABEL)
    bought = A2aConfig(sellers=(config,))
    agents = A2aAgents(bought, Identity(b"b" * 32), ENV, network="bench", output_type=lambda _: "application/json")
    try:
        async with agents:

            async def exchange() -> None:
                ask = asked(text)
                (offer,), refusals = await agents.offers(ask, timeout_s=TIMEOUT_S, withheld=_shown_to_all)
                assert not refusals
                work = await agents.work(AgentJob(ask, offer, TIMEOUT_S, lambda *_: None, _no_answer))
                assert isinstance(work, AgentWork), work
                assert work.receipt

            yield exchange
    finally:
        await runner.cleanup()
