"""Single orders: money promised, the award journaled, the contractor hired; then the receipt, or the fault report.

Every order that was placed and delivered is settled once, whatever becomes of its task.
"""

import asyncio
from dataclasses import dataclass

from crypto.identity import Identity
from node.background import Background, completed
from node.community.community import Community
from node.env import Env
from node.errors import RefusedError
from node.ledger.journal import award_record
from node.net.errors import NetError
from node.net.peers import Peers
from node.net.session import Session
from node.outsource.client.hiring import Delivery, Fault, Job, Listener, hire, proof_of
from node.outsource.client.offers import Offer
from node.outsource.client.ontheway import OnTheWay
from node.outsource.client.outcome import Failed, Limits, Question
from node.outsource.client.progresslog import ProgressLog
from node.outsource.client.promises import Promises
from node.outsource.client.request import Ask
from node.outsource.client.settlement import Order, Settlement
from node.outsource.settlement.adapter import Adapter, Exhibit
from node.outsource.tasklog import TaskLog
from node.store.history import JobOutcome, Outcomes
from node.store.journal_store import Journal
from node.store.tasks import TaskChange
from node.tasks.spec import digest
from node.tasks.verify import Judgement
from node.views.receipts import fault_view, receipt_view
from node.wording import usd
from protocol.messages import MAX_PART_BYTES, Award
from protocol.receipts import Signed, outcome_of
from protocol.signed import AcceptanceTerms, AwardTerms, ReceiptTerms, sign
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
        promises: Promises,
        outcomes: Outcomes,
        settlement: Settlement,
        settling: Adapter,
        on_the_way: OnTheWay,
        community: Community,
        in_background: Background,
    ) -> None:
        self._identity = identity
        self._env = env
        self._peers = peers
        self._tasks = tasks
        self._journal = journal
        self._promises = promises
        self._outcomes = outcomes
        self._settlement = settlement
        self._settling = settling
        self._on_the_way = on_the_way
        self._community = community
        self._in_background = in_background

    # --- placing

    async def place(
        self, ask: Ask, offer: Offer, level: Level, *, limits: Limits, explored: bool, question: Question
    ) -> Delivered | Failed:
        """Hire one contractor; a fault of its is recorded, and told to it."""
        if (refused := await self._promises.make(ask.task_id, offer, level)) is not None:
            return Failed(RefusedError.code, f"{offer.seller.name}: {refused}")
        outcome = await self._hire(ask, offer, limits=limits, explored=explored, question=question)
        if isinstance(outcome, Failed):
            await completed(self._promises.close(ask.task_id, offer.seller.key, abandoned=outcome.text))
            return outcome
        if isinstance(outcome, Fault):
            await completed(self._failed(_order(ask, offer), outcome))
            await self._settling.judged(offer.quote.terms, None)
            return Failed(outcome.kind, f"{offer.seller.name}: {outcome.kind}: {outcome.text}")
        return outcome

    async def _failed(self, order: Order, fault: Fault) -> None:
        await self._report(order, fault)
        await self._promises.close(order.task_id, order.contractor)

    async def _hire(
        self, ask: Ask, offer: Offer, *, limits: Limits, explored: bool, question: Question
    ) -> Delivered | Failed | Fault:
        began = self._env.unix_ms()
        session = await self._session(offer, limits.patience_s)
        if isinstance(session, Fault):
            return session
        terms, award = await self._award(ask, offer, explored)
        if unpaid := await self._settling.lock(
            offer.quote.terms, offer.terms, ask.task_id, remaining_s=limits.remaining_s
        ):
            return Failed(RefusedError.code, f"{offer.seller.name}: {unpaid}")
        job = Job(
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
            task_id=offer.terms.task_id,
            quote_sha256=digest(offer.quote.terms),
            client=self._identity.public_key,
            contractor=offer.seller.key,
            awarded_unix_ms=self._env.unix_ms(),
            explored=explored,
        )
        body, signature = sign(self._identity, terms)
        record = award_record(body, signature)
        await self._journal.append("award", record, terms.awarded_unix_ms, task_id=ask.task_id)
        change = TaskChange(peer=offer.seller.key, price_micro=offer.terms.price_micro)
        await self._tasks.change(ask.task_id, change)
        text = f"to {offer.seller.name} for at most {usd(offer.terms.price_micro)}"
        self._tasks.tell(ask.task_id, "awarded", text, peer=offer.seller.name)
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
            self._on_the_way.accepted(ask.task_id, offer.seller.key, asyncio.get_running_loop().time())
            self._tasks.tell(ask.task_id, "accepted", "work has begun", peer=offer.seller.name)

        async def moved(done_ppm: int, text: str) -> None:
            progress.put(done_ppm, text)

        return Listener(accepted=accepted, progress=moved, question=question)

    # --- settling

    async def settle(self, ask: Ask, delivered: Delivered, judgement: Judgement, level: Level) -> asyncio.Task[None]:
        """Sign what the result came to; from then on it counts as spent, or as nothing.

        Gives the collecting of the contractor's countersignature, which goes on in the background: a result that
        is here and good is not held back by it. Its absence is recorded.
        """
        return await completed(self._settle(ask, delivered, judgement, level))

    async def _settle(self, ask: Ask, delivered: Delivered, judgement: Judgement, level: Level) -> asyncio.Task[None]:
        offer, allowed_ms = delivered.offer, ask.specification.constraints.deadline_ms
        order = _order(ask, offer)
        terms = self._settlement.terms(
            offer,
            delivered.delivery,
            judgement,
            level=level,
            awarded_unix_ms=delivered.award.awarded_unix_ms,
            deadline_met=delivered.took_ms <= allowed_ms,
            explored=delivered.award.explored,
        )
        offered = await self._settlement.offer(order, terms)
        if judgement.accepted:
            outcome = self._outcome(order, kind=outcome_of(terms), paid_micro=terms.paid_micro, delivered=delivered)
            # In one transaction, where nothing is in the way.
            await asyncio.gather(self._outcomes.post(outcome), self._promises.close(ask.task_id, offer.seller.key))
        else:
            await self._promises.close(ask.task_id, offer.seller.key)
            text = "; ".join(judgement.reasons) or "verification refused the result"
            await self._report(order, Fault("bad_result", text[:500], proof_of(offer, delivered.delivery.result)))
        await self._settling.judged(offer.quote.terms, None if judgement.accepted else _exhibit(ask, delivered))
        return self._in_background(self.collect(order, offered, delivered.delivery.acceptance))

    async def collect(
        self, order: Order, offered: Signed[ReceiptTerms], acceptance: Signed[AcceptanceTerms] | None = None
    ) -> None:
        """The receipt with both signatures, into journal and log, and a rating under way; or why there is none."""
        settled = await self._settlement.countersigned(order, offered)
        if isinstance(settled, Fault):
            await self._report(order, settled, counts=False)
            return
        receipt, height = settled
        text = f"signed by both sides: {usd(receipt.terms.paid_micro)} to {order.name}"
        view = receipt_view(order.task_id, receipt, height)
        self._tasks.tell(order.task_id, "receipt", text, peer=order.name, receipt=view)
        if acceptance is not None:
            await self._community.rate(receipt, acceptance, order.task_id)

    async def _report(self, order: Order, fault: Fault, *, counts: bool = True) -> None:
        report, height = await self._settlement.record(order, fault)
        view = fault_view(order.task_id, report, order.skill, height)
        self._tasks.tell(order.task_id, "receipt", f"fault recorded: {fault.kind}", receipt=view)
        self._in_background(self._settlement.notify(order, report))
        if counts:
            await self._outcomes.record(self._outcome(order, kind=fault.kind))

    def _outcome(
        self, order: Order, *, kind: str, paid_micro: int = 0, delivered: Delivered | None = None
    ) -> JobOutcome:
        """How the job ended, for the contractor's record here; a success is one that was `delivered`."""
        return JobOutcome(
            task_id=order.task_id,
            contractor=order.contractor,
            skill=order.skill,
            unix_ms=self._env.unix_ms(),
            success=delivered is not None,
            kind=kind,
            paid_micro=paid_micro,
            duration_ms=delivered.took_ms if delivered else 0,
        )


def _exhibit(ask: Ask, delivered: Delivered) -> Exhibit:
    """What an arbiter would have to look at."""
    return Exhibit(
        quote=delivered.offer.quote,
        specification=ask.encoded,
        work=ask.content,
        result=delivered.delivery.result,
        delivered=delivered.delivery.content.data,
    )


def _order(ask: Ask, offer: Offer) -> Order:
    return Order(
        task_id=ask.task_id,
        order_id=offer.terms.task_id,
        network=offer.terms.network,
        skill=ask.skill,
        contractor=offer.seller.key,
        endpoint=offer.seller.endpoint,
    )
