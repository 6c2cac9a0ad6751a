"""Discovery on real loopback sockets."""

import asyncio
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import Address, ContactEvent
from dht.errors import LocalDhtError
from dht.ids import skill_key
from dht.service import KademliaDiscovery

NETWORK = "test"
DEADLINE_S = 60.0


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
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110  the condition is another node's state, which has no event
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"not within {DEADLINE_S:g} s: {what}")


async def finds(node: KademliaDiscovery, key: bytes, *bodies: bytes) -> None:
    """It finds these and no others, if need be on looking again: one look-up may miss a holder that was too slow."""
    ends_s = time.monotonic() + DEADLINE_S
    while True:
        found = sorted(record.body for record in await node.find(key, timeout_s=DEADLINE_S))
        if found == sorted(bodies) or time.monotonic() > ends_s:
            break
        await asyncio.sleep(0.05)
    assert found == sorted(bodies)


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


async def meeting(nodes: list[KademliaDiscovery]) -> None:
    """Wait until every node knows every other."""
    await until(lambda: all(len(node.contacts()) == len(nodes) - 1 for node in nodes), "all know all")


async def test_five_nodes_meet_through_one_bootstrap_address() -> None:
    async with network(5) as (nodes, addresses):
        await meeting(nodes)
        seen = {contact.port for contact in nodes[4].contacts()}
        assert seen == {port for _, port in addresses[:4]}
        assert all(contact.rtt_s is not None for contact in nodes[4].contacts())
        assert nodes[4].observed_address() == addresses[4]


async def test_what_one_publishes_all_find_until_it_is_withdrawn() -> None:
    async with network(5) as (nodes, _):
        await meeting(nodes)
        key = skill_key(NETWORK, "risk")
        # Four hold each, less who was too slow for the last retry.
        assert await nodes[1].publish(key, b"seller 1")
        assert await nodes[2].publish(key, b"seller 2")
        for node in nodes:
            await finds(node, key, b"seller 1", b"seller 2")
        await nodes[1].withdraw(key)
        for node in nodes:
            await finds(node, key, b"seller 2")


async def test_what_was_published_alone_is_found_by_those_who_join_later() -> None:
    first, second = make_node(1), make_node(2)
    try:
        addresses = await first.start([("127.0.0.1", 0)])
        key = skill_key(NETWORK, "risk")
        assert await first.publish(key, b"x") == 0
        await finds(first, key, b"x")
        second.add_bootstrap(addresses)
        await second.start([("127.0.0.1", 0)])
        await meeting([first, second])
        await finds(second, key, b"x")
    finally:
        await second.stop()
        await first.stop()


async def test_a_node_that_leaves_takes_its_adverts_with_it() -> None:
    async with network(3) as (nodes, _):
        await meeting(nodes)
        key = skill_key(NETWORK, "risk")
        await nodes[1].publish(key, b"x")
        await nodes[1].stop()
        await finds(nodes[2], key)


async def test_two_networks_on_one_host_ignore_each_other() -> None:
    ours, theirs = make_node(1), make_node(2, network="other")
    try:
        addresses = await ours.start([("127.0.0.1", 0)])
        theirs.add_bootstrap(addresses)
        await theirs.start([("127.0.0.1", 0)])
        await until(lambda: ours.stats.dropped["wrong_network"] >= 2, "the stranger knocked twice")
        assert ours.contacts() == []
        assert theirs.contacts() == []
        assert ours.stats.sent == 0
    finally:
        await theirs.stop()
        await ours.stop()


async def test_a_node_joins_through_a_host_name_and_survives_dead_and_wrong_addresses() -> None:
    events: list[ContactEvent] = []
    first, second = make_node(1), make_node(2, on_contact=events.append)
    try:
        ((_, port),) = await first.start([("127.0.0.1", 0)])
        own = await second.start([("127.0.0.1", 0)])
        second.add_bootstrap([("127.0.0.1", 1), ("no-such-host.invalid", port), *own, ("localhost", port)])
        await meeting([first, second])
        assert [event.contact.public_key for event in events] == [Identity(bytes([1]) * 32).public_key]
    finally:
        await second.stop()
        await first.stop()


