"""The DHT: datagrams and records as bytes, and a live node that gets well-signed nonsense, asked and unasked."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coalesced.sim.loop import START_UNIX_MS, SimLoop
from coalesced.sim.network import Address
from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import NodeAddress
from dht.datagram import (
    _HEAD,
    _LABEL,
    MAX_AMPLIFICATION,
    MAX_DATAGRAM_BYTES,
    OVERHEAD_BYTES,
    Body,
    FindNode,
    FindValue,
    Nodes,
    Ping,
    Pong,
    Store,
    Stored,
    Values,
    decode,
    encode,
)
from dht.errors import RemoteDhtError
from dht.ids import network_tag, skill_key
from dht.records import MIN_RECORD_BYTES, decode_record, open_record, sign_record
from dht.service import KademliaDiscovery
from dht.storage import Outcome
from tests.fuzz.target import Parse, Target, plain
from tests.harness.dhtworld import NETWORK

TAG = network_tag(NETWORK)
NODE = Identity(b"\x10" * 32)
PEERS = [Identity(bytes([0x20 + number]) * 32) for number in range(4)]
KEY = skill_key(NETWORK, "risk")
NODE_ADDRESS: Address = ("10.0.0.1", 4_000)
PEER_ADDRESSES: list[Address] = [(f"10.0.{number}.2", 4_000) for number in range(1, 5)]
SETTLE_S = 3.0
"""Virtual seconds after each input: beyond every time-out of a request."""
_HEAD_BYTES = OVERHEAD_BYTES - 64
REPLY_KINDS = (129, 130, 131, 132)


def parse_datagram(data: bytes) -> None:
    """Any bytes from the socket; what parses must come out the same when it is put together again."""
    datagram = decode(data, TAG)
    assert decode(_signed_as(NODE, data[3], _body_of(data)), TAG).body == datagram.body
    datagram.is_genuine()


def parse_record(data: bytes) -> None:
    """Any bytes in place of a record, and the same bytes signed by the publisher that they name, if we can."""
    for publisher in PEERS:
        if data[20:52] == publisher.public_key:
            opened = open_record(data[:-64] + publisher.sign(b"dht/record", data[:-64]), START_UNIX_MS)
            assert opened.body == data[MIN_RECORD_BYTES - 64 : -64]
    decode_record(data)
    open_record(data, START_UNIX_MS)


def _body_of(raw: bytes) -> bytes:
    size = int.from_bytes(raw[_HEAD_BYTES - 2 : _HEAD_BYTES], "big")
    return raw[_HEAD_BYTES : _HEAD_BYTES + size]


def _signed_as(
    sender: Identity, kind: int, content: bytes, *, request_id: bytes = bytes(16), recipient: bytes = NODE.node_id,
    unix_ms: int = START_UNIX_MS,
) -> bytes:  # fmt: skip
    """A datagram whose head and signature are right, around any content."""
    head = _HEAD.pack(b"cD", 1, kind, TAG, recipient, sender.public_key, request_id, unix_ms, len(content) % 2**16)
    return head + content + sender.sign(_LABEL, head + content)


class Stranger(asyncio.DatagramProtocol):
    """A peer's socket. It keeps the token of the last answer, and answers requests with what it is told to."""

    def __init__(self, identity: Identity, loop: SimLoop) -> None:
        self.identity = identity
        self._loop = loop
        self.token = bytes(8)
        self.received_bytes = 0
        self.reply: tuple[int, bytes] | None = None
        """Kind and content of the next answers; None: silence."""

    def connection_made(self, transport: Any) -> None:
        """Keep the socket."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Learn a token, or answer."""
        self.received_bytes += len(data)
        datagram = decode(data, TAG)
        match datagram.body:
            case Nodes(token) | Values(token) | Stored(_, token):
                self.token = token
            case Ping() | FindNode() | FindValue() | Store() if self.reply is not None:
                self.transport.sendto(self._answer(datagram.request_id, datagram.body), addr)
            case _:
                pass

    def _answer(self, request_id: bytes, asked: Body) -> bytes:
        assert self.reply is not None
        kind, content = self.reply
        if isinstance(asked, Ping) and kind != REPLY_KINDS[0]:
            honest = Pong(*NODE_ADDRESS)
            return encode(self.identity, TAG, NODE.node_id, request_id, self._loop.unix_ms(), honest)
        return _signed_as(self.identity, kind, content, request_id=request_id, unix_ms=self._loop.unix_ms())


class LiveNode:
    """One real node in virtual time, and strangers around it."""

    def __init__(self) -> None:
        self.loop = SimLoop(1)
        self.failures: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.failures.append(context))
        rng = random.Random(1)
        self.node = KademliaDiscovery(
            NODE, NETWORK, DhtConfig(), unix_ms=self.loop.unix_ms, rng=rng, entropy=rng.randbytes
        )
        self.strangers: list[Stranger] = []
        self.run(self._open())

    async def _open(self) -> None:
        await self.node.start([NODE_ADDRESS])
        for identity, where in zip(PEERS, PEER_ADDRESSES, strict=True):
            _, stranger = await self.loop.create_datagram_endpoint(lambda who=identity: Stranger(who, self.loop), where)
            self.strangers.append(stranger)

    def run(self, work: Any) -> Any:
        """Run to its end; whatever a callback raised is raised here."""
        result = self.loop.run_until_complete(work)
        if self.failures:
            error = self.failures.pop().get("exception")
            self.failures.clear()
            raise error if isinstance(error, Exception) else AssertionError("a callback failed")
        return result

    def close(self) -> None:
        """End it."""
        self.run(self.node.stop())
        self.loop.close()


