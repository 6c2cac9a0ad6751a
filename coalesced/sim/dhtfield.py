"""A DHT among strangers in virtual time: honest nodes, each in an address group of its own, and what attacks them.

The attackers keep every rule of the wire form, so that they are admitted as contacts, and lie in what they answer:
whoever asks is named other attackers only, nobody is given a record, and what is to be stored is accepted and dropped.
Some answer to nothing but pings, and some name nodes that they make up, so that whoever asks waits for nobody.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Literal

from coalesced.sim.loop import SimLoop
from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import Address, NodeAddress, nearest
from dht.datagram import FindNode, FindValue, Nodes, Ping, Pong, Reply, Request, Store, Stored, Values, decode, encode
from dht.errors import RemoteDhtError
from dht.ids import ID_BYTES, network_tag
from dht.records import sign_record
from dht.service import KademliaDiscovery
from dht.storage import Outcome
from node.outsource.config import ClientConfig

Conduct = Literal["polite", "silent", "inventing"]
"""Of attackers: they name each other; they answer to pings alone; they name each other and as many made-up nodes."""

NETWORK = "field"
PORT = 4_000
JOIN_PAUSE_S = 0.2
SETTLED_S = 20.0
MAX_NAMED = 20
FIND_S = ClientConfig().find_timeout_s
"""What a buyer has for a look-up."""
MADE_UP = 100_000
"""Addresses beyond those of attackers, where nobody is."""
SHARED_BYTES = 8
"""Leading bytes that a made-up id has in common with what is looked for: no honest id comes as near."""
FIRST_BRANCHES = tuple(number for number in range(11, 224) if number not in (127, 169, 172, 192))
"""First bytes of addresses that are nobody's private range."""


def honest_address(number: int) -> Address:
    """The address of an honest node: in a /24 of its own, spread over all /8s."""
    branch = FIRST_BRANCHES[number % len(FIRST_BRANCHES)]
    return (f"{branch}.{number * 7 % 251}.{number // len(FIRST_BRANCHES) % 251}.1", PORT)


def hostile_address(number: int, branches: int = len(FIRST_BRANCHES)) -> Address:
    """The address of an attacker: each in a /24 of its own, in so many /8s."""
    return (f"{FIRST_BRANCHES[number % branches]}.{number // branches % 256}.{number // branches // 256}.9", PORT)


class Field:
    """Honest nodes and attackers of one network."""

    def __init__(self, loop: SimLoop, seed: int, config: DhtConfig | None = None) -> None:
        self.loop = loop
        self.seed = seed
        self.config = config or DhtConfig()
        self.nodes: list[KademliaDiscovery] = []
        self.sybils: list[Sybil] = []

    async def grow(self, count: int) -> None:
        """Start so many honest nodes, each through a random earlier one, and let them settle."""
        chooser = random.Random(f"{self.seed}/grow")
        for number in range(count):
            node = self.node(number)
            if number:
                node.add_bootstrap([honest_address(chooser.randrange(number))])
            await node.start([honest_address(number)])
            self.nodes.append(node)
            await asyncio.sleep(JOIN_PAUSE_S)
        await asyncio.sleep(SETTLED_S)

    def node(self, number: int) -> KademliaDiscovery:
        """An honest node, not started."""
        rng = random.Random(f"{self.seed}/{number}")
        return KademliaDiscovery(
            honest_identity(self.seed, number),
            NETWORK,
            self.config,
            unix_ms=self.loop.unix_ms,
            rng=rng,
            entropy=rng.randbytes,
        )

    async def infiltrate(self, keys: Sequence[Identity], *, first: int = 0, conduct: Conduct = "polite") -> None:
        """Let attackers with these keys in: each introduces itself to every honest node, and again once all are in."""
        gang = [NodeAddress(key.node_id, *hostile_address(first + number)) for number, key in enumerate(keys)]
        added = [Sybil(self.loop, key, gang, at.address, conduct) for key, at in zip(keys, gang, strict=True)]
        for sybil in added:
            await sybil.open()
        self.sybils += added
        for _ in range(2):
            for number in range(len(self.nodes)):
                for sybil in added:
                    sybil.introduce(honest_address(number))
                await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLED_S)

    async def finds(self, asker: int, key: bytes, *, thorough: bool = True) -> set[bytes]:
        """The bodies that an honest node finds."""
        return {record.body for record in await self.nodes[asker].find(key, timeout_s=FIND_S, thorough=thorough)}


