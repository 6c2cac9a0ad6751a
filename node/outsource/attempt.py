"""One attempt at a task: done here, or by one hired contractor, up to a verified result or the reason why not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from crypto.identity import Identity
from node.background import Background
from node.env import Env
from node.errors import NodeError
from node.ledger.journal import award_record, paid_micro
from node.net.errors import NetError
from node.net.peers import Peers
from node.net.session import Session
from node.outsource.hiring import Delivery, Fault, Job, Listener, hire, proof_of
from node.outsource.localwork import LocalWork
from node.outsource.offers import Offer
from node.outsource.recordview import fault_view, receipt_view
from node.outsource.request import Ask
from node.outsource.settlement import Settlement
from node.outsource.tasklog import TaskLog
from node.store.history import JobOutcome, Outcomes
from node.store.journal_store import Journal
from node.store.spending import CapRefusal, Spending
from node.store.tasks import TaskChange
from node.tasks.content import Content
from node.tasks.spec import digest
from node.tasks.verify import Judgement
from protocol.messages import MAX_PART_BYTES, Award
from protocol.receipts import Receipt, outcome_of
from protocol.signed import AwardTerms, sign
from protocol.specification import Level

PATIENCE = 3.0
"""A contractor may take this many times its quoted p95 ..."""
LEAST_PATIENCE_S = 10.0
"""... and at least this long, before the next option is tried."""
Question = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Done:
    """A result that passed, what it cost in the end, and how much of that was paid to somebody."""

    content: Content
    cost_micro: int
    paid_micro: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Why this attempt gave nothing; `code` is that of the error it would be if it were the last."""

    code: str
    text: str


