"""What a registry serves: records that their publishers handed in, and what the DHT answers for a key."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace

from crypto.identity import did_key
from dht.config import DhtConfig
from dht.contacts import address_group
from dht.errors import RemoteDhtError
from dht.records import Record, open_record
from dht.storage import Outcome, RecordStore
from node.registry.config import RegistryConfig
from node.registry.forms import MAX_PAGE_RECORDS, RecordsPage, encode_record

PAGE_BYTES: Final = MAX_PAGE_RECORDS * 1024
LOOK_TIMEOUT_S: Final = 2.0
MAX_LOOKS_AT_ONCE: Final = 8
"""Look-ups in the DHT for others; beyond that, what is held is served, and claims nothing newer."""
MAX_REMEMBERED: Final = 4_096
"""Keys of which it is known when they were looked up, and publishers by what they handed in."""

Find = Callable[[bytes, float], Awaitable[list[Record] | None]]


class Shelf:
    """Bounded, fresh, verified. It keeps nothing over a restart: publishers hand in again, and the DHT is there."""

    def __init__(
        self,
        public_key: bytes,
        network: str,
        config: RegistryConfig,
        *,
        find: Find,
        unix_ms: Callable[[], int],
    ) -> None:
        """`find(key, timeout_s)`: what the DHT holds under a key; None where this node knows nobody to ask."""
        self._did = did_key(public_key)
        self._network = network
        self._config = config
        self._find = find
        self._unix_ms = unix_ms
        self._store = RecordStore(
            replace(DhtConfig(), max_records=config.max_records, max_records_per_key=config.max_records_per_key)
        )
        self._looked_ms: OrderedDict[bytes, int] = OrderedDict()
        self._looking: dict[bytes, asyncio.Task[None]] = {}
        self._keys_of: OrderedDict[bytes, set[bytes]] = OrderedDict()
        """By publisher."""

    def __len__(self) -> int:
        return len(self._store)

    @property
    def publishers(self) -> int:
        """How many handed something in lately."""
        return len(self._keys_of)

    def take(self, raw: bytes, host: str) -> str:
        """Keep a record that came from `host`; what became of it, in a word, with the reason where it is refused."""
        now = self._unix_ms()
        try:
            record = open_record(raw, now)
        except RemoteDhtError as error:
            return f"refused: {error.text}"[:300]
        outcome = self._store.put(record, address_group(host, limit_private=False), now)
        if outcome is Outcome.STORED:
            self._index(record)
        return outcome.name.lower()

    async def page(self, key: bytes, after: bytes | None) -> RecordsPage:
        """Records under `key`; the first page looks them up in the DHT, unless that was done a moment ago."""
        if after is None:
            await self._look(key)
        found = self._store.page(key, after or bytes(len(key)), PAGE_BYTES, 0, self._unix_ms())
        records = found.records[:MAX_PAGE_RECORDS]
        positions = [record.publisher_id for record in records]
        # A page follows the ring: it is the last where it comes round to where the first began.
        start = after or bytes(len(key))
        whole = [one for one in positions if after is None or one > start]
        kept = records[: len(whole)]
        is_last = len(whole) < len(records) or len(records) == found.total or not kept
        return RecordsPage(
            registry=self._did,
            network=self._network,
            key=key.hex(),
            looked_unix_ms=self._looked_ms.get(key, 0),
            total=found.total,
            records=tuple(encode_record(record) for record in kept),
            next=None if is_last else kept[-1].publisher_id.hex(),
        )

    def of(self, public_key: bytes) -> list[Record]:
        """The living records of one publisher that this registry has come across."""
        now = self._unix_ms()
        return [
            record
            for key in sorted(self._keys_of.get(public_key, ()))
            for record in self._store.find(key, now)
            if record.public_key == public_key and not record.is_withdrawal
        ]

    async def _look(self, key: bytes) -> None:
        now = self._unix_ms()
        if now - self._looked_ms.get(key, 0) < self._config.look_s * 1000:
            return
        looking = self._looking.get(key)
        if looking is None:
            if len(self._looking) >= MAX_LOOKS_AT_ONCE:
                return
            looking = self._looking[key] = asyncio.create_task(self._take_from_dht(key))
            looking.add_done_callback(lambda _: self._looking.pop(key, None))
        # Whoever asked first may leave: the others still get what it looked for.
        await asyncio.wait([looking], timeout=2 * LOOK_TIMEOUT_S)

    async def _take_from_dht(self, key: bytes) -> None:
        began = self._unix_ms()
        found = await self._find(key, LOOK_TIMEOUT_S)
        if found is None:
            return
        for record in found:
            if self._store.put(record, None, self._unix_ms()) is Outcome.STORED:
                self._index(record)
        self._looked_ms[key] = began
        self._looked_ms.move_to_end(key)
        if len(self._looked_ms) > MAX_REMEMBERED:
            self._looked_ms.popitem(last=False)

    def _index(self, record: Record) -> None:
        self._keys_of.setdefault(record.public_key, set()).add(record.key)
        self._keys_of.move_to_end(record.public_key)
        if len(self._keys_of) > MAX_REMEMBERED:
            self._keys_of.popitem(last=False)
