"""Orders with agents from outside: money promised, the order journaled, the result judged, what is owed noted down."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from node.background import Background, completed
from node.env import Env
from node.errors import NodeError, RefusedError, VerificationError
from node.ledger.journal import AGENT_ORDER, AGENT_PAID, note_record
from node.outsource.checking import Checking
from node.outsource.client.agents import AgentJob, AgentOffer, Agents, AgentWork
from node.outsource.client.hiring import Fault
from node.outsource.client.outcome import Done, Failed, Limits, Question
from node.outsource.client.progresslog import ProgressLog
from node.outsource.client.promises import Promises
from node.outsource.client.redundancy import exactly
from node.outsource.client.request import Ask
from node.outsource.expenses import Expenses
from node.outsource.tasklog import TaskLog
from node.store.history import JobOutcome, Outcomes
from node.store.journal_store import Journal
from node.store.tasks import TaskChange
from node.tasks.verify import FULL_SCORE_PPM, Judgement
from node.views.checks import check_view
from node.wording import check_name, usd
from protocol.specification import Level

CUT_SHORT: Final = "the task ended before this did: by its deadline or its owner"

Here = Callable[[float], Awaitable[Done | Failed]]
"""Does the task on this machine in so many seconds, for a redundant check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOrder:
    """One task, one agent's offer for it, and the check that was decided on."""

    ask: Ask
    offer: AgentOffer
    level: Level
    limits: Limits
    question: Question