class Attempts:
    """Carries out single attempts, with all that must be written down on the way."""

    def __init__(
        self,
        *,
        identity: Identity,
        env: Env,
        work: LocalWork,
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
        self._work = work
        self._peers = peers
        self._tasks = tasks
        self._journal = journal
        self._spending = spending
        self._outcomes = outcomes
        self._settlement = settlement
        self._in_background = in_background

    # --- here

    async def here(self, ask: Ask, *, remaining_s: float, question: Question) -> Done | Failed:
        """Do the work on this machine."""
        progress = _Throttle(self._tasks, ask.task_id, self._in_background)
        try:
            execution = await self._work.run(
                ask.skill,
                ask.content,
                ask.specification.effort,
                timeout_s=remaining_s,
                memory_bytes=ask.specification.resources.memory_bytes or None,
                on_progress=progress.put,
                ask=question,
            )
        except NodeError as error:
            return Failed(error.code, f"local work failed: {error}")
        option = self._work.option(ask.skill, ask.specification.effort, ask.specification.input.work_units)
        spent = option.cost.total_micro * execution.wall_s / max(option.time_s, 1e-9)
        return Done(Content(execution.media_type, execution.output), cost_micro=round(spent), paid_micro=0)

    # --- hired

    async def hired(
        self,
        ask: Ask,
        offer: Offer,
        level: Level,
        *,
        patience_s: float,
        remaining_s: float,
        explored: bool,
        question: Question,
    ) -> Done | Failed:
        """Hire one contractor, verify what it delivers, settle; a fault is recorded and told to it."""
        price_micro = offer.terms.price_micro
        reserved = await self._spending.reserve(
            ask.task_id,
            offer.seller.key,
            price_micro,
            self._env.unix_ms(),
            unverified_micro=price_micro if level == "none" else 0,
        )
        if isinstance(reserved, CapRefusal):
            return Failed("refused", f"{offer.seller.name}: {reserved}")
        try:
            outcome = await self._hire_and_judge(
                ask, offer, level, patience_s=patience_s, remaining_s=remaining_s, explored=explored, question=question
            )
        except BaseException:
            await asyncio.shield(self.close_reservation(ask.task_id, offer.seller.key))
            raise
        if isinstance(outcome, Fault):
            await self.close_reservation(ask.task_id, offer.seller.key)
            await self._report(ask, offer, outcome)
            code = "verification_failed" if outcome.kind == "bad_result" else outcome.kind
            return Failed(code, f"{offer.seller.name}: {outcome.kind}: {outcome.text}")
        return outcome

    async def close_reservation(self, task_id: bytes, contractor: bytes) -> None:
        """End a promise of money: what the journal says was signed counts as paid, else the promise is released."""
        paid = paid_micro(await self._journal.of_task(task_id), contractor)
        if paid is None:
            await self._spending.release(task_id, contractor)
        else:
            await self._spending.settle(task_id, contractor, paid)

    async def close_open_reservations(self) -> None:
        """After a restart: nothing is under way, so every open promise ends."""
        for reservation in await self._spending.open_reservations():
            await self.close_reservation(reservation.task_id, reservation.peer)

    async def _hire_and_judge(
        self,
        ask: Ask,
        offer: Offer,
        level: Level,
        *,
        patience_s: float,
        remaining_s: float,
        explored: bool,
        question: Question,
    ) -> Done | Fault:
        began = self._env.unix_ms()
        session = await self._session(offer, patience_s)
        if isinstance(session, Fault):
            return session
        award_terms, award = await self._award(ask, offer, explored)
        job = Job(
            task_id=ask.task_id,
            offer=offer,
            award=award,
            content=ask.content,
            max_output_bytes=ask.specification.output.max_bytes,
            patience_s=patience_s,
        )
        delivery = await hire(session, job, self._listener(ask, offer, question))
        if isinstance(delivery, Fault):
            return delivery
        judgement = await self._judge(ask, delivery, level, remaining_s)
        await self._tasks.note(
            ask.task_id,
            "verified",
            f"{level} check: {'accepted' if judgement.accepted else 'refused'}"
            f"{'; '.join(('', *judgement.reasons[:3])) if judgement.reasons else ''}",
            peer=offer.seller.name,
            level=level,
            verdict="accepted" if judgement.accepted else "refused",
            score_ppm=judgement.score_ppm,
        )
        took_ms = self._env.unix_ms() - began
        terms = self._settlement.terms(
            offer,
            delivery,
            judgement,
            level=level,
            awarded_unix_ms=award_terms.awarded_unix_ms,
            deadline_met=took_ms <= ask.specification.constraints.deadline_ms,
            explored=explored,
        )
        settled = await self._settlement.receipt(offer, terms)
        if not judgement.accepted:
            text = "; ".join(judgement.reasons) or "verification refused the result"
            return Fault("bad_result", text[:500], proof_of(offer, delivery.result))
        await self._pay(ask, offer, delivery, settled, took_ms)
        paid = delivery.result.terms.invoice_micro
        return Done(delivery.content, cost_micro=paid, paid_micro=paid)

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

    def _listener(self, ask: Ask, offer: Offer, question: Question) -> Listener:
        throttle = _Throttle(self._tasks, ask.task_id, self._in_background)

        async def accepted() -> None:
            await self._tasks.note(ask.task_id, "accepted", "work has begun", peer=offer.seller.name)

        async def progress(done_ppm: int, text: str) -> None:
            throttle.put(done_ppm, text)

        return Listener(accepted=accepted, progress=progress, question=question)

    async def _judge(self, ask: Ask, delivery: Delivery, level: Level, remaining_s: float) -> Judgement:
        """Judge at the chosen level. The seed is drawn only now: nobody can prepare for what is sampled."""
        try:
            return await self._work.verify(
                ask.skill,
                ask.content,
                delivery.content,
                level=level,
                min_score_ppm=ask.specification.verification.min_score_ppm,
                seed=self._env.entropy(32),
                timeout_s=max(1.0, remaining_s),
            )
        except NodeError as error:
            return Judgement(accepted=False, score_ppm=0, reasons=(f"it could not be verified: {error}",))

    async def _pay(
        self, ask: Ask, offer: Offer, delivery: Delivery, settled: tuple[Receipt, int] | Fault, took_ms: int
    ) -> None:
        """Write down a success: what is owed counts as spent, with or without the contractor's countersignature."""
        paid = delivery.result.terms.invoice_micro
        await self.close_reservation(ask.task_id, offer.seller.key)
        kind = "ok"
        if isinstance(settled, Fault):
            await self._report(ask, offer, settled, counts=False)
        else:
            receipt, height = settled
            kind = outcome_of(receipt.terms)
            text = f"signed by both sides: {paid} micro-dollars to {offer.seller.name}"
            view = receipt_view(receipt, height)
            await self._tasks.note(ask.task_id, "receipt", text, peer=offer.seller.name, receipt=view)
        await self._record(ask, offer, success=True, kind=kind, paid_micro=paid, took_ms=took_ms)

    async def _report(self, ask: Ask, offer: Offer, fault: Fault, *, counts: bool = True) -> None:
        report, height = await self._settlement.record(offer, fault)
        view = fault_view(report, ask.skill, height)
        await self._tasks.note(ask.task_id, "receipt", f"fault recorded: {fault.kind}", receipt=view)
        self._in_background(self._settlement.notify(offer, report))
        if counts:
            await self._record(ask, offer, success=False, kind=fault.kind)

    async def _record(
        self, ask: Ask, offer: Offer, *, success: bool, kind: str, paid_micro: int = 0, took_ms: int = 0
    ) -> None:
        await self._outcomes.record(
            JobOutcome(
                task_id=ask.task_id,
                contractor=offer.seller.key,
                skill=ask.skill,
                unix_ms=self._env.unix_ms(),
                success=success,
                kind=kind,
                paid_micro=paid_micro,
                duration_ms=took_ms,
            )
        )


class _Throttle:
    """Logs progress when it moved by a hundredth at least: a chatty worker cannot fill the log."""

    STEP_PPM = 10_000

    def __init__(self, tasks: TaskLog, task_id: bytes, in_background: Background) -> None:
        self._tasks = tasks
        self._task_id = task_id
        self._in_background = in_background
        self._logged_ppm = -self.STEP_PPM

    def put(self, done_ppm: int, text: str) -> None:
        if done_ppm >= self._logged_ppm + self.STEP_PPM:
            self._logged_ppm = done_ppm
            self._in_background(self._tasks.note(self._task_id, "progress", text, done_ppm=done_ppm))


def patience_s(offer: Offer, remaining_s: float, local_p95_s: float | None) -> float:
    """How long a contractor may take: a multiple of what it quoted, leaving time to do the work here if possible."""
    most = remaining_s - local_p95_s if local_p95_s is not None and local_p95_s < remaining_s / 2 else remaining_s
    return max(0.05, min(most, max(LEAST_PATIENCE_S, PATIENCE * offer.terms.p95_ms / 1000)))
