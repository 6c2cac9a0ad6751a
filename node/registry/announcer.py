"""Keeps what this node's registries show of it equal to what it publishes in the DHT: the same signed records."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from crypto.identity import Identity
from dht.records import Record, sign_record
from node.registry.forms import MAX_PUBLISHED, RegistryError
from node.registry.hiding import Tally
from node.registry.remote import Registry

log = structlog.get_logger()

LOOK_S: Final = 60.0
"""The DHT's publisher signs anew every half hour and tells nobody: a minute later the registries have it too. A
registry that did not answer is tried again after as long."""
WITHDRAWN_MS: Final = 3_600_000
"""A withdrawal must outlive the record that it supersedes: an hour, the life of a record."""
FAREWELL_S: Final = 0.5
TAKEN: Final = ("stored", "outdated")
"""Outdated: it has a newer one of ours already."""


class Announcer:
    """Tells registries. `tallies` is shared with whoever asks them."""

    def __init__(
        self,
        identity: Identity,
        registries: Sequence[Registry],
        *,
        published: Callable[[], Sequence[Record]],
        unix_ms: Callable[[], int],
    ) -> None:
        """`published`: the records that this node keeps published, as last signed."""
        self._identity = identity
        self._registries = tuple(registries)
        self._published = published
        self._unix_ms = unix_ms
        self._changed = asyncio.Event()
        self._told: dict[str, dict[bytes, int]] = {one.address: {} for one in registries}
        """By registry and key, the seq that it keeps."""
        self.tallies: dict[str, Tally] = {one.address: Tally() for one in registries}

    def changed(self) -> None:
        """What is published is not what it was."""
        self._changed.set()

    async def run(self) -> None:
        """Tell them what is new, for ever."""
        while True:
            self._changed.clear()
            await self._tell_all(self._published())
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def farewell(self) -> None:
        """Withdraw everything, from those that answer at once."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._tell_all(())
        except TimeoutError:
            log.info("registry.farewell_given_up")

    async def _tell_all(self, records: Sequence[Record]) -> None:
        await asyncio.gather(*(self._tell(registry, records) for registry in self._registries))

    async def _tell(self, registry: Registry, records: Sequence[Record]) -> None:
        told, tally = self._told[registry.address], self.tallies[registry.address]
        news = [one for one in records if told.get(one.key) != one.seq]
        gone = told.keys() - {one.key for one in records}
        batch = [*news, *(self._withdrawal(key, told[key]) for key in gone)]
        if not batch:
            return
        tally.problem = ""
        # What it takes counts as told at once: were it all sent again where a registry slows us down, the last of very
        # many records would never get there.
        for at in range(0, len(batch), MAX_PUBLISHED):
            sent = batch[at : at + MAX_PUBLISHED]
            try:
                outcomes = await registry.publish(sent)
            except RegistryError as error:
                tally.failures, tally.problem = tally.failures + 1, str(error)
                log.info("registry.not_told", registry=registry.address, error=str(error))
                return
            for record, outcome in zip(sent, outcomes, strict=True):
                if outcome not in TAKEN:
                    tally.problem = f"it does not keep a record of ours: {outcome}"
                elif record.is_withdrawal:
                    del told[record.key]
                else:
                    told[record.key] = record.seq
            tally.kept = len(told)

    def _withdrawal(self, key: bytes, seq: int) -> Record:
        now = self._unix_ms()
        return sign_record(self._identity, key, max(now, seq + 1), now + WITHDRAWN_MS, b"")
