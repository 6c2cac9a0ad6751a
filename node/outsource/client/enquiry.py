"""Finding who sells what a task needs, and asking them all: nodes over their sessions, agents of other protocols."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from node.outsource.client.agents import AgentOffer, Agents, FoundCard
from node.outsource.client.cards import Cards
from node.outsource.client.listings import Listings
from node.outsource.client.marketwatch import MarketWatch
from node.outsource.client.offers import SHOWN_REFUSALS, NoOffer, Offer
from node.outsource.client.reexamining import Reexaminer
from node.outsource.client.request import Ask, in_json
from node.outsource.client.seller import Listing
from node.outsource.client.surveyor import Surveyor
from node.outsource.client.unasked import CLOSED
from node.outsource.tasklog import TaskLog

LOOKING_SHARE: Final = 0.25
"""Part of the time left that looking for sellers may take, and asking them for quotes: the work needs the rest."""
OTHER_FORM: Final = "media_type"
"""The code of who does such work and takes no input of this media type."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of asking. `ask` is the task as those who offer take it: a text may have become JSON."""

    ask: Ask
    offers: list[Offer]
    refusals: list[NoOffer]


class Enquiry:
    """Asks the market about one task after the other. Holds nothing of a task: one instance serves all."""

    def __init__(
        self,
        *,
        listings: Listings,
        surveyor: Surveyor,
        tasks: TaskLog,
        watch: MarketWatch,
        agents: Agents,
        cards: Cards,
        reexaminer: Reexaminer,
    ) -> None:
        self._listings = listings
        self._surveyor = surveyor
        self._tasks = tasks
        self._watch = watch
        self._agents = agents
        self._cards = cards
        self._reexaminer = reexaminer

    async def quotes(self, ask: Ask, *, step_s: float, is_dry: bool = False) -> Answers:
        """Find sellers and ask them, each for `step_s` at most; a dry run logs nothing."""
        found = await self._listings.of(ask.skill, timeout_s=step_s, thorough=not is_dry)
        listings, unasked = self._listings.worth_asking(ask, found, step_s / LOOKING_SHARE)
        if not is_dry:
            closed = sum(one.code == CLOSED for one in unasked)
            self._tasks.tell(ask.task_id, "sellers_found", _sellers_text(ask.skill, found, closed))
        if not is_dry and (drifted := await self._reexaminer.saw(ask.skill, found)):
            self._tasks.tell(ask.task_id, "drifted", "; ".join(drifted))
        if ask.only is None:
            (offers, refusals), (outside, unwilling) = await asyncio.gather(
                self._surveyor.quotes(ask, [one.seller for one in listings], timeout_s=step_s),
                self._outside(ask, step_s, is_dry=is_dry),
            )
        else:
            listings = [one for one in listings if one.seller.key == ask.only]
            offers, refusals = await self._surveyor.quotes(ask, [one.seller for one in listings], timeout_s=step_s)
            outside, unwilling, unasked = [], [], []
        answers = Answers(ask, [*offers, *self._others(offers, outside)], [*refusals, *unwilling])
        # Which form a skill takes only its sellers can tell, where this node does not have it.
        if not answers.offers and not self._surveyor.has(ask.skill):
            answers = await self._in_json(answers, timeout_s=step_s)
        if not is_dry:
            if answers.ask is not ask:
                self._tasks.tell(ask.task_id, "understood", answers.ask.reading)
            self._tasks.tell(ask.task_id, "quotes", _quotes_text(answers.offers, [*answers.refusals, *unasked]))
            loads_ppm = {one.seller.key: one.advert.load_ppm for one in listings}
            await self._watch.saw(ask.task_id, ask.skill, answers.offers, answers.refusals, loads_ppm)
        return replace(answers, refusals=[*answers.refusals, *unasked])

    async def _in_json(self, answers: Answers, *, timeout_s: float) -> Answers:
        """Those who take no text asked again, if the text is JSON; the same answers where that helps nobody."""
        sellers = [one.seller for one in answers.refusals if one.code == OTHER_FORM]
        if not sellers or (ask := in_json(answers.ask)) is None:
            return answers
        offers, refusals = await self._surveyor.quotes(ask, sellers, timeout_s=timeout_s)
        if all(one.code == OTHER_FORM for one in refusals) and not offers:
            return answers
        return Answers(ask, offers, [*(one for one in answers.refusals if one.code != OTHER_FORM), *refusals])

    async def _outside(self, ask: Ask, step_s: float, *, is_dry: bool) -> tuple[list[AgentOffer], list[NoOffer]]:
        """What agents offer that are no nodes: the owner's, and those found where the owner lets them be looked for."""
        began, found = asyncio.get_running_loop().time(), tuple[FoundCard, ...]()
        if self._agents.looks:
            found = await self._cards.of(ask.skill, timeout_s=step_s / 2, thorough=not is_dry)
        left_s = step_s - (asyncio.get_running_loop().time() - began)
        return await self._agents.offers(
            ask, timeout_s=left_s, withheld=partial(self._surveyor.withheld, ask), found=found
        )

    def _others(self, offers: Sequence[Offer], outside: Sequence[AgentOffer]) -> list[AgentOffer]:
        """Those of agents that have no other offer here. Over the channel, both sides sign: that offer stands first."""
        seen = {offer.seller.key for offer in offers}
        kept: list[AgentOffer] = []
        for offer in outside:
            if offer.seller.key not in seen:
                kept.append(offer)
            seen.add(offer.seller.key)
        self._agents.release(set(outside) - set(kept))
        return kept


def _sellers_text(skill: str, listings: Sequence[Listing], closed: int) -> str:
    """How many there are, who said so, and how many are or will be closed before the deadline."""
    who = ", ".join(dict.fromkeys(one.source for one in listings))
    shown = f" (shown by: {who})" if who else ""
    return f"{len(listings)} advertise {skill}{shown}" + (f"; {closed} not open until the deadline" if closed else "")


def _quotes_text(offers: Sequence[Offer], refusals: Sequence[NoOffer]) -> str:
    shown = (f"{refusal.seller.name}: {refusal.reason}" for refusal in refusals[:SHOWN_REFUSALS])
    return "; ".join((f"{len(offers)} of {len(offers) + len(refusals)} sellers quoted", *shown))
