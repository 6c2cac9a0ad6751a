"""Keeps this node's own records published: only the publisher republishes, mostly straight to the known holders.

Then the closest of them is asked who is closest now; where most of these are news, the network has grown, and a look-up
follows. Look-ups start from the holders too, who are nearly there: all of the closest are asked, and hardly others.

Where the holders of a popular key have no room, the record is published under the key's shard as well (dht/ids.py).
"""

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import Contact, NodeAddress
from dht.datagram import NO_TOKEN, FindNode, Nodes, Store, Stored
from dht.endpoint import Endpoint
from dht.errors import LocalDhtError
from dht.ids import distance, shard_key
from dht.records import MAX_CLOCK_SKEW_MS, MAX_TTL_MS, Record, sign_record
from dht.routing import Routing
from dht.search import Searcher
from dht.storage import Outcome, RecordStore

SETTLE_S = 2.0
"""A newcomer that ought to hold a record gets it after this long: newcomers tend to come together."""
RETRY_S = 30.0
"""There are contacts, but nobody took the record: a lost link, or a crowded key."""
MAX_SEQ_LEAD_MS = MAX_TTL_MS + MAX_CLOCK_SKEW_MS
"""How far ahead of the clock a seq may be because a holder claims to know a higher one."""


@dataclass(slots=True)
class _Advert:
    body: bytes
    record: Record | None = None
    """As last signed."""
    rounds: int = 0
    due_s: float = 0.0
    welcome_s: float = math.inf
    """When the newcomers get the record."""
    newcomers: dict[bytes, NodeAddress] = field(default_factory=dict)
    holders: dict[bytes, NodeAddress] = field(default_factory=dict)
    tokens: dict[bytes, bytes] = field(default_factory=dict)
    asked: set[bytes] = field(default_factory=set)
    """Who was asked to hold the record, in the last round with a look-up and since."""
    wants_lookup: bool = True
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What nodes made of a record: who holds it now, the highest seq that refused it (-1: none), how many are full."""

    holders: dict[bytes, NodeAddress]
    outdated_by: int
    full: int


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
        self._shards: dict[bytes, bytes] = {}
        """The shard under which a record is published too, by its key."""
        self._seqs: dict[bytes, int] = {}
        """The last seq under each key ever used here, which must not be used again for anything else."""
        self._changed = asyncio.Event()

    async def publish(self, key: bytes, body: bytes) -> int:
        """Publish `body` under `key`, now and until withdrawn; gives how many other nodes hold it."""
        sign_record(self._identity, key, 0, 0, body)  # Refuses a wrong key or a body too long before anything is kept.
        if not body:
            raise LocalDhtError("an empty body means a withdrawal; call withdraw")
        advert = self._adverts.setdefault(key, _Advert(body))
        advert.body = body
        async with advert.lock:
            await self._publish(key, advert)
        if (shard := self._shards.get(key)) is not None:
            await self.publish(shard, body)
        self._changed.set()
        return self.holders(key)

    def holders(self, key: bytes) -> int:
        """How many other nodes held the record when it was last published or handed to newcomers."""
        adverts = (self._adverts.get(key), self._adverts.get(self._shards.get(key, b"")))
        return sum(len(advert.holders) for advert in adverts if advert is not None)

    def published(self) -> list[Record]:
        """What this node publishes, each as last signed; what is being signed for the first time is not among them."""
        return [advert.record for advert in self._adverts.values() if advert.record is not None]

    async def withdraw(self, key: bytes) -> None:
        """Supersede what was published under `key` by a withdrawal, at its holders; nothing if there is none."""
        advert = self._adverts.pop(key, None)
        if advert is None:
            return
        if (shard := self._shards.pop(key, None)) is not None:
            await self.withdraw(shard)
        async with advert.lock:
            if key in self._adverts:
                return  # Published anew while this waited: that supersedes the old record as well.
            record = self._signed(key, b"")
            self._hold(record)
            await self._store_at(list(advert.holders.values()), record, advert)

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
            for key, advert in list(self._adverts.items()):
                await self._attend(key, advert, loop.time())
            due_s = min((min(advert.due_s, advert.welcome_s) for advert in self._adverts.values()), default=math.inf)
            timer = loop.call_at(due_s, self._changed.set) if due_s < math.inf else None
            await self._changed.wait()
            if timer is not None:
                timer.cancel()

    def contact_joined(self, contact: Contact) -> None:
        """A contact is new: it gets, soon, the adverts that it is close enough to hold."""
        for key, advert in self._adverts.items():
            if contact.id not in advert.holders and self._is_close(contact.id, key, advert):
                advert.newcomers[contact.id] = NodeAddress(contact.id, contact.host, contact.port)
                if advert.welcome_s == math.inf:
                    advert.welcome_s = asyncio.get_running_loop().time() + SETTLE_S
                    self._changed.set()

    def _is_close(self, node_id: bytes, key: bytes, advert: _Advert) -> bool:
        if len(advert.holders) < self._config.k:
            return True
        ranks = sorted(distance(holder, key) for holder in advert.holders)
        return distance(node_id, key) < ranks[self._config.k - 1]

    async def _attend(self, key: bytes, advert: _Advert, now_s: float) -> None:
        """Do what is due for this advert, unless it was withdrawn meanwhile."""
        async with advert.lock:
            if self._adverts.get(key) is not advert:
                return
            if advert.due_s <= now_s:
                await self._publish(key, advert)
            elif advert.welcome_s <= now_s:
                await self._welcome(advert)

    async def _publish(self, key: bytes, advert: _Advert) -> None:
        """One publication: to the remembered holders, or after a look-up to whoever is closest now."""
        now_s = asyncio.get_running_loop().time()
        advert.due_s = now_s + RETRY_S  # Should this round be cancelled half-way.
        is_full = advert.wants_lookup or advert.rounds % self._config.full_lookup_every == 0
        advert.rounds += 1
        targets = list(advert.holders.values())
        if is_full:
            found = await self._searcher.nodes(key, advert.holders.values())
            targets = found.nodes
            advert.tokens |= found.tokens
            advert.asked.clear()
        record = self._signed(key, advert.body)
        taken = await self._store_at(targets, record, advert)
        if record.seq <= taken.outdated_by <= self._unix_ms() + MAX_SEQ_LEAD_MS:
            # Our clock went back, or another run of us had a faster one: go beyond what the holders remember.
            self._seqs[key] = taken.outdated_by
            record = self._signed(key, advert.body)
            taken = await self._store_at(targets, record, advert)
        self._hold(record)
        advert.record = record
        advert.holders = taken.holders
        advert.tokens = {holder: advert.tokens[holder] for holder in advert.holders}
        tried = {node.id for node in targets}
        advert.newcomers = {node.id: node for node in advert.newcomers.values() if node.id not in tried}
        if not advert.newcomers:
            advert.welcome_s = math.inf
        is_crowded_out = taken.full > 0 and 2 * taken.full >= len(targets)
        if is_crowded_out and key not in self._shards.values():
            shard = self._shards[key] = shard_key(key, self._identity.node_id)
            self._adverts.setdefault(shard, _Advert(advert.body))
            self._changed.set()
        has_moved = not is_full and (2 * len(advert.holders) < len(targets) or await self._is_outgrown(key, advert))
        advert.due_s = now_s + self._pause_s(advert, has_moved, is_crowded_out)

    async def _is_outgrown(self, key: bytes, advert: _Advert) -> bool:
        """Whether most of those closest to the key were never asked to hold the record, as the closest holder says.

        One request, where a look-up takes some thirty. A holder that lies changes but when the next look-up is.
        """
        holder = min(advert.holders.values(), key=lambda node: distance(node.id, key), default=None)
        if holder is None:
            return False
        answer = await self._endpoint.request(holder, FindNode(key), rtt_s=self._routing.rtt_s(holder.id))
        if answer is None or not isinstance(answer.body, Nodes):
            return False
        strangers = sum(node.id not in advert.asked for node in answer.body.nodes)
        return 2 * strangers > len(answer.body.nodes)

    def _pause_s(self, advert: _Advert, has_moved: bool, is_crowded_out: bool) -> float:
        """Time until the next round: the republication period, unless this round went badly, or to the wrong nodes."""
        has_failed = not advert.holders and len(self._routing) > 0 and not is_crowded_out
        advert.wants_lookup = has_failed or has_moved
        if has_moved:
            return SETTLE_S
        if has_failed:
            return RETRY_S
        spread_ppm = self._config.republish_jitter_ppm
        period_ppm = 1_000_000 + self._rng.randint(-spread_ppm, spread_ppm)
        return self._config.republish_s * period_ppm / 1_000_000

    async def _welcome(self, advert: _Advert) -> None:
        """Store the record, as it is, at the newcomers."""
        newcomers, advert.newcomers, advert.welcome_s = list(advert.newcomers.values()), {}, math.inf
        if advert.record is not None:
            taken = await self._store_at(newcomers, advert.record, advert)
            advert.holders |= taken.holders

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

    async def _store_at(self, nodes: list[NodeAddress], record: Record, advert: _Advert) -> _Taken:
        """Ask the nodes to hold the record; those that refuse our token are asked again with the fresh one."""
        advert.asked.update(node.id for node in nodes)
        answers = await self._ask_to_hold(nodes, record, advert)
        again = [node for node in nodes if node.id in answers and answers[node.id].outcome is Outcome.BAD_TOKEN]
        answers |= await self._ask_to_hold(again, record, advert)
        holders = {node.id: node for node in nodes if node.id in answers and answers[node.id].outcome is Outcome.STORED}
        outdated = [answer.held_seq for answer in answers.values() if answer.outcome is Outcome.OUTDATED]
        full = sum(answer.outcome is Outcome.FULL for answer in answers.values())
        return _Taken(holders, max(outdated, default=-1), full)

    async def _ask_to_hold(self, nodes: list[NodeAddress], record: Record, advert: _Advert) -> dict[bytes, Stored]:
        futures = [
            self._endpoint.request(
                node, Store(advert.tokens.get(node.id, NO_TOKEN), record.raw), rtt_s=self._routing.rtt_s(node.id)
            )
            for node in nodes
        ]
        answers: dict[bytes, Stored] = {}
        for node, future in zip(nodes, futures, strict=True):
            answer = await future
            if answer is not None and isinstance(answer.body, Stored):
                answers[node.id] = answer.body
                advert.tokens[node.id] = answer.body.token
        return answers
