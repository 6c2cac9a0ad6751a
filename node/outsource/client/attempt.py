"""One attempt at a task: done here, or by a hired contractor, up to a verified result or the reason why not."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.background import Background, completed
from node.env import Env
from node.errors import NodeError, VerificationError
from node.execute.errors import InputError
from node.execute.skill import worst_micro
from node.outsource.checking import Checking
from node.outsource.client.agentorders import AgentOrder, AgentOrders
from node.outsource.client.agents import AgentOffer
from node.outsource.client.offers import Offer
from node.outsource.client.orders import Delivered, Orders
from node.outsource.client.outcome import Done, Failed, Limits, Question
from node.outsource.client.progresslog import ProgressLog
from node.outsource.client.promises import Promises
from node.outsource.client.redundancy import Differ, exactly, majority, rulings
from node.outsource.client.request import Ask
from node.outsource.delegations import Delegations, Reach
from node.outsource.expenses import Expenses
from node.outsource.localwork import LocalWork
from node.outsource.patience import client_patience_s, is_time_for
from node.outsource.tasklog import TaskLog
from node.tasks.checks import CheckMade
from node.tasks.content import Content
from node.tasks.verify import FULL_SCORE_PPM, Judgement, judge
from node.views.checks import check_view
from node.wording import check_name
from protocol.specification import Level

RECEIPT_SHARE: Final = 0.5
"""Part of the time left that an accepted result may wait for its receipt's countersignature."""
LATE_CHECK_S: Final = 10.0
"""What the check of a delivered result gets beyond the time that its task has left."""
CUT_SHORT: Final = "the task ended before this did: by its deadline or its owner"


@dataclass(frozen=True, slots=True)
class Bought:
    """A delivered result that passed its own checks, to be compared with others."""

    delivered: Delivered
    judgement: Judgement


