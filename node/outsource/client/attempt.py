"""One attempt at a task: done here, or by a hired contractor, up to a verified result or the reason why not."""

import asyncio
from collections.abc import Sequence
from typing import Final

from node.background import Background, completed
from node.env import Env
from node.errors import NodeError, VerificationError
from node.execute.errors import InputError
from node.outsource.client.agentorders import AgentOrder, AgentOrders
from node.outsource.client.agents import AgentOffer
from node.outsource.client.offers import Offer
from node.outsource.client.orders import Delivered, Orders
from node.outsource.client.outcome import Done, Failed, Limits, Question
from node.outsource.client.progresslog import ProgressLog
from node.outsource.client.promises import Promises
from node.outsource.client.redundancy import difference, rulings
from node.outsource.client.request import Ask
from node.outsource.localwork import LocalWork
from node.outsource.patience import client_patience_s, is_time_for
from node.outsource.tasklog import TaskLog
from node.tasks.content import Content
from node.tasks.verify import FULL_SCORE_PPM, Judgement, judge
from node.wording import check_name
from protocol.specification import Level

RECEIPT_SHARE: Final = 0.5
"""Part of the time left that an accepted result may wait for its receipt's countersignature."""
LATE_CHECK_S: Final = 10.0
"""What the check of a delivered result gets at least, if need be after its task has ended."""
CUT_SHORT: Final = "the task ended before this did: by its deadline or its owner"


