"""Memory that must be there: layers of numbers, each made of three of the layer below at places that its content picks.

    W_l[i] = mix(W_(l-1)[i], W_(l-1)[j], W_(l-1)[k])      j, k from the bits of W_(l-1)[i]; W_0 from AES-CTR(seed)

The prover commits to a Merkle root over every layer, in chunks; the verifier then picks places, and wants the chunks in
much less time than the filling took. Who did not keep a chunk must make it again, which from about the eighth layer on
takes nearly all layers below: so about three quarters of the memory must really be held.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from crypto.merkle import HASH_BYTES, Tree, leaf_hash, verify_inclusion
from node.attestation.work import AttestationError, Work, picks, stream

LAYERS: Final = 32
CHUNK: Final = 512
"""Numbers of 8 bytes in one leaf: 4 KiB."""
OPENED: Final = 24
"""Places that are looked at, each with three or four chunks. Who lacks a tenth of the chunks passes once in 1,500."""
ANSWER_SHARE: Final = 0.25
"""Of the filling's time that opening may take, beside the round trip."""
_MASK: Final = 2**64 - 1
_ODD: Final = 0x9E3779B97F4A7C15
_CHUNK_BYTES: Final = 8 * CHUNK

Layer = NDArray[np.uint64]


def width(work: Work) -> int:
    """Numbers in one layer."""
    return work.memory_mib * 2**20 // (8 * LAYERS)


class MemoryProver:
    """Fills the memory and answers for it."""

    def __init__(self, work: Work, seed: bytes) -> None:
        self._work = work
        self._seed = seed
        self._layers: list[Layer] = []
        self._trees: list[Tree] = []

    def fill(self) -> list[bytes]:
        """The roots of layers 1 to LAYERS."""
        count = width(self._work)
        layer = np.frombuffer(stream(b"memory", self._seed, 8 * count), dtype="<u8").astype(np.uint64)
        places = np.arange(count, dtype=np.uint64)
        self._layers = [layer]
        for _ in range(LAYERS):
            layer = _mix(layer, layer[_first(layer, count)], layer[_second(layer, count)], places)
            self._layers.append(layer)
            data = layer.astype("<u8").tobytes()
            chunks = range(0, len(data), _CHUNK_BYTES)
            self._trees.append(Tree([leaf_hash(data[at : at + _CHUNK_BYTES]) for at in chunks]))
        return [tree.root for tree in self._trees]

    def open(self, challenge: bytes) -> bytes:
        """For every place picked: its chunk, and those that it was made of."""
        count, out = width(self._work), b""
        for number, index in opened_places(self._work, challenge):
            below = self._layers[number - 1]
            value = int(below[index])
            out += self._chunk(number, index)
            if number > 1:
                for place in (index, _first(value, count), _second(value, count)):
                    out += self._chunk(number - 1, place)
        return out

    def _chunk(self, number: int, place: int) -> bytes:
        at = place // CHUNK
        data = self._layers[number][at * CHUNK : (at + 1) * CHUNK].astype("<u8").tobytes()
        return data + b"".join(self._trees[number - 1].path(at))


def opened_places(work: Work, challenge: bytes) -> Sequence[tuple[int, int]]:
    """Layer, 1 to LAYERS, and place of all that a challenge looks at."""
    layers = picks(b"layers", challenge, OPENED, LAYERS)
    places = picks(b"places", challenge, OPENED, width(work))
    return [(layer + 1, place) for layer, place in zip(layers, places, strict=True)]


def check_memory(work: Work, seed: bytes, roots: Sequence[bytes], challenge: bytes, opened: bytes) -> None:
    """AttestationError unless the chunks opened under `roots` were made of each other as they should."""
    count = width(work)
    if len(roots) != LAYERS:
        raise AttestationError(f"{len(roots)} roots were committed to, for {LAYERS} layers of memory")
    reader = _Reader(opened, count // CHUNK, roots)
    for number, index in opened_places(work, challenge):
        value = reader.take(number, index)
        if number > 1:
            below = reader.take(number - 1, index)
            one = reader.take(number - 1, _first(below, count))
            other = reader.take(number - 1, _second(below, count))
        else:
            below = _base(seed, index)
            one, other = _base(seed, _first(below, count)), _base(seed, _second(below, count))
        if value != int(_mix(below, one, other, index)) & _MASK:
            raise AttestationError(f"place {index} of layer {number} was not made of the layer below")
    reader.end()


class _Reader:
    """Takes chunks from an answer, in order, each checked against its layer's root."""

    def __init__(self, data: bytes, chunks: int, roots: Sequence[bytes]) -> None:
        self._data = data
        self._chunks = chunks
        self._roots = roots
        self._at = 0

    def take(self, number: int, place: int) -> int:
        """The number at this place of this layer."""
        hashes_bytes = HASH_BYTES * (self._chunks - 1).bit_length()
        record = self._data[self._at : self._at + _CHUNK_BYTES + hashes_bytes]
        self._at += _CHUNK_BYTES + hashes_bytes
        chunk, hashes = record[:_CHUNK_BYTES], record[_CHUNK_BYTES:]
        path = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
        if not verify_inclusion(leaf_hash(chunk), place // CHUNK, self._chunks, path, self._roots[number - 1]):
            raise AttestationError(f"a chunk of layer {number} is not the one that was committed to")
        at = 8 * (place % CHUNK)
        return int.from_bytes(chunk[at : at + 8], "little")

    def end(self) -> None:
        if self._at != len(self._data):
            raise AttestationError(f"{len(self._data)} bytes of chunks were sent, not {self._at}")


def _base(seed: bytes, index: int) -> int:
    block = stream(b"memory", seed, 16, block=index // 2)
    return int.from_bytes(block[8 * (index % 2) :][:8], "little")


def _first(value: Any, count: int) -> Any:
    return value & (count - 1) if isinstance(value, int) else (value & np.uint64(count - 1)).astype(np.int64)


def _second(value: Any, count: int) -> Any:
    high = value >> 32 if isinstance(value, int) else value >> np.uint64(32)
    return _first(high, count)


def _mix(own: Any, one: Any, other: Any, place: Any) -> Any:
    """On Python's integers and on arrays of 64 bits alike, modulo 2^64."""
    if isinstance(own, int):
        mixed = ((own ^ (one << 23 | one >> 41)) + other * 3 + place) * _ODD & _MASK
        return mixed ^ mixed >> 29
    turned = one << np.uint64(23) | one >> np.uint64(41)
    mixed = ((own ^ turned) + other * np.uint64(3) + place) * np.uint64(_ODD)
    return mixed ^ mixed >> np.uint64(29)