class Attempts:
    """Carries out single attempts."""

    def __init__(
        self,
        *,
        env: Env,
        work: LocalWork,
        checking: Checking,
        orders: Orders,
        agents: AgentOrders,
        promises: Promises,
        expenses: Expenses,
        delegations: Delegations,
        tasks: TaskLog,
        receipt_timeout_s: float,
        in_background: Background,
    ) -> None:
        self._env = env
        self._work = work
        self._checking = checking
        self._orders = orders
        self._agents = agents
        self._promises = promises
        self._expenses = expenses
        self._delegations = delegations
        self._tasks = tasks
        self._receipt_timeout_s = receipt_timeout_s
        self._in_background = in_background

    async def here(self, ask: Ask, *, remaining_s: float, question: Question) -> Done | Failed:
        """Do the work on this machine. InputError when the input is wrong: nobody else could do it either."""
        progress = ProgressLog(self._tasks, ask.task_id, self._in_background)
        memory_bytes, units = ask.specification.resources.memory_bytes, ask.specification.input.work_units
        spent_micro = await self._expenses.spent_micro(ask.task_id)
        left_micro = max(0, ask.specification.constraints.budget_micro - spent_micro)
        constraints = ask.specification.constraints
        reach = Reach(constraints.privacy, constraints.regions, ask.demand)
        delegation = self._delegations.make(ask.task_id, budget_micro=left_micro, left_s=remaining_s, reach=reach)
        try:
            async with delegation:
                execution = await self._work.run(
                    ask.skill,
                    ask.content,
                    ask.specification.effort,
                    timeout_s=remaining_s,
                    memory_bytes=memory_bytes or None,
                    on_progress=progress.put,
                    ask=question,
                    units=units,
                    budget_micro=left_micro,
                    token=delegation.token,
                )
        except InputError:
            raise
        except NodeError as error:
            self._expenses.add(ask.task_id, error.spent_micro)
            spent_micro = error.spent_micro + delegation.spent_micro
            return Failed(error.code, f"local work failed: {error}", cost_micro=spent_micro)
        except asyncio.CancelledError:
            # Whoever was doing it elsewhere may charge for what nobody waited for.
            if self._work.is_charged(ask.skill) and (skill := self._work.skill(ask.skill)) is not None:
                self._expenses.add(ask.task_id, worst_micro(skill, len(ask.content.data)))
            raise
        finally:
            await progress.flush()
        cost_micro = round(self._work.cost_micro(ask.skill, execution, units, memory_bytes=memory_bytes))
        if self._work.is_charged(ask.skill):
            self._expenses.add(ask.task_id, cost_micro)
        # What it says it paid is more than this node knows of where it spoke to other nodes.
        paid_micro = max(execution.paid_micro, delegation.spent_micro)
        self._expenses.add(ask.task_id, paid_micro - delegation.spent_micro)
        content = Content(execution.media_type, execution.output)
        return Done(content, cost_micro=cost_micro + paid_micro, paid_micro=paid_micro)

    async def hired(
        self,
        ask: Ask,
        offer: Offer,
        level: Level,
        *,
        limits: Limits,
        explored: bool,
        others: Sequence[Offer],
        question: Question,
    ) -> Done | Failed:
        """Hire one contractor, check what it delivers, settle. `others` may be hired for a redundant check."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + limits.remaining_s
        if isinstance(offer, AgentOffer):
            order = AgentOrder(ask=ask, offer=offer, level=level, limits=limits, question=question)

            async def here(remaining_s: float) -> Done | Failed:
                return await self.here(ask, remaining_s=remaining_s, question=question)

            return await self._agents.carry_out(order, here)
        try:
            first = await self._orders.place(ask, offer, level, limits=limits, explored=explored, question=question)
            if isinstance(first, Failed):
                return first
            judgement = await self._judged(ask, first, level, ends - loop.time())
            if level == "redundant" and judgement.accepted and not judgement.unmade:
                bought = Bought(first, judgement)
                return await self._redundant(ask, bought, others, ends=ends, question=question)
            return await self._settled(ask, first, judgement, level, ends - loop.time())
        except BaseException:
            await completed(self._promises.close_all(CUT_SHORT, ask.task_id))
            raise

    async def _settled(
        self, ask: Ask, delivered: Delivered, judgement: Judgement, level: Level, remaining_s: float
    ) -> Done | Failed:
        """One result judged by itself: paid and handed over, or refused."""
        signing = await self._orders.settle(ask, delivered, judgement, level)
        if not judgement.accepted:
            return _refused(delivered, judgement)
        await self._signed([signing], remaining_s)
        if judgement.unmade:
            # Not the seller's fault, so it is paid; and nobody else is hired, whose work could not be checked either.
            name = delivered.offer.seller.name
            raise VerificationError(
                f"{name} delivered and is paid, but its work is not handed over: {judgement.unmade}"
            )
        return _passed(delivered, judgement)

    async def _signed(self, signings: Sequence[asyncio.Task[None]], remaining_s: float) -> None:
        """Wait for countersignatures, but not until nothing is left of the task's time."""
        await asyncio.wait(signings, timeout=min(self._receipt_timeout_s, RECEIPT_SHARE * max(0.0, remaining_s)))

    async def _judged(self, ask: Ask, delivered: Delivered, level: Level, remaining_s: float) -> Judgement:
        """Judge at the chosen level. Cut short by the deadline or the owner, it goes on and is settled all the same.

        Who delivered in time shall neither lose its pay nor escape its blame because the check took too long.
        """
        judging = asyncio.create_task(self._judge(ask, delivered, level, remaining_s))
        try:
            judgement = await asyncio.shield(judging)
        except asyncio.CancelledError:
            # What it comes to is known after its task has ended, when nothing can be added to that any more.
            most_micro = self._checking.most_micro(ask.subject, delivered.delivery.content, level)
            self._expenses.add(ask.task_id, most_micro)
            settling = self._settle_late(ask, delivered, judging, level)
            try:
                self._promises.hold(ask.task_id, delivered.offer.seller.key, settling)
            except asyncio.CancelledError:
                judging.cancel()
                raise
            raise
        self._expenses.add(ask.task_id, judgement.cost_micro)
        return judgement

    async def _settle_late(
        self, ask: Ask, delivered: Delivered, judging: asyncio.Task[Judgement], level: Level
    ) -> None:
        await self._orders.settle(ask, delivered, await judging, level)

    async def _judge(self, ask: Ask, delivered: Delivered, level: Level, remaining_s: float) -> Judgement:
        """Judge at the chosen level. The seed is drawn only now: nobody can prepare for what is sampled."""
        try:
            judgement = await self._checking.verify(
                ask.subject,
                delivered.delivery.content,
                level=level,
                seed=self._env.entropy(32),
                timeout_s=max(0.0, remaining_s) + LATE_CHECK_S,
            )
            if judgement.accepted and (own := ask.undisclosed.check) is not None:
                finding = await self._env.offload(own, delivered.delivery.content)
                judgement = judge(finding, min_score_ppm=FULL_SCORE_PPM, cpu_s=judgement.cpu_s)
        except NodeError as error:
            judgement = Judgement(accepted=False, score_ppm=0, reasons=(f"it could not be verified: {error}",))
        await self._note_verdict(ask, delivered, judgement, level)
        return judgement

    async def _note_verdict(self, ask: Ask, delivered: Delivered, judgement: Judgement, level: Level) -> None:
        verdict = "accepted" if judgement.accepted else "refused"
        text = "; ".join((f"{check_name(level)}: {verdict}", *judgement.reasons[:3]))
        self._tasks.tell(
            ask.task_id,
            "verified",
            text,
            peer=delivered.offer.seller.name,
            level=level,
            verdict=verdict,
            score_ppm=judgement.score_ppm,
            checks=tuple(map(check_view, judgement.checks)),
        )

    # --- redundant checks

    async def _redundant(
        self, ask: Ask, first: Bought, others: Sequence[Offer], *, ends: float, question: Question
    ) -> Done | Failed:
        """Compare with a second result, and a third if need be; where contractors disagree, work done here decides."""
        loop = asyncio.get_running_loop()
        differ = self._checking.differ(ask.subject) or exactly
        asked: list[bytes] = []
        bought, own = [first], None
        try:
            while len(bought) < ask.wanted.results and not majority(_contents(bought), differ):
                left = [offer for offer in others if offer.seller.key not in asked]
                another = await self._another(ask, bought, left, asked, ends=ends, question=question)
                if another is None:
                    break
                bought.append(another)
            if not majority(_contents(bought), differ):
                own = await self.here(ask, remaining_s=ends - loop.time(), question=question)
        except BaseException:
            # Cut short, by the deadline or the owner: what was delivered and passed its own check is paid all the same.
            await completed(self._ruled(ask, bought, None, differ))
            raise
        decider = own if isinstance(own, Done) else None
        outcomes, signings = await completed(self._ruled(ask, bought, decider, differ))
        await self._signed(signings, ends - loop.time())
        checked_micro = sum(one.judgement.cost_micro for one in bought)
        if len(bought) == 1 and decider is None:
            # It passed every check that could be made, so it is paid; the one that was asked for could not be made.
            text = f"{first.delivered.offer.seller.name}: nothing to compare its result with"
            return Failed(VerificationError.code, text, tuple(asked))
        stood = [outcome for outcome in outcomes if isinstance(outcome, Done)]
        paid = sum(outcome.paid_micro for outcome in stood)
        if decider is not None:
            return Done(decider.content, cost_micro=decider.cost_micro + paid + checked_micro, paid_micro=paid)
        if not stood:
            refused = [outcome.text for outcome in outcomes if isinstance(outcome, Failed)]
            return Failed(VerificationError.code, "; ".join(refused), tuple(asked), cost_micro=checked_micro)
        return Done(stood[0].content, cost_micro=paid + checked_micro, paid_micro=paid)

    async def _ruled(
        self, ask: Ask, bought: Sequence[Bought], decider: Done | None, differ: Differ
    ) -> tuple[list[Done | Failed], list[asyncio.Task[None]]]:
        """Each bought result settled by what comparing them shows, `decider` being the work done here."""
        outcomes, signings = list[Done | Failed](), list[asyncio.Task[None]]()
        reasons = rulings(_contents(bought), decider.content if decider else None, differ)
        for one, reason in zip(bought, reasons, strict=True):
            judgement = _compared(one.judgement, reason)
            await self._note_verdict(ask, one.delivered, judgement, "redundant")
            signings.append(await self._orders.settle(ask, one.delivered, judgement, "redundant"))
            outcomes.append(_refused(one.delivered, judgement) if reason else _passed(one.delivered))
        return outcomes, signings

    async def _another(
        self,
        ask: Ask,
        bought: Sequence[Bought],
        others: Sequence[Offer],
        asked: list[bytes],
        *,
        ends: float,
        question: Question,
    ) -> Bought | None:
        """The same task from the next contractor that budget and time allow and that delivers something usable.

        Whoever was hired for it is added to `asked`.
        """
        loop = asyncio.get_running_loop()
        left_micro = ask.specification.constraints.budget_micro
        left_micro -= sum(one.delivered.offer.terms.price_micro + one.judgement.cost_micro for one in bought)
        for offer in others:
            remaining_s, p95_s = ends - loop.time(), offer.terms.p95_ms / 1000
            if offer.terms.price_micro > left_micro or not is_time_for(p95_s, remaining_s):
                continue
            asked.append(offer.seller.key)
            limits = Limits(client_patience_s(p95_s, remaining_s, None), remaining_s)
            placed = await self._orders.place(ask, offer, "redundant", limits=limits, explored=False, question=question)
            if isinstance(placed, Delivered):
                judgement = await self._judged(ask, placed, "redundant", ends - loop.time())
                if judgement.accepted:
                    return Bought(placed, judgement)
                await self._orders.settle(ask, placed, judgement, "redundant")
                placed = _refused(placed, judgement)
            self._tasks.tell(ask.task_id, "fell_back", placed.text)
        return None


def _contents(bought: Sequence[Bought]) -> list[Content]:
    return [one.delivered.delivery.content for one in bought]


def _compared(judgement: Judgement, reason: str) -> Judgement:
    """A judgement after its result was compared with others."""
    score_ppm = 0 if reason else judgement.score_ppm
    made = CheckMade(name="agreement", passed=not reason, score_ppm=0 if reason else FULL_SCORE_PPM, text=reason)
    return Judgement(
        accepted=not reason,
        score_ppm=score_ppm,
        reasons=(reason,) if reason else (),
        checks=(*judgement.checks, made) if judgement.checks else (),
    )


def _passed(delivered: Delivered, judgement: Judgement | None = None) -> Done:
    paid, checked = delivered.invoice_micro, judgement.cost_micro if judgement else 0
    return Done(delivered.delivery.content, cost_micro=paid + checked, paid_micro=paid)


def _refused(delivered: Delivered, judgement: Judgement) -> Failed:
    reasons = "; ".join(judgement.reasons) or "verification refused the result"
    text = f"{delivered.offer.seller.name}: bad_result: {reasons}"
    return Failed(VerificationError.code, text, cost_micro=judgement.cost_micro)
