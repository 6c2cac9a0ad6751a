"""A DHT of many nodes in virtual time: each on a host of its own, all from one seed."""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any

from coalesced.sim.loop import SimLoop
from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import Address, ContactEvent
from dht.datagram import (
    Datagram,
    FindNode,
    FindValue,
    Nodes,
    Ping,
    Pong,
    Reply,
    Request,
    Values,
    decode,
    encode,
)
from dht.ids import network_tag
from dht.service import KademliaDiscovery

NETWORK = "sim"
PORT = 4_000
SETTLED_S = 20.0
"""After this long, joining nodes have looked around for the last time."""


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

    async def find(self, number: int, key: bytes, **options: Any) -> list[bytes]:
        """The bodies that node `number` finds, sorted."""
        found = await self.nodes[number].find(key, timeout_s=10, **options)
        return sorted(record.body for record in found)


async def world_of(loop: SimLoop, seed: int, count: int, config: DhtConfig | None = None) -> World:
    """A world of `count` nodes that have joined and settled."""
    world = World(loop, seed, config or DhtConfig())
    await world.grow(count)
    await asyncio.sleep(SETTLED_S)
    return world


def identity(seed: int, number: int) -> Identity:
    """The key of node `number`."""
    return Identity(random.Random(f"{seed}/{number}/key").randbytes(32))


def address(number: int) -> Address:
    """The address of node `number`: a host of its own."""
    return (f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", PORT)


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the sorted values lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Sink(asyncio.DatagramProtocol):
    """Counts what reaches an address and answers nothing."""

    def __init__(self) -> None:
        self.bytes = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Count it."""
        self.bytes += len(data)


class RawPeer(asyncio.DatagramProtocol):
    """A peer that speaks the wire form but obeys no rule: sends any one request and reads the answer."""

    def __init__(self, loop: SimLoop, key: Identity) -> None:
        self._loop = loop
        self._key = key
        self._answers: asyncio.Queue[Datagram] = asyncio.Queue()
        self._count = 0

    @classmethod
    async def bind(cls, loop: SimLoop, key: Identity, number: int) -> "RawPeer":
        """A peer at the address of node `number`."""
        peer = cls(loop, key)
        await loop.create_datagram_endpoint(lambda: peer, address(number))
        return peer

    def connection_made(self, transport: Any) -> None:
        """Keep the socket."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Keep answers; pings that check this peer go unanswered."""
        datagram = decode(data, network_tag(NETWORK))
        if not isinstance(datagram.body, Ping):
            self._answers.put_nowait(datagram)

    async def ask(self, recipient: int, recipient_id: bytes, body: Request) -> Any:
        """Send a request to node `recipient`; gives the body of its answer."""
        self._count += 1
        request_id = self._count.to_bytes(16, "big")
        raw = encode(self._key, network_tag(NETWORK), recipient_id, request_id, self._loop.unix_ms(), body)
        self._transport.sendto(raw, address(recipient))
        async with asyncio.timeout(5):
            return (await self._answers.get()).body


class Liar(asyncio.DatagramProtocol):
    """A well-mannered node that answers every search with the same records, whatever they are."""

    def __init__(self, loop: SimLoop, key: Identity, records: tuple[bytes, ...]) -> None:
        self._loop = loop
        self._key = key
        self._records = records

    def connection_made(self, transport: Any) -> None:
        """Keep the socket."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer."""
        request = decode(data, network_tag(NETWORK))
        token = bytes(8)
        match request.body:
            case Ping():
                body: Reply = Pong(*addr)
            case FindNode():
                body = Nodes(token, ())
            case FindValue():
                body = Values(token, len(self._records), self._records, ())
            case _:
                return
        tag, now_ms = network_tag(NETWORK), self._loop.unix_ms()
        answer = encode(self._key, tag, request.sender_id, request.request_id, now_ms, body)
        self._transport.sendto(answer, addr)


def forged(loop: SimLoop, rng: random.Random, body: Request, recipient_id: bytes) -> bytes:
    """A well-signed request by a key made up for it."""
    stranger = Identity(rng.randbytes(32))
    return encode(stranger, network_tag(NETWORK), recipient_id, rng.randbytes(16), loop.unix_ms(), body)
