"""How a job ends on paper: a receipt that both sign, or a one-sided fault report; journaled before it is sent."""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog

from crypto.identity import Identity, short_id
from node.env import Env
from node.ledger.journal import fault_record, offer_record, receipt_record
from node.net.endpoint import Endpoint
from node.net.errors import DialError, NetError, RemoteRefused, SessionClosed
from node.net.peers import Peers
from node.outsource.client.hiring import Delivery, Fault
from node.outsource.client.offers import Offer
from node.store.journal_store import Journal
from node.tasks.spec import digest
from node.tasks.verify import Judgement
from protocol.errors import RemoteProtocolError
from protocol.messages import FaultNotice, Message, ReceiptOffer, ReceiptSigned
from protocol.receipts import Receipt, Signed, complete_receipt, offer_receipt, report_fault
from protocol.signed import FaultTerms, ReceiptTerms
from protocol.specification import Level

log = structlog.get_logger()

RETRY_S: Final = 0.5
"""Between two tries to reach a contractor for its countersignature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One task with one contractor: `task_id` is what this node calls it, `order_id` what the two of them do.

    `endpoint` None: nobody knows where the contractor is now.
    """

    task_id: bytes
    order_id: bytes
    network: str
    skill: str
    contractor: bytes
    endpoint: Endpoint | None

    @property
    def name(self) -> str:
        """How a person names the contractor."""
        return short_id(self.contractor)


class Settlement:
    """The client's side of receipts and fault reports."""

    def __init__(self, *, identity: Identity, env: Env, journal: Journal, peers: Peers, timeout_s: float) -> None:
        self._identity = identity
        self._env = env
        self._journal = journal
        self._peers = peers
        self._timeout_s = timeout_s

    def terms(
        self,
        offer: Offer,
        delivery: Delivery,
        judgement: Judgement,
        *,
        level: Level,
        awarded_unix_ms: int,
        deadline_met: bool,
        explored: bool,
    ) -> ReceiptTerms:
        """What the receipt of this job says: paid as invoiced when accepted, nothing when rejected."""
        quoted, result = offer.terms, delivery.result.terms
        return ReceiptTerms(
            task_id=quoted.task_id,
            salt=self._env.entropy(16),
            network=quoted.network,
            client=quoted.client,
            contractor=quoted.contractor,
            skill=quoted.skill,
            effort=quoted.effort,
            specification_sha256=quoted.specification_sha256,
            quote_sha256=digest(offer.quote.terms),
            result_sha256=result.result_sha256,
            price_micro=quoted.price_micro,
            paid_micro=result.invoice_micro if judgement.accepted else 0,
            awarded_unix_ms=awarded_unix_ms,
            finished_unix_ms=max(awarded_unix_ms, self._env.unix_ms()),
            deadline_met=deadline_met,
            level=level,
            verdict="accepted" if judgement.accepted else "rejected",
            score_ppm=judgement.score_ppm,
            explored=explored,
        )

    async def offer(self, order: Order, terms: ReceiptTerms) -> Signed[ReceiptTerms]:
        """The client's half of a receipt, in the journal: from here on what it says is owed."""
        offered = offer_receipt(self._identity, terms)
        body, now = offer_record(offered), self._env.unix_ms()
        await self._journal.append("receipt_offer", body, now, task_id=order.task_id)
        return offered

    async def countersigned(self, order: Order, offered: Signed[ReceiptTerms]) -> tuple[Receipt, int] | Fault:
        """Have the contractor countersign; the receipt and its height in the journal, or why there is none."""
        if order.endpoint is None:
            return Fault("refused_receipt", "no countersignature came, and its address is not known any more")
        message = ReceiptOffer(terms=offered.body, signature=offered.signature)
        try:
            answer = await self._ask_until_answered(order.contractor, order.endpoint, message)
            if not isinstance(answer, ReceiptSigned):
                return Fault("refused_receipt", f"a {type(answer).__name__} is no countersignature")
            receipt = complete_receipt(offered, answer.signature)
        except RemoteRefused as error:
            return Fault("refused_receipt", f"{error.code}: {error.text}")
        except (TimeoutError, NetError) as error:
            return Fault("refused_receipt", f"no countersignature came: {str(error) or 'timed out'}")
        except RemoteProtocolError as error:
            return Fault("refused_receipt", error.text)
        body, now = receipt_record(receipt), self._env.unix_ms()
        entry = await self._journal.append("receipt", body, now, task_id=order.task_id)
        return receipt, entry.height

    async def _ask_until_answered(self, contractor: bytes, endpoint: Endpoint, message: ReceiptOffer) -> Message:
        """A receipt belongs to the job, not to a session: one that breaks, or a restart over there, is waited out."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._timeout_s) as limit:
            while True:
                try:
                    session = await self._peers.session(contractor, endpoint)
                    return await session.request(message, timeout_s=self._timeout_s)
                except (DialError, SessionClosed):
                    ends = limit.when()
                    if ends is None or loop.time() + RETRY_S >= ends:
                        raise
                await asyncio.sleep(RETRY_S)

    async def record(self, order: Order, fault: Fault) -> tuple[Signed[FaultTerms], int]:
        """Put a fault into the journal; the signed report and its height."""
        report = report_fault(
            self._identity,
            task_id=order.order_id,
            network=order.network,
            client=self._identity.public_key,
            contractor=order.contractor,
            kind=fault.kind,
            text=fault.text,
            unix_ms=self._env.unix_ms(),
            pieces=fault.evidence,
        )
        entry = await self._journal.append("fault", fault_record(report), report.terms.unix_ms, task_id=order.task_id)
        return report, entry.height

    async def notify(self, order: Order, report: Signed[FaultTerms]) -> None:
        """Tell the contractor what was recorded about it, if it can be reached; never raises for its silence."""
        if order.endpoint is None:
            return
        notice = FaultNotice(terms=report.body, signature=report.signature)
        try:
            async with asyncio.timeout(self._timeout_s):
                session = await self._peers.session(order.contractor, order.endpoint)
                await session.request(notice, timeout_s=self._timeout_s)
        except (TimeoutError, NetError, RemoteProtocolError) as error:
            log.info("fault_notice.not_delivered", peer=order.name, error=str(error))