async def test_nodes_meet_over_ipv6_beside_ipv4_on_the_same_port() -> None:
    first, second = make_node(1), make_node(2)
    try:
        ((_, port),) = await first.start([("127.0.0.1", 0)])
        await first.stop()
        first = make_node(1)
        bound = await first.start([("127.0.0.1", port), ("::1", port)])
        assert bound == [("127.0.0.1", port), ("::1", port)]
        second.add_bootstrap([("::1", port)])
        await second.start([("::1", 0)])
        await meeting([first, second])
        assert second.contacts()[0].host == "::1"
    finally:
        await second.stop()
        await first.stop()


async def test_a_taken_port_is_a_clear_error_and_leaves_nothing_open() -> None:
    first, second = make_node(1), make_node(2)
    try:
        ((host, port),) = await first.start([("127.0.0.1", 0)])
        with pytest.raises(LocalDhtError, match=f"{host}:{port}"):
            await second.start([(host, port)])
        assert await second.start([("127.0.0.1", 0)])
        with pytest.raises(LocalDhtError, match="started already"):
            await second.start([("127.0.0.1", 0)])
    finally:
        await second.stop()
        await first.stop()


async def test_a_second_address_of_one_ip_version_is_refused() -> None:
    node = make_node(1)
    with pytest.raises(LocalDhtError, match="one address per IP version"):
        await node.start([("127.0.0.1", 0), ("127.0.0.2", 0)])
    assert await node.start([("127.0.0.1", 0)])
    await node.stop()


@pytest.mark.parametrize(
    "address", [("127.0.0.1", 70_000), ("not an address", 0), ("203.0.113.1", 0), ("2001:db8::1", 0), ("::1", 70_000)]
)
async def test_an_address_that_cannot_be_bound_is_a_clear_error(address: Address) -> None:
    node = make_node(1)
    with pytest.raises(LocalDhtError, match="cannot listen on UDP"):
        await node.start([address])
    await node.stop()


def has_dropped(node: KademliaDiscovery, count: int) -> bool:
    return node.stats.dropped["malformed"] >= count


async def test_bytes_of_any_kind_on_the_port_are_counted_and_ignored() -> None:
    async with network(2) as (nodes, addresses):
        await meeting(nodes)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rng = random.Random(1)
        with sock:
            for count, size in enumerate(range(1, 1401, 7), start=1):
                sock.sendto(rng.randbytes(size), addresses[0])
                if count % 20 == 0:  # More would overflow the socket's buffer, which also drops them.
                    await until(partial(has_dropped, nodes[0], count), "all were counted")
        assert len(nodes[0].contacts()) == 1


async def test_stopping_leaves_no_task_and_frees_the_port() -> None:
    before = asyncio.all_tasks()
    node = make_node(1)
    node.add_bootstrap([("127.0.0.1", 1)])
    addresses = await node.start([("127.0.0.1", 0)])
    await node.publish(skill_key(NETWORK, "risk"), b"x")
    await node.stop()
    await node.stop()
    await node.wait()
    assert asyncio.all_tasks() == before
    again = make_node(1)
    assert await again.start(addresses) == addresses
    await again.stop()


async def test_what_cannot_be_published_is_refused_before_anything_is_sent() -> None:
    node = make_node(1)
    await node.start([("127.0.0.1", 0)])
    try:
        for key, body in ((bytes(19), b"x"), (bytes(20), bytes(513)), (bytes(20), b"")):
            with pytest.raises(LocalDhtError):
                await node.publish(key, body)
        await node.withdraw(bytes(20))
        assert node.stats.sent == 0
    finally:
        await node.stop()
