"""Who is out there: an address that was named, and a contact that proved itself.

A NodeAddress is hearsay. A Contact answered one of our requests from that address with a signature by the key that
its id is the hash of.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, TypeVar

from crypto.identity import short_id
from dht.ids import ID_BYTES

Address = tuple[str, int]
"""Host (an IP literal) and UDP port."""
UNKNOWN_ID = bytes(ID_BYTES)
"""Stands for the id of a node of which only the address is known."""


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A node by id and address, as others name it."""

    id: bytes
    host: str
    port: int

    @property
    def address(self) -> Address:
        """Host and port."""
        return (self.host, self.port)

    def __str__(self) -> str:
        return f"{self.id.hex()[:8]}@{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Contact:
    """A node that answered us, last at `last_seen_s` by the event loop's clock.

    `rtt_s` is its smoothed round trip, None while no clean sample exists.
    """

    id: bytes
    public_key: bytes
    host: str
    port: int
    rtt_s: float | None
    last_seen_s: float

    def __str__(self) -> str:
        return f"{short_id(self.public_key)}@{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ContactJoined:
    """The contact was admitted to the table (or came back under a new address)."""

    contact: Contact


@dataclass(frozen=True, slots=True)
class ContactLeft:
    """The contact lost too many requests and was evicted."""

    contact: Contact


ContactEvent = ContactJoined | ContactLeft


class Identified(Protocol):
    """Whatever has a node's id."""

    @property
    def id(self) -> bytes:
        """Of a node."""
        ...  # pragma: no cover


Node = TypeVar("Node", bound=Identified)


def nearest(nodes: Iterable[Node], target: bytes, count: int) -> list[Node]:
    """The `count` nodes closest to `target`, closest first."""
    at = int.from_bytes(target, "big")
    return sorted(nodes, key=lambda node: int.from_bytes(node.id, "big") ^ at)[:count]


def packed_host(host: str) -> bytes:
    """4 or 16 bytes of an IP literal; ValueError for anything else."""
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host.partition("%")[0])
    except OSError as error:
        raise ValueError(f"{host!r} is not an IP address") from error


def unpacked_host(packed: bytes) -> str:
    """The IP literal of 4 or 16 bytes."""
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


@lru_cache(maxsize=8192)
def address_group(host: str, limit_private: bool) -> str | None:
    """What one party can be expected to own whole: the IPv4 /24 or the IPv6 /56, in hexadecimal.

    None, which means "do not limit", for loopback, link-local and private addresses unless `limit_private`.
    """
    packed = packed_host(host)
    if not limit_private and _is_private(packed):
        return None
    return packed[: 3 if len(packed) == 4 else 7].hex()


def _is_private(packed: bytes) -> bool:
    if len(packed) == 4:
        first, second = packed[0], packed[1]
        return first in (10, 127) or (first, second) in ((192, 168), (169, 254)) or (first == 172 and 16 <= second < 32)
    return packed == b"\0" * 15 + b"\1" or packed[0] in (0xFC, 0xFD) or (packed[0] == 0xFE and packed[1] & 0xC0 == 0x80)
