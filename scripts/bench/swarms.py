"""Many DHT nodes on one event loop, ours or those of the stock `kademlia` package, behind one interface."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Protocol, cast

import kademlia.routing
import kademlia.storage
from kademlia.network import Server

import dht.datagram
import dht.records
from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import Address
from dht.ids import skill_key
from dht.service import KademliaDiscovery

NETWORK = "bench"
BODY_BYTES = 120
"""About the size of an advert; stock nodes keep values of the same size."""
FIND_TIMEOUT_S = 30.0
RETRY_S = 1.0


class Swarm(Protocol):
    """So many nodes, by number; node n listens at addresses[n]."""

    async def start(self, number: int, through: int | None) -> None:
        """Start node `number` and have it join through another, without waiting until it has."""
        ...

    async def publish(self, number: int, name: str) -> None:
        """Have a node publish something under the name."""
        ...

    async def find(self, number: int, name: str) -> bool:
        """Whether a node finds what was published under the name."""
        ...

    async def stop(self) -> None:
        """Stop all nodes."""
        ...


class Ours:
    """Nodes of dht/."""

    def __init__(
        self, addresses: list[Address], seed: int, unix_ms: Callable[[], int], config: DhtConfig | None = None
    ) -> None:
        self._addresses = addresses
        self._seed = seed
        self._unix_ms = unix_ms
        self._config = config or DhtConfig()
        self.nodes: dict[int, KademliaDiscovery] = {}

    async def start(self, number: int, through: int | None) -> None:
        """Start node `number` and have it join through another, without waiting until it has."""
        rng = random.Random(f"{self._seed}/{number}")
        node = KademliaDiscovery(
            Identity(rng.randbytes(32)), NETWORK, self._config, unix_ms=self._unix_ms, rng=rng, entropy=rng.randbytes
        )
        if through is not None:
            node.add_bootstrap([self._addresses[through]])
        await node.start([self._addresses[number]])
        self.nodes[number] = node

    async def publish(self, number: int, name: str) -> None:
        """Have a node publish something under the name."""
        await self.nodes[number].publish(skill_key(NETWORK, name), name.encode().ljust(BODY_BYTES))

    async def find(self, number: int, name: str) -> bool:
        """Whether a node finds what was published under the name."""
        found = await self.nodes[number].find(skill_key(NETWORK, name), timeout_s=FIND_TIMEOUT_S)
        return [record.body.split()[0] for record in found] == [name.encode()]

    async def stop(self) -> None:
        """Stop all nodes."""
        await asyncio.gather(*(node.stop() for node in self.nodes.values()))


class Stock:
    """Nodes of kademlia 2.2.3 with the settings that it is shipped with, but joining until they have joined."""

    def __init__(self, addresses: list[Address], seed: int) -> None:
        self._addresses = addresses
        self._nodes: dict[int, Server] = {}
        self._joining: list[asyncio.Task[None]] = []
        logging.disable()  # It warns of every datagram that is lost.
        random.seed(seed)  # It takes its ids from the global generator.

    async def start(self, number: int, through: int | None) -> None:
        """Start node `number` and have it join through another, without waiting until it has."""
        node = Server()
        host, port = self._addresses[number]
        await node.listen(port, interface=host)
        self._nodes[number] = node
        if through is not None:
            self._joining.append(asyncio.create_task(self._join(node, self._addresses[through])))

    async def _join(self, node: Server, through: Address) -> None:
        """Bootstrap until it succeeds, as any application would: the package gives up after one lost datagram."""
        while not await node.bootstrap([through]):
            await asyncio.sleep(RETRY_S)

    async def publish(self, number: int, name: str) -> None:
        """Have a node publish something under the name."""
        await self._nodes[number].set(name, name.ljust(BODY_BYTES))

    async def find(self, number: int, name: str) -> bool:
        """Whether a node finds what was published under the name."""
        return cast(str | None, await self._nodes[number].get(name)) == name.ljust(BODY_BYTES)

    async def stop(self) -> None:
        """Stop all nodes."""
        for node in self._nodes.values():
            node.stop()


def leave_signatures_out() -> None:
    """From here on nothing is signed or checked in this process: half of the work, and none of the virtual time."""
    Identity.sign = lambda self, label, message: bytes(64)  # type: ignore[method-assign]
    dht.datagram.verify = dht.records.verify = lambda *_: True  # type: ignore[attr-defined]


def set_stock_clock(monotonic: Callable[[], float] = time.monotonic) -> None:
    """Have the stock package read this clock: it asks the system's, whatever its event loop says."""
    clock = SimpleNamespace(monotonic=monotonic)
    kademlia.routing.time = kademlia.storage.time = clock
