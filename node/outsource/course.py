"""The course of one task: survey, decide, attempt; when an attempt fails, decide again with what is left.

Anything that fails on the way falls back visibly: the next contractor, then local, then an error that lists
what was tried. Every decision is stored with its inputs.
"""

import asyncio
from dataclasses import dataclass, replace

from crypto.identity import short_id
from node.decision.decision import Decision
from node.decision.inputs import LocalOption
from node.env import Env
from node.errors import DeadlineError, NodeError, NoOfferError, RefusedError, VerificationError
from node.outsource.attempt import Attempts, Done, Failed, Question, patience_s
from node.outsource.decisionview import decision_view
from node.outsource.request import Ask
from node.outsource.survey import Survey, Surveyor
from node.outsource.tasklog import TaskLog
from node.store.decisions import Decisions
from node.views import EventName


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A survey and the decision that was made from it at once."""

    survey: Survey
    decision: Decision


class Course:
    """Takes one task from its decision to its end. Holds nothing of a task: one instance serves all."""

    def __init__(
        self, *, env: Env, surveyor: Surveyor, attempts: Attempts, tasks: TaskLog, decisions: Decisions
    ) -> None:
        self._env = env
        self._surveyor = surveyor
        self._attempts = attempts
        self._tasks = tasks
        self._decisions = decisions

    async def recover(self) -> None:
        """After a restart: end every promise of money that was left open."""
        await self._attempts.close_open_reservations()

    async def look(self, ask: Ask, *, remaining_s: float, is_dry: bool = False) -> Surveyed:
        """Survey the options and decide, without doing anything; a dry run logs nothing."""

        async def note(name: EventName, text: str) -> None:
            if not is_dry:
                await self._tasks.note(ask.task_id, name, text)

        loop = asyncio.get_running_loop()
        began = loop.time()
        local, checks = self._surveyor.local(ask)
        await note("local_priced", _local_text(local))
        listings = [] if ask.specification.constraints.privacy == "secret" else await self._surveyor.listings(ask.skill)
        await note("sellers_found", f"{len(listings)} advertise {ask.skill}")
        offers, refusals = await self._surveyor.quotes(ask, listings)
        text = f"{len(offers)} of {len(listings)} sellers quoted"
        await note(
            "quotes", "; ".join((text, *(f"{refusal.seller.name}: {refusal.reason}" for refusal in refusals[:3])))
        )
        survey = await self._surveyor.survey(ask, local, checks, offers, refusals)
        decision = self._surveyor.decide(survey, remaining_s=remaining_s - (loop.time() - began))
        return Surveyed(survey, decision)

    async def run(self, ask: Ask, *, question: Question) -> Done:
        """See a task through to a result, or raise the NodeError that says everything that was tried."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + ask.specification.constraints.deadline_ms / 1000
        tried: list[Failed] = []
        try:
            async with asyncio.timeout_at(ends):
                surveyed = await self.look(ask, remaining_s=ends - loop.time())
                survey, decision = surveyed.survey, surveyed.decision
                while True:
                    await self._decided(ask, survey, decision)
                    if decision.choice == "none":
                        raise _nothing_left(decision, tried)
                    await self._tasks.move(ask.task_id, "working")
                    outcome = await self._attempt(ask, survey, decision, ends - loop.time(), question)
                    if isinstance(outcome, Done):
                        return outcome
                    tried.append(outcome)
                    await self._tasks.note(ask.task_id, "fell_back", outcome.text)
                    survey = _without(survey, decision, outcome)
                    decision = self._surveyor.decide(survey, remaining_s=ends - loop.time())
        except TimeoutError as error:
            deadline_s = ask.specification.constraints.deadline_ms / 1000
            raise DeadlineError(_listed(f"the deadline of {deadline_s:g} s has passed", tried)) from error

    async def _attempt(
        self, ask: Ask, survey: Survey, decision: Decision, remaining_s: float, question: Question
    ) -> Done | Failed:
        if decision.contractor is None:
            return await self._attempts.here(ask, remaining_s=remaining_s, question=question)
        offer = survey.offer(decision.contractor)
        return await self._attempts.hired(
            ask,
            offer,
            decision.level,
            patience_s=patience_s(offer, remaining_s, survey.local.p95_s if survey.local.feasible else None),
            remaining_s=remaining_s,
            explored=decision.explored,
            question=question,
        )

    async def _decided(self, ask: Ask, survey: Survey, decision: Decision) -> None:
        now = self._env.unix_ms()
        await self._decisions.add(ask.task_id, decision.to_json(), now)
        view = decision_view(decision, survey.offers, task_id=ask.task_id.hex(), decided_unix_ms=now)
        await self._tasks.note(ask.task_id, "decided", _choice_text(decision), decision=view)


def _without(survey: Survey, decision: Decision, outcome: Failed) -> Survey:
    """The same options, less the one that has just failed."""
    if decision.contractor is None:
        return replace(survey, local=LocalOption(feasible=False, why_not=outcome.text))
    return replace(survey, offers=tuple(o for o in survey.offers if o.seller.key != decision.contractor))


def _nothing_left(decision: Decision, tried: list[Failed]) -> NodeError:
    """The error of a task for which no option is left: what kind it is depends on what was tried."""
    codes = {failure.code for failure in tried}
    text = _listed(decision.reason, tried)
    if "verification_failed" in codes:
        return VerificationError(text)
    refusing = {"over_budget", "over_cap", "exposure", "privacy", "region", "level"}
    if codes == {"refused"} or (not codes and any(excluded.code in refusing for excluded in decision.excluded)):
        return RefusedError(text)
    return NoOfferError(text) if not codes else NodeError(text)


def _listed(text: str, tried: list[Failed]) -> str:
    return "; ".join((text, *(f"tried: {failure.text}" for failure in tried)))


def _local_text(local: LocalOption) -> str:
    if not local.feasible:
        return f"not here: {local.why_not}"
    runs = f"measured in {local.samples} runs" if local.samples else "a guess: never run here"
    return (
        f"about {local.time_s:.2g} s (p95 {local.p95_s:.2g} s, {runs}) for {local.cost.total_micro:.0f} micro-dollars"
    )


def _choice_text(decision: Decision) -> str:
    who = {"local": "LOCAL", "none": "nothing can be done"}.get(decision.choice)
    if who is None and decision.contractor is not None:
        who = f"OUTSOURCE to {short_id(decision.contractor)}, {decision.level} check"
    return f"{who}: {decision.reason}"
