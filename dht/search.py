"""The shell of a look-up: performs its queries, feeds back what became of them, checks what records arrive."""

import asyncio
import random
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import assert_never

from dht.config import DhtConfig
from dht.contacts import NodeAddress
from dht.datagram import FindNode, FindValue, Nodes, Values
from dht.endpoint import Answer, Endpoint
from dht.errors import RemoteDhtError
from dht.ids import ID_BITS, ID_BYTES, distance
from dht.lookup import Answered, Ask, Effect, Event, Failed, Finish, Goal, Lookup, Slow
from dht.records import Record, open_record
from dht.region import CROWDED_RATIO, disjoint, quarters
from dht.routing import Routing
from dht.size import NetworkSize
from dht.stats import DhtStats

MAX_LOOKUP_S = 30.0
"""No look-up takes longer, whatever its peers do: ten times the worst that 40 % dead nodes cause."""
THOROUGH_RATIO = 2
"""A thorough look-up has so many times the slots: it asks all of a region, and the way there is a small part of it."""
DOUBT_SHARE = 0.25
"""Of the time for a look-up, which measuring the network anew may take; the old estimate stands where it takes more."""
SWEEP_SHARE = 0.5
"""Of the time left, which looking around a crowded region may take: who answered until then is asked in the rest."""
MEASURED = 3
"""Random ids looked up to measure the network anew: one alone may lie next to a crowd."""
REFRESH_WIDTH = 3
"""Width of a look-up that only refreshes a bucket: it wants some live contacts there, not the k closest."""


@dataclass(slots=True)
class Found:
    """What a look-up brought: the closest nodes that answered, their write tokens, the records, and the most records
    that a holder says it has. Of a crowded region, `covered` are those who answered all over it."""

    covered: list[NodeAddress] = field(default_factory=list)
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

    async def nodes(self, target: bytes, known: Collection[NodeAddress] = ()) -> Found:
        """The k nodes closest to `target` that answer; everyone in its region, where it is crowded.

        Whoever is `known` to be near the target shortens the way there; without any, its region is seen in any case.
        """
        return await self._run(self._goal(target, self._config.k), MAX_LOOKUP_S, sees_region=True, known=known)

    async def surroundings(self) -> None:
        """Look up our own id, so that we and those closest to us know each other.

        It says nothing of the network's size: a crowd can have been waiting there.
        """
        await self._looked(self._own_id, self._config.k)

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
        self.size.note(target, await self._looked(target, min(REFRESH_WIDTH, self._config.k)))

    async def _measure(self) -> None:
        """Look up some random ids: what earlier such look-ups showed is replaced."""
        targets = [self._rng.randbytes(ID_BYTES) for _ in range(MEASURED)]
        found = await asyncio.gather(*(self._looked(one, self._config.k) for one in targets))
        self.size.forget()
        for target, nodes in zip(targets, found, strict=True):
            self.size.note(target, nodes)

    async def _looked(self, target: bytes, width: int) -> list[NodeAddress]:
        return (await self._run(self._goal(target, width), MAX_LOOKUP_S, sees_region=False)).nodes

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
        self, goal: Goal, timeout_s: float, *, sees_region: bool, known: Collection[NodeAddress] = ()
    ) -> Found:
        self._stats.lookups += 1
        self._routing.touch(goal.target, asyncio.get_running_loop().time())
        lookup = Lookup(goal, self._own_id, [*self._routing.seeds(goal.target, self._config.k), *known])
        found = Found()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                if sees_region:
                    must = goal.max_records > 0 or not known
                    await self._see_region(lookup, found, asyncio.get_running_loop().time() + timeout_s, must=must)
                else:
                    await self._drive(lookup, lookup.start(), found)
        found.nodes = list({node.id: node for node in (*lookup.closest, *found.covered)}.values())
        found.records, found.total = lookup.records, lookup.largest_total
        return found

    async def _see_region(self, lookup: Lookup, found: Found, ends_s: float, *, must: bool) -> None:
        """Look up; then have everyone in the region asked where it is crowded, or where this `must` be. Found are those
        in it, or the k closest where it is not crowded and no records are wanted.

        Those come first who answered to the look-ups of its quarters, as many from each: how large a crowd is, whom it
        names, or whether it answers, does not matter to those elsewhere. Where so few nodes are known that all of them
        were asked, there is nothing to look around.
        """
        goal, k, loop = lookup.goal, self._config.k, asyncio.get_running_loop()
        if self.size.is_doubtful:
            with suppress(TimeoutError):
                async with asyncio.timeout((ends_s - loop.time()) * DOUBT_SHARE):
                    await self._measure()
        radius, swept = self.size.radius(k), list[Lookup]()
        sweep = partial(self._sweep, goal.target, radius, (ends_s - loop.time()) * SWEEP_SHARE)
        looking = self._drive(lookup, lookup.start(crowd=radius // CROWDED_RATIO), found)
        if must and len(self._routing) > k:
            swept, _ = await asyncio.gather(sweep(), looking)
        else:
            await looking
            swept = await sweep() if lookup.is_crowded else []
        if not swept:
            await self._drive(lookup, lookup.resume(radius if must else 0), found)
            return
        is_crowded = lookup.is_crowded
        answered = [node for one in swept for node in one.closest if distance(node.id, goal.target) <= radius]
        await self._drive(lookup, lookup.cover(answered, radius), found)
        found.covered = lookup.closest if is_crowded else []
        await self._drive(lookup, lookup.resume(), found)

    async def _sweep(self, key: bytes, radius: int, limit_s: float) -> list[Lookup]:
        """Look-ups of the quarters of the key's region, each from contacts of its own, as far as they got in time."""
        self._stats.sweeps += 1
        contacts = self._routing.seeds(key, len(self._routing))
        lookups = [
            Lookup(self._goal(quarter.target, self._config.k), self._own_id, seeds, may_ask=quarter.may_ask)
            for quarter, seeds in zip(quarters(key, radius, self._rng), disjoint(contacts), strict=True)
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*(self._drive(one, one.start(), Found()) for one in lookups))
        return lookups

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
