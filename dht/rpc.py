"""What we take from `kademlia` and `rpcudp`, with their defects closed; the only module that imports them.

Taken: the k-buckets with replacement caches and their splitting (kademlia.routing), the
datagram protocol with its table of outstanding requests (rpcudp.protocol). Replaced, each for a measured reason:

- find_neighbors returned the true k closest of its own table in 3 % of queries: here always.
- A full bucket pinged its oldest node in a task that nobody owned: here `add` reports the oldest node instead.
- Datagrams were unsigned msgpack, decoded in orphan tasks that raised on malformed ones: here bytes go to a receiver.
- `__getattr__` turned any unknown attribute into a remote call: here it is an AttributeError.
- Message ids, bucket times and timers came from os.urandom, the wall clock and a global loop: here from the caller.
"""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, cast

from kademlia.node import Node
from kademlia.routing import RoutingTable
from rpcudp.protocol import RPCProtocol

from dht.contacts import Address, NodeAddress
from dht.ids import ID_BITS

MAX_RESERVES = 5
"""Nodes in reserve for a full bucket. The library keeps 100, and so grows with every look-up in a large network."""


class TableNode:
    """A node in a bucket: what the library's buckets need of one, and what we measured about it.

    Not the library's own node, which takes twice the memory; a table holds hundreds.
    """

    __slots__ = ("id", "ip", "last_seen_s", "losses", "port", "public_key", "rtt_s")

    def __init__(self, id: bytes, public_key: bytes, host: str, port: int) -> None:  # noqa: A002
        self.id = id
        self.ip = host
        self.port = port
        self.public_key = public_key
        self.rtt_s: float | None = None
        self.last_seen_s = 0.0
        self.losses = 0

    @property
    def long_id(self) -> int:
        """The id as the library compares it with the range of a bucket."""
        return int.from_bytes(self.id, "big")

    @property
    def node(self) -> NodeAddress:
        """This node as others may be told of it."""
        return NodeAddress(self.id, self.ip, self.port)


class BucketTable(RoutingTable):  # type: ignore[misc]  # the library has no types
    """The library's buckets. Only the bucket that holds our own id splits, so size grows with log(network)."""

    def __init__(self, own_id: bytes, k: int) -> None:
        super().__init__(None, k, Node(own_id))
        self.buckets[0].last_updated = float("-inf")  # Nothing was looked up yet.
        self.buckets[0].max_replacement_nodes = MAX_RESERVES

    def __iter__(self) -> Iterator[TableNode]:
        return chain.from_iterable(bucket.nodes.values() for bucket in self.buckets)

    def get(self, node_id: bytes) -> TableNode | None:
        """The node with this id, replacements included."""
        bucket = self.buckets[self.get_bucket_for(Node(node_id))]
        return cast(TableNode | None, bucket.nodes.get(node_id) or bucket.replacement_nodes.get(node_id))

    def holds(self, node_id: bytes) -> bool:
        """Whether the node is in a bucket, not only a replacement."""
        return node_id in self.buckets[self.get_bucket_for(Node(node_id))].nodes

    def add(self, node: TableNode) -> bool:
        """Put the node at the young end of its bucket; False when the bucket is full and keeps it in reserve."""
        while True:
            index = self.get_bucket_for(node)
            bucket = self.buckets[index]
            if bucket.add_node(node):
                return True
            if not bucket.has_in_range(self.node) or bucket.range[1] - bucket.range[0] < 2:
                return False
            self.split_bucket(index)

    def remove(self, node: TableNode) -> TableNode | None:
        """Take the node out; gives the reserve node that took its place, if any."""
        bucket = self.buckets[self.get_bucket_for(node)]
        before = set(bucket.nodes)
        bucket.remove_node(node)
        return next((cast(TableNode, other) for other in bucket.nodes.values() if other.id not in before), None)

    def has_room_for(self, node_id: bytes) -> bool:
        """Whether `add` would admit a node with this id."""
        bucket = self.buckets[self.get_bucket_for(Node(node_id))]
        return len(bucket) < self.ksize or bool(bucket.has_in_range(self.node))

    def bucket_of(self, node_id: bytes) -> list[TableNode]:
        """The nodes in the bucket of this id, the one longest unseen first."""
        return list(self.buckets[self.get_bucket_for(Node(node_id))].nodes.values())

    def split_bucket(self, index: int) -> None:
        """Split as the library does, but keep the times of the whole: its halves would read the wall clock."""
        last_updated_s = self.buckets[index].last_updated
        super().split_bucket(index)
        for half in self.buckets[index : index + 2]:
            half.last_updated = last_updated_s
            half.max_replacement_nodes = MAX_RESERVES

    def get_bucket_for(self, node: Node | TableNode) -> int:
        """The index of the bucket whose range holds the node (the library is off by one at a range's end)."""
        long_id = node.long_id
        return next(index for index, bucket in enumerate(self.buckets) if long_id <= bucket.range[1])

    def touch(self, target: bytes, now_s: float) -> None:
        """Note that something in this range was looked up."""
        self.buckets[self.get_bucket_for(Node(target))].last_updated = now_s

    def ranges_older_than(self, before_s: float) -> list[tuple[int, int]]:
        """Inclusive id ranges of the buckets in which nothing was looked up since `before_s`."""
        old = (bucket.range for bucket in self.buckets if bucket.last_updated <= before_s)
        return [(low, min(high, 2**ID_BITS - 1)) for low, high in old]


class RequestTable(RPCProtocol):  # type: ignore[misc]  # the library has no types
    """One socket's datagrams in and out, and its outstanding requests, each with a future and a timer."""

    def __init__(self, receive: Callable[["RequestTable", bytes, Address], None]) -> None:
        super().__init__()
        self._receive = receive
        self.is_closed = False

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Hand on what arrived; nothing of it is trusted."""
        self._receive(self, data, (addr[0], addr[1]))

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or drop it when the socket is gone."""
        if not self.is_closed:
            self.transport.sendto(data, address)

    def open(self, request_id: bytes) -> "asyncio.Future[Any]":
        """Expect an answer to this request: the future gets it, or None from `settle`."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._outstanding[request_id] = (future, None)
        return future

    def rearm(self, request_id: bytes, timer: asyncio.TimerHandle) -> None:
        """Replace the timer of an open request."""
        future, _ = self._outstanding[request_id]
        self._outstanding[request_id] = (future, timer)

    def expects(self, request_id: bytes) -> bool:
        """Whether this request is open."""
        return request_id in self._outstanding

    def settle(self, request_id: bytes, answer: object | None) -> None:
        """End an open request with its answer, or with None when it is lost."""
        future, timer = self._outstanding.pop(request_id)
        if timer is not None:
            timer.cancel()
        if not future.done():
            future.set_result(answer)

    def close(self) -> None:
        """Give up all open requests and close the socket."""
        self.is_closed = True
        for request_id in list(self._outstanding):
            self.settle(request_id, None)
        if self.transport is not None:
            self.transport.close()
