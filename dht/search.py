"""The shell of a look-up: performs its queries, feeds back what became of them, checks what records arrive."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
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
from dht.routing import Routing
from dht.stats import DhtStats

MAX_LOOKUP_S = 30.0
"""No look-up takes longer, whatever its peers do: ten times the worst that 40 % dead nodes cause."""
REFRESH_WIDTH = 3
"""Width of a look-up that only refreshes a bucket: it wants some live contacts there, not the k closest."""


@dataclass(slots=True)
class Found:
    """What a look-up brought: the closest nodes that answered, their write tokens, and the records."""

    nodes: list[NodeAddress] = field(default_factory=list)
    tokens: dict[bytes, bytes] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)


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

    async def nodes(self, target: bytes, *, width: int | None = None) -> Found:
        """The k (or `width`) nodes closest to `target` that answer."""
        goal = Goal(target, width or self._config.k, self._config.slots)
        return await self._run(goal, MAX_LOOKUP_S)

    async def records(self, key: bytes, *, timeout_s: float, thorough: bool) -> Found:
        """The records under `key`; what was found so far when the time is up.

        `thorough` asks all k closest holders instead of stopping when a few agree.
        """
        agreeing = 0 if thorough else self._config.agreeing_holders
        goal = Goal(key, self._config.k, self._config.slots, self._config.max_found, agreeing)
        return await self._run(goal, min(timeout_s, MAX_LOOKUP_S))

    async def refresh(self, low: int, high: int) -> None:
        """Look up a random id in the inclusive range, so that dead contacts there fail and live ones are met."""
        target = self._rng.randint(low, high).to_bytes(ID_BYTES, "big")
        await self.nodes(target, width=min(REFRESH_WIDTH, self._config.k))

    async def _run(self, goal: Goal, timeout_s: float) -> Found:
        self._stats.lookups += 1
        self._routing.touch(goal.target, asyncio.get_running_loop().time())
        lookup = Lookup(goal, self._own_id, self._routing.seeds(goal.target, self._config.k))
        found = Found()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._drive(lookup, goal, found)
        found.nodes, found.records = lookup.closest, lookup.records
        return found

    async def _drive(self, lookup: Lookup, goal: Goal, found: Found) -> None:
        # At most one event a transmission of one query, so the look-up's own limit on queries bounds it.
        events: asyncio.Queue[Event] = asyncio.Queue()
        effects: list[Effect] = lookup.start()
        while True:
            for effect in effects:
                match effect:
                    case Ask():
                        self._ask(effect, goal, found, events)
                    case Finish():
                        return
                    case _ as unreachable:
                        assert_never(unreachable)
            effects = lookup.step(await events.get())

    def _ask(self, ask: Ask, goal: Goal, found: Found, events: "asyncio.Queue[Event]") -> None:
        if goal.max_records:
            start = ask.after if ask.after is not None else self._rng.getrandbits(ID_BITS).to_bytes(ID_BYTES, "big")
            body: FindNode | FindValue = FindValue(goal.target, start)
        else:
            body = FindNode(goal.target)
        future = self._endpoint.request(
            ask.node,
            body,
            rtt_s=self._routing.rtt_s(ask.node.id),
            on_slow=lambda times: events.put_nowait(Slow(ask.node.id, times)),
        )
        future.add_done_callback(partial(self._ended, ask.node, goal, found, events))

    def _ended(
        self,
        node: NodeAddress,
        goal: Goal,
        found: Found,
        events: "asyncio.Queue[Event]",
        future: "asyncio.Future[Answer | None]",
    ) -> None:
        answer = future.result()
        match answer.body if answer is not None else None:
            case Nodes(token, nodes):
                found.tokens[node.id] = token
                events.put_nowait(Answered(node.id, nodes))
            case Values(token, total, raws, nodes):
                found.tokens[node.id] = token
                events.put_nowait(Answered(node.id, nodes, self._opened(raws, goal.target), total))
            case _:
                events.put_nowait(Failed(node.id))

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