@contextmanager
def request_node() -> Iterator[Parse]:
    """A node that gets requests and unasked answers: first byte who and how, second the kind, then the content."""
    live = LiveNode()

    def parse(data: bytes) -> None:
        how, kind, content = (data + b"\0\0")[0], (data + b"\0\0")[1], data[2:]
        stranger = live.strangers[how % 4]
        raw = content if how & 4 else _request_of(stranger, how, kind, content, live.loop.unix_ms())
        before = stranger.received_bytes
        live.loop.network.carry(raw, PEER_ADDRESSES[how % 4], NODE_ADDRESS)
        live.run(asyncio.sleep(SETTLE_S))
        sent = stranger.received_bytes - before
        assert sent <= MAX_AMPLIFICATION * len(raw), f"{sent} bytes went out for {len(raw)}"
        assert live.node.contacts() == [], "nobody answered a ping"

    try:
        yield parse
    finally:
        live.close()


def _request_of(stranger: Stranger, how: int, kind: int, content: bytes, now_unix_ms: int) -> bytes:
    """The content under a good head; a Store gets a token and a signature that are good where `how` says so."""
    if kind == 4 and how & 8:
        signed = content[8:-64]
        content = stranger.token + signed + stranger.identity.sign(b"dht/record", signed)
    return _signed_as(stranger.identity, kind, content, unix_ms=now_unix_ms)[:MAX_DATAGRAM_BYTES]


@contextmanager
def asking_node() -> Iterator[Parse]:
    """A node whose one contact answers its look-ups with anything: the first byte is the kind, the rest the content."""
    live = LiveNode()
    liar = live.strangers[0]
    liar.reply = (REPLY_KINDS[0], bytes([4]) + bytes(4) + b"\0\1")
    live.node.add_bootstrap([PEER_ADDRESSES[0]])
    live.run(asyncio.sleep(SETTLE_S))
    assert len(live.node.contacts()) == 1

    def parse(data: bytes) -> None:
        liar.reply = (REPLY_KINDS[(data or b"\0")[0] % 4], data[1 : 1 + MAX_DATAGRAM_BYTES - OVERHEAD_BYTES])
        for record in live.run(live.node.find(KEY, timeout_s=2.0)):
            assert open_record(record.raw, live.loop.unix_ms()).key == KEY
        if data[:1] == b"\3":
            live.run(live.node.publish(KEY, b"an advert"))
        liar.reply = (REPLY_KINDS[0], bytes([4]) + bytes(4) + b"\0\1")

    try:
        yield parse
    finally:
        live.close()


def bodies() -> list[Body]:
    """One of every body."""
    nodes = tuple(
        NodeAddress(peer.node_id, host, port) for peer, (host, port) in zip(PEERS, PEER_ADDRESSES, strict=True)
    )
    far = NodeAddress(b"\xee" * 20, "2001:db8::7", 7)
    record = _record(0)
    return [
        Ping(),
        FindNode(KEY),
        FindValue(KEY, bytes(20)),
        Store(bytes(8), record),
        Pong("192.0.2.7", 4_000),
        Nodes(b"\7" * 8, (*nodes, far)),
        Values(b"\7" * 8, 3, (record, _record(1)), nodes[:2]),
        Values(b"\7" * 8, 0, (), (far,)),
        Stored(Outcome.STORED, b"\7" * 8, 5),
    ]


def _record(number: int) -> bytes:
    return sign_record(PEERS[number], KEY, 5 + number, START_UNIX_MS + 3_000_000, b"an advert " * number).raw


def _datagrams() -> Iterator[bytes]:
    for body in bodies():
        yield encode(PEERS[0], TAG, NODE.node_id, b"\1" * 16, START_UNIX_MS, body)


def _records() -> Iterator[bytes]:
    yield from (_record(number) for number in range(3))
    yield sign_record(PEERS[0], KEY, 2**63 - 1, START_UNIX_MS + 1, b"").raw
    yield sign_record(PEERS[1], KEY, 0, START_UNIX_MS - 1, b"x" * 512).raw


def _requests() -> Iterator[bytes]:
    for raw in _datagrams():
        yield bytes([0, raw[3]]) + _body_of(raw)
        yield bytes([4, 0]) + raw
    yield bytes([8, 4]) + bytes(8) + _record(0)
    yield bytes([9, 4]) + bytes(8) + _record(1)
    lookup = encode(PEERS[0], TAG, NODE.node_id, b"\1" * 16, START_UNIX_MS, FindValue(KEY, bytes(20)))
    yield bytes([0, 3]) + lookup[_HEAD_BYTES:-64]


def _replies() -> Iterator[bytes]:
    for raw in _datagrams():
        if raw[3] in REPLY_KINDS:
            yield bytes([REPLY_KINDS.index(raw[3])]) + _body_of(raw)


REMOTE = (RemoteDhtError,)
TARGETS = (
    Target(
        name="dht-datagram", form="bytes", opened=plain(parse_datagram), seeds=_datagrams, may_raise=REMOTE, share=2
    ),
    Target(name="dht-record", form="bytes", opened=plain(parse_record), seeds=_records, may_raise=REMOTE, share=2),
    Target(name="dht-request", form="bytes", opened=request_node, seeds=_requests, share=0.25),
    Target(name="dht-reply", form="bytes", opened=asking_node, seeds=_replies, share=0.1),
)
