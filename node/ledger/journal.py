"""The node's own journal as a hash chain: what an entry is, how entries hang together, what makes one valid.

An entry's hash covers its height, the hash before it, its time, its kind and its body; the first hangs on a hash of the
owner's key. The owner signs the head, so that the end cannot be cut off unseen. What this cannot show is the whole
file replaced by an older copy of itself: only a head noted elsewhere does (`Head`, and the export that ends with it).
"""

import hashlib
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, assert_never, get_args

import msgspec

from crypto.identity import Identity, verify
from protocol.errors import RemoteProtocolError
from protocol.fields import Signature64, SignedBody
from protocol.packing import pack, unpack
from protocol.receipts import Receipt, Signed, open_fault, open_rating, open_receipt, open_receipt_offer
from protocol.signed import AwardTerms, FaultTerms, RatingTerms, ReceiptTerms, open_signed

Kind = Literal["award", "receipt_offer", "receipt", "fault", "rating", "note"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ABANDONED = "abandoned"
"""A note: an award that this side let go of, through no fault of its contractor."""
MAX_BODY_BYTES = 65_536
"""Far above the largest signed body with its signatures; a note may be longer than they are."""

_ENTRY_DOMAIN = b"coalesced/journal-entry/1\x00"
_GENESIS_DOMAIN = b"coalesced/journal-genesis/1\x00"
_HEAD_LABEL = b"journal-head"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal. Heights start at 1; `hash` is the stored one, `expected_hash` what it has to be.

    `task_id` is what the owner calls the task that it is about: beside the chain, neither hashed nor signed.
    """

    height: int
    previous: bytes
    unix_ms: int
    kind: str
    body: bytes
    hash: bytes
    task_id: bytes | None = field(default=None, compare=False)

    @property
    def expected_hash(self) -> bytes:
        """The hash that this entry's content gives."""
        return entry_hash(self.height, self.previous, self.unix_ms, self.kind, self.body)


@dataclass(frozen=True, slots=True)
class Head:
    """The owner's signed word on how far its journal goes."""

    height: int
    hash: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """The first entry that is not as it was written, and what is wrong with it."""

    height: int
    reason: str

    def __str__(self) -> str:
        return f"journal entry {self.height} is not as it was written: {self.reason}"


class JournalRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A signed body with its one or two signatures: the body of every entry but a note."""

    terms: SignedBody
    signatures: tuple[Signature64, ...]


# The chain


def genesis(owner: bytes) -> bytes:
    """What the first entry of `owner`'s journal names as the hash before it."""
    return hashlib.sha256(_GENESIS_DOMAIN + owner).digest()


def entry_hash(height: int, previous: bytes, unix_ms: int, kind: str, body: bytes) -> bytes:
    """SHA-256 over the domain, the fixed-width numbers, the kind (with its length) and the body."""
    name = kind.encode()
    fixed = struct.pack(">qqI", height, unix_ms, len(name))
    return hashlib.sha256(_ENTRY_DOMAIN + fixed + previous + name + body).digest()


def next_entry(height: int, previous: bytes, unix_ms: int, kind: Kind, body: bytes) -> Entry:
    """The entry that follows the one of `height - 1` and hash `previous`."""
    return Entry(height, previous, unix_ms, kind, body, entry_hash(height, previous, unix_ms, kind, body))


def sign_head(owner: Identity, height: int, hash_: bytes) -> Head:
    """The owner's word that its journal reaches to this entry."""
    return Head(height, hash_, owner.sign(_HEAD_LABEL, _head_message(height, hash_)))


def check_head(head: Head, owner: bytes) -> Broken | None:
    """What is wrong with a head's signature, if anything."""
    if verify(owner, _HEAD_LABEL, _head_message(head.height, head.hash), head.signature):
        return None
    return Broken(head.height, "the record of the journal's end does not bear the owner's signature")


def _head_message(height: int, hash_: bytes) -> bytes:
    return struct.pack(">q", height) + hash_


class Chain:
    """Checks entries one after the other against a signed head; feed it in order, then `finish`."""

    def __init__(self, owner: bytes, head: Head) -> None:
        self._head = head
        self._height = 0
        self._hash = genesis(owner)
        self._broken = check_head(head, owner)

    def feed(self, entries: Iterable[Entry]) -> Broken | None:
        """Check more entries, signatures inside included; the first fault, which stays."""
        for entry in entries:
            if self._broken is not None:
                break
            self._broken = self._check(entry)
            self._height, self._hash = entry.height, entry.hash
        return self._broken

    def finish(self) -> Broken | None:
        """The verdict once all entries were fed."""
        if self._broken is None and self._height < self._head.height:
            gone = self._height + 1
            return Broken(gone, f"entries {gone} to {self._head.height} are missing from the end")
        return self._broken

    def _check(self, entry: Entry) -> Broken | None:
        expected = self._height + 1
        if entry.height != expected:
            return Broken(expected, f"it is missing: entry {entry.height} comes next")
        if entry.height > self._head.height:
            return Broken(entry.height, f"the owner signed for {self._head.height} entries, and this is one more")
        if entry.previous != self._hash:
            return Broken(entry.height, "it does not hang on the entry before it")
        try:
            has_its_hash = entry.hash == entry.expected_hash
        except (struct.error, UnicodeEncodeError):  # a time or a kind that could never have been written
            has_its_hash = False
        if not has_its_hash:
            return Broken(entry.height, "its content does not give its hash")
        if entry.height == self._head.height and entry.hash != self._head.hash:
            return Broken(entry.height, "it is not the entry that the owner signed as the last")
        try:
            open_body(entry.kind, entry.body)
        except RemoteProtocolError as error:
            return Broken(entry.height, error.text)
        return None


# What stands in entries


def award_record(terms: bytes, signature: bytes) -> bytes:
    """The body of an `award` entry, written before the award is sent."""
    return pack(JournalRecord(terms, (signature,)))


def offer_record(offer: Signed[ReceiptTerms]) -> bytes:
    """The body of a `receipt_offer` entry, written before the offer is sent."""
    return pack(JournalRecord(offer.body, (offer.signature,)))


def receipt_record(receipt: Receipt) -> bytes:
    """The body of a `receipt` entry."""
    return pack(JournalRecord(receipt.body, (receipt.client_signature, receipt.contractor_signature)))


def fault_record(report: Signed[FaultTerms]) -> bytes:
    """The body of a `fault` entry."""
    return pack(JournalRecord(report.body, (report.signature,)))


def rating_record(rating: Signed[RatingTerms]) -> bytes:
    """The body of a `rating` entry."""
    return pack(JournalRecord(rating.body, (rating.signature,)))


def note_record(note: dict[str, Any]) -> bytes:
    """The body of a `note` entry: a plain map of integers, byte strings, texts; nobody's signature."""
    return pack(note)


AGENT_ORDER: Final = "agent_order"
"""A note: work was ordered from an agent that is no node; it may bill `at_stake_micro` though its end is not seen."""
AGENT_PAID: Final = "agent_paid"
"""A note: what this node owes an agent that is no node, and signs nothing of ours, for a task."""

Content = (
    Signed[AwardTerms] | Signed[ReceiptTerms] | Receipt | Signed[FaultTerms] | Signed[RatingTerms] | dict[str, Any]
)


def open_body(kind: str, body: bytes) -> Content:
    """What an entry says, all its signatures checked; RemoteProtocolError when it is not a valid one of its kind."""
    if len(body) > MAX_BODY_BYTES:
        raise RemoteProtocolError("too_large", f"a body of {len(body)} bytes is over the limit of {MAX_BODY_BYTES}")
    known = _kind(kind)
    if known == "note":
        return unpack(dict[str, Any], body)
    record = unpack(JournalRecord, body)
    needed = 2 if known == "receipt" else 1
    if len(record.signatures) != needed:
        raise RemoteProtocolError("bad_record", f"a {kind} has {needed} signatures, not {len(record.signatures)}")
    match known:
        case "award":
            terms = open_signed(AwardTerms, record.terms, record.signatures[0], unpack(AwardTerms, record.terms).client)
            return Signed(terms, record.terms, record.signatures[0])
        case "receipt_offer":
            return open_receipt_offer(record.terms, record.signatures[0])
        case "receipt":
            return open_receipt(record.terms, record.signatures[0], record.signatures[1])
        case "fault":
            return open_fault(record.terms, record.signatures[0])
        case "rating":
            return open_rating(record.terms, record.signatures[0])[0]
        case _:
            assert_never(known)


def task_of(kind: Kind, body: bytes) -> bytes | None:
    """The task that an entry is about, for the index; None for a rating, which hides it, and a note without one."""
    content = open_body(kind, body)
    if isinstance(content, dict):
        task_id = content.get("task_id")
        return task_id if isinstance(task_id, bytes) else None
    if isinstance(content.terms, RatingTerms):
        return None
    return content.terms.task_id


def paid_micro(entries: Iterable[Entry], contractor: bytes) -> int | None:
    """What this node signed to pay `contractor`, by the entries of one task; None when it signed nothing.

    For recovery after a crash: an offered receipt binds, whether or not its countersignature arrived.
    """
    paid = None
    for entry in entries:
        if entry.kind == "note":
            note = open_body(entry.kind, entry.body)
            if isinstance(note, dict) and note.get("what") == AGENT_PAID and note.get("contractor") == contractor:
                paid = int(note.get("paid_micro", 0))
        if entry.kind in ("receipt_offer", "receipt"):
            content = open_body(entry.kind, entry.body)
            if not isinstance(content, dict) and isinstance(content.terms, ReceiptTerms):
                paid = content.terms.paid_micro if content.terms.contractor == contractor else paid
    return paid


def _kind(kind: str) -> Kind:
    for known in KINDS:
        if kind == known:
            return known
    raise RemoteProtocolError("bad_record", f"{kind[:40]!r} is no kind of entry")


# Export: one JSON object a line, entries in order, the head last


def export_entry(entry: Entry) -> str:
    """An entry as one line of JSON, byte strings in hexadecimal."""
    return json.dumps(
        {
            "height": entry.height,
            "previous": entry.previous.hex(),
            "unix_ms": entry.unix_ms,
            "kind": entry.kind,
            "body": entry.body.hex(),
            "hash": entry.hash.hex(),
        }
    )


def export_head(head: Head, owner: bytes) -> str:
    """The last line of an export: the owner's key and its signed head."""
    return json.dumps(
        {
            "owner": owner.hex(),
            "head": head.height,
            "hash": head.hash.hex(),
            "signature": head.signature.hex(),
        }
    )
