"""Single orders: money promised, the award journaled, the contractor hired; then the receipt, or the fault report.

Every order that was placed and delivered is settled once. `close` ends the promises of a task that was cut short.
"""

import asyncio
from dataclasses import dataclass

from crypto.identity import Identity
from node.background import Background
from node.env import Env
from node.errors import RefusedError
from node.ledger.journal import award_record, paid_micro
from node.net.errors import NetError
from node.net.peers import Peers
from node.net.session import Session
from node.outsource.client.hiring import Delivery, Fault, Job, Listener, hire, proof_of
from node.outsource.client.offers import Offer
from node.outsource.client.outcome import Failed, Limits, Question
from node.outsource.client.progresslog import ProgressLog
from node.outsource.client.request import Ask
from node.outsource.client.settlement import Settlement
from node.outsource.tasklog import TaskLog
from node.store.history import JobOutcome, Outcomes
from node.store.journal_store import Journal
from node.store.spending import CapRefusal, Spending
from node.store.tasks import TaskChange
from node.tasks.spec import digest
from node.tasks.verify import Judgement
from node.views.receipts import fault_view, receipt_view
from protocol.messages import MAX_PART_BYTES, Award
from protocol.receipts import Signed, outcome_of
from protocol.signed import AwardTerms, ReceiptTerms, sign
from protocol.specification import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """An order whose result has come, to be judged and settled."""

    offer: Offer
    award: AwardTerms
    delivery: Delivery
    took_ms: int

    @property
    def invoice_micro(self) -> int:
        """What is owed when the result is accepted."""
        return self.delivery.result.terms.invoice_micro


