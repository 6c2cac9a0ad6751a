"""Keccak-f[1600], the permutation under SHA-3 (FIPS 202, 3.3), for what hashlib does not offer: Merlin's STROBE.

STROBE pads its blocks as cSHAKE does, and OpenSSL 3 has that sponge as KECCAK-KMAC-128; where hashlib has none,
the permutation is done here, written out lane by lane: in a loop over lists it takes more than twice as long.
"""

import hashlib
import struct
from functools import cache
from typing import Final, Protocol

STATE_BYTES: Final = 200
RATE_BYTES: Final = 168
"""Of the state, what goes in and out at 128 bits of strength."""
_MASK: Final = 2**64 - 1
_LANES: Final = struct.Struct("<25Q")


def _round_constants() -> tuple[int, ...]:
    """FIPS 202, algorithm 5."""
    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for power in range(7):
            if register & 1:
                constant |= 1 << ((1 << power) - 1)
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return tuple(constants)


_ROUND_CONSTANTS: Final = _round_constants()


def keccak_f(state: bytes | bytearray) -> bytes:
    """The 200 bytes that follow `state`. Lane a(x + 5y) is the standard's A[x, y]."""
    (
        a0,
        a1,
        a2,
        a3,
        a4,
        a5,
        a6,
        a7,
        a8,
        a9,
        a10,
        a11,
        a12,
        a13,
        a14,
        a15,
        a16,
        a17,
        a18,
        a19,
        a20,
        a21,
        a22,
        a23,
        a24,
    ) = _LANES.unpack(state)
    for constant in _ROUND_CONSTANTS:
        # theta: the parity of each column
        c0 = a0 ^ a5 ^ a10 ^ a15 ^ a20
        c1 = a1 ^ a6 ^ a11 ^ a16 ^ a21
        c2 = a2 ^ a7 ^ a12 ^ a17 ^ a22
        c3 = a3 ^ a8 ^ a13 ^ a18 ^ a23
        c4 = a4 ^ a9 ^ a14 ^ a19 ^ a24
        d0 = c4 ^ (c1 << 1 & _MASK | c1 >> 63)
        d1 = c0 ^ (c2 << 1 & _MASK | c2 >> 63)
        d2 = c1 ^ (c3 << 1 & _MASK | c3 >> 63)
        d3 = c2 ^ (c4 << 1 & _MASK | c4 >> 63)
        d4 = c3 ^ (c0 << 1 & _MASK | c0 >> 63)
        # rho and pi: each lane turned, and moved
        b0 = a0 ^ d0
        lane = a6 ^ d1
        b1 = lane << 44 & _MASK | lane >> 20
        lane = a12 ^ d2
        b2 = lane << 43 & _MASK | lane >> 21
        lane = a18 ^ d3
        b3 = lane << 21 & _MASK | lane >> 43
        lane = a24 ^ d4
        b4 = lane << 14 & _MASK | lane >> 50
        lane = a3 ^ d3
        b5 = lane << 28 & _MASK | lane >> 36
        lane = a9 ^ d4
        b6 = lane << 20 & _MASK | lane >> 44
        lane = a10 ^ d0
        b7 = lane << 3 & _MASK | lane >> 61
        lane = a16 ^ d1
        b8 = lane << 45 & _MASK | lane >> 19
        lane = a22 ^ d2
        b9 = lane << 61 & _MASK | lane >> 3
        lane = a1 ^ d1
        b10 = lane << 1 & _MASK | lane >> 63
        lane = a7 ^ d2
        b11 = lane << 6 & _MASK | lane >> 58
        lane = a13 ^ d3
        b12 = lane << 25 & _MASK | lane >> 39
        lane = a19 ^ d4
        b13 = lane << 8 & _MASK | lane >> 56
        lane = a20 ^ d0
        b14 = lane << 18 & _MASK | lane >> 46
        lane = a4 ^ d4
        b15 = lane << 27 & _MASK | lane >> 37
        lane = a5 ^ d0
        b16 = lane << 36 & _MASK | lane >> 28
        lane = a11 ^ d1
        b17 = lane << 10 & _MASK | lane >> 54
        lane = a17 ^ d2
        b18 = lane << 15 & _MASK | lane >> 49
        lane = a23 ^ d3
        b19 = lane << 56 & _MASK | lane >> 8
        lane = a2 ^ d2
        b20 = lane << 62 & _MASK | lane >> 2
        lane = a8 ^ d3
        b21 = lane << 55 & _MASK | lane >> 9
        lane = a14 ^ d4
        b22 = lane << 39 & _MASK | lane >> 25
        lane = a15 ^ d0
        b23 = lane << 41 & _MASK | lane >> 23
        lane = a21 ^ d1
        b24 = lane << 2 & _MASK | lane >> 62
        # chi, and iota on the first lane
        a0 = b0 ^ ~b1 & b2 ^ constant
        a1 = b1 ^ ~b2 & b3
        a2 = b2 ^ ~b3 & b4
        a3 = b3 ^ ~b4 & b0
        a4 = b4 ^ ~b0 & b1
        a5 = b5 ^ ~b6 & b7
        a6 = b6 ^ ~b7 & b8
        a7 = b7 ^ ~b8 & b9
        a8 = b8 ^ ~b9 & b5
        a9 = b9 ^ ~b5 & b6
        a10 = b10 ^ ~b11 & b12
        a11 = b11 ^ ~b12 & b13
        a12 = b12 ^ ~b13 & b14
        a13 = b13 ^ ~b14 & b10
        a14 = b14 ^ ~b10 & b11
        a15 = b15 ^ ~b16 & b17
        a16 = b16 ^ ~b17 & b18
        a17 = b17 ^ ~b18 & b19
        a18 = b18 ^ ~b19 & b15
        a19 = b19 ^ ~b15 & b16
        a20 = b20 ^ ~b21 & b22
        a21 = b21 ^ ~b22 & b23
        a22 = b22 ^ ~b23 & b24
        a23 = b23 ^ ~b24 & b20
        a24 = b24 ^ ~b20 & b21
    return _LANES.pack(
        a0,
        a1,
        a2,
        a3,
        a4,
        a5,
        a6,
        a7,
        a8,
        a9,
        a10,
        a11,
        a12,
        a13,
        a14,
        a15,
        a16,
        a17,
        a18,
        a19,
        a20,
        a21,
        a22,
        a23,
        a24,
    )


