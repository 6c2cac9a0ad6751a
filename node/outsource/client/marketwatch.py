"""Keeps what sellers answered, and says what the market of a skill looks like."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from node.env import Env
from node.market.overview import Answer, Flag, Overview, Round, flags, overview
from node.outsource.client.offers import NoOffer, Offer
from node.store.history import Outcomes
from node.store.quoterounds import QuoteRounds
from node.views import MarketFlag

NEWS = 32
"""What the screens said of a skill stands until one round in so many is new: they read them all each time."""
MAX_SCREENED = 256
AWARDS_READ = 100
"""The two periods of 50 that the concentration screen compares."""
WITHHELD = frozenset({"busy", ""})
"""A seller's own word for a decline that is about its capacity; none at all when it did not answer."""


@dataclass(slots=True)
class _Screened:
    """What the screens said of a skill's `rounds`, and how many came since."""

    flags: tuple[MarketFlag, ...]
    rounds: int
    since: int = 0


class MarketWatch:
    """One node's evidence about its markets."""

    def __init__(self, env: Env, rounds: QuoteRounds, outcomes: Outcomes) -> None:
        self._env = env
        self._rounds = rounds
        self._outcomes = outcomes
        self._screened: OrderedDict[str, _Screened] = OrderedDict()
        """By skill, the latest last."""

    async def saw(
        self,
        task_id: bytes,
        skill: str,
        offers: Sequence[Offer],
        refusals: Sequence[NoOffer],
        loads_ppm: dict[bytes, int],
    ) -> None:
        """Keep the answers of one round; `loads_ppm` is how busy each seller's advert says it is."""
        answers = [
            Answer(
                seller=one.seller.key,
                price_micro=one.terms.price_micro,
                load_ppm=loads_ppm.get(one.seller.key, 0),
                duration_ms=one.terms.duration_ms,
                success_ppm=one.terms.success_ppm,
            )
            for one in offers
        ] + [
            Answer(
                seller=one.seller.key,
                price_micro=None,
                is_withheld=one.code in WITHHELD,
                load_ppm=loads_ppm.get(one.seller.key, 0),
            )
            for one in refusals
        ]
        if answers:
            await self._rounds.add(task_id, skill, answers, self._env.unix_ms())
            if (screened := self._screened.get(skill)) is not None:
                screened.since += 1

    async def skills(self) -> list[str]:
        """Every skill that sellers were asked about."""
        return await self._rounds.skills()

    async def overview(self, skill: str) -> Overview:
        """The market of one skill; empty when nobody was ever asked."""
        rounds, awards = await self._evidence(skill)
        return await self._env.offload(overview, skill, rounds, awards)

    async def flags(self, skill: str) -> tuple[MarketFlag, ...]:
        """What the screens say about the market of one skill, or said a moment ago."""
        last = self._screened.get(skill)
        if last is not None and NEWS * last.since < last.rounds:
            return last.flags
        rounds, awards = await self._evidence(skill)
        found = tuple(map(flag_view, await self._env.offload(flags, rounds, awards)))
        self._screened[skill] = _Screened(found, len(rounds))
        self._screened.move_to_end(skill)
        if len(self._screened) > MAX_SCREENED:
            self._screened.popitem(last=False)
        return found

    async def _evidence(self, skill: str) -> tuple[list[Round], list[bytes]]:
        return await self._rounds.of_skill(skill), await self._outcomes.awards(skill, AWARDS_READ)


def flag_view(flag: Flag) -> MarketFlag:
    """An alarm as its owner sees it."""
    return MarketFlag(
        screen=flag.screen,
        peer=flag.seller,
        text=flag.text,
        false_alarms_ppm=round(flag.false_alarms * 10_000),
        detected_ppm=None if flag.detected is None else round(flag.detected * 10_000),
    )
