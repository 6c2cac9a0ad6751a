"""What a node answers to others' requests: the server half of discovery, without sockets."""

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import assert_never

from dht.config import DhtConfig
from dht.contacts import NodeAddress, address_group
from dht.datagram import (
    MAX_NODES,
    MAX_NODES_BESIDE_RECORDS,
    RECORD_PREFIX_BYTES,
    TOKEN_BYTES,
    VALUES_HEAD_BYTES,
    FindNode,
    FindValue,
    Nodes,
    Ping,
    Pong,
    Reply,
    Request,
    Store,
    Stored,
    Values,
    node_bytes,
)
from dht.errors import RemoteDhtError
from dht.records import Record, decode_record, open_record
from dht.routing import Routing
from dht.storage import Outcome, RecordStore

TOKEN_EPOCH_MS = 1_800_000
"""Tokens of this and the previous half hour are good, so a republication after half an hour still has one."""


class Tokens:
    """Write tokens: whoever shows one has received a datagram at its address, as its key, within the hour."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def mint(self, node: NodeAddress, now_unix_ms: int) -> bytes:
        """The token of this node now."""
        return self._at(node, now_unix_ms // TOKEN_EPOCH_MS)

    def is_good(self, token: bytes, node: NodeAddress, now_unix_ms: int) -> bool:
        """Whether `token` is this node's, of this or the previous epoch."""
        epoch = now_unix_ms // TOKEN_EPOCH_MS
        return token in (self._at(node, epoch), self._at(node, epoch - 1))

    def _at(self, node: NodeAddress, epoch: int) -> bytes:
        content = epoch.to_bytes(8, "big") + node.id + f"{node.host}:{node.port}".encode()
        return hashlib.blake2b(content, digest_size=TOKEN_BYTES, key=self._secret).digest()


class Responder:
    """Answers from the contacts and the record store."""

    def __init__(
        self,
        routing: Routing,
        store: RecordStore,
        config: DhtConfig,
        refused: Counter[str],
        *,
        unix_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._routing = routing
        self._store = store
        self._config = config
        self._refused = refused
        self._unix_ms = unix_ms
        self._tokens = Tokens(entropy(32))

    def answer(self, body: Request, sender: NodeAddress, budget_bytes: int) -> Reply:
        """The answer to a genuine request; its body takes at most `budget_bytes` on the wire."""
        now_ms = self._unix_ms()
        token = self._tokens.mint(sender, now_ms)
        match body:
            case Ping():
                return Pong(sender.host, sender.port)
            case FindNode(target):
                return Nodes(token, self._nodes(target, sender, MAX_NODES, budget_bytes - TOKEN_BYTES))
            case FindValue(key, after):
                return self._values(key, after, token, sender, budget_bytes - VALUES_HEAD_BYTES)
            case Store(shown, raw):
                if not self._tokens.is_good(shown, sender, now_ms):
                    return Stored(Outcome.BAD_TOKEN, token, -1)
                outcome, held_seq = self._hold(raw, sender, now_ms)
                return Stored(outcome, token, held_seq)
            case _ as unreachable:
                assert_never(unreachable)

    def _values(self, key: bytes, after: bytes, token: bytes, sender: NodeAddress, budget_bytes: int) -> Values:
        beside = self._nodes(key, sender, MAX_NODES_BESIDE_RECORDS, budget_bytes)
        left_bytes = budget_bytes - sum(node_bytes(node) for node in beside)
        page = self._store.page(key, after, left_bytes, RECORD_PREFIX_BYTES, self._unix_ms())
        if not page.total:
            beside = self._nodes(key, sender, MAX_NODES, budget_bytes)
        return Values(token, page.total, tuple(record.raw for record in page.records), beside)

    def _nodes(self, target: bytes, sender: NodeAddress, count: int, budget_bytes: int) -> tuple[NodeAddress, ...]:
        fitting: list[NodeAddress] = []
        for node in self._routing.closest(target, min(count, self._config.k), exclude=sender.id):
            budget_bytes -= node_bytes(node)
            if budget_bytes < 0:
                break
            fitting.append(node)
        return tuple(fitting)

    def _hold(self, raw: bytes, sender: NodeAddress, now_ms: int) -> tuple[Outcome, int]:
        try:
            record = self._open(raw, sender, now_ms)
        except RemoteDhtError as error:
            self._refused[error.code] += 1
            return Outcome.REFUSED, -1
        group = address_group(sender.host, self._config.limit_private_addresses)
        outcome = self._store.put(record, group, now_ms)
        return outcome, self._store.held_seq(record.key, record.public_key)

    def _open(self, raw: bytes, sender: NodeAddress, now_ms: int) -> Record:
        if decode_record(raw).publisher_id != sender.id:
            raise RemoteDhtError("not_publisher", f"{sender} stores a record of another node")
        return open_record(raw, now_ms)
