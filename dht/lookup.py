"""The iterative look-up as a pure core: events in, queries to send out. No clock, no socket, no rounds.

At most `slots` queries are young at once. A query that is slow gives its slot back but may still answer; one that
failed is forgotten. The look-up converges when the k closest nodes that are neither slow nor failed have answered
(Maymounkov & Mazières 2002, 2.3, without its round barrier). Looking for records, it may end early when
`agreeing` holders know nothing that we do not; otherwise it pages through lists that exceed an answer.
"""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice
from typing import assert_never

from dht.contacts import NodeAddress
from dht.ids import ID_BITS, distance
from dht.records import Record

PAGES_PER_HOLDER = 2
"""Further pages asked for in all, as a multiple of k: bounds what a holder that lies about its total can cost."""
MAX_ASKED_RATIO = 10
"""Queries of one look-up at most, as a multiple of k: bounds what inventors of ever closer nodes can cost."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is looked for: the nodes closest to `target`, and the records under it where `max_records` is not 0.

    `agreeing` 0 asks all k closest (a thorough look-up, which a few liars cannot cut short).
    """

    target: bytes
    k: int
    slots: int
    max_records: int = 0
    agreeing: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """The node answered. `total` counts the records it holds; `records` are those it sent, already verified."""

    node_id: bytes
    nodes: tuple[NodeAddress, ...]
    records: tuple[Record, ...] = ()
    total: int = 0


