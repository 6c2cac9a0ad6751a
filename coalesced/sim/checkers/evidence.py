"""What the checkers know: every node's journal as far as it was read, and its rows as they stand.

Read with SQL of their own and decoded without the node's own checks: a checker that asked the code under test would
believe it.
"""

import hashlib
import sqlite3
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from crypto.identity import verify
from node.daemon import Parts
from node.ledger.journal import JournalRecord
from protocol.packing import unpack
from protocol.signed import AwardTerms, FaultTerms, QuoteTerms, ReceiptTerms
from protocol.specification import Specification

CLIENT, CONTRACTOR = "client", "contractor"


@dataclass(frozen=True)
class Offered:
    """A receipt as a journal holds it; one signature makes it an offer."""

    terms: ReceiptTerms
    body: bytes
    signatures: tuple[bytes, ...]

    @cached_property
    def has_both_signatures(self) -> bool:
        """Whether both parties' signatures are there and theirs."""
        keys = (self.terms.client, self.terms.contractor)
        return len(self.signatures) == 2 and all(
            verify(key, b"receipt", self.body, signature) for key, signature in zip(keys, self.signatures, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Delivered:
    """A contractor's note of a delivered job: the quote as it was signed, and its digest."""

    quote: QuoteTerms
    quote_sha256: bytes


@dataclass(slots=True)
class Book:
    """One node's journal, by order: what the two parties of it call the task."""

    height: int = 0
    hash: bytes = b""
    task_ids: dict[bytes, bytes] = field(default_factory=dict)
    """What this node itself calls the task of an order."""
    awards: dict[bytes, list[AwardTerms]] = field(default_factory=dict)
    offers: dict[bytes, list[Offered]] = field(default_factory=dict)
    receipts: dict[bytes, list[Offered]] = field(default_factory=dict)
    faults: dict[bytes, list[FaultTerms]] = field(default_factory=dict)
    delivered: dict[bytes, Delivered] = field(default_factory=dict)

    def offers_of_tasks(self) -> dict[bytes, list[Offered]]:
        """Its half receipts by what this node calls their tasks: of all contractors of a redundant check together."""
        found: dict[bytes, list[Offered]] = {}
        for order_id, offers in self.offers.items():
            found.setdefault(self.task_ids[order_id], []).extend(offers)
        return found

    def take(self, kind: str, body: bytes, task_id: bytes | None) -> set[bytes]:
        """One more entry, filed by its owner under `task_id`; the keys of its parties."""
        if kind == "note":
            self._take_note(unpack(dict[str, Any], body))
            return set()
        record = unpack(JournalRecord, body)
        match kind:
            case "award":
                award = unpack(AwardTerms, record.terms)
                self.task_ids[award.task_id] = task_id or award.task_id
                self.awards.setdefault(award.task_id, []).append(award)
                return {award.client, award.contractor}
            case "receipt_offer" | "receipt":
                receipt = unpack(ReceiptTerms, record.terms)
                self.task_ids[receipt.task_id] = task_id or receipt.task_id
                books = self.offers if kind == "receipt_offer" else self.receipts
                books.setdefault(receipt.task_id, []).append(Offered(receipt, record.terms, record.signatures))
                return {receipt.client, receipt.contractor}
            case "fault":
                fault = unpack(FaultTerms, record.terms)
                self.faults.setdefault(fault.task_id, []).append(fault)
            case _:
                pass  # Nothing that a checker looks at.
        return set()

    def _take_note(self, note: dict[str, Any]) -> None:
        if note.get("what") == "delivered":
            quote = note["quote"]
            self.delivered[note["task_id"]] = Delivered(unpack(QuoteTerms, quote), hashlib.sha256(quote).digest())


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFacts:
    """One task row."""

    task_id: bytes
    role: str
    state: str
    peer: bytes | None
    price_micro: int | None
    paid_micro: int
    error_code: str | None
    parent_id: bytes | None
    result_sha256: bytes | None
    created_unix_ms: int
    deadline_unix_ms: int
    finished_unix_ms: int | None
    specification: bytes

    @property
    def budget_micro(self) -> int:
        """The most that it may cost."""
        return _specification(self.specification).constraints.budget_micro


@lru_cache(maxsize=65_536)
def _specification(encoded: bytes) -> Specification:
    return unpack(Specification, encoded)


@dataclass(frozen=True, slots=True)
class Promise:
    """One row of spending; `paid_micro` None while it is open."""

    task_id: bytes
    peer: bytes
    day: int
    amount_micro: int
    paid_micro: int | None
    unverified_micro: int


@dataclass(slots=True)
class Facts:
    """One node as it was read last."""

    key: bytes
    book: Book = field(default_factory=Book)
    tasks: dict[bytes, TaskFacts] = field(default_factory=dict)
    promises: list[Promise] = field(default_factory=list)
    read: tuple[Parts, int, int] | None = None
    """The process that was read last, and how many rows its two databases had changed by then."""


@dataclass(frozen=True, slots=True)
class News:
    """What a look at a node brought: what breaks its journal's continuity, and who has a part in what changed."""

    fault: str = ""
    parties: frozenset[bytes] = frozenset()
    is_any: bool = True


async def refresh(facts: Facts, parts: Parts) -> News:
    """Read what is new."""
    known = (0, 0) if facts.read is None or facts.read[0] is not parts else facts.read[1:]
    parties: set[bytes] = set()
    changes, entries = await parts.store.journal._database.read(_new_entries, known[1], facts.book)
    if isinstance(entries, str):
        return News(entries)
    for height, kind, body, digest, task_id in entries:
        parties |= facts.book.take(kind, body, task_id)
        facts.book.height, facts.book.hash = height, digest
    rows = await parts.store.database.read(_rows, known[0])
    if rows is not None:
        before, facts.tasks, facts.promises = facts.tasks, rows.tasks, rows.promises
        changed = (task for task in facts.tasks.values() if before.get(task.task_id) != task)
        parties |= {task.peer for task in changed if task.peer is not None}
    facts.read = parts, known[0] if rows is None else rows.changes, changes
    return News(parties=frozenset(parties), is_any=bool(entries) or rows is not None)


Row = tuple[int, str, bytes, bytes, bytes | None]


def _new_entries(connection: sqlite3.Connection, known: int, book: Book) -> tuple[int, list[Row] | str]:
    """How many rows this process has changed, and the entries after those read; or what is wrong with them."""
    if connection.total_changes == known:
        return known, []
    if book.height:
        last = connection.execute("SELECT hash FROM entries WHERE height = ?", (book.height,)).fetchone()
        if last != (book.hash,):
            return known, f"entry {book.height} of the journal, read before, is gone or another"
    rows = connection.execute(
        "SELECT height, kind, body, hash, task_id FROM entries WHERE height > ? ORDER BY height", (book.height,)
    ).fetchall()
    if [row[0] for row in rows] != list(range(book.height + 1, book.height + 1 + len(rows))):
        return known, f"the journal has a gap after entry {book.height}"
    return connection.total_changes, rows


@dataclass(frozen=True, slots=True)
class _Rows:
    changes: int
    tasks: dict[bytes, TaskFacts]
    promises: list[Promise]


def _rows(connection: sqlite3.Connection, known: int) -> _Rows | None:
    """All tasks and promises; None when nothing changed."""
    if connection.total_changes == known:
        return None
    names = TaskFacts.__slots__
    tasks = (
        TaskFacts(**dict(zip(names, row, strict=True)))
        for row in connection.execute(f"SELECT {', '.join(names)} FROM tasks ORDER BY created_unix_ms, task_id")  # noqa: S608
    )
    promises = connection.execute(
        "SELECT task_id, peer, day, amount_micro, paid_micro, unverified_micro FROM spending ORDER BY task_id, peer"
    )
    return _Rows(
        connection.total_changes, {task.task_id: task for task in tasks}, [Promise(*promise) for promise in promises]
    )
