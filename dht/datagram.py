"""The signed datagrams of discovery: any bytes parse, or raise RemoteDhtError.

Wire form (integers big-endian):

    magic "cD" 2 | version 1 | kind 1 | network tag 8 | recipient id 20 | sender key 32 | request id 16
    | unix ms 8 | body length 2 | body | padding | signature 64

The Ed25519 signature covers everything before it. It binds the sender's key to the network, the recipient and the
request, so that a datagram is worth nothing anywhere else. A replayed request reaches the same recipient within
the clock tolerance and only repeats what is idempotent; a replayed answer finds no open request.

Look-ups are padded, because what a request makes us send is never larger than MAX_AMPLIFICATION times itself.
"""

import struct
from dataclasses import dataclass
from typing import assert_never

from crypto.identity import Identity, NodeId, node_id, verify
from dht.contacts import NodeAddress, packed_host, unpacked_host
from dht.errors import LocalDhtError, RemoteDhtError
from dht.ids import ID_BYTES, NETWORK_TAG_BYTES
from dht.records import MAX_RECORD_BYTES, MIN_RECORD_BYTES
from dht.storage import Outcome

VERSION = 1
MAX_DATAGRAM_BYTES = 1_280
"""The least MTU of IPv6: such a datagram is hardly ever fragmented."""
MAX_AMPLIFICATION = 3
"""QUIC's bound (RFC 9000, 8.1) on what an unproven address may be sent."""
REQUEST_ID_BYTES = 16
TOKEN_BYTES = 8
NO_TOKEN = bytes(TOKEN_BYTES)
MAX_NODES = 20
"""Nodes in an answer without records; beside records, MAX_NODES_BESIDE_RECORDS."""
MAX_NODES_BESIDE_RECORDS = 8

