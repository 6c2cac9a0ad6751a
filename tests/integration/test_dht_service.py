"""Discovery on real loopback sockets."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import Address, ContactEvent
from dht.ids import skill_key
from dht.service import KademliaDiscovery

NETWORK = "test"
DEADLINE_S = 8.0


def make_node(
    seed: int,
    network: str = NETWORK,
    config: DhtConfig | None = None,
    on_contact: Callable[[ContactEvent], None] | None = None,
) -> KademliaDiscovery:
    return KademliaDiscovery(
        Identity(bytes([seed]) * 32),
        network,
        config or DhtConfig(),
        unix_ms=lambda: time.time_ns() // 1_000_000,
        rng=random.Random(seed),
        entropy=os.urandom,
        on_contact=on_contact,
    )


async def until(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  the condition is another node's state, which has no event
            await asyncio.sleep(0.01)
    assert condition(), what


@asynccontextmanager
async def network(size: int) -> AsyncIterator[tuple[list[KademliaDiscovery], list[Address]]]:
    """`size` nodes on loopback, all bootstrapped through the first."""
    nodes = [make_node(seed) for seed in range(1, size + 1)]
    try:
        addresses = await nodes[0].start([("127.0.0.1", 0)])
        for node in nodes[1:]:
            node.add_bootstrap(addresses[:1])
            addresses += await node.start([("127.0.0.1", 0)])
        yield nodes, addresses
    finally:
        for node in nodes:
            await node.stop()


async def test_five_nodes_meet_through_one_bootstrap_address() -> None:
    start_s = time.monotonic()
    async with network(5) as (nodes, _):
        await until(lambda: all(len(node.contacts()) == 4 for node in nodes), "all know all")
        print("met after", time.monotonic() - start_s)


async def test_what_one_publishes_all_find() -> None:
    async with network(5) as (nodes, _):
        await until(lambda: all(len(node.contacts()) == 4 for node in nodes), "all know all")
        key = skill_key(NETWORK, "risk")
        assert await nodes[1].publish(key, b"seller 1") == 4
        for node in nodes:
            found = await node.find(key, timeout_s=2)
            assert [record.body for record in found] == [b"seller 1"]
