"""An immutable map with a Merkle root: a crit-bit tree over keys, whose shape depends on its content alone.

A leaf is hashed as SHA-256(0x00 || key length (2 bytes) || key || value), a branch as SHA-256(0x01 || bit (2 bytes) ||
left || right), where `bit` is the first at which the keys below differ, counted from the highest of the first byte; the
empty map has SHA-256 of nothing. Keys come out sorted. No key may be the beginning of another: the chain's begin with
their kind, and all of a kind have one length.

A change copies the branches above it, about log2(n) of them, and shares the rest; hashes are made when they are first
asked for and then kept. So a change costs about log2(n) small objects and as many hashes, less what changes share.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from protocol.fields import Hash32

V = TypeVar("V", bound=msgspec.Struct)

MAX_KEY_BYTES = 128
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
encode_value: Final = msgspec.msgpack.Encoder().encode
"""A value's bytes: msgpack, numbers as short as they go. Values hold nothing but integers, bytes and tuples of them."""

Step = tuple[Annotated[int, Meta(ge=0, lt=8 * MAX_KEY_BYTES)], Hash32]
"""A branch on the way up from a leaf: its bit, and the hash of the side that the leaf is not on."""


class _Leaf(Generic[V]):
    __slots__ = ("_hash", "key", "value")

    def __init__(self, key: bytes, value: V) -> None:
        self.key = key
        self.value = value
        self._hash: bytes | None = None

    def hash(self) -> bytes:
        if self._hash is None:
            self._hash = _leaf_hash(self.key, encode_value(self.value))
        return self._hash


class _Branch(Generic[V]):
    __slots__ = ("_hash", "bit", "left", "right")

    def __init__(self, bit: int, left: "_Node[V]", right: "_Node[V]") -> None:
        self.bit = bit
        self.left = left
        self.right = right
        self._hash: bytes | None = None

    def hash(self) -> bytes:
        if self._hash is None:
            self._hash = branch_hash(self.bit, self.left.hash(), self.right.hash())
        return self._hash


_Node = _Leaf[V] | _Branch[V]


@dataclass(frozen=True, slots=True)
class Trie(Generic[V]):
    """The map. Every change gives a new one and leaves this as it is."""

    _top: "_Node[V] | None" = None

    def get(self, key: bytes) -> V | None:
        """The value of `key`, or None."""
        if self._top is None:
            return None
        leaf = _nearest(self._top, key)
        return leaf.value if leaf.key == key else None

    def put(self, key: bytes, value: V) -> "Trie[V]":
        """This map with `value` at `key`."""
        leaf = _Leaf(key, value)
        if self._top is None:
            return Trie(leaf)
        other = _nearest(self._top, key).key
        if other == key:
            return Trie(_replaced(self._top, key, leaf))
        bit = _first_difference(key, other)
        return Trie(_inserted(self._top, key, leaf, bit))

    def remove(self, key: bytes) -> "Trie[V]":
        """This map without `key`; the same map when it is not there."""
        if self._top is None or _nearest(self._top, key).key != key:
            return self
        return Trie(_removed(self._top, key))

    def root(self) -> bytes:
        """The 32-byte commitment to everything in the map."""
        return EMPTY_ROOT if self._top is None else self._top.hash()

    def items(self, prefix: bytes = b"") -> Iterator[tuple[bytes, V]]:
        """All keys that begin with `prefix`, in order, with their values."""
        start = self.part(prefix)._top
        waiting = [] if start is None else [start]
        while waiting:
            node = waiting.pop()
            if isinstance(node, _Branch):
                waiting += [node.right, node.left]
            else:
                yield node.key, node.value

    def part(self, prefix: bytes) -> "Trie[V]":
        """The map of all keys that begin with `prefix`; the same one as long as none of them changes."""
        node = self._top
        while isinstance(node, _Branch) and node.bit < 8 * len(prefix):
            node = node.right if _is_set(prefix, node.bit) else node.left
        if node is None or not _lowest(node).key.startswith(prefix):
            return Trie()
        return Trie(node)

    def changes(self, before: "Trie[V]") -> dict[bytes, V | None]:
        """What turns `before` into this map: values by key, None for one that goes. What they share costs nothing."""
        gone, come = set[bytes](), dict[bytes, V | None]()
        waiting: list[tuple[_Node[V] | None, _Node[V] | None]] = [(before._top, self._top)]
        while waiting:
            old, new = waiting.pop()
            if old is new:
                continue
            if isinstance(new, _Branch) and (not isinstance(old, _Branch) or new.bit <= old.bit):
                olds = _sides(old, new.bit)
                waiting += [(olds[0], new.left), (olds[1], new.right)]
            elif isinstance(old, _Branch):
                news = _sides(new, old.bit)
                waiting += [(old.left, news[0]), (old.right, news[1])]
            else:
                if isinstance(old, _Leaf):
                    gone.add(old.key)
                if isinstance(new, _Leaf):
                    come[new.key] = new.value
        return {**dict.fromkeys(gone - come.keys()), **come}

    def top_down(self, max_leaves: int) -> "Iterator[tuple[int, Trie[V] | None]]":
        """The top of the tree, every side before what is right of it: branches as (bit, None), and where no more than
        `max_leaves` keys are below, the map of these as (0, map)."""
        if self._top is None:
            return
        sizes = dict[int, int]()
        _count_leaves(self._top, sizes)
        waiting = [self._top]
        while waiting:
            node = waiting.pop()
            if isinstance(node, _Leaf) or sizes[id(node)] <= max_leaves:
                yield 0, Trie(node)
            else:
                yield node.bit, None
                waiting += [node.right, node.left]

    def prove(self, key: bytes) -> tuple[Step, ...] | None:
        """The branches from the leaf of `key` up to the root, or None when the map lacks it."""
        if self._top is None or _nearest(self._top, key).key != key:
            return None
        steps: list[Step] = []
        node = self._top
        while isinstance(node, _Branch):
            on_right = _is_set(key, node.bit)
            steps.append((node.bit, (node.left if on_right else node.right).hash()))
            node = node.right if on_right else node.left
        return tuple(reversed(steps))


