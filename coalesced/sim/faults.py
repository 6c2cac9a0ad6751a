"""What goes wrong in a simulated world, and when: a seeded schedule of plain values. Pure.

Every fault of a kind that lasts says for how long; `world.py` carries them out.
"""

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from coalesced.sim.network import Link

CALM: Final = Link(loss=0.0, min_delay_s=0.005, max_delay_s=0.05)
MEAN_PAUSE_S = 3.0
"""Between two faults of a world of 30 nodes."""
USUAL_NODES = 30


@dataclass(frozen=True, slots=True)
class Weather:
    """The whole network loses, delays, reorders or duplicates what is sent."""

    link: Link
    for_s: float


@dataclass(frozen=True, slots=True)
class Partition:
    """Some nodes do not reach the others."""

    nodes: frozenset[int]
    for_s: float


@dataclass(frozen=True, slots=True)
class CutConnections:
    """This share of all connections breaks."""

    share: float


@dataclass(frozen=True, slots=True)
class ClockJump:
    """A node's wall clock jumps, for good."""

    node: int
    by_ms: int


@dataclass(frozen=True, slots=True)
class DiskFull:
    """A node's disk takes no new pages."""

    node: int
    for_s: float


@dataclass(frozen=True, slots=True)
class Crash:
    """A node's process ends at once (`power`: its whole machine), and starts again with the same disk."""

    node: int
    power: bool
    down_s: float


@dataclass(frozen=True, slots=True)
class Restart:
    """A node is stopped as its owner would stop it, and started again."""

    node: int
    down_s: float


Fault = Weather | Partition | CutConnections | ClockJump | DiskFull | Crash | Restart


@dataclass(frozen=True, slots=True)
class Due:
    """A fault and when it happens, in seconds from the start of the schedule."""

    at_s: float
    fault: Fault


def _loss(rng: random.Random, nodes: int) -> Fault:
    return Weather(Link(loss=rng.uniform(0.01, 0.2)), rng.uniform(2, 15))


def _delay(rng: random.Random, nodes: int) -> Fault:
    return Weather(Link(min_delay_s=0.05, max_delay_s=rng.uniform(0.2, 1.5)), rng.uniform(2, 15))


def _reorder(rng: random.Random, nodes: int) -> Fault:
    return Weather(Link(straggling=rng.uniform(0.05, 0.5), straggle_s=rng.uniform(0.2, 2)), rng.uniform(2, 15))


def _duplicate(rng: random.Random, nodes: int) -> Fault:
    return Weather(Link(duplication=rng.uniform(0.05, 0.5)), rng.uniform(2, 15))


def _partition(rng: random.Random, nodes: int) -> Fault:
    count = rng.randint(1, max(1, nodes // 2))
    return Partition(frozenset(rng.sample(range(nodes), count)), rng.uniform(1, 20))


def _cut(rng: random.Random, nodes: int) -> Fault:
    return CutConnections(rng.uniform(0.1, 1))


def _clock(rng: random.Random, nodes: int) -> Fault:
    # Mostly what a late NTP correction does; now and then an hour, as when somebody sets the time zone by hand.
    most_ms = 3_600_000 if rng.random() < 0.2 else 90_000
    return ClockJump(rng.randrange(nodes), rng.randint(-most_ms, most_ms))


def _disk(rng: random.Random, nodes: int) -> Fault:
    return DiskFull(rng.randrange(nodes), rng.uniform(1, 15))


def _crash(rng: random.Random, nodes: int) -> Fault:
    return Crash(rng.randrange(nodes), rng.random() < 0.4, rng.uniform(0.5, 20))


def _restart(rng: random.Random, nodes: int) -> Fault:
    return Restart(rng.randrange(nodes), rng.uniform(0.5, 10))


KINDS: Final[Mapping[str, Callable[[random.Random, int], Fault]]] = {
    "loss": _loss,
    "delay": _delay,
    "reorder": _reorder,
    "duplicate": _duplicate,
    "partition": _partition,
    "cut": _cut,
    "clock": _clock,
    "disk": _disk,
    "crash": _crash,
    "restart": _restart,
}
"""Each kind of fault by its name on the command line."""


def schedule(seed: int, *, nodes: int, for_s: float, kinds: Collection[str]) -> tuple[Due, ...]:
    """Faults of these kinds over `for_s` seconds; the more nodes, the more of them."""
    rng = random.Random(f"{seed}/faults")
    names = sorted(kinds)
    due: list[Due] = []
    at_s = 0.0
    while names:
        at_s += rng.expovariate(1 / MEAN_PAUSE_S * max(1.0, nodes / USUAL_NODES))
        if at_s >= for_s:
            break
        due.append(Due(at_s, KINDS[rng.choice(names)](rng, nodes)))
    return tuple(due)
