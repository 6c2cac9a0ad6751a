"""The Merkle tree of RFC 9162 (Certificate Transparency 2.0), 2.1: roots, and proofs that a tree has a leaf or grew.

A leaf is hashed as SHA-256(0x00 || leaf) and a node as SHA-256(0x01 || left || right), so that neither passes for the
other. The empty tree's root is SHA-256 of nothing. Proofs are lists of 32-byte hashes, the deepest first.
Verifying is total: what is not a valid proof gives False, whatever it is made of.
"""

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32
MAX_PROOF_HASHES = 65
"""Of a consistency proof in a tree of 2^64 leaves: what is longer is not looked at."""


def leaf_hash(leaf: bytes) -> bytes:
    """The 32-byte hash of a leaf's content."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The 32-byte hash over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, over the contents of all leaves in order."""
    return _root([leaf_hash(leaf) for leaf in leaves])


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """PATH of RFC 9162, 2.1.3.1: what leads from leaf `index` to the root. IndexError when there is no such leaf."""
    return Tree([leaf_hash(leaf) for leaf in leaves]).path(index)


class Tree:
    """A whole tree over leaf hashes, kept: for many proofs about many leaves."""

    __slots__ = ("_levels",)

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        self._levels: list[Sequence[bytes]] = [leaf_hashes]
        while len(self._levels[-1]) > 1:
            self._levels.append(_parents(self._levels[-1]))

    @property
    def root(self) -> bytes:
        """The root over all leaves."""
        return _root(self._levels[-1])

    def path(self, index: int) -> list[bytes]:
        """PATH of RFC 9162, 2.1.3.1. IndexError when there is no such leaf."""
        if not 0 <= index < len(self._levels[0]):
            raise IndexError(f"a tree of {len(self._levels[0])} leaves has no leaf {index}")
        # The last node of an odd level has no sibling and moves up as it is.
        places = ((level, (index >> height) ^ 1) for height, level in enumerate(self._levels[:-1]))
        return [level[sibling] for level, sibling in places if sibling < len(level)]


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """PROOF of RFC 9162, 2.1.4.1: that the tree of the first `old_size` leaves became that of all of them.

    IndexError unless 1 <= old_size <= len(leaves): from an empty tree, anything may grow.
    """
    if not 1 <= old_size <= len(leaves):
        raise IndexError(f"a tree of {len(leaves)} leaves did not grow from one of {old_size}")
    return _subproof(old_size, [leaf_hash(leaf) for leaf in leaves], whole=True)


def verify_inclusion(leaf_hash_: bytes, index: int, size: int, proof: Sequence[bytes], root_: bytes) -> bool:
    """Whether the tree of `size` leaves with this root has the leaf of this hash at `index` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _well_formed(proof, leaf_hash_, root_):
        return False
    at, last, made = index, size - 1, leaf_hash_
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            made = node_hash(sibling, made)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            made = node_hash(made, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and made == root_


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `new_size` leaves begins with all leaves of the older one (RFC 9162, 2.1.4.2).

    From the empty tree nothing is proved, so `old_size` 0 gives False.
    """
    if not 1 <= old_size <= new_size or not _well_formed(proof, old_root, new_root):
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    # A whole old tree is itself the first hash of the proof, which therefore leaves it out.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = old_size - 1, new_size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_made = new_made = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_made, new_made = node_hash(sibling, old_made), node_hash(sibling, new_made)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new_made = node_hash(new_made, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old_made == old_root and new_made == new_root


def _parents(level: Sequence[bytes]) -> list[bytes]:
    above = [node_hash(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
    return [*above, level[-1]] if len(level) % 2 else above


def _root(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        hashes = _parents(hashes)
    return hashes[0]


def _subproof(old_size: int, hashes: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if old_size == len(hashes):
        return [] if whole else [_root(hashes)]
    split = 1 << (len(hashes) - 1).bit_length() - 1  # the largest power of two below the number of leaves
    if old_size <= split:
        return [*_subproof(old_size, hashes[:split], whole=whole), _root(hashes[split:])]
    return [*_subproof(old_size - split, hashes[split:], whole=False), _root(hashes[:split])]


def _well_formed(proof: Sequence[bytes], *ends: bytes) -> bool:
    return len(proof) <= MAX_PROOF_HASHES and all(len(one) == HASH_BYTES for one in (*ends, *proof))
