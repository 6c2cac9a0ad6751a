"""The iterative look-up as a pure core: events in, queries to send out. No clock, no socket, no rounds.

At most `slots` queries are young at once. A query that is slow gives its slot back but may still answer; one that
failed is forgotten. The look-up converges when the k closest nodes that are neither slow nor failed have answered
(Maymounkov & Mazières 2002, 2.3, without its round barrier). Looking for records, it may end early when
`agreeing` holders know nothing that we do not; otherwise it pages through lists that exceed an answer. With a radius it
covers a region: everyone within is asked, not only the k closest. Whom only those name who named too many silent nodes
waits until nobody else is to be asked.
"""

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import assert_never

from dht.contacts import NodeAddress, address_group
from dht.ids import ID_BITS, distance
from dht.namers import Namers
from dht.records import Record

PAGES_PER_HOLDER = 2
"""Further pages asked for in all, as a multiple of k: bounds what a holder that lies about its total can cost."""
MAX_ASKED_RATIO = 10
"""Queries of one look-up at most, as a multiple of k: bounds what inventors of ever closer nodes can cost."""
MAX_COVERED_RATIO = 5
"""Nodes of a region that count at most, as a multiple of k: room for k honest ones among four times as many others."""


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
    radius: int = 0
    """Everyone within this distance counts among the closest, though they be more than k (0: the k closest do)."""
    max_per_group: int = 0
    """Of one address group this many count, the closest: a /24 is one party's (0: as many as there are)."""
    limit_private: bool = False
    """Whether loopback and private ranges are address groups too."""


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


_HOPEFUL = (_State.NEW, _State.WAITING, _State.ANSWERED)
"""Those that may still be useful: slow and failed ones do not count."""


