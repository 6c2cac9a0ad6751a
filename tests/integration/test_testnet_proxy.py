"""The testnet's proxy over real sockets: what passes, what is late, what is lost, and who is recognised."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from coalesced.testnet.manifest import HOST, Manifest, Role, TestnetError, plan, save
from coalesced.testnet.ports import free_ports
from coalesced.testnet.processes import spawn, stop_all
from coalesced.testnet.proxy import orders
from coalesced.testnet.proxy.__main__ import owner_of, serve
from coalesced.testnet.proxy.streams import carry
from coalesced.testnet.proxy.weather import FINE, MAX_LOSSES, Forecast, Link, Order, Weather

LIMIT_S = 60.0


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    ports = free_ports(6)
    roles: tuple[Role, ...] = ("seller", "seller", "buyer")
    made = plan("net", tmp_path, roles=roles, ports=ports[:3], fronts=ports[3:], nonce="0badcafe")
    save(made)
    return made


@asynccontextmanager
async def proxied(manifest: Manifest) -> AsyncIterator[None]:
    serving = asyncio.create_task(serve(manifest, orders.home_of(manifest)))
    try:
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    await orders.ask(manifest, Order())
                    break
                except TestnetError:
                    await asyncio.sleep(0.01)
        yield
    finally:
        serving.cancel()
        await asyncio.wait([serving])


class Inbox(asyncio.DatagramProtocol):
    """A node's socket: keeps what comes, and from where."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.came.put_nowait((data, addr))


@asynccontextmanager
async def sockets(manifest: Manifest) -> AsyncIterator[list[tuple[asyncio.DatagramTransport, Inbox]]]:
    loop = asyncio.get_running_loop()
    made = [await loop.create_datagram_endpoint(Inbox, local_addr=(HOST, node.port)) for node in manifest.nodes]
    try:
        yield made
    finally:
        for transport, _ in made:
            transport.close()


def front(manifest: Manifest, at: int) -> tuple[str, int]:
    port = manifest.nodes[at].front_port
    assert port is not None
    return HOST, port


async def test_datagrams_come_from_the_fronts_and_answers_find_back(manifest: Manifest) -> None:
    async with asyncio.timeout(LIMIT_S), proxied(manifest), sockets(manifest) as [(one, its), (two, others), _]:
        one.sendto(b"hello", front(manifest, 1))
        data, sender = await others.came.get()
        assert (data, sender) == (b"hello", front(manifest, 0))
        two.sendto(b"answer", sender)
        assert await its.came.get() == (b"answer", front(manifest, 1))


async def test_datagrams_of_a_cut_link_are_lost_and_those_of_others_are_not(manifest: Manifest) -> None:
    async with asyncio.timeout(LIMIT_S), proxied(manifest), sockets(manifest) as [(one, _), (_, others), (_, third)]:
        forecast = await orders.cut(manifest, ["n1"], ["n2"])
        assert forecast.link("n2", "n1").is_cut
        assert forecast.link("n1", "n3") == FINE
        one.sendto(b"lost", front(manifest, 1))
        one.sendto(b"passes", front(manifest, 2))
        assert (await third.came.get())[0] == b"passes"
        await orders.heal(manifest)
        one.sendto(b"later", front(manifest, 1))
        assert (await others.came.get())[0] == b"later"


async def test_who_is_no_node_is_not_carried(manifest: Manifest) -> None:
    async with asyncio.timeout(LIMIT_S), proxied(manifest), sockets(manifest) as [(one, _), (_, others), _]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"stranger", front(manifest, 1))
        one.sendto(b"node", front(manifest, 1))
        assert (await others.came.get())[0] == b"node"


async def test_a_delayed_datagram_is_late(manifest: Manifest) -> None:
    async with asyncio.timeout(LIMIT_S), proxied(manifest), sockets(manifest) as [(one, _), (_, others), _]:
        await orders.slow(manifest, [("n1", "n2")], Link(delay_ms=150))
        began = time.monotonic()
        one.sendto(b"late", front(manifest, 1))
        await others.came.get()
        assert time.monotonic() - began >= 0.14


# --- connections


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(handle: Handler) -> AsyncIterator[tuple[str, int]]:
    """Where connections are handled, all of which have ended afterwards."""
    handling: set[asyncio.Task[None]] = set()

    async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handling.add(task)
        try:
            await handle(reader, writer)
        except (asyncio.CancelledError, OSError):
            pass  # the test is over, or the other side
        finally:
            writer.close()

    server = await asyncio.start_server(kept, HOST)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        for task in handling:
            task.cancel()
        if handling:
            await asyncio.wait(handling)


