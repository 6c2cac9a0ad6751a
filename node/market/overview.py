"""The market of one skill as this node sees it: quotes, spread, shares, and what the screens say. Pure."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from crypto.identity import short_id
from node.market.error_rates import RATES
from node.market.rings import rings
from node.market.screens import (
    CARTEL_TASKS,
    Alarm,
    Promise,
    beside_alike,
    cartel,
    concentration,
    hhi,
    hoarding,
    predation,
    variation,
)

AWARDS: Final = 50
"""In each of the two periods that the concentration screen compares: those of the simulator."""
LEAST_AWARDS: Final = 20
"""Fewer are no shares of a market."""
MOST_ADVERTISED: Final = 0.9
"""Availability held against a seller at most: its advert may be half an hour old, and it was idle when it wrote it."""


class Answer(Struct, frozen=True, kw_only=True, array_like=True):
    """What one seller answered about one task."""

    seller: bytes
    price_micro: int | None
    """None: it made no usable offer."""
    is_withheld: bool = False
    """No offer because it is busy, or no answer at all: capacity that it did not give."""
    load_ppm: int = 0
    """How busy its advert says it is."""
    duration_ms: int | None = None
    """What its quote promises; None where it made none."""
    success_ppm: int | None = None


class Round(Struct, frozen=True):
    """The answers about one task."""

    unix_ms: int
    answers: tuple[Answer, ...]

    def prices(self) -> dict[bytes, int]:
        """Price by seller, of those that made an offer."""
        return {answer.seller: answer.price_micro for answer in self.answers if answer.price_micro is not None}

    def promises(self) -> dict[bytes, Promise]:
        """What was promised by seller; nothing done in no time is a millisecond's work."""
        return {
            answer.seller: Promise(max(1, answer.duration_ms) / 1000, answer.success_ppm / 1_000_000)
            for answer in self.answers
            if answer.duration_ms is not None and answer.success_ppm is not None
        }


class Flag(Struct, frozen=True, kw_only=True):
    """One alarm, with what is known of how often such alarms are right. Rates in percent."""

    screen: str
    seller: str
    """Short id; empty where it is about the market as a whole."""
    text: str
    false_alarms: float
    detected: float | None


class SellerShare(Struct, frozen=True, kw_only=True):
    """One seller's part of this node's last awards."""

    seller: str
    awards: int
    share: float


class Overview(Struct, frozen=True, kw_only=True):
    """The market of one skill, from this node's last rounds of quotes and its last awards."""

    skill: str
    rounds: int
    sellers: int
    """That were asked."""
    quotes: int
    variation: float | None
    """Median coefficient of variation of the quotes for one task, over the last 20; None without two quotes for one."""
    spread: float | None
    """Median of the highest quote over the lowest."""
    lowest_micro: int | None
    highest_micro: int | None
    """Of the latest round with an offer."""
    awards: int
    hhi: float | None
    """None for too few awards."""
    shares: tuple[SellerShare, ...]
    """Largest first."""
    flags: tuple[Flag, ...]


def overview(skill: str, rounds: Sequence[Round], awards: Sequence[bytes]) -> Overview:
    """The market of a skill. `rounds` oldest first; `awards` are contractors, the latest first."""
    quoted = [prices for one in rounds if (prices := one.prices())]
    rivals = [list(prices.values()) for prices in quoted if len(prices) > 1][-CARTEL_TASKS:]
    varies = [found for quotes in rivals if math.isfinite(found := variation(quotes))]
    spreads = [max(quotes) / min(quotes) for quotes in rivals if min(quotes) > 0]
    now = Counter(short_id(key) for key in awards[:AWARDS])
    total = sum(now.values())
    return Overview(
        skill=skill,
        rounds=len(rounds),
        sellers=len({answer.seller for one in rounds for answer in one.answers}),
        quotes=sum(map(len, quoted)),
        variation=statistics.median(varies) if varies else None,
        spread=statistics.median(spreads) if spreads else None,
        lowest_micro=min(quoted[-1].values()) if quoted else None,
        highest_micro=max(quoted[-1].values()) if quoted else None,
        awards=total,
        hhi=hhi(now) if total >= LEAST_AWARDS else None,
        shares=tuple(
            SellerShare(seller=name, awards=won, share=won / total) for name, won in sorted(now.items(), key=_largest)
        ),
        flags=flags(rounds, awards),
    )


def flags(rounds: Sequence[Round], awards: Sequence[bytes]) -> tuple[Flag, ...]:
    """What the screens say: about the market first, then about single sellers by name."""
    found: list[Flag] = []
    if alarm := cartel([list(one.prices().values()) for one in rounds]):
        found.append(_flag(alarm))
    prices, promises = [one.prices() for one in rounds], [one.promises() for one in rounds]
    answers = _by_seller(rounds)
    found += [_flag(ring.alarm) for ring in rings(prices, {key: short_id(key) for key in answers})]
    before, now = (Counter(map(short_id, part)) for part in (awards[AWARDS : 2 * AWARDS], awards[:AWARDS]))
    is_known = sum(now.values()) >= LEAST_AWARDS
    # A period that is not full is no measure of a rise.
    if is_known and (alarm := concentration(before if sum(before.values()) == AWARDS else {}, now)):
        found.append(_flag(alarm))
    for key in sorted(answers, key=short_id):
        preys = predation(*beside_alike(prices, promises, key))
        found += [_flag(alarm, key) for alarm in (_hoards(answers[key]), preys) if alarm]
    return tuple(found)


def _by_seller(rounds: Sequence[Round]) -> dict[bytes, list[Answer]]:
    found: dict[bytes, list[Answer]] = {}
    for one in rounds:
        for answer in one.answers:
            found.setdefault(answer.seller, []).append(answer)
    return found


def _hoards(answers: Sequence[Answer]) -> Alarm | None:
    # A task that it declines for another reason, as its budget, says nothing about its capacity.
    counted = [answer for answer in answers if answer.is_withheld or answer.price_micro is not None]
    if not counted:
        return None
    free = min(MOST_ADVERTISED, max(0.0, 1.0 - statistics.fmean(answer.load_ppm for answer in counted) / 1e6))
    accepted = sum(answer.price_micro is not None for answer in counted)
    # Nobody who gives what it advertises can be called a hoarder: no need for the exact chance.
    return None if accepted >= free * len(counted) else hoarding(accepted, len(counted), free)


def _largest(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _flag(alarm: Alarm, key: bytes = b"") -> Flag:
    rates = RATES[alarm.screen]
    return Flag(
        screen=alarm.screen,
        seller=short_id(key) if key else "",
        text=alarm.text,
        false_alarms=rates.false_alarms,
        detected=rates.detected,
    )