class Sponge(Protocol):
    """Keccak at a rate of 168 bytes, with cSHAKE's padding: 04 after the last byte of a block, 80 in its last place."""

    def begin(self, block: bytes) -> None:
        """Take in a first block, of 168 bytes and not padded."""
        ...  # pragma: no cover

    def step(self, data: bytes) -> bytes:
        """Take in up to 167 bytes, padded to a block; the 168 bytes that come out."""
        ...  # pragma: no cover


class OpensslSponge:
    """hashlib's. ValueError where it has none."""

    def __init__(self) -> None:
        self._hash = hashlib.new("KECCAK-KMAC-128")

    def begin(self, block: bytes) -> None:
        """See `Sponge`."""
        self._hash.update(block)

    def step(self, data: bytes) -> bytes:
        """See `Sponge`. hashlib pads what it gives out itself, so a copy does that and the block is padded after it."""
        ended = self._hash.copy()
        ended.update(data)
        self._hash.update(padded(data))
        return bytes.fromhex(ended.hexdigest(RATE_BYTES))  # type: ignore[call-arg]  # of a sponge: its length


class PythonSponge:
    """In plain Python."""

    def __init__(self) -> None:
        self._state = bytes(STATE_BYTES)

    def begin(self, block: bytes) -> None:
        """See `Sponge`."""
        self._absorb(block)

    def step(self, data: bytes) -> bytes:
        """See `Sponge`."""
        self._absorb(padded(data))
        return self._state[:RATE_BYTES]

    def _absorb(self, block: bytes) -> None:
        mixed = int.from_bytes(block, "little") ^ int.from_bytes(self._state, "little")
        self._state = keccak_f(mixed.to_bytes(STATE_BYTES, "little"))


def padded(data: bytes) -> bytes:
    """A block of what has at most 167 bytes."""
    block = bytearray(data.ljust(RATE_BYTES, b"\x00"))
    block[len(data)] ^= 0x04
    block[-1] ^= 0x80
    return bytes(block)


@cache
def _is_in_openssl() -> bool:
    try:
        return len(OpensslSponge().step(b"")) == RATE_BYTES
    except (ValueError, TypeError):
        return False


def fastest_sponge() -> Sponge:
    """A new one: hashlib's where it is there."""
    return OpensslSponge() if _is_in_openssl() else PythonSponge()
