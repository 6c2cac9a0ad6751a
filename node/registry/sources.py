"""Where sellers are looked for: the DHT, then registries, then what was found before, then the local network.

Each source is asked only where those before it knew nobody: a registry learns what is looked for, and what was found
before may be gone, or outweighed by a withdrawal that the others show. Every record is verified whoever shows it, and
the answer says who that was.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from dht.errors import RemoteDhtError
from dht.preference import Preference
from dht.records import Record, decode_record, open_record
from dht.service import Discovery
from node.background import Background
from node.env import Env
from node.registry.announcer import Announcer
from node.registry.config import RegistryConfig
from node.registry.forms import RegistryError
from node.registry.hiding import Sights, Tally, hidden
from node.registry.lan import Neighbours
from node.registry.remote import Listed, Registry
from node.store.found import FoundRecords

log = structlog.get_logger()

DHT = "DHT"
CACHE = "cache"
LAN = "local network"
DHT_SHARE = 0.5
"""Of the time for a look-up, where somebody else can be asked after the DHT."""
MAX_COMPARED = 4_096
"""Keys of which it is remembered when they were compared last, and records that are known to be kept."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look-up gave: living, verified records, best first."""

    records: tuple[Record, ...]
    answered: str = ""
    """Who: `DHT`, `registry HOST:PORT`, `cache`, `local network`; several with commas between. Empty: nobody knew."""
    shown_by: Mapping[bytes, str] | None = None
    """Of records by several sources: who showed which, by publisher."""

    def source(self, record: Record) -> str:
        """Who showed this record."""
        return self.answered if self.shown_by is None else self.shown_by[record.public_key]


NOBODY = Looked(())


