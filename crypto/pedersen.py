"""Pedersen commitments (1991) over ristretto255: value * B + blinding * B'. They hide the value and bind to it.

Generators as in dalek's bulletproofs, so that its published proofs verify here: B is the RFC's generator, and B' is
derived from the SHA3-512 of its encoding, so that nobody knows how many times B it is.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from crypto.group import Group
from crypto.ristretto import ORDER, encode, from_uniform

BASE: Final = bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76")
BLINDING_BASE: Final = encode(from_uniform(hashlib.sha3_512(BASE).digest()))


def commit(group: Group, value: int, blinding: int) -> bytes:
    """The commitment, 32 bytes. `blinding` is uniform modulo the order: see `blinding_from`."""
    return group.combine([value, blinding], [BASE, BLINDING_BASE])


def blinding_from(entropy: bytes) -> int:
    """A uniform scalar from 64 random bytes."""
    if len(entropy) != 64:
        raise ValueError(f"a blinding is made of 64 random bytes, not {len(entropy)}")
    return int.from_bytes(entropy, "little") % ORDER


def add_commitments(group: Group, commitments: Sequence[bytes], minus: int = 0) -> bytes:
    """The commitment to the sum of what these commit to, less `minus`; its blinding is the sum of theirs."""
    return group.combine([*(1 for _ in commitments), -minus], [*commitments, BASE])
