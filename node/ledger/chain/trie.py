"""An immutable map with a Merkle root: a crit-bit tree over keys, whose shape depends on its content alone.

A leaf is hashed as SHA-256(0x00 || key length (2 bytes) || key || value), a branch as SHA-256(0x01 || bit (2 bytes) ||
left || right), where `bit` is the first at which the keys below differ, counted from the highest of the first byte; the
empty map has SHA-256 of nothing. Keys come out sorted. No key may be the beginning of another: the chain's begin with
their kind, and all of a kind have one length.

A change copies the branches above it, about log2(n) of them, and shares the rest. So it costs about log2(n) small
objects and as many hashes, less what changes share: those of a block are made together (`update`), and copy and hash
what they have in common once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, Generic, TypeVar, cast

import msgspec
from msgspec import Meta

from protocol.fields import Hash32

V = TypeVar("V", bound=msgspec.Struct)

MAX_KEY_BYTES = 128
_BRANCH_HEADS: Final = tuple(b"\x01" + bit.to_bytes(2, "big") for bit in range(8 * MAX_KEY_BYTES))
_FORMER_BITS: Final = tuple(0xFF00 >> bit & 0xFF for bit in range(8))
"""Of a byte, what comes before a bit of it."""
EMPTY_ROOT: Final = sha256(b"").digest()
encode_value: Final = msgspec.msgpack.Encoder().encode
"""A value's bytes: msgpack, numbers as short as they go. Values hold nothing but integers, bytes and tuples of them."""

Step = tuple[Annotated[int, Meta(ge=0, lt=8 * MAX_KEY_BYTES)], Hash32]
"""A branch on the way up from a leaf: its bit, and the hash of the side that the leaf is not on."""


# Neither can be part of a cycle, so the garbage collector need not visit them: there are two for each entry.


class _Leaf(msgspec.Struct, Generic[V], gc=False, eq=False):
    key: bytes
    value: V
    digest: bytes


class _Branch(msgspec.Struct, Generic[V], gc=False, eq=False):
    bit: int
    left: "_Node[V]"
    right: "_Node[V]"
    key: bytes
    """What all keys below begin with, up to `bit`; what comes after that says nothing."""
    digest: bytes


_Node = _Leaf[V] | _Branch[V]
_Leaves = Sequence[_Leaf[V] | None]
"""Beside a sequence of as many keys, what is to stand there: None for one that is there and goes."""


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
        return self.update({key: value})

    def remove(self, key: bytes) -> "Trie[V]":
        """This map without `key`; the same map when it is not there."""
        return self.update({key: None})

    def update(self, changes: Mapping[bytes, V | None]) -> "Trie[V]":
        """This map with all these values, and without the keys at None; ValueError when one key begins another."""
        keys, leaves = list[bytes](), list[_Leaf[V] | None]()
        for key in sorted(changes):
            value = changes[key]
            if value is None and self.get(key) is None:
                continue
            keys.append(key)
            leaves.append(None if value is None else _Leaf(key, value, _leaf_hash(key, encode_value(value))))
        return Trie(_merged(self._top, keys, leaves, 0, len(keys))) if keys else self

    def root(self) -> bytes:
        """The 32-byte commitment to everything in the map."""
        return EMPTY_ROOT if self._top is None else self._top.digest

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
        if node is None or not node.key.startswith(prefix):
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
            steps.append((node.bit, (node.left if on_right else node.right).digest))
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
    return sha256(b"\x00" + len(key).to_bytes(2, "big") + key + value).digest()


def branch_hash(bit: int, left: bytes, right: bytes) -> bytes:
    """The hash of a branch at this bit."""
    return sha256(_BRANCH_HEADS[bit] + left + right).digest()


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
    return (None, node) if _is_set(node.key, bit) else (node, None)


def _nearest(node: _Node[V], key: bytes) -> _Leaf[V]:
    """The leaf that `key` leads to: its own if there is one, else one that shares the longest beginning with it."""
    # The inmost loop of every rule: an instance of exactly one of two classes is told apart without a call.
    size = len(key)
    while node.__class__ is _Branch:
        bit = node.bit
        at = bit >> 3
        node = node.right if at < size and key[at] >> (7 - (bit & 7)) & 1 else node.left
    return node  # type: ignore[return-value]  # a leaf, as there is nothing else


