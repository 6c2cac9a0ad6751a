"""The contractor's signature under receipts, and what clients report about it."""

import asyncio

import structlog

from crypto.identity import Identity, short_id
from node.env import Env
from node.errors import NodeError
from node.ledger.journal import fault_record, open_body, receipt_record
from node.net.errors import Refusal
from node.outsource.contractor.clients import Clients
from node.outsource.delivered import find_delivered, job_of
from node.outsource.tasklog import TaskLog
from node.store.earnings import Earnings
from node.store.journal_store import Journal
from node.store.tasks import TaskChange
from node.views.receipts import receipt_view
from node.wording import usd
from protocol.errors import RemoteProtocolError
from protocol.messages import FaultNotice, ReceiptOffer, ReceiptSigned
from protocol.packing import unpack
from protocol.receipts import Receipt, countersign, open_fault
from protocol.signed import ReceiptTerms

log = structlog.get_logger()


class Countersigner:
    """Signs receipts that say what this node knows about its own deliveries, each once."""

    def __init__(
        self, *, identity: Identity, env: Env, journal: Journal, tasks: TaskLog, earnings: Earnings, clients: Clients
    ) -> None:
        self._identity = identity
        self._env = env
        self._journal = journal
        self._tasks = tasks
        self._earnings = earnings
        self._clients = clients
        self._one_at_a_time = asyncio.Lock()

    async def countersign(self, client: bytes, offer: ReceiptOffer) -> ReceiptSigned:
        """Sign the receipt of a job that was delivered to `client`; asking again gives the same signature."""
        try:
            async with self._one_at_a_time:
                return ReceiptSigned(signature=await self._sign(client, offer))
        except RemoteProtocolError as error:
            raise Refusal(error.code, error.text) from error

    async def _sign(self, client: bytes, offer: ReceiptOffer) -> bytes:
        entries = await self._journal.of_task(unpack(ReceiptTerms, offer.terms).task_id)
        delivered = find_delivered(entries)
        if delivered is None:
            raise Refusal("unknown_task", "I delivered no such task")
        job = job_of(delivered)
        if job.client != client:
            raise Refusal("unknown_task", "that task was another client's")
        for entry in entries:
            if entry.kind == "receipt":
                earlier = open_body(entry.kind, entry.body)
                if isinstance(earlier, Receipt) and earlier.body == offer.terms:
                    return earlier.contractor_signature
                raise Refusal("duplicate", "this job has another receipt, with my signature")
        if job.contractor != self._identity.public_key:
            raise Refusal("not_mine", "that was delivered under a key that I have passed on: it signs no more")
        receipt = countersign(self._identity, offer.terms, offer.signature, job)
        entry = await self._journal.append("receipt", receipt_record(receipt), self._env.unix_ms())
        self._clients.signed(client, receipt.terms.task_id, receipt.terms.paid_micro)
        await self._note(receipt, entry.height)
        return receipt.contractor_signature

    async def _note(self, receipt: Receipt, height: int) -> None:
        terms = receipt.terms
        text = f"{terms.verdict} by {short_id(terms.client)}, {usd(terms.paid_micro)}"
        try:
            # In one transaction, where nothing is in the way.
            await asyncio.gather(
                *self._earned(terms),
                self._tasks.change_noted(
                    terms.task_id,
                    TaskChange(paid_micro=terms.paid_micro),
                    "receipt",
                    text,
                    receipt=receipt_view(terms.task_id, receipt, height),
                ),
            )
        except NodeError as error:
            # The task row is past its retention; the journal has the receipt, which is what counts.
            log.info("receipt.task_forgotten", error=str(error))

    def _earned(self, terms: ReceiptTerms) -> list[asyncio.Future[None]]:
        if terms.verdict != "accepted":
            return []
        return [self._earnings.post(terms.skill, terms.paid_micro, self._env.unix_ms())]

    async def take_notice(self, client: bytes, notice: FaultNotice) -> None:
        """Keep a client's fault report about this node: it says what the client will rate by."""
        try:
            report = open_fault(notice.terms, notice.signature)
        except RemoteProtocolError as error:
            raise Refusal(error.code, error.text) from error
        terms = report.terms
        if terms.reporter != client or terms.contractor != self._identity.public_key:
            raise Refusal("not_mine", "this report is not yours about me")
        if not await self._tasks.is_known(terms.task_id, peer=client):
            raise Refusal("unknown_task", "I never worked on that task for you")
        entries = await self._journal.of_task(terms.task_id)
        if any(entry.kind == "fault" for entry in entries):
            return
        await self._journal.append("fault", fault_record(report), self._env.unix_ms())
        log.warning("fault.reported_by_client", peer=short_id(client), kind=terms.kind)
