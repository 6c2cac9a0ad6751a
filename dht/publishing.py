"""Keeps this node's own records published: only the publisher republishes, mostly straight to the known holders."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import NodeAddress
from dht.datagram import NO_TOKEN, Store, Stored
from dht.endpoint import Endpoint
from dht.ids import distance
from dht.records import MAX_CLOCK_SKEW_MS, MAX_TTL_MS, Record, sign_record
from dht.routing import Routing
from dht.search import Searcher
from dht.storage import Outcome, RecordStore

SETTLE_S = 2.0
"""A newcomer that ought to hold a record gets it after this long: newcomers tend to come together."""
MAX_SEQ_LEAD_MS = MAX_TTL_MS + MAX_CLOCK_SKEW_MS
"""How far ahead of the clock a seq may be because a holder claims to know a higher one."""


@dataclass(slots=True)
class _Advert:
    body: bytes
    seq: int = 0
    rounds: int = 0
    due_s: float = 0.0
    holders: dict[bytes, NodeAddress] = field(default_factory=dict)
    tokens: dict[bytes, bytes] = field(default_factory=dict)
    wants_lookup: bool = True
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Publisher:
    """The records of one node, by key."""

    def __init__(
        self,
        identity: Identity,
        searcher: Searcher,
        endpoint: Endpoint,
        routing: Routing,
        store: RecordStore,
        config: DhtConfig,
        *,
        unix_ms: Callable[[], int],
        rng: random.Random,
    ) -> None:
        self._identity = identity
        self._searcher = searcher
        self._endpoint = endpoint
        self._routing = routing
        self._store = store
        self._config = config
        self._unix_ms = unix_ms
        self._rng = rng
        self._adverts: dict[bytes, _Advert] = {}
        self._seqs: dict[bytes, int] = {}
        """The last seq under each key ever used here, which must not be used again for anything else."""
        self._changed = asyncio.Event()

    async def publish(self, key: bytes, body: bytes) -> int:
        """Publish `body` under `key`, now and until withdrawn; gives how many other nodes hold it."""
        sign_record(self._identity, key, 0, 0, body)  # Refuses a wrong key or a body too long before anything is kept.
        advert = self._adverts.setdefault(key, _Advert(body))
        advert.body = body
        await self._round(key, advert)
        return len(advert.holders)

    async def withdraw(self, key: bytes) -> None:
        """Supersede what was published under `key` by a withdrawal, at its holders; nothing if there is none."""
        advert = self._adverts.pop(key, None)
        if advert is None:
            return
        async with advert.lock:
            record = self._signed(key, b"")
            self._hold(record)
            await self._store_at(record, advert)

    async def withdraw_all(self) -> None:
        """Withdraw everything at once."""
        async with asyncio.TaskGroup() as group:
            for key in list(self._adverts):
                group.create_task(self.withdraw(key))

    async def run(self) -> None:
        """Republish what falls due, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            now_s = loop.time()
            for key, advert in [(key, advert) for key, advert in self._adverts.items() if advert.due_s <= now_s]:
                await self._round(key, advert)
            due_s = min((advert.due_s for advert in self._adverts.values()), default=None)
            timer = loop.call_at(due_s, self._changed.set) if due_s is not None else None
            await self._changed.wait()
            if timer is not None:
                timer.cancel()

    def contact_joined(self, node_id: bytes) -> None:
        """A contact is new: adverts that it is close enough to hold are published again soon."""
        soon_s = asyncio.get_running_loop().time() + SETTLE_S
        for key, advert in self._adverts.items():
            ranks = sorted(distance(holder, key) for holder in advert.holders)
            if len(ranks) < self._config.k or distance(node_id, key) < ranks[self._config.k - 1]:
                advert.wants_lookup = True
                advert.due_s = min(advert.due_s, soon_s)
                self._changed.set()

    async def _round(self, key: bytes, advert: _Advert) -> None:
        """One publication: to the remembered holders, or after a look-up to whoever is closest now."""
        async with advert.lock:
            if self._adverts.get(key) is not advert:
                return  # Withdrawn, and perhaps published anew, while this round waited.
            loop = asyncio.get_running_loop()
            spread_ppm = self._config.republish_jitter_ppm
            jitter_ppm = self._rng.randint(-spread_ppm, spread_ppm)
            advert.due_s = loop.time() + self._config.republish_s * (1_000_000 + jitter_ppm) / 1_000_000
            is_full = advert.wants_lookup or advert.rounds % self._config.full_lookup_every == 0
            advert.rounds += 1
            if is_full:
                advert.wants_lookup = False
                found = await self._searcher.nodes(key)
                advert.holders = {node.id: node for node in found.nodes}
                advert.tokens.update(found.tokens)
            before = len(advert.holders)
            record = self._signed(key, advert.body)
            held_seq = await self._store_at(record, advert)
            if record.seq <= held_seq <= self._unix_ms() + MAX_SEQ_LEAD_MS:
                # Our clock went back, or we restarted: go beyond what the holders remember.
                self._seqs[key] = held_seq
                advert.holders = {node.id: node for node in found.nodes} if is_full else advert.holders
                record = self._signed(key, advert.body)
                await self._store_at(record, advert)
            self._hold(record)
            if not is_full and 2 * len(advert.holders) < before:
                advert.wants_lookup = True
                advert.due_s = loop.time() + SETTLE_S
        self._changed.set()

    def _signed(self, key: bytes, body: bytes) -> Record:
        now_ms = self._unix_ms()
        seq = max(now_ms, self._seqs.get(key, 0) + 1)
        self._seqs[key] = seq
        return sign_record(self._identity, key, seq, now_ms + int(self._config.record_ttl_s * 1000), body)

    def _hold(self, record: Record) -> None:
        """Hold our own record too where we are among its k closest, as any other node would."""
        closer = self._routing.closest(record.key, self._config.k)
        own = distance(self._identity.node_id, record.key)
        if len(closer) < self._config.k or own < distance(closer[-1].id, record.key):
            self._store.put(record, None, self._unix_ms())

    async def _store_at(self, record: Record, advert: _Advert) -> int:
        """Store at the advert's holders, keep those that took it; gives the highest seq that one of them knows."""
        tried = list(advert.holders.values())
        outcomes = await self._ask_to_hold(tried, record, advert)
        strangers = [node for node in tried if outcomes.get(node.id, (None, 0))[0] is Outcome.BAD_TOKEN]
        outcomes |= await self._ask_to_hold(strangers, record, advert)
        advert.holders = {n.id: n for n in tried if outcomes.get(n.id, (None, 0))[0] is Outcome.STORED}
        advert.tokens = {holder: advert.tokens[holder] for holder in advert.holders}
        outdated = [held_seq for outcome, held_seq in outcomes.values() if outcome is Outcome.OUTDATED]
        return max(outdated, default=-1)

    async def _ask_to_hold(
        self, nodes: list[NodeAddress], record: Record, advert: _Advert
    ) -> dict[bytes, tuple[Outcome, int]]:
        futures = [
            self._endpoint.request(
                node, Store(advert.tokens.get(node.id, NO_TOKEN), record.raw), rtt_s=self._routing.rtt_s(node.id)
            )
            for node in nodes
        ]
        outcomes: dict[bytes, tuple[Outcome, int]] = {}
        for node, future in zip(nodes, futures, strict=True):
            answer = await future
            if answer is not None and isinstance(answer.body, Stored):
                outcomes[node.id] = (answer.body.outcome, answer.body.held_seq)
                advert.tokens[node.id] = answer.body.token
        return outcomes
