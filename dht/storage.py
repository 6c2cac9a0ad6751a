"""The records that this node holds for others: many publishers a key, the higher seq wins for good.

Pure: time is passed in. A record that ended (expired, or was withdrawn) leaves its seq behind until every older
record of that publisher must have expired too, so that an old value cannot come back.
"""

import heapq
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum, unique

from dht.branches import Branches
from dht.config import DhtConfig
from dht.ids import ID_BITS
from dht.records import MAX_CLOCK_SKEW_MS, MAX_TTL_MS, Record

REMEMBER_MS = MAX_TTL_MS + MAX_CLOCK_SKEW_MS
"""How long a seq outlives its record: a record that was acceptable before cannot be alive after that."""
MAX_REMEMBERED_RATIO = 2
"""Remembered seqs are bounded by this multiple of the record limit."""
SPARE_ENTRIES = 64
Name = tuple[bytes, bytes]
"""Of a record: its key and its publisher's."""
RING = 2**ID_BITS
"""Publisher ids as a ring: the order in which long lists are paged."""


@unique
class Outcome(IntEnum):
    """What became of a STORE; the numbers are wire values."""

    STORED = 0
    OUTDATED = 1
    """We hold, or remember, the same or a higher seq of other content."""
    FULL = 2
    REFUSED = 3
    """Malformed, unsigned, expired, or not sent by its publisher."""
    BAD_TOKEN = 4
    """The write token is missing or too old; the answer brings a fresh one."""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of the records under a key, in ring order of the publishers' ids, and how many there are in all."""

    records: tuple[Record, ...]
    total: int


@dataclass(frozen=True, slots=True)
class _Held:
    record: Record
    group: str | None
    position: int
    """Of the publisher, on the ring."""


class RecordStore:
    """Signed records by key and publisher, within the limits of the configuration."""

    def __init__(self, config: DhtConfig) -> None:
        self._config = config
        self._by_key: dict[bytes, dict[bytes, _Held]] = {}
        self._count = 0
        self._branches: Branches[Name] = Branches()
        self._ended: dict[Name, tuple[int, int]] = {}
        self._due: list[tuple[int, bytes, bytes]] = []
        """A heap of when a record may end or a seq be forgotten; entries of replaced records find nothing to do."""

    def __len__(self) -> int:
        return self._count

    def put(self, record: Record, group: str | None, now_unix_ms: int) -> Outcome:
        """Take a checked record that came from address group `group` (None: not limited).

        Where there is no room, the most crowded branch of addresses makes it; FULL where that is the record's own.
        """
        self.expire(now_unix_ms)
        held = self._by_key.get(record.key, {}).get(record.public_key)
        if held is not None and held.record.raw == record.raw:
            return Outcome.STORED
        if record.seq <= self.held_seq(record.key, record.public_key):
            return Outcome.OUTDATED
        name = (record.key, record.public_key)
        if held is None and not self._make_room(name, group):
            return Outcome.FULL
        self._ended.pop(name, None)
        if held is None or held.group != group:
            if held is not None:
                self._drop(name)
            self._count += 1
            if group is not None:
                self._branches.add(name, group)
        self._by_key.setdefault(record.key, {})[record.public_key] = _Held(
            record, group, int.from_bytes(record.publisher_id, "big")
        )
        self._schedule(record.expires_unix_ms, record.key, record.public_key)
        return Outcome.STORED

    def held_seq(self, key: bytes, public_key: bytes) -> int:
        """The highest seq known of this publisher under this key, of living and ended records; -1 if none."""
        held = self._by_key.get(key, {}).get(public_key)
        if held is not None:
            return held.record.seq
        return self._ended.get((key, public_key), (-1, 0))[0]

    def find(self, key: bytes, now_unix_ms: int) -> list[Record]:
        """All living records under `key`, withdrawals included: they outweigh older records held elsewhere."""
        self.expire(now_unix_ms)
        return [held.record for held in self._by_key.get(key, {}).values()]

    def page(self, key: bytes, after: bytes, budget_bytes: int, overhead_bytes: int, now_unix_ms: int) -> Page:
        """The records that follow ring position `after`, as many as fit.

        Each costs its wire form plus `overhead_bytes`. Readers start at different positions, so that few
        answers cover a long list.
        """
        self.expire(now_unix_ms)
        start = int.from_bytes(after, "big")
        living = sorted(self._by_key.get(key, {}).values(), key=lambda held: (held.position - start - 1) % RING)
        taken: list[Record] = []
        for held in living:
            budget_bytes -= len(held.record.raw) + overhead_bytes
            if budget_bytes < 0:
                break
            taken.append(held.record)
        return Page(tuple(taken), len(living))

    def expire(self, now_unix_ms: int) -> None:
        """Forget what is over."""
        while self._due and self._due[0][0] <= now_unix_ms:
            _, key, public_key = heapq.heappop(self._due)
            held = self._by_key.get(key, {}).get(public_key)
            if held is not None and held.record.expires_unix_ms <= now_unix_ms:
                self._end(held.record)
            elif held is None and self._ended.get((key, public_key), (0, now_unix_ms + 1))[1] <= now_unix_ms:
                del self._ended[key, public_key]

    def _end(self, record: Record) -> None:
        self._drop((record.key, record.public_key))
        forget_ms = record.expires_unix_ms + REMEMBER_MS
        self._ended[record.key, record.public_key] = (record.seq, forget_ms)
        self._schedule(forget_ms, record.key, record.public_key)
        if len(self._ended) > MAX_REMEMBERED_RATIO * self._config.max_records:
            del self._ended[next(iter(self._ended))]

    def _schedule(self, due_ms: int, key: bytes, public_key: bytes) -> None:
        heapq.heappush(self._due, (due_ms, key, public_key))
        if len(self._due) > 2 * (self._count + len(self._ended)) + SPARE_ENTRIES:
            # Mostly entries of replaced records: a publisher that updates without end must not fill our memory.
            living = [held.record for holders in self._by_key.values() for held in holders.values()]
            self._due = [(record.expires_unix_ms, record.key, record.public_key) for record in living]
            self._due += [(forget_ms, *name) for name, (_, forget_ms) in self._ended.items()]
            heapq.heapify(self._due)

    def _drop(self, name: Name) -> None:
        """Let go of a record, as if it had never come."""
        key, public_key = name
        held = self._by_key[key].pop(public_key)
        if not self._by_key[key]:
            del self._by_key[key]
        if held.group is not None:
            self._branches.remove(name, held.group)
        self._count -= 1

    def _make_room(self, name: Name, group: str | None) -> bool:
        """Whether there is room for a new record, once whoever crowds the key, or the store, has made some."""
        holders = self._by_key.get(name[0], {})
        in_group = Counter(held.group for held in holders.values())[group]
        if group is not None and in_group >= self._config.max_records_per_group:
            return False
        if len(holders) >= self._config.max_records_per_key:
            among: Branches[Name] = Branches()
            for public_key, held in holders.items():
                if held.group is not None:
                    among.add((name[0], public_key), held.group)
            return self._evict_for(name, group, among)
        return self._count < self._config.max_records or self._evict_for(name, group, self._branches)

    def _evict_for(self, name: Name, group: str | None, among: Branches[Name]) -> bool:
        """Drop the record whose turn it is, the newcomer counted in; False where it is the newcomer's own."""
        if group is not None:
            among.add(name, group)
        victim = among.youngest_of_most_crowded()
        if group is not None:
            among.remove(name, group)
        if victim is None or victim == name:
            return False
        self._drop(victim)
        return True