_LABEL = b"dht/datagram"
_MAGIC = b"cD"
_HEAD = struct.Struct(f">2sBB{NETWORK_TAG_BYTES}s{ID_BYTES}s32s{REQUEST_ID_BYTES}sQH")
_SIGNATURE_BYTES = 64
OVERHEAD_BYTES = _HEAD.size + _SIGNATURE_BYTES
PING_BYTES = OVERHEAD_BYTES
LOOKUP_BYTES = -(-(MAX_DATAGRAM_BYTES + PING_BYTES) // MAX_AMPLIFICATION)
"""Padded size of a look-up request, so that it earns a full answer and the ping that checks a stranger."""
_PORT = struct.Struct(">H")
_STORED = struct.Struct(f">B{TOKEN_BYTES}sq")
RECORD_PREFIX_BYTES = 2
VALUES_HEAD_BYTES = TOKEN_BYTES + 3


@dataclass(frozen=True, slots=True)
class Ping:
    """Prove that you hold your key and receive at this address."""


@dataclass(frozen=True, slots=True)
class FindNode:
    """Name the nodes closest to `target` that you know."""

    target: bytes


@dataclass(frozen=True, slots=True)
class FindValue:
    """Give the records under `key` that follow ring position `after`, and the closest nodes."""

    key: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Store:
    """Hold my record; `token` proves that I receive at this address."""

    token: bytes
    record: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """Here I am; and this is the address that you are seen at."""

    observed_host: str
    observed_port: int


@dataclass(frozen=True, slots=True)
class Nodes:
    """The closest nodes, and a token for writing to me."""

    token: bytes
    nodes: tuple[NodeAddress, ...]


@dataclass(frozen=True, slots=True)
class Values:
    """Some of my `total` records in wire form, the closest nodes, a token for writing to me."""

    token: bytes
    total: int
    records: tuple[bytes, ...]
    nodes: tuple[NodeAddress, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of your record, the highest seq that I know of it (-1: none), a fresh token."""

    outcome: Outcome
    token: bytes
    held_seq: int


Request = Ping | FindNode | FindValue | Store
Reply = Pong | Nodes | Values | Stored
Body = Request | Reply
_KINDS: dict[type[Body], int] = {
    Ping: 1,
    FindNode: 2,
    FindValue: 3,
    Store: 4,
    Pong: 129,
    Nodes: 130,
    Values: 131,
    Stored: 132,
}


@dataclass(frozen=True, slots=True)
class Datagram:
    """One parsed datagram. Nothing in it is true before `is_genuine` said so."""

    recipient_id: bytes
    sender_key: bytes
    request_id: bytes
    unix_ms: int
    body: Body
    raw: bytes

    @property
    def sender_id(self) -> NodeId:
        """The id that the sender's key hashes to."""
        return node_id(self.sender_key)

    def is_genuine(self) -> bool:
        """Whether the sender's key signed it; the costly check (about 0.1 ms), so it comes last."""
        return verify(self.sender_key, _LABEL, self.raw[:-_SIGNATURE_BYTES], self.raw[-_SIGNATURE_BYTES:])


def encode(identity: Identity, tag: bytes, recipient_id: bytes, request_id: bytes, unix_ms: int, body: Body) -> bytes:
    """The signed wire form; LocalDhtError when it would exceed MAX_DATAGRAM_BYTES."""
    content = _encode_body(body)
    head = _HEAD.pack(
        _MAGIC, VERSION, _KINDS[type(body)], tag, recipient_id, identity.public_key, request_id, unix_ms, len(content)
    )
    signed = head + content
    if isinstance(body, FindNode | FindValue):
        signed = signed.ljust(LOOKUP_BYTES - _SIGNATURE_BYTES, b"\0")
    raw = signed + identity.sign(_LABEL, signed)
    if len(raw) > MAX_DATAGRAM_BYTES:
        raise LocalDhtError(f"a datagram of {len(raw)} bytes is over the limit of {MAX_DATAGRAM_BYTES}")
    return raw


def decode(raw: bytes, tag: bytes) -> Datagram:
    """Parse `raw`; RemoteDhtError when it is no datagram of this version and of the network with this tag."""
    if not OVERHEAD_BYTES <= len(raw) <= MAX_DATAGRAM_BYTES:
        raise RemoteDhtError("malformed", f"{len(raw)} bytes are not {OVERHEAD_BYTES} to {MAX_DATAGRAM_BYTES}")
    magic, version, kind, network, recipient_id, sender_key, request_id, unix_ms, size = _HEAD.unpack_from(raw)
    if magic != _MAGIC:
        raise RemoteDhtError("malformed", "not a discovery datagram")
    if version != VERSION:
        raise RemoteDhtError("wrong_version", f"version {version}; this node speaks {VERSION}")
    if network != tag:
        raise RemoteDhtError("wrong_network", f"network tag {network.hex()} is not {tag.hex()}")
    if size > len(raw) - OVERHEAD_BYTES:
        raise RemoteDhtError("malformed", f"a body of {size} bytes in a datagram of {len(raw)}")
    body = _decode_body(kind, _Reader(raw[_HEAD.size : _HEAD.size + size]))
    return Datagram(recipient_id, sender_key, request_id, unix_ms, body, raw)


def answer_budget_bytes(request: Datagram) -> int:
    """Bytes that the body of an answer may have, so that answer and checking ping stay within MAX_AMPLIFICATION."""
    return min(MAX_DATAGRAM_BYTES, MAX_AMPLIFICATION * len(request.raw) - PING_BYTES) - OVERHEAD_BYTES


def node_bytes(node: NodeAddress) -> int:
    """Size of a node in an answer."""
    return ID_BYTES + 1 + (16 if ":" in node.host else 4) + _PORT.size


def _encode_body(body: Body) -> bytes:
    match body:
        case Ping():
            return b""
        case FindNode(target):
            return target
        case FindValue(key, after):
            return key + after
        case Store(token, record):
            return token + record
        case Pong(host, port):
            return _encode_host(host) + _PORT.pack(port)
        case Nodes(token, nodes):
            return token + _encode_nodes(nodes)
        case Values(token, total, records, nodes):
            listed = b"".join(struct.pack(">H", len(record)) + record for record in records)
            return token + struct.pack(">HB", total, len(records)) + listed + _encode_nodes(nodes)
        case Stored(outcome, token, held_seq):
            return _STORED.pack(outcome, token, held_seq)
        case _ as unreachable:
            assert_never(unreachable)


def _encode_host(host: str) -> bytes:
    packed = packed_host(host)
    return bytes([len(packed)]) + packed


def _encode_nodes(nodes: tuple[NodeAddress, ...]) -> bytes:
    return b"".join(node.id + _encode_host(node.host) + _PORT.pack(node.port) for node in nodes)


class _Reader:
    """Takes bytes off the front; running out, or leaving some, is the peer's fault."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise RemoteDhtError("malformed", f"the body ends {count - len(taken)} bytes early")
        self._at += count
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def left(self) -> int:
        return len(self._data) - self._at

    def host(self) -> str:
        size = self.number(1)
        if size not in (4, 16):
            raise RemoteDhtError("malformed", f"an address of {size} bytes")
        return unpacked_host(self.take(size))

    def nodes(self) -> tuple[NodeAddress, ...]:
        found: list[NodeAddress] = []
        while self.left():
            if len(found) == MAX_NODES:
                raise RemoteDhtError("malformed", f"more than {MAX_NODES} nodes in an answer")
            node = NodeAddress(self.take(ID_BYTES), self.host(), self.number(2))
            if not node.port:
                raise RemoteDhtError("malformed", f"node {node} has port 0")
            found.append(node)
        return tuple(found)

    def records(self, count: int) -> tuple[bytes, ...]:
        found: list[bytes] = []
        for _ in range(count):
            size = self.number(RECORD_PREFIX_BYTES)
            if not MIN_RECORD_BYTES <= size <= MAX_RECORD_BYTES:
                raise RemoteDhtError("malformed", f"a record of {size} bytes")
            found.append(self.take(size))
        return tuple(found)


def _decode_body(kind: int, reader: _Reader) -> Body:
    body: Body
    match kind:
        case 1:
            body = Ping()
        case 2:
            body = FindNode(reader.take(ID_BYTES))
        case 3:
            body = FindValue(reader.take(ID_BYTES), reader.take(ID_BYTES))
        case 4:
            body = Store(reader.take(TOKEN_BYTES), reader.take(min(reader.left(), MAX_RECORD_BYTES)))
        case 129:
            body = Pong(reader.host(), reader.number(2))
        case 130:
            body = Nodes(reader.take(TOKEN_BYTES), reader.nodes())
        case 131:
            token, total = reader.take(TOKEN_BYTES), reader.number(2)
            body = Values(token, total, reader.records(reader.number(1)), reader.nodes())
        case 132:
            outcome, token, held_seq = _STORED.unpack(reader.take(_STORED.size))
            if outcome not in Outcome.__members__.values():
                raise RemoteDhtError("malformed", f"unknown outcome {outcome}")
            body = Stored(Outcome(outcome), token, held_seq)
        case _:
            raise RemoteDhtError("unknown_kind", f"no message has the kind {kind}")
    if reader.left():
        raise RemoteDhtError("malformed", f"{reader.left()} bytes too many in the body")
    return body