def proved_root(key: bytes, value: bytes, steps: Sequence[Step]) -> bytes | None:
    """The root of the map in which these steps lead from `key`, with these bytes as its value; None if none can."""
    if len(key) > MAX_KEY_BYTES:
        return None
    made, below = _leaf_hash(key, value), 8 * len(key)
    for bit, sibling in steps:
        if not 0 <= bit < below or len(sibling) != 32:
            return None
        made = branch_hash(bit, sibling, made) if _is_set(key, bit) else branch_hash(bit, made, sibling)
        below = bit
    return made


def _count_leaves(node: _Node[V], sizes: dict[int, int]) -> int:
    """How many leaves `node` has; notes it of all branches below it, by id."""
    if isinstance(node, _Leaf):
        return 1
    sizes[id(node)] = count = _count_leaves(node.left, sizes) + _count_leaves(node.right, sizes)
    return count


def _leaf_hash(key: bytes, value: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + len(key).to_bytes(2, "big") + key + value).digest()


def branch_hash(bit: int, left: bytes, right: bytes) -> bytes:
    """The hash of a branch at this bit."""
    return hashlib.sha256(b"\x01" + bit.to_bytes(2, "big") + left + right).digest()


def _is_set(key: bytes, bit: int) -> bool:
    """Bit `bit` of a key; of a shorter one, 0."""
    at = bit >> 3
    return at < len(key) and bool(key[at] >> (7 - (bit & 7)) & 1)


def _first_difference(one: bytes, two: bytes) -> int:
    width = min(len(one), len(two))
    differs = int.from_bytes(one[:width], "big") ^ int.from_bytes(two[:width], "big")
    if not differs:
        raise ValueError(f"one of the keys {one.hex()} and {two.hex()} is the beginning of the other")
    return 8 * width - differs.bit_length()


def _sides(node: "_Node[V] | None", bit: int) -> "tuple[_Node[V] | None, _Node[V] | None]":
    """What of `node`, whose keys agree before `bit`, is on either side of a branch at `bit`."""
    if isinstance(node, _Branch) and node.bit == bit:
        return node.left, node.right
    if node is None:
        return None, None
    return (None, node) if _is_set(_lowest(node).key, bit) else (node, None)


def _lowest(node: _Node[V]) -> _Leaf[V]:
    while isinstance(node, _Branch):
        node = node.left
    return node


def _nearest(node: _Node[V], key: bytes) -> _Leaf[V]:
    """The leaf that `key` leads to: its own if there is one, else one that shares the longest beginning with it."""
    # The inmost loop of every rule: an instance of exactly one of two classes is told apart without a call.
    size = len(key)
    while node.__class__ is _Branch:
        bit = node.bit
        at = bit >> 3
        node = node.right if at < size and key[at] >> (7 - (bit & 7)) & 1 else node.left
    return node  # type: ignore[return-value]  # a leaf, as there is nothing else


def _replaced(node: _Node[V], key: bytes, leaf: _Leaf[V]) -> _Node[V]:
    if isinstance(node, _Leaf):
        return leaf
    if _is_set(key, node.bit):
        return _Branch(node.bit, node.left, _replaced(node.right, key, leaf))
    return _Branch(node.bit, _replaced(node.left, key, leaf), node.right)


def _inserted(node: _Node[V], key: bytes, leaf: _Leaf[V], bit: int) -> _Node[V]:
    if isinstance(node, _Leaf) or node.bit > bit:
        return _Branch(bit, node, leaf) if _is_set(key, bit) else _Branch(bit, leaf, node)
    at, size = node.bit, len(key)
    if at >> 3 < size and key[at >> 3] >> (7 - (at & 7)) & 1:
        return _Branch(at, node.left, _inserted(node.right, key, leaf, bit))
    return _Branch(at, _inserted(node.left, key, leaf, bit), node.right)


def _removed(node: _Node[V], key: bytes) -> _Node[V] | None:
    if isinstance(node, _Leaf):
        return None
    if _is_set(key, node.bit):
        right = _removed(node.right, key)
        return node.left if right is None else _Branch(node.bit, node.left, right)
    left = _removed(node.left, key)
    return node.right if left is None else _Branch(node.bit, left, node.right)
