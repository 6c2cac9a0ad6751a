"""The course of one task: survey, decide, attempt; when an attempt fails, decide again with what is left.

Anything that fails on the way falls back visibly: the next contractor, then local, then an error that lists
what was tried. Every decision is stored with its inputs.
"""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Final

import msgspec

from node.decision.decision import Decision
from node.decision.inputs import LocalOption
from node.env import Env
from node.errors import DeadlineError, VerificationError
from node.outsource.client.agents import AgentOffer, Agents
from node.outsource.client.attempt import Attempts
from node.outsource.client.deadend import nothing_left, with_tried
from node.outsource.client.decisionview import decision_view
from node.outsource.client.enquiry import LOOKING_SHARE, Enquiry
from node.outsource.client.finder import Finder
from node.outsource.client.marketwatch import MarketWatch
from node.outsource.client.offers import NoOffer, Offer
from node.outsource.client.ontheway import OnTheWay
from node.outsource.client.outcome import Done, Failed, Limits, Question
from node.outsource.client.reexamining import Reexaminer
from node.outsource.client.request import Ask
from node.outsource.client.subscriptions import Subscriptions
from node.outsource.client.survey import Survey
from node.outsource.client.surveyor import Surveyor
from node.outsource.patience import client_patience_s
from node.outsource.tasklog import TaskLog
from node.store.decisions import Decisions, StoredDecision
from node.views import DecisionView
from node.wording import check_name, duration, usd

