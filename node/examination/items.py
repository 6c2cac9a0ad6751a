"""Hidden test items: a set committed to by one root, of which each item is asked once and then given up.

    leaf = "coalesced/test-item/1" 00 | salt, 16 | the item in canonical JSON

The root is fixed before the first item is asked, so an examiner cannot pick items by what a seller can do. An asked
item is retired for good: a seller that has seen it, or has heard of it from another, would know the answer.
"""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from crypto.jcs import JcsError, canonical
from crypto.merkle import inclusion_proof, leaf_hash, root, verify_inclusion
from node.proofs.errors import ProofError

MAX_ITEMS: Final = 10_000
MAX_ITEM_BYTES: Final = 2**20
_DOMAIN: Final = b"coalesced/test-item/1\x00"


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One question with its answer: a line of an items file."""

    input: Annotated[str, Meta(min_length=1)]
    expected: Annotated[str, Meta(min_length=1)]
    media_type: Annotated[str, Meta(min_length=3, max_length=100)] = "text/plain"
    expected_media_type: Annotated[str, Meta(min_length=3, max_length=100)] = "application/json"

    @property
    def input_sha256(self) -> bytes:
        """By which an item is known that was asked: the same question in another file is no other question."""
        return hashlib.sha256(self.input.encode()).digest()


@dataclass(frozen=True, slots=True)
class Shown:
    """An asked item, with what leads from it to the root."""

    leaf: bytes
    index: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ItemSet:
    """All items with their leaves. `leaves` are secret until shown."""

    items: tuple[Item, ...]
    leaves: tuple[bytes, ...]

    @property
    def root(self) -> bytes:
        """What the set is committed to by."""
        return root(self.leaves)

    def show(self, index: int) -> Shown:
        """One item, for anybody to check."""
        return Shown(self.leaves[index], index, tuple(inclusion_proof(self.leaves, index)))

    def unasked(self, retired: Collection[bytes]) -> list[int]:
        """Which items nobody has been asked; ProofError when none is left."""
        left = [index for index, item in enumerate(self.items) if item.input_sha256 not in retired]
        if not left:
            raise ProofError(
                "leaked_item",
                f"all {len(self.items)} items were asked before, and who has seen them may know the answers: "
                "write new ones",
            )
        return left


def read_items(text: str, key: bytes) -> ItemSet:
    """The set in a file of one JSON object a line. ValueError names the line.

    `key` is the examiner's own secret: salts are drawn from it, so that the same file gives the same root again.
    """
    decoder, items = msgspec.json.Decoder(Item), list[Item]()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if len(line) > MAX_ITEM_BYTES or len(items) == MAX_ITEMS:
            raise ValueError(f"line {number}: items have at most {MAX_ITEM_BYTES} bytes, and a file {MAX_ITEMS} items")
        try:
            items.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise ValueError(
                f'line {number} is no item ({error}): write {{"input": ..., "expected": ..., "media_type": ...}}'
            ) from error
    if not items:
        raise ValueError("the file has no items: write one JSON object a line")
    if len({item.input for item in items}) < len(items):
        raise ValueError("two items ask the same: an item is asked once")
    try:
        return ItemSet(tuple(items), tuple(_leaf(item, key) for item in items))
    except JcsError as error:
        raise ValueError(f"an item cannot be written in canonical JSON: {error}") from error


def check_shown(shown: Shown, root_: bytes, size: int, retired: Collection[bytes] = ()) -> Item:
    """The item that was shown; ProofError unless it is of the committed set, and was not `retired` before."""
    if not verify_inclusion(leaf_hash(shown.leaf), shown.index, size, shown.path, root_):
        raise ProofError("not_in_root", "the test item is not of the set that was committed to")
    try:
        if not shown.leaf.startswith(_DOMAIN):
            raise msgspec.DecodeError("another kind of leaf")
        item = msgspec.json.decode(shown.leaf[len(_DOMAIN) + 16 :], type=Item)
    except msgspec.DecodeError as error:
        raise ProofError("malformed", f"this is not a test item: {error}") from error
    if item.input_sha256 in retired:
        raise ProofError("leaked_item", "the test item was asked before: who has seen it may know the answer")
    return item


def check_all_shown(shown: Sequence[Shown], root_: bytes, size: int, retired: Collection[bytes] = ()) -> list[Item]:
    """All items of one test; none may count twice."""
    seen, items = set(retired), list[Item]()
    for one in shown:
        items.append(check_shown(one, root_, size, seen))
        seen.add(items[-1].input_sha256)
    return items


def _leaf(item: Item, key: bytes) -> bytes:
    encoded = canonical(msgspec.to_builtins(item))
    return _DOMAIN + hmac.digest(key, _DOMAIN + encoded, "sha256")[:16] + encoded
