"""An immutable map with a Merkle root: a crit-bit tree over keys, whose shape depends on its content alone.

A leaf is hashed as SHA-256(0x00 || key length (2 bytes) || key || value), a branch as SHA-256(0x01 || bit (2 bytes) ||
left || right), where `bit` is the first at which the keys below differ, counted from the highest of the first byte; the
empty map has SHA-256 of nothing. Keys come out sorted. No key may be the beginning of another: the chain's begin with
their kind, and all of a kind have one length.

A change copies the branches above it, about log2(n) of them, and shares the rest; hashes are made when they are first
asked for and then kept. So a change costs about log2(n) small objects and as many hashes, less what changes share:
those of a block are made together (`update`), and copy what they have in common once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from protocol.fields import Hash32

V = TypeVar("V", bound=msgspec.Struct)

MAX_KEY_BYTES = 128
_BRANCH_HEADS: Final = tuple(b"\x01" + bit.to_bytes(2, "big") for bit in range(8 * MAX_KEY_BYTES))
EMPTY_ROOT: Final = sha256(b"").digest()
encode_value: Final = msgspec.msgpack.Encoder().encode
"""A value's bytes: msgpack, numbers as short as they go. Values hold nothing but integers, bytes and tuples of them."""

Step = tuple[Annotated[int, Meta(ge=0, lt=8 * MAX_KEY_BYTES)], Hash32]
"""A branch on the way up from a leaf: its bit, and the hash of the side that the leaf is not on."""


# Neither can be part of a cycle, so the garbage collector need not visit them: there are two for each entry.


class _Leaf(msgspec.Struct, Generic[V], gc=False, eq=False):
    key: bytes
    value: V
    digest: bytes | None = None
    """Its hash, once somebody has asked."""

    def hash(self) -> bytes:
        if self.digest is None:
            self.digest = _leaf_hash(self.key, encode_value(self.value))
        return self.digest


class _Branch(msgspec.Struct, Generic[V], gc=False, eq=False):
    bit: int
    left: "_Node[V]"
    right: "_Node[V]"
    key: bytes
    """What all keys below begin with, up to `bit`; what comes after that says nothing."""
    digest: bytes | None = None

    def hash(self) -> bytes:
        if self.digest is None:
            left, right = self.left, self.right
            below = (left.digest or left.hash()) + (right.digest or right.hash())
            self.digest = sha256(_BRANCH_HEADS[self.bit] + below).digest()
        return self.digest


_Node = _Leaf[V] | _Branch[V]
_Change = tuple[bytes, _Leaf[V] | None]
"""A key, and what is to stand there: None for one that is there and goes."""


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
        wanted = list[_Change[V]]()
        for key in sorted(changes):
            value = changes[key]
            if value is not None:
                wanted.append((key, _Leaf(key, value)))
            elif self.get(key) is not None:
                wanted.append((key, None))
        return Trie(_merged(self._top, wanted, 0, len(wanted))) if wanted else self

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


def _merged(node: "_Node[V] | None", changes: Sequence[_Change[V]], lo: int, hi: int) -> "_Node[V] | None":
    """`node` after changes[lo:hi], of which there is one at least; they are sorted and belong at this place."""
    if node is None:
        return _built(changes, lo, hi)
    if hi - lo == 1:  # most often: below where the changes have parted
        return _with_one(node, *changes[lo])
    if isinstance(node, _Leaf):
        return _beside(node, changes, lo, hi)
    # Where the changes and what is here part first; sorted, so the outermost two say it.
    bit, key, first, last = node.bit, node.key, changes[lo][0], changes[hi - 1][0]
    if not (_agree(key, first, bit) and _agree(key, last, bit)):
        bit = min(bit, _parting(key, first), _parting(key, last))
    middle = _split(changes, lo, hi, bit)
    if bit == node.bit:
        left = node.left if middle == lo else _merged(node.left, changes, lo, middle)
        right = node.right if middle == hi else _merged(node.right, changes, middle, hi)
    elif _is_set(node.key, bit):
        left = _built(changes, lo, middle)
        right = node if middle == hi else _merged(node, changes, middle, hi)
    else:
        left = node if middle == lo else _merged(node, changes, lo, middle)
        right = _built(changes, middle, hi)
    if left is None or right is None:
        return left or right
    return _Branch(bit, left, right, left.key)


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
        made = _Branch(bit, node, leaf, key) if _is_set(key, bit) else _Branch(bit, leaf, node, key)
    for parent, side in reversed(path):
        left, right = (parent.left, made) if side else (made, parent.right)
        made = _Branch(parent.bit, left, right, key)
    return made


def _beside(leaf: _Leaf[V], changes: Sequence[_Change[V]], lo: int, hi: int) -> "_Node[V] | None":
    """A leaf among those that come; or that of them which takes its place."""
    here = dict[bytes, _Leaf[V] | None]([(leaf.key, leaf), *changes[lo:hi]])
    kept = sorted((key, one) for key, one in here.items() if one is not None)
    return _built(kept, 0, len(kept)) if kept else None


def _built(changes: Sequence[_Change[V]], lo: int, hi: int) -> "_Node[V] | None":
    """The tree of the leaves changes[lo:hi]: what goes is never among them, since it would be in a tree already."""
    if hi - lo == 1:
        return changes[lo][1]
    bit = _first_difference(changes[lo][0], changes[hi - 1][0])
    middle = _split(changes, lo, hi, bit)
    left, right = _built(changes, lo, middle), _built(changes, middle, hi)
    assert left is not None
    assert right is not None
    return _Branch(bit, left, right, left.key)


def _split(changes: Sequence[_Change[V]], lo: int, hi: int, bit: int) -> int:
    """Where the keys begin that have this bit; all agree before it."""
    at, mask = bit >> 3, 1 << (7 - (bit & 7))
    while lo < hi:
        middle = (lo + hi) >> 1
        if changes[middle][0][at] & mask:
            hi = middle
        else:
            lo = middle + 1
    return lo


def _agree(one: bytes, two: bytes, bit: int) -> bool:
    """Whether two keys surely agree before `bit`: False says nothing."""
    at = bit >> 3
    return one[:at] == two[:at] and at < len(two) and not (one[at] ^ two[at]) >> (8 - (bit & 7))


def _parting(one: bytes, two: bytes) -> int:
    """As `_first_difference`; beyond every bit where both are the same."""
    return 8 * MAX_KEY_BYTES if one == two else _first_difference(one, two)
