"""A DHT of many nodes in virtual time: each on a host of its own, all from one seed."""

import asyncio
import random
import time
from dataclasses import dataclass, field

from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import Address, ContactEvent
from dht.service import KademliaDiscovery
from tests.harness.simloop import SimLoop

NETWORK = "sim"
PORT = 4_000


@dataclass(slots=True)
class World:
    """The nodes by their number; `dead` are unplugged, the others live."""

    loop: SimLoop
    seed: int
    config: DhtConfig = field(default_factory=DhtConfig)
    nodes: dict[int, KademliaDiscovery] = field(default_factory=dict)
    dead: set[int] = field(default_factory=set)
    events: list[tuple[int, ContactEvent]] = field(default_factory=list)

    def make(self, number: int, network: str = NETWORK) -> KademliaDiscovery:
        """A node with its own seeded key, randomness and entropy; not started."""
        rng = random.Random(f"{self.seed}/{number}")
        node = KademliaDiscovery(
            identity(self.seed, number),
            network,
            self.config,
            unix_ms=self.loop.unix_ms,
            rng=rng,
            entropy=rng.randbytes,
            on_contact=lambda event: self.events.append((number, event)),
        )
        self.nodes[number] = node
        return node

    async def grow(self, count: int, pause_s: float = 0.2) -> None:
        """Start `count` more nodes, one after the other, each through a random earlier one."""
        chooser = random.Random(f"{self.seed}/grow")
        for number in range(len(self.nodes), len(self.nodes) + count):
            node = self.make(number)
            if number:
                node.add_bootstrap([address(chooser.randrange(number))])
            await node.start([address(number)])
            await asyncio.sleep(pause_s)

    def kill(self, number: int) -> None:
        """Cut the node off without a goodbye."""
        self.loop.network.unplugged.add(address(number)[0])
        self.dead.add(number)

    def living(self) -> list[int]:
        """Numbers of the nodes that are not dead."""
        return [number for number in self.nodes if number not in self.dead]

    async def stop(self) -> None:
        """Stop every node."""
        for node in self.nodes.values():
            await node.stop()


def identity(seed: int, number: int) -> Identity:
    """The key of node `number`."""
    return Identity(random.Random(f"{seed}/{number}/key").randbytes(32))


def address(number: int) -> Address:
    """The address of node `number`: a host of its own."""
    return (f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", PORT)


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the sorted values lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def stopwatch() -> float:
    """Real seconds, for reports only."""
    return time.perf_counter()
