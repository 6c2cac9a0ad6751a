"""The region of a key: the ball around it in which k honest nodes are expected, and how to see all of it.

An id cannot be chosen, but tried for: 60 keys out of a few thousand lie closer to a skill than any honest node, and
then "the k closest" are all the attacker's. Within the region there are still k honest nodes. Who stands in the crowd
names only the crowd, so the region is swept quarter by quarter. The look-up of a quarter comes from outside the region
and turns to nobody in the other quarters: a crowd draws to itself only the look-up of the quarter that it stands in.
Its target is drawn afresh, so that nobody can be waiting there.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dht.contacts import NodeAddress
from dht.ids import ID_BYTES, distance

QUARTER_BITS = 2
QUARTERS = 1 << QUARTER_BITS
CROWDED_RATIO = 3
"""A region is crowded where its k-th node stands nearer than a third of the radius. Size and distance are each known to
23 % (k = 20), so chance does that about once in a thousand look-ups, which then cost more; and where it is not crowded,
six or seven of the k closest are honest."""


@dataclass(frozen=True, slots=True)
class Quarter:
    """A part of a region: an id in it, whose look-up it is, and whom that may turn to."""

    target: bytes
    may_ask: Callable[[bytes], bool]


def quarters(key: bytes, radius: int, rng: random.Random) -> list[Quarter]:
    """The quarters of the least power of two, as a distance, that covers the radius; of all ids in the extreme."""
    bits = max(radius.bit_length(), QUARTER_BITS + 1)
    return [_quarter(key, number, bits, rng) for number in range(QUARTERS)]


def _quarter(key: bytes, number: int, bits: int, rng: random.Random) -> Quarter:
    size = 1 << (bits - QUARTER_BITS)
    target = (int.from_bytes(key, "big") ^ (number * size + rng.randrange(size))).to_bytes(ID_BYTES, "big")
    return Quarter(target, lambda node_id: distance(node_id, target) < size or distance(node_id, key) >> bits != 0)


def disjoint(nodes: Sequence[NodeAddress]) -> list[list[NodeAddress]]:
    """Seeds for each quarter: nobody twice, near and far ones in each."""
    return [list(nodes[number::QUARTERS]) for number in range(QUARTERS)]
