"""Requests and answers over UDP sockets: signing, matching, retransmission, adaptive time-outs.

Nothing that arrives can raise: what is not a genuine datagram for us is counted and dropped, the cheap checks
before the signature. A request is sent again after its soft time-out, and lost after the hard one. The last byte
of a request id counts the transmissions, so that an answer's round trip is known even after a retransmission.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import UNKNOWN_ID, Address, NodeAddress
from dht.datagram import (
    REQUEST_ID_BYTES,
    Body,
    Datagram,
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
    answer_budget_bytes,
    decode,
    encode,
)
from dht.errors import LocalDhtError, RemoteDhtError
from dht.ids import network_tag
from dht.limits import TokenBuckets
from dht.records import MAX_CLOCK_SKEW_MS
from dht.routing import smoothed
from dht.rpc import RequestTable
from dht.stats import DhtStats

SOFT_TIMEOUT_RTTS = 3
MAX_SENDS = 3
"""A request travels at most three times: at 2 % loss each way, one in 15,000 is lost for want of more."""
_REPLY_OF: dict[type[Body], type[Body]] = {Ping: Pong, FindNode: Nodes, FindValue: Values, Store: Stored}


@dataclass(frozen=True, slots=True)
class Answer:
    """A genuine answer: who gave it, from where, and after how long."""

    node: NodeAddress
    public_key: bytes
    body: Body
    rtt_s: float


@dataclass(slots=True)
class _Pending:
    to: NodeAddress
    body: Request
    wait_s: float
    sends_left: int
    on_slow: Callable[[int], None] | None
    sent_s: list[float] = field(default_factory=list)
    """When each transmission left."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the endpoint calls, for genuine datagrams only. `serve` answers a request within so many body bytes."""

    serve: Callable[[Request, NodeAddress, int], Reply]
    heard: Callable[[NodeAddress], None]
    answered: Callable[[Answer], None]
    lost: Callable[[NodeAddress], None]


