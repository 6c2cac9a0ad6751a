"""Keys and distances: 160-bit ids under the XOR metric (Maymounkov & Mazières 2002, 2.1)."""

import hashlib

ID_BYTES = 20
ID_BITS = 8 * ID_BYTES
NETWORK_TAG_BYTES = 8
SHARDS = 16
"""Parts of a key that has become too popular for one region."""


def skill_key(network: str, label: str) -> bytes:
    """The 20-byte key under which sellers of the skill `label` publish in `network`.

    The network is part of the key, so a record signed for one network means nothing in another.
    """
    return hashlib.sha256(b"coalesced/skill/1\0" + network.encode() + b"\0" + label.encode()).digest()[:ID_BYTES]


def anchor_key(network: str, name: str) -> bytes:
    """The 20-byte key under which sellers publish that a skill of theirs lies near the point `name`.

    Apart from labels: no label leads to an anchor's key.
    """
    return hashlib.sha256(b"coalesced/anchor/1\0" + network.encode() + b"\0" + name.encode()).digest()[:ID_BYTES]


def card_key(network: str, label: str) -> bytes:
    """The 20-byte key under which nodes publish where the cards of agents are that do `label` and are no nodes.

    Apart from the sellers of the skill: who buys from nodes alone never reads them.
    """
    return hashlib.sha256(b"coalesced/card/1\0" + network.encode() + b"\0" + label.encode()).digest()[:ID_BYTES]


def shard_key(key: bytes, node_id: bytes) -> bytes:
    """The key for what of a popular `key` is near `node_id`: publishers and readers of one shard prefer each other."""
    shard = node_id[0] * SHARDS // 256
    return hashlib.sha256(b"coalesced/shard/1\0" + key + bytes([shard])).digest()[:ID_BYTES]


def network_tag(network: str) -> bytes:
    """The 8 bytes in every datagram that tell networks apart which share addresses."""
    return hashlib.sha256(b"coalesced/dht-network/1\0" + network.encode()).digest()[:NETWORK_TAG_BYTES]


def distance(one: bytes, other: bytes) -> int:
    """XOR distance of two ids, as an integer."""
    return int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