@dataclass(frozen=True, slots=True)
class Slow:
    """The query was sent for the `times`-th time again, for want of an answer."""

    node_id: bytes
    times: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The node did not answer within the hard time-out."""

    node_id: bytes


Event = Answered | Slow | Failed


@dataclass(frozen=True, slots=True)
class Ask:
    """Query this node; `after` is where to start in its list of records (None: wherever)."""

    node: NodeAddress
    after: bytes | None

    def __str__(self) -> str:
        return f"ask {self.node}"


@dataclass(frozen=True, slots=True)
class Finish:
    """The look-up is over: read `closest` and `records`."""


Effect = Ask | Finish


class _State(Enum):
    NEW = auto()
    WAITING = auto()
    SLOW = auto()
    OVERDUE = auto()
    ANSWERED = auto()
    FAILED = auto()


class Lookup:
    """One look-up. `start` once, then `step` with what became of each Ask, until Finish."""

    def __init__(self, goal: Goal, own_id: bytes, seeds: Iterable[NodeAddress]) -> None:
        self._goal = goal
        self._own_id = own_id
        self._nodes: dict[bytes, NodeAddress] = {}
        self._states: dict[bytes, _State] = {}
        self._order: list[tuple[int, bytes]] = []
        """(distance to the target, node id), closest first."""
        self._best: dict[bytes, Record] = {}
        self._totals: dict[bytes, int] = {}
        self._cursors: dict[bytes, bytes] = {}
        self._paging: set[bytes] = set()
        self._pages_left = PAGES_PER_HOLDER * goal.k
        self.asked = 0
        """How many nodes were queried."""
        self.is_finished = False
        self._learn(seeds)

    @property
    def closest(self) -> list[NodeAddress]:
        """The closest nodes that answered, closest first, at most k."""
        answered = [self._nodes[peer] for _, peer in self._order if self._states[peer] is _State.ANSWERED]
        return answered[: self._goal.k]

    @property
    def records(self) -> list[Record]:
        """The newest record of each publisher, withdrawals left out."""
        return [record for record in self._best.values() if not record.is_withdrawal]

    def start(self) -> list[Effect]:
        """The first queries."""
        return self._advance()

    def step(self, event: Event) -> list[Effect]:
        """Take in what became of a query. Total: an event about a node that was not asked changes nothing."""
        state = self._states.get(event.node_id, _State.NEW)
        if self.is_finished or state is _State.NEW:
            return []
        match event:
            case Answered():
                self._paging.discard(event.node_id)
                self._states[event.node_id] = _State.ANSWERED
                self._learn(event.nodes)
                self._merge(event)
            case Slow(peer, times):
                if state in (_State.WAITING, _State.SLOW):
                    self._states[peer] = _State.SLOW if times == 1 else _State.OVERDUE
                self._drop_from_paging(peer)
            case Failed(peer):
                if state is not _State.ANSWERED:
                    self._states[peer] = _State.FAILED
                self._drop_from_paging(peer)
            case _ as unreachable:
                assert_never(unreachable)
        return self._advance()

    def _learn(self, nodes: Iterable[NodeAddress]) -> None:
        for node in nodes:
            if node.id not in self._states and node.id != self._own_id:
                self._nodes[node.id] = node
                self._states[node.id] = _State.NEW
                insort(self._order, (distance(node.id, self._goal.target), node.id))

    def _merge(self, event: Answered) -> None:
        for record in event.records:
            known = self._best.get(record.public_key)
            if known is None or record.seq > known.seq:
                self._best[record.public_key] = record
        self._totals[event.node_id] = event.total if event.records else 0
        if event.records:
            self._cursors[event.node_id] = event.records[-1].publisher_id

    def _drop_from_paging(self, peer: bytes) -> None:
        if peer in self._paging:
            self._paging.discard(peer)
            self._totals[peer] = 0

    def _advance(self) -> list[Effect]:
        if self._is_agreed() or self.asked >= MAX_ASKED_RATIO * self._goal.k:
            return self._finish()
        near = self._nearest_hopefuls()
        free = self._goal.slots - sum(state is _State.WAITING for state in self._states.values()) - len(self._paging)
        asks: list[Effect] = []
        for peer in near:
            if free > 0 and self._states[peer] is _State.NEW:
                self._states[peer] = _State.WAITING
                self.asked += 1
                asks.append(Ask(self._nodes[peer], None))
                free -= 1
        is_open = any(self._states[peer] in (_State.NEW, _State.WAITING) for peer in near)
        if asks or is_open or self._waits_for_slow(near):
            return asks
        asks = self._next_pages(free)
        return asks if asks or self._paging else self._finish()

    def _nearest_hopefuls(self) -> list[bytes]:
        """The k closest nodes that may still be useful: slow and failed ones do not count."""
        hopeful = (_State.NEW, _State.WAITING, _State.ANSWERED)
        return list(islice((peer for _, peer in self._order if self._states[peer] in hopeful), self._goal.k))

    def _waits_for_slow(self, near: list[bytes]) -> bool:
        """Whether a slow node could still belong to the result, so that giving up on it would be rash.

        It gets one retransmission's time; while nobody has answered at all, the whole hard time-out.
        """
        if self._goal.max_records and self._best:
            return False
        patient = (_State.SLOW,) if near else (_State.SLOW, _State.OVERDUE)
        is_full = len(near) == self._goal.k
        last = distance(near[-1], self._goal.target) if is_full else 2**ID_BITS
        return any(away < last and self._states[peer] in patient for away, peer in self._order)

    def _is_agreed(self) -> bool:
        if not self._goal.agreeing or not self._best:
            return False
        known = len(self._best)
        return sum(0 < total <= known for total in self._totals.values()) >= self._goal.agreeing

    def _next_pages(self, free: int) -> list[Effect]:
        """Ask holders that have more than we know for what follows their last record."""
        asks: list[Effect] = []
        if len(self._best) >= self._goal.max_records:
            return asks
        for peer, total in self._totals.items():
            if free <= 0 or self._pages_left <= 0:
                break
            if total > len(self._best) and peer not in self._paging:
                self._paging.add(peer)
                self._pages_left -= 1
                free -= 1
                asks.append(Ask(self._nodes[peer], self._cursors[peer]))
        return asks

    def _finish(self) -> list[Effect]:
        self.is_finished = True
        return [Finish()]