class Endpoint:
    """All sockets of one node."""

    def __init__(
        self,
        identity: Identity,
        network: str,
        config: DhtConfig,
        stats: DhtStats,
        hooks: Hooks,
        *,
        unix_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
    ) -> None:
        self._identity = identity
        self._tag = network_tag(network)
        self._config = config
        self._stats = stats
        self._hooks = hooks
        self._unix_ms = unix_ms
        self._entropy = entropy
        self._sockets: dict[bool, RequestTable] = {}
        """One socket per address family, by whether it is IPv6."""
        self._pending: dict[bytes, _Pending] = {}
        self._buckets = TokenBuckets(config)
        self._rtt_s: float | None = None

    async def open(self, addresses: Sequence[Address]) -> list[Address]:
        """Bind one socket per address, at most one per family; gives the bound addresses (port 0 was any).

        LocalDhtError when an address is no IP literal, is taken, or is not this machine's.
        """
        bound: list[Address] = []
        for host, port in addresses:
            if (":" in host) in self._sockets:
                self.close()
                raise LocalDhtError(f"cannot listen on {host!r} too: one address per IP version, please")
            try:
                table = await self._bind(host, port)
            except (OSError, OverflowError) as error:
                self.close()
                raise LocalDhtError(f"cannot listen on UDP {host}:{port}: {error}") from error
            self._sockets[":" in host] = table
            name = table.transport.get_extra_info("sockname")
            bound.append((name[0], name[1]))
        return bound

    def close(self) -> None:
        """Give up what is outstanding and close the sockets."""
        for table in self._sockets.values():
            table.close()
        self._sockets.clear()
        self._pending.clear()

    def request(
        self,
        to: NodeAddress,
        body: Request,
        *,
        rtt_s: float | None = None,
        max_sends: int = MAX_SENDS,
        on_slow: Callable[[int], None] | None = None,
    ) -> "asyncio.Future[Answer | None]":
        """Send a request; the future gets the answer, or None when it is lost. It never raises.

        `rtt_s` is the node's own round trip where known; `on_slow(n)` is called at the n-th retransmission.
        """
        loop = asyncio.get_running_loop()
        table = self._sockets.get(":" in to.host)
        if table is None:
            nowhere: asyncio.Future[Answer | None] = loop.create_future()
            nowhere.set_result(None)
            return nowhere
        name = self._entropy(REQUEST_ID_BYTES - 1)
        future = table.open(name)
        self._pending[name] = _Pending(to, body, self._soft_timeout_s(rtt_s), max_sends, on_slow)
        self._transmit(table, name)
        return future

    def is_asking(self, node: NodeAddress) -> bool:
        """Whether a request to this node is open."""
        return any(pending.to == node for pending in self._pending.values())

    def _soft_timeout_s(self, rtt_s: float | None) -> float:
        measured_s = rtt_s if rtt_s is not None else self._rtt_s
        if measured_s is None:
            return self._config.first_soft_timeout_s
        soft_s = SOFT_TIMEOUT_RTTS * measured_s
        return min(max(soft_s, self._config.min_soft_timeout_s), self._config.max_soft_timeout_s)

    def _transmit(self, table: RequestTable, name: bytes) -> None:
        """Send the request, for the first time or again, and set the timer for what comes next."""
        loop = asyncio.get_running_loop()
        pending = self._pending[name]
        pending.sends_left -= 1
        pending.sent_s.append(loop.time())
        request_id = name + bytes([len(pending.sent_s)])
        raw = encode(self._identity, self._tag, pending.to.id, request_id, self._unix_ms(), pending.body)
        self._send(table, raw, pending.to.address)
        left_s = pending.sent_s[0] + self._config.hard_timeout_s - loop.time()
        if pending.sends_left:
            # Twice the last wait, but never so long that the next transmission would have no time for an answer.
            wait_s = min(pending.wait_s, left_s / 2)
            pending.wait_s *= 2
            table.rearm(name, loop.call_later(wait_s, self._retransmit, table, name))
        else:
            table.rearm(name, loop.call_later(left_s, self._give_up, table, name))

    def _retransmit(self, table: RequestTable, name: bytes) -> None:
        pending = self._pending[name]
        self._stats.retransmitted += 1
        self._transmit(table, name)
        if pending.on_slow is not None:
            pending.on_slow(len(pending.sent_s) - 1)

    def _give_up(self, table: RequestTable, name: bytes) -> None:
        self._stats.lost += 1
        self._hooks.lost(self._pending[name].to)
        self._settle(table, name, None)

    def _settle(self, table: RequestTable, name: bytes, answer: Answer | None) -> None:
        del self._pending[name]
        table.settle(name, answer)

    def _send(self, table: RequestTable, raw: bytes, address: Address) -> None:
        self._stats.sent += 1
        self._stats.sent_bytes += len(raw)
        table.send(raw, address)

    def _receive(self, table: RequestTable, raw: bytes, address: Address) -> None:
        self._stats.received += 1
        self._stats.received_bytes += len(raw)
        try:
            datagram = decode(raw, self._tag)
            match datagram.body:
                case Ping() | FindNode() | FindValue() | Store() as request:
                    self._accept_request(table, datagram, request, address)
                case Pong() | Nodes() | Values() | Stored():
                    self._accept_reply(table, datagram, address)
                case _ as unreachable:
                    assert_never(unreachable)
        except RemoteDhtError as error:
            self._stats.dropped[error.code] += 1

    def _accept_request(self, table: RequestTable, datagram: Datagram, request: Request, address: Address) -> None:
        if datagram.sender_key == self._identity.public_key:
            self._accept_reflection(table, datagram, address)
            return
        is_introduction = datagram.recipient_id == UNKNOWN_ID and isinstance(request, Ping)
        if datagram.recipient_id != self._identity.node_id and not is_introduction:
            raise RemoteDhtError("misdirected", f"a request for node {datagram.recipient_id.hex()[:8]}")
        now_ms = self._unix_ms()
        if abs(datagram.unix_ms - now_ms) > MAX_CLOCK_SKEW_MS:
            raise RemoteDhtError("stale", f"sent {now_ms - datagram.unix_ms} ms ago, by its sender's clock")
        if not self._buckets.take(address[0], asyncio.get_running_loop().time()):
            raise RemoteDhtError("throttled", f"too many requests from around {address[0]}")
        _check_signature(datagram)
        sender = NodeAddress(datagram.sender_id, *address)
        reply = self._hooks.serve(request, sender, answer_budget_bytes(datagram))
        raw = encode(self._identity, self._tag, sender.id, datagram.request_id, now_ms, reply)
        self._send(table, raw, address)
        self._hooks.heard(sender)

    def _accept_reply(self, table: RequestTable, datagram: Datagram, address: Address) -> None:
        name, send = datagram.request_id[:-1], datagram.request_id[-1]
        pending = self._pending.get(name)
        if pending is None or not table.expects(name) or pending.to.address != address:
            raise RemoteDhtError("unsolicited", "an answer to no open request")
        if not 1 <= send <= len(pending.sent_s):
            raise RemoteDhtError("unsolicited", f"an answer to transmission {send} of {len(pending.sent_s)}")
        if datagram.recipient_id != self._identity.node_id or type(datagram.body) is not _REPLY_OF[type(pending.body)]:
            raise RemoteDhtError("misdirected", "an answer to another node or another request")
        if pending.to.id not in (UNKNOWN_ID, datagram.sender_id):
            raise RemoteDhtError("spoofed", f"{datagram.sender_id.hex()[:8]} answers for {pending.to}")
        _check_signature(datagram)
        rtt_s = asyncio.get_running_loop().time() - pending.sent_s[send - 1]
        self._rtt_s = smoothed(self._rtt_s, rtt_s)
        node = NodeAddress(datagram.sender_id, *address)
        answer = Answer(node, datagram.sender_key, datagram.body, rtt_s)
        self._hooks.answered(answer)
        self._settle(table, name, answer)

    def _accept_reflection(self, table: RequestTable, datagram: Datagram, address: Address) -> None:
        """Our own request reached ourselves: the address that it went to is ours."""
        name = datagram.request_id[:-1]
        if not table.expects(name):
            raise RemoteDhtError("unsolicited", "our own request came back")
        own = NodeAddress(self._identity.node_id, *address)
        self._settle(table, name, Answer(own, self._identity.public_key, datagram.body, 0.0))

    async def _bind(self, host: str, port: int) -> RequestTable:
        loop = asyncio.get_running_loop()
        if ":" not in host:
            _, table = await loop.create_datagram_endpoint(
                lambda: RequestTable(self._receive), local_addr=(host, port), family=socket.AF_INET
            )
            return table
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        try:
            # Otherwise "::" would also take the IPv4 port, which has a socket of its own.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, port))
        except (OSError, OverflowError):
            sock.close()
            raise
        _, table = await loop.create_datagram_endpoint(lambda: RequestTable(self._receive), sock=sock)
        return table


def _check_signature(datagram: Datagram) -> None:
    if not datagram.is_genuine():
        raise RemoteDhtError("spoofed", f"not signed by {datagram.sender_id.hex()[:8]}")