class Attempts:
    """Carries out single attempts."""

    def __init__(
        self,
        *,
        env: Env,
        work: LocalWork,
        orders: Orders,
        agents: AgentOrders,
        promises: Promises,
        tasks: TaskLog,
        receipt_timeout_s: float,
        in_background: Background,
    ) -> None:
        self._env = env
        self._work = work
        self._orders = orders
        self._agents = agents
        self._promises = promises
        self._tasks = tasks
        self._receipt_timeout_s = receipt_timeout_s
        self._in_background = in_background

    async def here(self, ask: Ask, *, remaining_s: float, question: Question) -> Done | Failed:
        """Do the work on this machine. InputError when the input is wrong: nobody else could do it either."""
        progress = ProgressLog(self._tasks, ask.task_id, self._in_background)
        memory_bytes = ask.specification.resources.memory_bytes
        try:
            execution = await self._work.run(
                ask.skill,
                ask.content,
                ask.specification.effort,
                timeout_s=remaining_s,
                memory_bytes=memory_bytes or None,
                on_progress=progress.put,
                ask=question,
                units=ask.specification.input.work_units,
                budget_micro=ask.specification.constraints.budget_micro,
            )
        except InputError:
            raise
        except NodeError as error:
            return Failed(error.code, f"local work failed: {error}")
        finally:
            await progress.flush()
        units = ask.specification.input.work_units
        cost_micro = self._work.cost_micro(ask.skill, execution, units, memory_bytes=memory_bytes)
        content, paid_micro = Content(execution.media_type, execution.output), execution.paid_micro
        return Done(content, cost_micro=round(cost_micro) + paid_micro, paid_micro=paid_micro)

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
            if level == "redundant" and judgement.accepted:
                return await self._redundant(ask, first, others, ends=ends, question=question)
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
        return _passed(delivered)

    async def _signed(self, signings: Sequence[asyncio.Task[None]], remaining_s: float) -> None:
        """Wait for countersignatures, but not until nothing is left of the task's time."""
        await asyncio.wait(signings, timeout=min(self._receipt_timeout_s, RECEIPT_SHARE * max(0.0, remaining_s)))

    async def _judged(self, ask: Ask, delivered: Delivered, level: Level, remaining_s: float) -> Judgement:
        """Judge at the chosen level. Cut short by the deadline or the owner, it goes on and is settled all the same.

        Who delivered in time shall neither lose its pay nor escape its blame because the check took too long.
        """
        try:
            return await self._judge(ask, delivered, level, remaining_s)
        except asyncio.CancelledError:
            self._promises.hold(ask.task_id, delivered.offer.seller.key, self._judge_late(ask, delivered, level))
            raise

    async def _judge_late(self, ask: Ask, delivered: Delivered, level: Level) -> None:
        judgement = await self._judge(ask, delivered, level, LATE_CHECK_S)
        await self._orders.settle(ask, delivered, judgement, level)

    async def _judge(self, ask: Ask, delivered: Delivered, level: Level, remaining_s: float) -> Judgement:
        """Judge at the chosen level. The seed is drawn only now: nobody can prepare for what is sampled."""
        try:
            judgement = await self._work.verify(
                ask.skill,
                ask.content,
                delivered.delivery.content,
                level=level,
                min_score_ppm=ask.specification.verification.min_score_ppm,
                seed=self._env.entropy(32),
                timeout_s=max(LATE_CHECK_S, remaining_s),
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
        )

    # --- redundant checks

    async def _redundant(
        self, ask: Ask, first: Delivered, others: Sequence[Offer], *, ends: float, question: Question
    ) -> Done | Failed:
        """Compare with a second result; where two contractors disagree, the work done here decides."""
        loop = asyncio.get_running_loop()
        asked: list[bytes] = []
        bought, own = [first], None
        try:
            second = await self._second(ask, first, others, asked, ends=ends, question=question)
            bought += [second] if second is not None else []
            if second is None or difference(first.delivery.content, second.delivery.content):
                own = await self.here(ask, remaining_s=ends - loop.time(), question=question)
        except BaseException:
            # Cut short, by the deadline or the owner: what was delivered and passed its own check is paid all the same.
            await completed(self._ruled(ask, bought, None))
            raise
        decider = own if isinstance(own, Done) else None
        outcomes, signings = await completed(self._ruled(ask, bought, decider))
        await self._signed(signings, ends - loop.time())
        if second is None and decider is None:
            # It passed every check that could be made, so it is paid; the one that was asked for could not be made.
            text = f"{first.offer.seller.name}: nothing to compare its result with"
            return Failed(VerificationError.code, text, tuple(asked))
        paid = sum(outcome.paid_micro for outcome in outcomes if isinstance(outcome, Done))
        if decider is not None:
            return Done(decider.content, cost_micro=decider.cost_micro + paid, paid_micro=paid)
        refused = [outcome.text for outcome in outcomes if isinstance(outcome, Failed)]
        if refused:
            return Failed(VerificationError.code, "; ".join(refused), tuple(asked))
        return Done(first.delivery.content, cost_micro=paid, paid_micro=paid)

    async def _ruled(
        self, ask: Ask, bought: Sequence[Delivered], decider: Done | None
    ) -> tuple[list[Done | Failed], list[asyncio.Task[None]]]:
        """Each bought result settled by what comparing them shows, `decider` being the work done here."""
        contents = [delivered.delivery.content for delivered in bought]
        outcomes, signings = list[Done | Failed](), list[asyncio.Task[None]]()
        for delivered, reason in zip(bought, rulings(contents, decider.content if decider else None), strict=True):
            score_ppm, reasons = (0, (reason,)) if reason else (FULL_SCORE_PPM, ())
            judgement = Judgement(accepted=not reason, score_ppm=score_ppm, reasons=reasons)
            await self._note_verdict(ask, delivered, judgement, "redundant")
            signings.append(await self._orders.settle(ask, delivered, judgement, "redundant"))
            outcomes.append(_refused(delivered, judgement) if reason else _passed(delivered))
        return outcomes, signings

    async def _second(
        self,
        ask: Ask,
        first: Delivered,
        others: Sequence[Offer],
        asked: list[bytes],
        *,
        ends: float,
        question: Question,
    ) -> Delivered | None:
        """The same task from the next contractor that budget and time allow and that delivers something usable.

        Whoever was hired for it is added to `asked`.
        """
        loop = asyncio.get_running_loop()
        left_micro = ask.specification.constraints.budget_micro - first.offer.terms.price_micro
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
                    return placed
                await self._orders.settle(ask, placed, judgement, "redundant")
                placed = _refused(placed, judgement)
            self._tasks.tell(ask.task_id, "fell_back", placed.text)
        return None


def _passed(delivered: Delivered) -> Done:
    paid = delivered.invoice_micro
    return Done(delivered.delivery.content, cost_micro=paid, paid_micro=paid)


def _refused(delivered: Delivered, judgement: Judgement) -> Failed:
    reasons = "; ".join(judgement.reasons) or "verification refused the result"
    return Failed(VerificationError.code, f"{delivered.offer.seller.name}: bad_result: {reasons}")