class AgentOrders:
    """Places, judges and settles single orders with agents."""

    def __init__(
        self,
        *,
        env: Env,
        agents: Agents,
        checking: Checking,
        promises: Promises,
        expenses: Expenses,
        journal: Journal,
        outcomes: Outcomes,
        tasks: TaskLog,
        in_background: Background,
    ) -> None:
        self._env = env
        self._agents = agents
        self._checking = checking
        self._promises = promises
        self._expenses = expenses
        self._journal = journal
        self._outcomes = outcomes
        self._tasks = tasks
        self._in_background = in_background

    async def carry_out(self, order: AgentOrder, here: Here) -> Done | Failed:
        """One order from its promise to its end."""
        ask, offer = order.ask, order.offer
        if (refused := await self._promises.make(ask.task_id, offer, order.level)) is not None:
            return Failed(RefusedError.code, f"{offer.seller.name}: {refused}")
        began = self._env.unix_ms()
        try:
            # Without a contract, an agent may bill for what it was asked whether or not anybody waits for its end.
            at_stake_micro = 0 if offer.token else offer.terms.price_micro
            await self._note(AGENT_ORDER, order, price_micro=offer.terms.price_micro, at_stake_micro=at_stake_micro)
            work = await self._done(order)
            if isinstance(work, Fault):
                billed_micro = offer.terms.price_micro if work.may_bill else 0
                await completed(self._failed(order, work.kind, billed_micro))
                text = f"{offer.seller.name}: {work.kind}: {work.text}"
                return Failed(work.kind, text, cost_micro=billed_micro)
            judgement = await self._judged(order, work, here)
            if not judgement.accepted:
                # Under a contract only what is accepted is owed; without one, the agent was never told of a check.
                billed_micro = 0 if offer.token else work.invoice_micro
                await completed(self._failed(order, "bad_result", billed_micro))
                reasons = "; ".join(judgement.reasons) or "verification refused the result"
                text = f"{offer.seller.name}: bad_result: {reasons}"
                return Failed(VerificationError.code, text, cost_micro=judgement.cost_micro + billed_micro)
            await completed(self._paid(order, work, took_ms=self._env.unix_ms() - began))
        except BaseException:
            await completed(self._promises.close_all(CUT_SHORT, ask.task_id))
            raise
        if judgement.unmade:
            raise VerificationError(
                f"{offer.seller.name} delivered, but its work is not handed over: {judgement.unmade}"
            )
        cost_micro = work.invoice_micro + judgement.cost_micro
        return Done(work.content, cost_micro=cost_micro, paid_micro=work.invoice_micro)

    async def _done(self, order: AgentOrder) -> AgentWork | Fault:
        ask, offer = order.ask, order.offer
        change = TaskChange(peer=offer.seller.key, price_micro=offer.terms.price_micro)
        await self._tasks.change(ask.task_id, change)
        text = f"to {offer.seller.name} at {offer.address} for at most {usd(offer.terms.price_micro)}"
        self._tasks.tell(ask.task_id, "awarded", text, peer=offer.seller.name)
        progress = ProgressLog(self._tasks, ask.task_id, self._in_background)
        job = AgentJob(ask, offer, order.limits.patience_s, progress.put, order.question)
        work = await self._agents.work(job)
        await progress.flush()
        if isinstance(work, AgentWork) and work.invoice_micro > offer.terms.price_micro:
            asked, agreed = usd(work.invoice_micro), usd(offer.terms.price_micro)
            return Fault("overcharge", f"it wants {asked}, above the agreed {agreed}")
        return work

    async def _judged(self, order: AgentOrder, work: AgentWork, here: Here) -> Judgement:
        ask = order.ask
        try:
            judgement = await self._checking.verify(
                ask.subject,
                work.content,
                level=order.level,
                seed=self._env.entropy(32),
                timeout_s=max(1.0, order.limits.remaining_s),
            )
        except NodeError as error:
            judgement = Judgement(accepted=False, score_ppm=0, reasons=(f"it could not be verified: {error}",))
        except asyncio.CancelledError:
            self._expenses.add(ask.task_id, self._checking.most_micro(ask.subject, work.content, order.level))
            raise
        self._expenses.add(ask.task_id, judgement.cost_micro)
        if order.level == "redundant" and judgement.accepted:
            own = await here(order.limits.remaining_s)
            if not isinstance(own, Done):
                judgement = Judgement(accepted=False, score_ppm=0, reasons=("nothing to compare its result with",))
            elif reason := (self._checking.differ(ask.subject) or exactly)(work.content, own.content):
                judgement = Judgement(accepted=False, score_ppm=0, reasons=(reason,))
        verdict = "accepted" if judgement.accepted else "refused"
        text = "; ".join((f"{check_name(order.level)}: {verdict}", *judgement.reasons[:3]))
        score_ppm = min(judgement.score_ppm, FULL_SCORE_PPM)
        name = order.offer.seller.name
        self._tasks.tell(
            ask.task_id,
            "verified",
            text,
            peer=name,
            level=order.level,
            verdict=verdict,
            score_ppm=score_ppm,
            checks=tuple(map(check_view, judgement.checks)),
        )
        return judgement

    async def _paid(self, order: AgentOrder, work: AgentWork, *, took_ms: int) -> None:
        """What is owed, in the journal before anything else knows of it."""
        await self._note(AGENT_PAID, order, paid_micro=work.invoice_micro, receipt=work.receipt)
        await self._ended(order, kind="ok", paid_micro=work.invoice_micro, took_ms=took_ms)

    async def _failed(self, order: AgentOrder, kind: str, billed_micro: int) -> None:
        """Nothing of use came; what the agent may bill for it all the same counts as spent, at worst its price."""
        if billed_micro:
            await self._note(AGENT_PAID, order, paid_micro=billed_micro, receipt="")
        await self._ended(order, kind=kind, paid_micro=billed_micro)

    async def _ended(self, order: AgentOrder, *, kind: str, paid_micro: int = 0, took_ms: int = 0) -> None:
        ask, key = order.ask, order.offer.seller.key
        await self._promises.close(ask.task_id, key)
        await self._outcomes.record(
            JobOutcome(
                task_id=ask.task_id,
                contractor=key,
                skill=ask.skill,
                unix_ms=self._env.unix_ms(),
                success=kind == "ok",
                kind=kind,
                paid_micro=paid_micro,
                duration_ms=took_ms,
            )
        )

    async def _note(self, what: str, order: AgentOrder, **facts: int | str) -> None:
        ask, offer = order.ask, order.offer
        note = {"what": what, "task_id": ask.task_id, "contractor": offer.seller.key, "address": offer.address, **facts}
        await self._journal.append("note", note_record(note), self._env.unix_ms(), task_id=ask.task_id)
