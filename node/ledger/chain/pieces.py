"""A state in pieces that are checked one by one: subtrees of its map, each named by its Merkle hash.

The outline is the top of the tree, down to subtrees of at most PIECE_ENTRIES entries: preorder, 0x01 || bit (2 bytes)
for a branch and 0x00 || hash for a subtree that is a piece. So the state root follows from the outline, and a piece's
name from its entries; equal states have equal outlines, and what two states share has one name in both.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from node.ledger.chain.state import Entry, State, decode_entry
from node.ledger.chain.trie import EMPTY_ROOT, MAX_KEY_BYTES, Trie, branch_hash, encode_value
from protocol.consensus import MAX_OUTLINE_BYTES
from protocol.errors import RemoteProtocolError
from protocol.packing import pack, unpack

PIECE_ENTRIES: Final = 1024
"""Some 150 KB: a message takes several."""
_BRANCH, _PIECE = b"\x01", b"\x00"


class _Piece(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    entries: Annotated[tuple[tuple[bytes, bytes], ...], Meta(min_length=1, max_length=PIECE_ENTRIES)]


class StateCut:
    """A state's outline and pieces; node/ledger/machine's `Cut`. Pieces are packed when they are asked for."""

    def __init__(self, state: State, entries: int = PIECE_ENTRIES) -> None:
        """Counts and hashes all there is: about a second for a million entries that were never hashed."""
        parts, self._subtrees = list[bytes](), dict[bytes, Trie[Entry]]()
        for bit, subtree in state.trie.top_down(entries):
            if subtree is None:
                parts.append(_BRANCH + bit.to_bytes(2, "big"))
            else:
                name = subtree.root()
                parts.append(_PIECE + name)
                self._subtrees[name] = subtree
        self.outline = b"".join(parts)

    def piece(self, name: bytes) -> bytes | None:
        """The piece of that name, packed."""
        subtree = self._subtrees.get(name)
        if subtree is None:
            return None
        return pack(_Piece(tuple((key, encode_value(entry)) for key, entry in subtree.items())))


def names_in(outline: bytes, root: bytes) -> tuple[bytes, ...]:
    """The names of a state's pieces; RemoteProtocolError unless the outline leads to this root."""
    if len(outline) > MAX_OUTLINE_BYTES:
        raise RemoteProtocolError("bad_snapshot", f"an outline of more than {MAX_OUTLINE_BYTES} bytes")
    names, found = list[bytes](), EMPTY_ROOT if not outline else None
    open_branches: list[tuple[int, bytes | None]] = []  # (bit, hash of the left side once it is known)
    at = 0
    while at < len(outline):
        kind = outline[at : at + 1]
        if found is not None or kind not in (_BRANCH, _PIECE):
            raise RemoteProtocolError("bad_snapshot", "an outline that is not in the form of one")
        if kind == _BRANCH:
            bit = int.from_bytes(outline[at + 1 : at + 3], "big")
            if bit >= 8 * MAX_KEY_BYTES or len(outline) < at + 3:
                raise RemoteProtocolError("bad_snapshot", "an outline that branches where no key does")
            open_branches.append((bit, None))
            at += 3
            continue
        made = outline[at + 1 : at + 33]
        names.append(made)
        at += 33
        while open_branches:
            bit, left = open_branches.pop()
            if left is None:
                open_branches.append((bit, made))
                break
            made = branch_hash(bit, left, made)
        else:
            found = made
    if found != root:
        raise RemoteProtocolError("bad_snapshot", "an outline of another state than the header certifies")
    return tuple(names)


def name_of(piece: bytes) -> bytes:
    """Which piece this is; RemoteProtocolError when it is none."""
    return _trie_of([piece]).root()


def state_of(pieces: Sequence[bytes]) -> State:
    """The state of all its pieces; RemoteProtocolError for what is no piece. Compare the root with a certified one."""
    return State(_trie_of(pieces))


def _trie_of(pieces: Iterable[bytes]) -> Trie[Entry]:
    entries = (entry for piece in pieces for entry in unpack(_Piece, piece).entries)
    empty: Trie[Entry] = Trie()
    return empty.update({key: decode_entry(key, value) for key, value in entries})
