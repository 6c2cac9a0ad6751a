"""The region of a key: the ball around it in which k honest nodes are expected, and how to see all of it.

An id cannot be chosen, but tried for: 60 keys out of a few thousand lie closer to a skill than any honest node, and
then "the k closest" are all the attacker's. Within the region there are still k honest nodes. Who stands among the
crowd names only the crowd, so the region is swept from several sides: look-ups of ids that lie in it, but apart from
the key, each from contacts of its own.
"""

from collections.abc import Sequence

from dht.contacts import NodeAddress
from dht.ids import ID_BYTES, distance

SWEEPS = 4
"""Look-ups around the key: of k = 20 honest nodes each is near five."""
SWEEP_WIDTH = 8
"""Nodes that each of them asks: among an evenly spread crowd of 60, two of eight are honest."""
CROWDED_RATIO = 3
"""A region is crowded where its k-th node stands nearer than a third of the radius. Size and distance are each known to
23 % (k = 20), so chance does that about once in a thousand look-ups, which then cost more; and where it is not crowded,
six or seven of the k closest are honest."""


def is_crowded(key: bytes, closest: Sequence[NodeAddress], k: int, radius: int) -> bool:
    """Whether the k closest nodes stand closer to the key than ids do by chance."""
    return len(closest) >= k and distance(closest[k - 1].id, key) * CROWDED_RATIO < radius


def sweep_targets(key: bytes, radius: int) -> list[bytes]:
    """Ids at even steps of distance from the key, all within the radius."""
    middle = int.from_bytes(key, "big")
    steps = ((2 * number + 1) * radius // (2 * SWEEPS) for number in range(SWEEPS))
    return [(middle ^ step).to_bytes(ID_BYTES, "big") for step in steps]


def disjoint(nodes: Sequence[NodeAddress]) -> list[list[NodeAddress]]:
    """Seeds for each sweep: no node twice, near and far ones in each."""
    return [list(nodes[number::SWEEPS]) for number in range(SWEEPS)]