class Lookup:
    """One look-up. `start` once, then `step` with what became of each Ask, until Finish."""

    def __init__(
        self,
        goal: Goal,
        own_id: bytes,
        seeds: Iterable[NodeAddress],
        *,
        may_ask: Callable[[bytes], bool] | None = None,
    ) -> None:
        """`may_ask`: by id, whom to turn to; others are remembered where they are named. None: anybody."""
        self.goal = goal
        self._may_ask = may_ask
        self._own_id = own_id
        self._nodes: dict[bytes, NodeAddress] = {}
        self._states: dict[bytes, _State] = {}
        self._order: list[tuple[int, bytes]] = []
        """(distance to the target, node id), closest first."""
        self._namers = Namers(own_id)
        self._best: dict[bytes, Record] = {}
        self._totals: dict[bytes, int] = {}
        self._cursors: dict[bytes, bytes] = {}
        self._paging: set[bytes] = set()
        self._pages_left = PAGES_PER_HOLDER * goal.k
        self.asked = 0
        """How many nodes were queried."""
        self._most_asked = MAX_ASKED_RATIO * goal.k
        self._crowd = 0
        self.is_finished = False
        self._learn(seeds, own_id)

    @property
    def closest(self) -> list[NodeAddress]:
        """The closest nodes that answered, closest first: k, or everyone within the radius."""
        return [self._nodes[peer] for peer in self._nearest((_State.ANSWERED,))]

    @property
    def records(self) -> list[Record]:
        """The newest record of each publisher, which may be a withdrawal."""
        return list(self._best.values())

    @property
    def largest_total(self) -> int:
        """The most records that a holder says it has."""
        return max(self._totals.values(), default=0)

    @property
    def is_crowded(self) -> bool:
        """Whether k nodes are named, dead or alive, that stand nearer than `start` was told; False once it goes on."""
        return len(self._order) >= self.goal.k and self._order[self.goal.k - 1][0] < self._crowd

    def start(self, *, crowd: int = 0) -> list[Effect]:
        """The first queries. It ends at once where k nodes are named that stand nearer than `crowd` to the target:
        whoever put them there is not to lead it (0: it goes on).
        """
        self._crowd = crowd
        return self._advance()

    def cover(self, nodes: Iterable[NodeAddress], radius: int) -> list[Effect]:
        """Go on after Finish: of those not asked yet, these within the radius are asked, and nobody else."""
        chosen = {node.id: node for node in nodes}
        self._may_ask = chosen.__contains__
        self._most_asked = self.asked + MAX_ASKED_RATIO * self.goal.k
        return self._go_on(chosen.values(), radius)

    def resume(self, radius: int = 0) -> list[Effect]:
        """Go on after Finish, with whoever is named, until the k closest were asked, and everyone within the radius."""
        self._may_ask = None
        return self._go_on((), radius)

    def _go_on(self, nodes: Iterable[NodeAddress], radius: int) -> list[Effect]:
        self.goal = replace(self.goal, radius=radius)
        self._crowd = 0
        self.is_finished = False
        self._order = sorted(
            (distance(peer, self.goal.target), peer)
            for peer, state in self._states.items()
            if state is not _State.NEW or self._may_ask is None or self._may_ask(peer)
        )
        self._learn(nodes, self._own_id)
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
                self._namers.charge(event.node_id, -1)
                self._learn(event.nodes, event.node_id)
                self._merge(event)
            case Slow(peer, times):
                if state in (_State.WAITING, _State.SLOW):
                    self._states[peer] = _State.SLOW if times == 1 else _State.OVERDUE
                    self._namers.charge(peer, 1)
                self._drop_from_paging(peer)
            case Failed(peer):
                if state is not _State.ANSWERED:
                    self._states[peer] = _State.FAILED
                    self._namers.charge(peer, 1)
                self._drop_from_paging(peer)
            case _ as unreachable:
                assert_never(unreachable)
        return self._advance()

    def _learn(self, nodes: Iterable[NodeAddress], namer: bytes) -> None:
        for node in nodes:
            self._namers.add(node.id, namer)
            if node.id not in self._states and node.id != self._own_id:
                self._nodes[node.id] = node
                self._states[node.id] = _State.NEW
                if self._may_ask is None or self._may_ask(node.id):
                    insort(self._order, (distance(node.id, self.goal.target), node.id))

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
        if self._is_agreed() or self.is_crowded or self.asked >= self._most_asked:
            return self._finish()
        free = self.goal.slots - sum(state is _State.WAITING for state in self._states.values()) - len(self._paging)
        for believes in (False, True):
            near = self._nearest(_HOPEFUL, believes=believes)
            asks = self._asks(near, free)
            if asks or any(self._states[peer] in (_State.NEW, _State.WAITING) for peer in near):
                return asks
        if self._waits_for_slow(near):
            return []
        asks = self._next_pages(free)
        return asks if asks or self._paging else self._finish()

    def _asks(self, near: Iterable[bytes], free: int) -> list[Effect]:
        new = [peer for peer in near if self._states[peer] is _State.NEW][: max(0, free)]
        for peer in new:
            self._states[peer] = _State.WAITING
        self.asked += len(new)
        return [Ask(self._nodes[peer], None) for peer in new]

    def _is_doubtful(self, peer: bytes) -> bool:
        return self._states[peer] is _State.NEW and self._namers.are_doubtful(peer)

    def _nearest(self, states: tuple[_State, ...], *, believes: bool = True) -> list[bytes]:
        """The closest nodes in one of these states: k, or everyone within the radius; of an address group a few.

        It `believes` all that was said, or leaves out those whom only doubtful namers name (dht/namers.py).
        """
        goal, chosen = self.goal, list[bytes]()
        in_group: Counter[str] = Counter()
        for away, peer in self._order:
            if len(chosen) >= (goal.k if away > goal.radius else MAX_COVERED_RATIO * goal.k):
                break
            if self._states[peer] not in states or (not believes and self._is_doubtful(peer)):
                continue
            group = address_group(self._nodes[peer].host, goal.limit_private) if goal.max_per_group else None
            if group is not None:
                in_group[group] += 1
                if in_group[group] > goal.max_per_group:
                    continue
            chosen.append(peer)
        return chosen

    def _waits_for_slow(self, near: list[bytes]) -> bool:
        """Whether a slow node could still belong to the result, so that giving up on it would be rash.

        It gets one retransmission's time; while nobody has answered at all, the whole hard time-out.
        """
        if self.goal.agreeing and self._best:
            return False
        patient = (_State.SLOW,) if near else (_State.SLOW, _State.OVERDUE)
        is_full = len(near) >= self.goal.k
        last = distance(near[-1], self.goal.target) if is_full else 2**ID_BITS
        return any(away < last and self._states[peer] in patient for away, peer in self._order)

    def _is_agreed(self) -> bool:
        if not self.goal.agreeing or not self._best:
            return False
        known = len(self._best)
        return sum(0 < total <= known for total in self._totals.values()) >= self.goal.agreeing

    def _next_pages(self, free: int) -> list[Effect]:
        """Ask holders that have more than we know for what follows their last record."""
        asks: list[Effect] = []
        if len(self._best) >= self.goal.max_records:
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