class Sources:
    """Finds what others publish wherever it can, and publishes what this node offers."""

    def __init__(
        self,
        *,
        preference: Preference,
        discovery: Discovery,
        registries: Sequence[Registry],
        announcer: Announcer,
        neighbours: Neighbours | None,
        found: FoundRecords,
        config: RegistryConfig,
        env: Env,
        in_background: Background,
    ) -> None:
        self._preference = preference
        self._dht = discovery
        self._registries = tuple(registries)
        self._announcer = announcer
        self._neighbours = neighbours
        self._found = found
        self._config = config
        self._env = env
        self._in_background = in_background
        self.tallies: dict[str, Tally] = announcer.tallies
        """By registry: what became of asking it."""
        self._sights = Sights()
        self._compared_ms: OrderedDict[bytes, int] = OrderedDict()
        self._kept: OrderedDict[tuple[bytes, bytes], int] = OrderedDict()
        """The seq of what is in the cache already."""

    # --- finding

    async def look(self, key: bytes, *, timeout_s: float, thorough: bool = False) -> Looked:
        """Who is published under `key`, by the first source that knows anybody; nobody where no source answers.

        `thorough`: see `Discovery.find`; and whom the DHT showed within the hour is not hidden by whom it shows now.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout_s
        has_others = bool(self._registries or self._neighbours)
        dht_s = timeout_s * DHT_SHARE if has_others else timeout_s
        found = await self._dht.find(key, timeout_s=dht_s, thorough=thorough, withdrawn=True)
        if records := [record for record in found if not record.is_withdrawal]:
            self._sights.saw(key, {record.public_key for record in records}, self._env.unix_ms())
            self._remember(found)
            self._compare(key, records)
            told = {record.public_key for record in found}
            missing = self._living(await self._recalled(key, but=told)) if thorough else []
            shown_by = {one.public_key: source for source, by in ((DHT, records), (CACHE, missing)) for one in by}
            return Looked((*records, *missing), f"{DHT}, {CACHE}" if missing else DHT, shown_by)
        by_registry, shown = await self._ask_registries(key, ends - loop.time())
        self._remember((*found, *shown))
        if by_registry.records:
            return by_registry
        kept = self._outweighed(await self._recalled(key), (*found, *shown))
        if kept:
            return Looked(tuple(kept), CACHE)
        if self._neighbours is not None and await self._neighbours.met_another(max(0.0, ends - loop.time())):
            records = await self._dht.find(key, timeout_s=max(0.0, ends - loop.time()), thorough=thorough)
            return Looked(tuple(records), LAN if records else "")
        return NOBODY

    async def _ask_registries(self, key: bytes, timeout_s: float) -> tuple[Looked, tuple[Record, ...]]:
        """What they know together; and the newest record of each publisher, withdrawals among them."""
        answers = await asyncio.gather(*(self._listed(one, key, timeout_s) for one in self._registries))
        best: dict[bytes, Record] = {}
        shown_by: dict[bytes, str] = {}
        for registry, listed in zip(self._registries, answers, strict=True):
            for record in listed.records if listed else ():
                if record.public_key not in best or record.seq > best[record.public_key].seq:
                    best[record.public_key] = record
                    shown_by[record.public_key] = f"registry {registry.address}"
        records = self._living(best.values())
        who = dict.fromkeys(shown_by[record.public_key] for record in records)
        return Looked(tuple(records), ", ".join(who), shown_by), tuple(best.values())

    async def _listed(self, registry: Registry, key: bytes, timeout_s: float) -> Listed | None:
        tally = self.tallies[registry.address]
        try:
            listed = await registry.records(key, timeout_s=max(0.05, timeout_s))
        except RegistryError as error:
            tally.failures, tally.problem = tally.failures + 1, str(error)
            log.info("registry.no_answer", registry=registry.address, error=str(error))
            return None
        tally.answers, tally.problem = tally.answers + 1, ""
        tally.refused += listed.refused
        return listed

    def _living(self, records: Iterable[Record]) -> list[Record]:
        living = [record for record in records if not record.is_withdrawal]
        return sorted(living, key=lambda record: self._preference.rank(record.public_key))

    def _outweighed(self, kept: Iterable[Record], newer: Iterable[Record]) -> list[Record]:
        """What of those kept is still on offer, for all that `newer` says."""
        latest = {one.public_key: one.seq for one in newer}
        return self._living(one for one in kept if one.seq >= latest.get(one.public_key, 0))

    # --- what was found before

    async def _recalled(self, key: bytes, *, but: Collection[bytes] = ()) -> list[Record]:
        """What is kept under `key`, leaving out these publishers."""
        now, records = self._env.unix_ms(), []
        for raw in await self._found.recall(key, now):
            try:
                if decode_record(raw).public_key not in but:
                    records.append(open_record(raw, now))
            except RemoteDhtError as error:
                log.info("cache.ignored", error=str(error))
        return records

    def _remember(self, records: Iterable[Record]) -> None:
        new = [one for one in records if self._kept.get((one.key, one.public_key), -1) < one.seq]
        if not new or not self._config.cached_records:
            return
        for one in new:
            self._kept[one.key, one.public_key] = one.seq
        while len(self._kept) > MAX_COMPARED:
            self._kept.popitem(last=False)
        self._in_background(self._found.remember(new, self._config.cached_records))

    # --- who hides whom

    def _compare(self, key: bytes, records: Sequence[Record]) -> None:
        """Have the registries' answers compared with the DHT's, now and then, while nobody waits for it."""
        now, every_ms = self._env.unix_ms(), round(self._config.compare_s * 1000)
        if not self._registries or not every_ms or now - self._compared_ms.get(key, now - every_ms) < every_ms:
            return
        self._compared_ms[key] = now
        self._compared_ms.move_to_end(key)
        if len(self._compared_ms) > MAX_COMPARED:
            self._compared_ms.popitem(last=False)
        self._in_background(self.compare(key, {record.public_key for record in records}))

    async def compare(self, key: bytes, fresh: set[bytes]) -> None:
        """Ask every registry for `key` and count which of the `fresh` publishers it hides."""
        for registry in self._registries:
            listed = await self._listed(registry, key, self._config.timeout_s)
            if listed is None or not listed.looked_unix_ms or not listed.is_whole:
                continue
            tally = self.tallies[registry.address]
            shown = {record.public_key for record in listed.records}
            missing = hidden(self._sights, key, fresh, shown, listed.looked_unix_ms)
            tally.compared += len(missing) + len(fresh & shown)
            tally.hidden += len(missing)
            if missing:
                tally.last_hidden = min(missing)
                log.warning("registry.hides", registry=registry.address, key=key.hex()[:8], hidden=len(missing))

    # --- publishing

    async def publish(self, key: bytes, body: bytes) -> int:
        """Publish in the DHT, and at the registries as soon as they answer; how many nodes of the DHT hold it now."""
        held = await self._dht.publish(key, body)
        self._announcer.changed()
        return held

    async def withdraw(self, key: bytes) -> None:
        """Stop publishing under `key`, everywhere."""
        await self._dht.withdraw(key)
        self._announcer.changed()

    def holders(self, key: bytes) -> int:
        """See `Publishing.holders`."""
        return self._dht.holders(key)

    # --- its own life

    async def open(self) -> None:
        """Listen to the local network, where the owner wants that; ExtraMissingError where the package is missing."""
        if self._neighbours is not None:
            await self._neighbours.open()

    async def run(self) -> None:
        """Keep the registries told, until cancelled."""
        await self._announcer.run()

    async def stop(self) -> None:
        """Take this node's records back, as far as that takes no time, and close every connection."""
        await self._announcer.farewell()
        if self._neighbours is not None:
            await self._neighbours.close()
        for registry in self._registries:
            await registry.close()