def _merged(
    node: "_Node[V] | None", keys: Sequence[bytes], leaves: _Leaves[V], lo: int, hi: int, known: int = 0
) -> "_Node[V] | None":
    """`node` after the changes lo to hi, of which there is one at least; sorted, and all belong at this place.

    `known`: they and all that is here agree before this bit.
    """
    if node is None:
        return _built(keys, leaves, lo, hi)
    if hi - lo == 1:  # most often: below where the changes have parted
        return _with_one(node, keys[lo], leaves[lo])
    if isinstance(node, _Leaf):
        return _beside(node, keys, leaves, lo, hi)
    bit = node.bit
    if bit > known and not _agree(node.key, keys[lo], keys[hi - 1], bit):
        # The changes and what is here part above; sorted, so the outermost two say where.
        bit = min(bit, _parting(node.key, keys[lo]), _parting(node.key, keys[hi - 1]))
    middle = _split(keys, lo, hi, bit)
    here = (node.left, node.right) if bit == node.bit else _sides(node, bit)
    left = here[0] if middle == lo else _merged(here[0], keys, leaves, lo, middle, bit + 1)
    right = here[1] if middle == hi else _merged(here[1], keys, leaves, middle, hi, bit + 1)
    if left is None or right is None:
        return left or right
    return _joined(bit, left, right)


def _with_one(node: _Node[V], key: bytes, leaf: _Leaf[V] | None) -> "_Node[V] | None":
    """`node` with `leaf` at `key`, or without what is there."""
    path = list[tuple[_Branch[V], int]]()
    size = len(key)
    while node.__class__ is _Branch:
        bit = node.bit
        at = bit >> 3
        side = at < size and key[at] >> (7 - (bit & 7)) & 1
        path.append((node, side))
        node = node.right if side else node.left
    made: _Node[V]
    if leaf is None:
        if not path:
            return None
        parent, side = path.pop()
        made = parent.left if side else parent.right
    elif node.key == key:
        made = leaf
    else:
        bit = _first_difference(key, node.key)
        while path and path[-1][0].bit > bit:
            node = path.pop()[0]
        made = _joined(bit, node, leaf) if _is_set(key, bit) else _joined(bit, leaf, node)
    for parent, side in reversed(path):
        made = _joined(parent.bit, parent.left, made) if side else _joined(parent.bit, made, parent.right)
    return made


def _beside(leaf: _Leaf[V], keys: Sequence[bytes], leaves: _Leaves[V], lo: int, hi: int) -> "_Node[V] | None":
    """A leaf among those that come; or that of them which takes its place."""
    here = {leaf.key: leaf, **dict(zip(keys[lo:hi], leaves[lo:hi], strict=True))}
    kept = sorted(key for key, one in here.items() if one is not None)
    return _built(kept, [here[key] for key in kept], 0, len(kept)) if kept else None


def _built(keys: Sequence[bytes], leaves: _Leaves[V], lo: int, hi: int) -> _Node[V]:
    """The tree of the leaves lo to hi: what goes is never among them, since it would be in a tree already.

    From left to right: `waiting` are the branches whose right side is not whole, each with its bit and its left side.
    """
    waiting = list[tuple[int, _Node[V]]]()
    node: _Node[V] = cast("_Leaf[V]", leaves[lo])
    for at in range(lo + 1, hi):
        bit = _first_difference(keys[at - 1], keys[at])
        while waiting and waiting[-1][0] > bit:
            node = _joined(*waiting.pop(), node)
        waiting.append((bit, node))
        node = cast("_Leaf[V]", leaves[at])
    while waiting:
        node = _joined(*waiting.pop(), node)
    return node


def _joined(bit: int, left: _Node[V], right: _Node[V]) -> _Branch[V]:
    return _Branch(bit, left, right, left.key, sha256(_BRANCH_HEADS[bit] + left.digest + right.digest).digest())


def _split(keys: Sequence[bytes], lo: int, hi: int, bit: int) -> int:
    """Where the keys begin that have this bit; all agree before it."""
    at, mask = bit >> 3, 1 << (7 - (bit & 7))
    while lo < hi:
        middle = (lo + hi) >> 1
        if keys[middle][at] & mask:
            hi = middle
        else:
            lo = middle + 1
    return lo


def _agree(here: bytes, first: bytes, last: bytes, bit: int) -> bool:
    """Whether three keys surely agree before `bit`: False says nothing."""
    at = bit >> 3
    head = here[:at]
    if first[:at] != head or last[:at] != head or len(first) <= at or len(last) <= at:
        return False
    return not (first[at] ^ here[at] | last[at] ^ here[at]) & _FORMER_BITS[bit & 7]


def _parting(here: bytes, key: bytes) -> int:
    """As `_first_difference`; beyond every bit where both are the same."""
    return 8 * MAX_KEY_BYTES if here == key else _first_difference(here, key)
