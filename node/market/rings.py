"""Rings inside a larger market: sellers whose quotes lie together, and of whom one, each time another, stands below.

The spread of all quotes hides a ring that is a part of a market, and quotes that lie together are no sign by
themselves: sellers with the same costs ask the same. What those do not do is take turns: among equal costs the cheapest
stays the cheapest, or is so by a hair. Turns and cover bids together are the marks of bid rotation (OECD Guidelines for
Fighting Bid Rigging in Public Procurement, 2012; Imhof 2018). A ring in which each member only asks more of its own
price leaves no such marks: its quotes are those of dearer sellers.
"""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct

from node.market.screens import CARTEL_TASKS, CARTEL_VARIATION, Alarm, K, relative_distance, variation

RING_BAND: Final = 0.03
"""Quotes lie together when the middle one of their differences is at most this share of the price. Cover bids of the
simulator lie within .5 %, the lowest 5 % below; twice the band takes in too many honest sellers."""
RING_LEAST: Final = 4
"""Of three sellers with one cost one stands below by chance too often: among 100 honest sellers in half of the
markets."""
RING_DISTANCE: Final = 2.0
"""Twice the cartel screen's bound, since the group that looks worst is picked from many."""
RING_APART: Final = 12
"""Of 20 tasks: in the simulator's ring somebody stands below in 16, as often as the one whose turn it is answers."""
RING_TURNS: Final = 3
"""So many different sellers stand below, none of them in more than half of the turns: one that always does is
cheaper."""


class Ring(Struct, frozen=True):
    """One alarm, and whom it names."""

    alarm: Alarm
    named: tuple[str, ...]


def rings(rounds: Sequence[Mapping[K, float]], name: Mapping[K, str]) -> list[Ring]:
    """The rings among the sellers of one skill, largest first, none sharing a member; `rounds` oldest first.

    Each round has the price by seller. Those are named that took a turn.
    """
    groups = set(map(frozenset, _together(rounds).values()))
    found = [(turns, group) for group in groups if (turns := _turns(rounds, group))]
    largest: list[Ring] = []
    taken: set[K] = set()
    for turns, group in sorted(found, key=lambda one: (-len(one[0]), sorted(one[1]))):
        if taken.isdisjoint(group):
            taken |= group
            largest.append(_ring(tuple(sorted(name[key] for key in turns))))
    return largest


def _together(rounds: Sequence[Mapping[K, float]]) -> dict[K, set[K]]:
    """Each seller with those whose quotes lie beside its own, over the last tasks that both answered."""
    prices = [{key: math.log(price) for key, price in one.items() if price > 0.0} for one in reversed(rounds)]
    sellers = sorted({key for one in prices for key in one})
    groups = {key: {key} for key in sellers}
    for at, key in enumerate(sellers):
        own = [one for one in prices if key in one]
        for other in sellers[at + 1 :]:
            both = islice((one for one in own if other in one), CARTEL_TASKS)
            gaps = [abs(one[key] - one[other]) for one in both]
            if 2 * len(gaps) >= CARTEL_TASKS and statistics.median(gaps) <= RING_BAND:
                groups[key].add(other)
                groups[other].add(key)
    return groups


def _turns(rounds: Sequence[Mapping[K, float]], group: frozenset[K]) -> Counter[K] | None:
    """Who stood below how often in the group's last tasks, where that looks like taking turns."""
    if len(group) < RING_LEAST:
        return None
    answered = ({key: one[key] for key in group if key in one} for one in reversed(rounds))
    usable = [quotes for quotes in answered if len(quotes) >= RING_LEAST][:CARTEL_TASKS]
    turns = Counter(
        min(quotes, key=lambda key: (quotes[key], key))
        for quotes in usable
        if variation(quotes.values()) < CARTEL_VARIATION and relative_distance(quotes.values()) > RING_DISTANCE
    )
    most = max(turns.values(), default=0)
    is_ring = len(usable) == CARTEL_TASKS and turns.total() >= RING_APART
    return turns if is_ring and len(turns) >= RING_TURNS and 2 * most <= turns.total() else None


def _ring(names: tuple[str, ...]) -> Ring:
    text = (
        f"over {CARTEL_TASKS} tasks the quotes of {', '.join(names)} lie within {RING_BAND:.0%} of each other while "
        "now one and now another stands well below: they may take turns"
    )
    return Ring(Alarm(screen="ring", text=text), names)
