"""The shell of a look-up: performs its queries, feeds back what became of them, checks what records arrive."""

import asyncio
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import assert_never

from dht.config import DhtConfig
from dht.contacts import NodeAddress
from dht.datagram import FindNode, FindValue, Nodes, Values
from dht.endpoint import Answer, Endpoint
from dht.errors import RemoteDhtError
from dht.ids import ID_BITS, ID_BYTES
from dht.lookup import Answered, Ask, Effect, Event, Failed, Finish, Goal, Lookup, Slow
from dht.records import Record, open_record
from dht.region import disjoint, is_crowded, quarters
from dht.routing import Routing
from dht.size import NetworkSize
from dht.stats import DhtStats

MAX_LOOKUP_S = 30.0
"""No look-up takes longer, whatever its peers do: ten times the worst that 40 % dead nodes cause."""
THOROUGH_RATIO = 2
"""A thorough look-up has so many times the slots: it asks all of a region, and the way there is a small part of it."""
REFRESH_WIDTH = 3
"""Width of a look-up that only refreshes a bucket: it wants some live contacts there, not the k closest."""


@dataclass(slots=True)
class Found:
    """What a look-up brought: the closest nodes that answered, their write tokens, the records, and the most records
    that a holder says it has."""

    nodes: list[NodeAddress] = field(default_factory=list)
    tokens: dict[bytes, bytes] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    total: int = 0
    events: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    """What became of the queries. At most one event a transmission of one, so the look-up's limit on them bounds it."""


