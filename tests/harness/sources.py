"""Sources of sellers whose DHT says what a test tells it, with a clock that a test sets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from crypto.identity import Identity
from dht.preference import Preference
from dht.records import Record
from node.background import Background
from node.env import Env
from node.registry.announcer import Announcer
from node.registry.config import RegistryConfig
from node.registry.remote import Registry
from node.registry.sources import Sources
from node.store.blobs import RetentionConfig
from node.store.spending import Caps
from node.store.store import Store
from tests.harness.nodes import NETWORK

NOW = 1_800_000_000_000
ONE = Identity(b"\x51" * 32)


class Dht:
    """What the DHT holds, told."""

    def __init__(self, *records: Record) -> None:
        self.records = list(records)

    async def find(
        self, key: bytes, *, timeout_s: float, thorough: bool = False, withdrawn: bool = False
    ) -> list[Record]:
        return [one for one in self.records if withdrawn or not one.is_withdrawal]

    async def publish(self, key: bytes, body: bytes) -> int:
        return 0

    def holders(self, key: bytes) -> int:
        return 0

    async def withdraw(self, key: bytes) -> None: ...

    def contacts(self) -> list[Any]:
        return []


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@asynccontextmanager
async def sources(dht: Dht, *addresses: str, clock: Clock, **config: Any) -> AsyncIterator[Sources]:
    settings = RegistryConfig(use=addresses, **config)
    registries = [Registry(one, timeout_s=20.0, unix_ms=clock) for one in addresses]
    store = await Store.open(None, ONE, caps=Caps(), retention=RetentionConfig())
    async with asyncio.TaskGroup() as group:
        in_background = Background(group)
        made = Sources(
            preference=Preference(ONE, NETWORK),
            discovery=dht,
            registries=registries,
            announcer=Announcer(ONE, registries, published=lambda: (), unix_ms=clock),
            neighbours=None,
            found=store.found,
            config=settings,
            env=Env(unix_ms=clock),
            in_background=in_background,
        )
        try:
            yield made
        finally:
            await in_background.end(2.0)
            await made.stop()
            await store.close()