class Sybil(asyncio.DatagramProtocol):
    """One attacker of a gang."""

    def __init__(
        self, loop: SimLoop, key: Identity, gang: Sequence[NodeAddress], address: Address, conduct: Conduct
    ) -> None:
        self._loop = loop
        self._key = key
        self._gang = gang
        self._address = address
        self._conduct = conduct
        self._rng = random.Random(key.public_key)
        self._tag = network_tag(NETWORK)
        self._count = 0
        self._tokens: dict[Address, bytes] = {}

    async def open(self) -> None:
        """Take the address."""
        await self._loop.create_datagram_endpoint(lambda: self, self._address)

    def connection_made(self, transport: Any) -> None:
        """Keep the socket."""
        self._transport = transport

    def introduce(self, to: Address) -> None:
        """Have a node hear of us; it will ping back."""
        self._send(Ping(), bytes(20), to)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Answer what is asked."""
        try:
            request = decode(data, self._tag)
        except RemoteDhtError:
            return
        reply: Reply
        match request.body:
            case Ping():
                reply = Pong(*addr)
            case _ if self._conduct == "silent":
                return
            case FindNode(target):
                reply = Nodes(bytes(8), self._named(target))
            case FindValue(target):
                reply = Values(bytes(8), 0, (), self._named(target))
            case Store():
                reply = Stored(Outcome.STORED, bytes(8), 0)
            case _:
                return
        self._send(reply, request.sender_id, addr, request.request_id)

    def _named(self, target: bytes) -> tuple[NodeAddress, ...]:
        if self._conduct != "inventing":
            return tuple(nearest(self._gang, target, MAX_NAMED))
        friends = self._rng.sample(self._gang, min(MAX_NAMED // 2, len(self._gang)))
        return (*friends, *(self._made_up(target) for _ in range(MAX_NAMED - len(friends))))

    def _made_up(self, target: bytes) -> NodeAddress:
        near = target[:SHARED_BYTES] + self._rng.randbytes(ID_BYTES - SHARED_BYTES)
        return NodeAddress(near, *hostile_address(len(self._gang) + self._rng.randrange(MADE_UP)))

    def _send(self, body: Request | Reply, recipient_id: bytes, to: Address, request_id: bytes | None = None) -> None:
        self._count += 1
        name = request_id or self._count.to_bytes(15, "big") + b"\x01"
        raw = encode(self._key, self._tag, recipient_id, name, self._loop.unix_ms(), body)
        self._transport.sendto(raw, to)


class Spammer(asyncio.DatagramProtocol):
    """Publishes one advert under a key from one address, with a key made up for it, at the nodes it is told."""

    def __init__(self, loop: SimLoop, key: Identity, address: Address, advert_key: bytes) -> None:
        self._loop = loop
        self._key = key
        self._address = address
        self._advert_key = advert_key
        self._tag = network_tag(NETWORK)

    async def flood(self, holders: Sequence[NodeAddress]) -> None:
        """Ask each holder for a write token; what comes back is answered by the store."""
        await self._loop.create_datagram_endpoint(lambda: self, self._address)
        for holder in holders:
            self._send(FindNode(self._advert_key), holder.id, holder.address)

    def connection_made(self, transport: Any) -> None:
        """Keep the socket."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """With a token comes the advert."""
        answer = decode(data, self._tag)
        if isinstance(answer.body, Nodes):
            now_ms = self._loop.unix_ms()
            record = sign_record(self._key, self._advert_key, now_ms, now_ms + 3_600_000, b"spam")
            self._send(Store(answer.body.token, record.raw), answer.sender_id, addr)

    def _send(self, body: Request, recipient_id: bytes, to: Address) -> None:
        raw = encode(self._key, self._tag, recipient_id, bytes(15) + b"\x01", self._loop.unix_ms(), body)
        self._transport.sendto(raw, to)


def honest_identity(seed: int, number: int) -> Identity:
    """The key of an honest node."""
    return Identity(random.Random(f"{seed}/{number}/key").randbytes(32))


def identities(seed: int, name: str, count: int) -> list[Identity]:
    """So many keys as chance gives them."""
    rng = random.Random(f"{seed}/{name}")
    return [Identity(rng.randbytes(32)) for _ in range(count)]


def ground_identities(seed: int, target: bytes, count: int, tries: int) -> list[Identity]:
    """The keys closest to the target of so many that were tried: an attacker's work."""
    at = int.from_bytes(target, "big")
    tried = identities(seed, f"grind/{target.hex()}", tries)
    return sorted(tried, key=lambda key: int.from_bytes(key.node_id, "big") ^ at)[:count]