class Orders:
    """Places and settles single orders, with all that must be written down on the way."""

    def __init__(
        self,
        *,
        identity: Identity,
        env: Env,
        peers: Peers,
        tasks: TaskLog,
        journal: Journal,
        spending: Spending,
        outcomes: Outcomes,
        settlement: Settlement,
        in_background: Background,
    ) -> None:
        self._identity = identity
        self._env = env
        self._peers = peers
        self._tasks = tasks
        self._journal = journal
        self._spending = spending
        self._outcomes = outcomes
        self._settlement = settlement
        self._in_background = in_background

    # --- placing

    async def place(
        self, ask: Ask, offer: Offer, level: Level, *, limits: Limits, explored: bool, question: Question
    ) -> Delivered | Failed:
        """Hire one contractor; a fault of its is recorded, and told to it."""
        price_micro = offer.terms.price_micro
        reserved = await self._spending.reserve(
            ask.task_id,
            offer.seller.key,
            price_micro,
            self._env.unix_ms(),
            unverified_micro=price_micro if level == "none" else 0,
        )
        if isinstance(reserved, CapRefusal):
            return Failed(RefusedError.code, f"{offer.seller.name}: {reserved}")
        outcome = await self._hire(ask, offer, limits=limits, explored=explored, question=question)
        if isinstance(outcome, Fault):
            await self._close(ask.task_id, offer.seller.key)
            await self._report(ask, offer, outcome)
            return Failed(outcome.kind, f"{offer.seller.name}: {outcome.kind}: {outcome.text}")
        return outcome

    async def _hire(
        self, ask: Ask, offer: Offer, *, limits: Limits, explored: bool, question: Question
    ) -> Delivered | Fault:
        began = self._env.unix_ms()
        session = await self._session(offer, limits.patience_s)
        if isinstance(session, Fault):
            return session
        terms, award = await self._award(ask, offer, explored)
        job = Job(
            task_id=ask.task_id,
            offer=offer,
            award=award,
            content=ask.content,
            max_output_bytes=ask.specification.output.max_bytes,
            patience_s=limits.patience_s,
            remaining_s=limits.remaining_s,
        )
        progress = ProgressLog(self._tasks, ask.task_id, self._in_background)
        delivery = await hire(session, job, self._listener(ask, offer, progress, question))
        await progress.flush()
        if isinstance(delivery, Fault):
            return delivery
        return Delivered(offer=offer, award=terms, delivery=delivery, took_ms=self._env.unix_ms() - began)

    async def _session(self, offer: Offer, patience_s: float) -> Session | Fault:
        try:
            async with asyncio.timeout(patience_s):
                return await self._peers.session(offer.seller.key, offer.seller.endpoint)
        except (NetError, TimeoutError) as error:
            return Fault("disconnect", str(error) or f"no session within {patience_s:.1f} s")

    async def _award(self, ask: Ask, offer: Offer, explored: bool) -> tuple[AwardTerms, Award]:
        """The order, in the journal before it can be sent."""
        terms = AwardTerms(
            task_id=ask.task_id,
            quote_sha256=digest(offer.quote.terms),
            client=self._identity.public_key,
            contractor=offer.seller.key,
            awarded_unix_ms=self._env.unix_ms(),
            explored=explored,
        )
        body, signature = sign(self._identity, terms)
        await self._journal.append("award", award_record(body, signature), terms.awarded_unix_ms)
        change = TaskChange(peer=offer.seller.key, price_micro=offer.terms.price_micro)
        await self._tasks.change(ask.task_id, change)
        text = f"to {offer.seller.name} for at most {offer.terms.price_micro} micro-dollars"
        await self._tasks.note(ask.task_id, "awarded", text, peer=offer.seller.name)
        data = ask.content.data
        return terms, Award(
            terms=body,
            signature=signature,
            quote=offer.quote,
            specification=ask.encoded,
            input=data if len(data) <= MAX_PART_BYTES else b"",
        )

    def _listener(self, ask: Ask, offer: Offer, progress: ProgressLog, question: Question) -> Listener:
        async def accepted() -> None:
            await self._tasks.note(ask.task_id, "accepted", "work has begun", peer=offer.seller.name)

        async def moved(done_ppm: int, text: str) -> None:
            progress.put(done_ppm, text)

        return Listener(accepted=accepted, progress=moved, question=question)

    # --- settling

    async def settle(
        self, ask: Ask, delivered: Delivered, judgement: Judgement, level: Level, *, wait_s: float
    ) -> None:
        """Sign what the result came to; from then on it counts as spent, or as nothing.

        The contractor's countersignature is waited for `wait_s` at most: a result that is here and good is not
        held back by it. It is collected in the background, and its absence recorded.
        """
        offer, allowed_ms = delivered.offer, ask.specification.constraints.deadline_ms
        terms = self._settlement.terms(
            offer,
            delivered.delivery,
            judgement,
            level=level,
            awarded_unix_ms=delivered.award.awarded_unix_ms,
            deadline_met=delivered.took_ms <= allowed_ms,
            explored=delivered.award.explored,
        )
        offered = await self._settlement.offer(terms)
        await self._close(ask.task_id, offer.seller.key)
        if judgement.accepted:
            await self._record(ask, offer, kind=outcome_of(terms), paid_micro=terms.paid_micro, delivered=delivered)
        else:
            text = "; ".join(judgement.reasons) or "verification refused the result"
            await self._report(ask, offer, Fault("bad_result", text[:500], proof_of(offer, delivered.delivery.result)))
        signing = self._in_background(self._collect(ask, offer, offered))
        await asyncio.wait([signing], timeout=wait_s)

    async def _collect(self, ask: Ask, offer: Offer, offered: Signed[ReceiptTerms]) -> None:
        """The receipt with both signatures, into journal and log; or why there is none."""
        settled = await self._settlement.countersigned(offer, offered)
        if isinstance(settled, Fault):
            await self._report(ask, offer, settled, counts=False)
            return
        receipt, height = settled
        text = f"signed by both sides: {receipt.terms.paid_micro} micro-dollars to {offer.seller.name}"
        view = receipt_view(receipt, height)
        await self._tasks.note(ask.task_id, "receipt", text, peer=offer.seller.name, receipt=view)

    async def _report(self, ask: Ask, offer: Offer, fault: Fault, *, counts: bool = True) -> None:
        report, height = await self._settlement.record(offer, fault)
        view = fault_view(report, ask.skill, height)
        await self._tasks.note(ask.task_id, "receipt", f"fault recorded: {fault.kind}", receipt=view)
        self._in_background(self._settlement.notify(offer, report))
        if counts:
            await self._record(ask, offer, kind=fault.kind)

    async def _record(
        self, ask: Ask, offer: Offer, *, kind: str, paid_micro: int = 0, delivered: Delivered | None = None
    ) -> None:
        """How the job ended, for the contractor's record here; a success is one that was `delivered`."""
        await self._outcomes.record(
            JobOutcome(
                task_id=ask.task_id,
                contractor=offer.seller.key,
                skill=ask.skill,
                unix_ms=self._env.unix_ms(),
                success=delivered is not None,
                kind=kind,
                paid_micro=paid_micro,
                duration_ms=delivered.took_ms if delivered else 0,
            )
        )

    # --- promises of money

    async def _close(self, task_id: bytes, contractor: bytes) -> None:
        """End a promise: what the journal says was signed counts as paid, else the promise is released."""
        paid = paid_micro(await self._journal.of_task(task_id), contractor)
        if paid is None:
            await self._spending.release(task_id, contractor)
        else:
            await self._spending.settle(task_id, contractor, paid)

    async def close(self, task_id: bytes | None = None) -> None:
        """End every open promise of one task that was cut short; of all tasks, after a restart."""
        for reservation in await self._spending.open_reservations():
            if task_id in (None, reservation.task_id):
                await self._close(reservation.task_id, reservation.peer)