ENGINE: Final = "node.decision.explain"


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A survey and the decision that was made from it at once."""

    survey: Survey
    decision: Decision


class Course:
    """Takes one task from its decision to its end. Holds nothing of a task: one instance serves all."""

    def __init__(
        self,
        *,
        env: Env,
        surveyor: Surveyor,
        enquiry: Enquiry,
        attempts: Attempts,
        tasks: TaskLog,
        decisions: Decisions,
        on_the_way: OnTheWay,
        watch: MarketWatch,
        agents: Agents,
        finder: Finder,
        reexaminer: Reexaminer,
        subscriptions: Subscriptions,
    ) -> None:
        self._env = env
        self._surveyor = surveyor
        self._enquiry = enquiry
        self._attempts = attempts
        self._tasks = tasks
        self._decisions = decisions
        self._on_the_way = on_the_way
        self._watch = watch
        self._agents = agents
        self._finder = finder
        self._reexaminer = reexaminer
        self._subscriptions = subscriptions

    async def look(self, ask: Ask, *, remaining_s: float, is_dry: bool = False) -> Surveyed:
        """Survey the options and decide, without doing anything; a dry run logs nothing, and always asks."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        # With all that it computes with: the first time it takes a tenth of a second.
        if ENGINE not in sys.modules:
            await self._env.offload(import_module, ENGINE)
        local = self._surveyor.local(ask)
        if not is_dry:
            if ask.reading:
                self._tasks.tell(ask.task_id, "understood", ask.reading)
            self._tasks.tell(ask.task_id, "local_priced", _local_text(local))
        alone = await self._surveyor.alone(ask)
        # What a dry run supposes is not what is known.
        is_open = not alone and not ask.what_if and ask.only is None
        needless = await self._surveyor.needless(ask, local, remaining_s=remaining_s) if is_open else ""
        offers, refusals = list[Offer](), list[NoOffer]()
        is_asked = not alone and (not needless or is_dry)
        if is_asked:
            if is_open and not is_dry:
                await self._subscriptions.wanted(ask.skill, most_s=remaining_s * LOOKING_SHARE)
            answers = await self._enquiry.quotes(ask, step_s=remaining_s * LOOKING_SHARE, is_dry=is_dry)
            ask, offers, refusals = answers.ask, answers.offers, answers.refusals
        elif not is_dry:
            self._tasks.tell(ask.task_id, "sellers_found", alone or f"not asked: {needless}")
        if needless and not is_asked:
            self._surveyor.skipped(ask)
        survey = await self._surveyor.survey(ask, local, offers, refusals, alone=alone, needless=needless)
        decision = self._surveyor.decide(survey, remaining_s=remaining_s - (loop.time() - began))
        if is_dry:
            self._agents.release(offers)
        elif is_asked:
            self._surveyor.asked(ask, decision)
        return Surveyed(survey, decision)

    async def run(self, ask: Ask, *, question: Question) -> Done:
        """See a task through to a result, or raise the NodeError that says everything that was tried."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + ask.specification.constraints.deadline_ms / 1000
        tried: list[Failed] = []
        quoted, taken = set[Offer](), set[Offer]()
        try:
            async with asyncio.timeout_at(ends):
                surveyed = await self.look(ask, remaining_s=ends - loop.time())
                survey, decision = surveyed.survey, surveyed.decision
                while True:
                    ask = survey.ask
                    # At once, so that whatever is decided from now on reckons with it.
                    self._set_out(survey, decision)
                    quoted.update(survey.offers)
                    await self._decided(survey, decision)
                    if decision.choice == "none":
                        raise nothing_left(survey, decision, tried, self._surveyor.nearest(ask.skill))
                    if decision.contractor is not None:
                        taken.add(survey.offer(decision.contractor))
                    await self._tasks.move(ask.task_id, "working")
                    outcome = await self._attempt(ask, survey, decision, ends - loop.time(), question)
                    await self._learn(ask, decision, outcome)
                    self._watch_over(survey, decision)
                    if isinstance(outcome, Done):
                        return replace(outcome, cost_micro=outcome.cost_micro + _wasted_micro(tried))
                    tried.append(outcome)
                    self._tasks.tell(ask.task_id, "fell_back", outcome.text)
                    survey = await self._without(survey, decision, outcome, ends - loop.time())
                    spent_micro, left_s = _wasted_micro(tried), ends - loop.time()
                    decision = self._surveyor.decide(survey, remaining_s=left_s, spent_micro=spent_micro)
        except TimeoutError as error:
            deadline_s = ask.specification.constraints.deadline_ms / 1000
            raise DeadlineError(with_tried(f"the deadline of {deadline_s:g} s has passed", tried)) from error
        finally:
            self._on_the_way.ended(ask.task_id)
            self._agents.release(quoted - taken)

    def _set_out(self, survey: Survey, decision: Decision) -> None:
        task_id = survey.ask.task_id
        self._on_the_way.ended(task_id)
        if decision.contractor is not None:
            run_s = survey.offer(decision.contractor).terms.duration_ms / 1000
            self._on_the_way.set_out(task_id, decision.contractor, run_s)

    async def _attempt(
        self, ask: Ask, survey: Survey, decision: Decision, remaining_s: float, question: Question
    ) -> Done | Failed:
        if decision.contractor is None:
            return await self._attempts.here(ask, remaining_s=remaining_s, question=question)
        offer = survey.offer(decision.contractor)
        local_p95_s = survey.local.p95_s if survey.local.feasible else None
        return await self._attempts.hired(
            ask,
            offer,
            decision.level,
            limits=Limits(client_patience_s(offer.terms.p95_ms / 1000, remaining_s, local_p95_s), remaining_s),
            explored=decision.explored,
            others=[
                other
                for row in decision.rows
                if row.contractor != decision.contractor
                and not isinstance(other := survey.offer(row.contractor), AgentOffer)
            ],
            question=question,
        )

    async def _learn(self, ask: Ask, decision: Decision, outcome: Done | Failed) -> None:
        """What the outcome says of the policy's choice; and, where it was verified, of what the seller is good at."""
        match outcome:
            case Done():
                is_good, is_verified = True, decision.level != "none"
            case Failed(code=code):
                is_good, is_verified = False, code == VerificationError.code
        await self._surveyor.learn(decision, good=is_good)
        if ask.words and decision.contractor is not None and is_verified:
            await self._finder.learn(decision.contractor, ask.skill, ask.words, good=is_good)

    def _watch_over(self, survey: Survey, decision: Decision) -> None:
        """See whether the seller has changed; agents of other protocols cannot be attested."""
        if decision.contractor is not None and not isinstance(survey.offer(decision.contractor), AgentOffer):
            self._reexaminer.worked(decision.contractor)

    async def decisions_of(self, task_id: bytes) -> list[StoredDecision]:
        """What was decided for a task, in order."""
        return await self._decisions.of_task(task_id)

    async def _decided(self, survey: Survey, decision: Decision) -> None:
        task_id = survey.ask.task_id
        await self._decisions.add(task_id, decision.to_json(), self._env.unix_ms())
        view = await self.explained(Surveyed(survey, decision))
        self._tasks.tell(task_id, "decided", _choice_text(view), decision=view)

    async def explained(self, surveyed: Surveyed, *, is_dry: bool = False) -> DecisionView:
        """A decision as its owner sees it; off the event loop, since the break-even takes some ten decisions."""
        survey, ask = surveyed.survey, surveyed.survey.ask
        view = await self._env.offload(
            decision_view,
            surveyed.decision,
            survey.offers,
            survey.refusals,
            "" if is_dry else ask.task_id.hex(),
            self._env.unix_ms(),
            survey.alone,
        )
        reasons = view.reasons
        if survey.needless:
            said = f"{'Not worth asking about' if is_dry else 'Not asked'}: {survey.needless}."
            reasons = (*reasons, said) if is_dry else (said, *reasons)
        if ask.reading:
            reasons = (f"{ask.reading}.", *reasons)
        return msgspec.structs.replace(view, reasons=reasons, market=await self._watch.flags(ask.skill))

    async def _without(self, survey: Survey, decision: Decision, outcome: Failed, remaining_s: float) -> Survey:
        """The options that are left, less the one that has just failed; prices that bind no longer are asked anew."""
        if decision.contractor is None:
            left = replace(survey, local=LocalOption(feasible=False, why_not=outcome.text), needless="")
            if not survey.needless:
                return left
            # Nobody was asked, since doing it here was the better choice. It is none any more.
            answers = await self._enquiry.quotes(survey.ask, step_s=remaining_s * LOOKING_SHARE)
            return await self._surveyed(replace(left, ask=answers.ask), answers.offers, answers.refusals)
        tried = {decision.contractor, *outcome.others}
        offers = [offer for offer in survey.offers if offer.seller.key not in tried]
        refusals = list(survey.refusals)
        stale = [offer for offer in offers if self._surveyor.has_expired(offer)]
        if stale:
            offers = [offer for offer in offers if offer not in stale]
            sellers = [offer.seller for offer in stale if not isinstance(offer, AgentOffer)]
            again, refused = await self._surveyor.quotes(survey.ask, sellers, timeout_s=remaining_s * LOOKING_SHARE)
            offers, refusals = offers + again, refusals + refused
        return await self._surveyed(survey, offers, refusals)

    async def _surveyed(self, survey: Survey, offers: Sequence[Offer], refusals: Sequence[NoOffer]) -> Survey:
        """The same survey with other offers."""
        return await self._surveyor.survey(
            survey.ask, survey.local, offers, refusals, alone=survey.alone, needless=survey.needless
        )


def _wasted_micro(tried: Sequence[Failed]) -> int:
    """What failed attempts have cost all the same."""
    return sum(failure.cost_micro for failure in tried)


def _local_text(local: LocalOption) -> str:
    if not local.feasible:
        return f"not here: {local.why_not}"
    runs = f"measured in {local.samples} runs" if local.samples else "a guess: never run here"
    return f"about {duration(local.time_s)} (p95 {duration(local.p95_s)}, {runs}) for {usd(local.cost.total_micro)}"


def _choice_text(view: DecisionView) -> str:
    match view.choice:
        case "local":
            who = "LOCAL"
        case "outsource":
            who = f"OUTSOURCE to {view.contractor}, {check_name(view.level)}"
        case "none":
            who = "nothing can be done"
    return f"{who}: {view.reasons[0]}"
