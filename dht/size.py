"""How many nodes the network has, by how densely ids lie where nobody can have aimed.

Ids are hashes, so they lie evenly: the m nodes closest to a target fill a ball of m/N of all ids (its content is
Gamma(m) distributed, with a median near m - 1/3). We know our own neighbours at any time, so they give the estimate.
Whoever crowds around our own id could make the network look large, and so the region that we search small: therefore
look-ups of random ids check it. Those of a skill's key never count, for that is where crowding pays, nor that of our
own id.
"""

from collections.abc import Callable, Sequence

from dht.contacts import NodeAddress
from dht.ids import ID_BITS, distance

MAX_SAMPLES = 16
"""Random look-ups remembered: those of joining, or of the last hour or two."""
MAX_GROWTH = 2
"""As many times larger than random look-ups showed the network may be by our neighbours; beyond, those count, and it is
measured anew. Was it believed so much too large, a region would still hold ten of k = 20 honest nodes."""
MEDIAN_SHIFT = 1 / 3
WHOLE: int = 2**ID_BITS


class NetworkSize:
    """The running estimate. `neighbours` gives the nodes closest to our own id, closest first. Pure but for that."""

    def __init__(self, own_id: bytes, neighbours: Callable[[], Sequence[NodeAddress]]) -> None:
        self._own_id = own_id
        self._neighbours = neighbours
        self._samples: list[tuple[float, int]] = []
        """(nodes in the network by this look-up, nodes that the look-up found)."""

    def note(self, target: bytes, closest: Sequence[NodeAddress]) -> None:
        """A look-up of a random target ended: these nodes answered, closest first."""
        if closest:
            sample = (_by_density(target, closest), len(closest))
            self._samples = [*self._samples[1 - MAX_SAMPLES :], sample]

    def forget(self) -> None:
        """Forget all look-ups: a new one is to replace them."""
        self._samples.clear()

    @property
    def is_doubtful(self) -> bool:
        """Whether our neighbours lie denser than random look-ups explain: the network grew fast, or they crowd."""
        return self._by_neighbours() > MAX_GROWTH * self._by_look_ups()

    def nodes(self) -> float:
        """The estimated number of nodes; 1 while nobody is known."""
        return max(1.0, self._by_look_ups() if self.is_doubtful else self._by_neighbours())

    def radius(self, expected: int) -> int:
        """The distance from any key within which so many honest nodes are expected; at most all ids."""
        return min(WHOLE - 1, int(WHOLE / self.nodes()) * expected)

    def _by_neighbours(self) -> float:
        neighbours = self._neighbours()
        return _by_density(self._own_id, neighbours) if neighbours else 1.0

    def _by_look_ups(self) -> float:
        """What random look-ups show: their median, each weighted by what it found."""
        half = sum(weight for _, weight in self._samples) / 2
        for estimate, weight in sorted(self._samples):
            half -= weight
            if half <= 0:
                return estimate
        return float("inf")


def _by_density(target: bytes, closest: Sequence[NodeAddress]) -> float:
    return (len(closest) - MEDIAN_SHIFT) * WHOLE / (distance(closest[-1].id, target) + 1)