@asynccontextmanager
async def between(weather: Weather, port: int = 0) -> AsyncIterator[tuple[str, int]]:
    """An address that leads from n1 through the weather to an echo of n2, or to another port."""

    async def carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await carry(weather, "n1", "n2", port or there, (reader, writer))

    async with served(echo) as (_, there), served(carried) as address:
        yield address


def cut(weather: Weather) -> Forecast:
    return weather.change(Order(links=((("n1", "n2"), Link(is_cut=True)),)))


async def test_a_connection_passes_in_both_directions_and_ends_at_both_sides() -> None:
    weather = Weather(frozenset({"n1", "n2"}))
    async with asyncio.timeout(LIMIT_S), between(weather) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x" * 300_000)
        assert await reader.readexactly(300_000) == b"x" * 300_000
        writer.close()
        assert await ended(reader)


async def test_what_a_cut_holds_back_arrives_in_order_when_it_heals() -> None:
    weather = Weather(frozenset({"n1", "n2"}))
    async with asyncio.timeout(LIMIT_S), between(weather) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"before ")
        assert await reader.readexactly(7) == b"before "
        cut(weather)
        writer.write(b"during ")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await reader.readexactly(1)
        weather.change(Order(heals=True))
        writer.write(b"after")
        assert await reader.readexactly(12) == b"during after"
        writer.close()


async def test_who_gives_up_before_a_cut_heals_was_never_heard_of_at_the_other_side() -> None:
    weather = Weather(frozenset({"n1", "n2"}))
    cut(weather)
    async with asyncio.timeout(LIMIT_S), between(weather) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write_eof()
        assert await ended(reader)
        writer.close()


async def test_a_node_that_is_down_ends_the_connection() -> None:
    (port,) = free_ports(1)
    async with asyncio.timeout(LIMIT_S), between(Weather(frozenset({"n1", "n2"})), port) as address:
        reader, writer = await asyncio.open_connection(*address)
        assert await ended(reader)
        writer.close()


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


def test_losses_stall_a_connection_longer_and_longer_and_break_it_in_the_end() -> None:
    rng = Random(1)
    assert Link().stall_s(rng) == 0
    assert Link(loss_percent=100).stall_s(rng) is None
    stalls = {Link(loss_percent=50).stall_s(rng) for _ in range(2000)}
    doubled = {0.2 * float(2**losses - 1) for losses in range(MAX_LOSSES)}
    assert stalls == {*doubled, None}


# --- orders


async def test_one_group_alone_is_cut_from_all_others_and_what_is_cut_stays_so_when_it_becomes_slow(
    manifest: Manifest,
) -> None:
    async with asyncio.timeout(LIMIT_S), proxied(manifest):
        forecast = await orders.cut(manifest, ["n3"])
        assert [pair for pair, _ in forecast.links] == [("n1", "n3"), ("n2", "n3")]
        forecast = await orders.slow(manifest, [("n1", "n3")], Link(delay_ms=5))
        assert forecast.link("n3", "n1") == Link(delay_ms=5, is_cut=True)
        assert (await orders.heal(manifest)).links == ()


async def test_orders_about_nobody_and_nonsense_are_refused(manifest: Manifest) -> None:
    async with asyncio.timeout(LIMIT_S), proxied(manifest):
        with pytest.raises(TestnetError, match="no such node: n9"):
            await orders.cut(manifest, ["n1"], ["n9"])
        with pytest.raises(TestnetError, match="n1 has no link to itself"):
            await orders.slow(manifest, [("n1", "n1")], FINE)
        reader, writer = await asyncio.open_unix_connection(orders.home_of(manifest) / "control.sock")
        writer.write(b"rain\n")
        assert b"not understood" in await reader.read()
        writer.close()


async def test_without_a_proxy_orders_say_how_to_get_one(tmp_path: Path) -> None:
    bare = plan("net", tmp_path, roles=("both",), ports=(30_000,), nonce="0badcafe")
    with pytest.raises(TestnetError, match="started with --no-proxy"):
        await orders.heal(bare)


# --- whose


CALLER = """
import socket, sys, time
made = socket.create_connection(("127.0.0.1", int(sys.argv[-1])))
made.recv(1)
"""


@pytest.fixture
def caller(manifest: Manifest) -> Iterator[int]:
    """The port from which a process of n2 has called."""
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        home = manifest.home(manifest.nodes[1])
        child: subprocess.Popen[bytes] = spawn(
            home, [sys.executable, "-c", CALLER, "start", "--home", str(home), str(port)], environment={}
        )
        server.settimeout(LIMIT_S)
        connection, address = server.accept()
        with connection:
            yield address[1]
        stop_all([home], grace_s=1)
        child.wait(timeout=LIMIT_S)


def test_a_connection_is_known_by_the_process_that_opened_it(manifest: Manifest, caller: int) -> None:
    assert owner_of(manifest, caller) == "n2"
    assert owner_of(manifest, free_ports(1)[0]) is None