class Searcher:
    """Runs look-ups over an endpoint, starting from the contacts."""

    def __init__(
        self,
        own_id: bytes,
        endpoint: Endpoint,
        routing: Routing,
        config: DhtConfig,
        stats: DhtStats,
        *,
        unix_ms: Callable[[], int],
        rng: random.Random,
    ) -> None:
        self._own_id = own_id
        self._endpoint = endpoint
        self._routing = routing
        self._config = config
        self._stats = stats
        self._unix_ms = unix_ms
        self._rng = rng
        self.size = NetworkSize(own_id, lambda: routing.closest(own_id, config.k))

    async def nodes(self, target: bytes, known: Iterable[NodeAddress] = ()) -> Found:
        """The k nodes closest to `target` that answer; everyone in its region where that is crowded.

        Whoever is `known` to be near the target shortens the way there.
        """
        return await self._run(self._goal(target, self._config.k), MAX_LOOKUP_S, sees_region=True, known=known)

    async def surroundings(self) -> None:
        """Look up our own id, so that we and those closest to us know each other."""
        await self._sample(self._own_id, self._config.k)

    async def records(self, key: bytes, *, timeout_s: float, thorough: bool) -> Found:
        """The records under `key`; what was found so far when the time is up.

        `thorough` asks everyone in the key's region, and all k closest, instead of stopping when a few agree.
        """
        goal = replace(
            self._goal(key, self._config.k),
            max_records=self._config.max_found,
            slots=self._config.slots * (THOROUGH_RATIO if thorough else 1),
            agreeing=0 if thorough else self._config.agreeing_holders,
        )
        return await self._run(goal, min(timeout_s, MAX_LOOKUP_S), sees_region=thorough)

    async def refresh(self, low: int, high: int) -> None:
        """Look up a random id in the inclusive range, so that dead contacts there fail and live ones are met."""
        target = self._rng.randint(low, high).to_bytes(ID_BYTES, "big")
        await self._sample(target, min(REFRESH_WIDTH, self._config.k))

    async def _sample(self, target: bytes, width: int, *, anew: bool = False) -> None:
        """Look up an id that nobody can foresee or choose, which also shows how large the network is.

        `anew`: what earlier such look-ups showed is replaced.
        """
        found = await self._run(self._goal(target, width), MAX_LOOKUP_S, sees_region=False)
        if anew and found.nodes:
            self.size.forget()
        self.size.note(target, found.nodes)

    def _goal(self, target: bytes, width: int) -> Goal:
        config = self._config
        return Goal(
            target,
            width,
            config.slots,
            max_per_group=config.max_bucket_contacts_per_group,
            limit_private=config.limit_private_addresses,
        )

    async def _run(
        self, goal: Goal, timeout_s: float, *, sees_region: bool, known: Iterable[NodeAddress] = ()
    ) -> Found:
        self._stats.lookups += 1
        self._routing.touch(goal.target, asyncio.get_running_loop().time())
        lookup = Lookup(goal, self._own_id, [*self._routing.seeds(goal.target, self._config.k), *known])
        found = Found()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._drive(lookup, lookup.start(), found)
                if sees_region:
                    await self._see_region(lookup, found)
        found.nodes, found.records, found.total = lookup.closest, lookup.records, lookup.largest_total
        return found

    async def _see_region(self, lookup: Lookup, found: Found) -> None:
        """Go on until everyone in the region was asked: of a crowded one; where records are wanted, of any."""
        goal, k = lookup.goal, self._config.k
        if self.size.is_doubtful:
            await self._sample(self._rng.randbytes(ID_BYTES), k, anew=True)
        radius, nodes = self.size.radius(k), list[NodeAddress]()
        if is_crowded(goal.target, lookup.closest, k, radius):
            nodes = await self._sweep(goal.target, radius)
        elif not goal.max_records:
            return
        await self._drive(lookup, lookup.resume(nodes, radius), found)

    async def _sweep(self, key: bytes, radius: int) -> list[NodeAddress]:
        """Whoever is named in the key's region by look-ups of its quarters, each from contacts of its own."""
        self._stats.sweeps += 1
        contacts = self._routing.seeds(key, len(self._routing))
        lookups = [
            Lookup(self._goal(quarter.target, self._config.k), self._own_id, seeds, may_ask=quarter.may_ask)
            for quarter, seeds in zip(quarters(key, radius), disjoint(contacts), strict=True)
        ]
        await asyncio.gather(*(self._drive(one, one.start(), Found()) for one in lookups))
        named = {node.id: node for one in lookups for node in one.named_within(key, radius)}
        return list(named.values())

    async def _drive(self, lookup: Lookup, effects: list[Effect], found: Found) -> None:
        while True:
            for effect in effects:
                match effect:
                    case Ask():
                        self._ask(effect, lookup.goal, found)
                    case Finish():
                        return
                    case _ as unreachable:
                        assert_never(unreachable)
            effects = lookup.step(await found.events.get())

    def _ask(self, ask: Ask, goal: Goal, found: Found) -> None:
        if goal.max_records:
            start = ask.after if ask.after is not None else self._rng.getrandbits(ID_BITS).to_bytes(ID_BYTES, "big")
            body: FindNode | FindValue = FindValue(goal.target, start)
        else:
            body = FindNode(goal.target)
        future = self._endpoint.request(
            ask.node,
            body,
            rtt_s=self._routing.rtt_s(ask.node.id),
            on_slow=lambda times: found.events.put_nowait(Slow(ask.node.id, times)),
        )
        future.add_done_callback(partial(self._ended, ask.node, goal, found))

    def _ended(
        self,
        node: NodeAddress,
        goal: Goal,
        found: Found,
        future: "asyncio.Future[Answer | None]",
    ) -> None:
        answer = future.result()
        match answer.body if answer is not None else None:
            case Nodes(token, nodes):
                found.tokens[node.id] = token
                found.events.put_nowait(Answered(node.id, nodes))
            case Values(token, total, raws, nodes):
                found.tokens[node.id] = token
                found.events.put_nowait(Answered(node.id, nodes, self._opened(raws, goal.target), total))
            case _:
                found.events.put_nowait(Failed(node.id))

    def _opened(self, raws: tuple[bytes, ...], key: bytes) -> tuple[Record, ...]:
        """Those of the records that are what was asked for; the others are counted."""
        opened: list[Record] = []
        for raw in raws:
            try:
                record = open_record(raw, self._unix_ms())
                if record.key != key:
                    raise RemoteDhtError("wrong_key", f"record {record} is not under {key.hex()[:8]}")
                opened.append(record)
            except RemoteDhtError as error:
                self._stats.refused_records[error.code] += 1
        return tuple(opened)
