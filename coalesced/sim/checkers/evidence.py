"""What the checkers know: every node's journal as far as it was read, and its rows as they stand.

Read with SQL of their own and decoded without the node's own checks: a checker that asked the code under test would
believe it.
"""

import hashlib
import sqlite3
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from crypto.identity import verify
from node.daemon import Parts
from node.ledger.journal import JournalRecord
from node.views import EventView
from protocol.packing import unpack
from protocol.signed import AwardTerms, FaultTerms, QuoteTerms, ReceiptTerms
from protocol.specification import Specification

CLIENT, CONTRACTOR = "client", "contractor"


@dataclass(frozen=True, slots=True)
class Offered:
    """A receipt as a journal holds it; one signature makes it an offer."""

    terms: ReceiptTerms
    body: bytes
    signatures: tuple[bytes, ...]

    @property
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
    """One node's journal, by task."""

    height: int = 0
    hash: bytes = b""
    awards: dict[bytes, list[AwardTerms]] = field(default_factory=dict)
    offers: dict[bytes, list[Offered]] = field(default_factory=dict)
    receipts: dict[bytes, list[Offered]] = field(default_factory=dict)
    faults: dict[bytes, list[FaultTerms]] = field(default_factory=dict)
    delivered: dict[bytes, Delivered] = field(default_factory=dict)

    def take(self, kind: str, body: bytes) -> set[bytes]:
        """One more entry; the keys of its parties."""
        if kind == "note":
            self._take_note(unpack(dict[str, Any], body))
            return set()
        record = unpack(JournalRecord, body)
        match kind:
            case "award":
                award = unpack(AwardTerms, record.terms)
                self.awards.setdefault(award.task_id, []).append(award)
                return {award.client, award.contractor}
            case "receipt_offer" | "receipt":
                receipt = unpack(ReceiptTerms, record.terms)
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


@dataclass(frozen=True, slots=True)
class News:
    """What a look at a node brought: what breaks its journal's continuity, and who has a part in what changed."""

    fault: str = ""
    parties: frozenset[bytes] = frozenset()


async def refresh(facts: Facts, parts: Parts) -> News:
    """Read what is new."""
    journal = parts.store.journal
    database = journal._database
    before = facts.book.height
    if before:
        found = await database.read(_entry_hash, before)
        if found != facts.book.hash:
            return News(f"entry {before} of the journal, read before, is gone or another")
    parties: set[bytes] = set()
    for height, kind, body, digest in await database.read(_entries, before):
        if height != facts.book.height + 1:
            return News(f"entry {facts.book.height + 1} of the journal is missing")
        parties |= facts.book.take(kind, body)
        facts.book.height, facts.book.hash = height, digest
    known, facts.tasks = facts.tasks, {task.task_id: task for task in await parts.store.database.read(_tasks)}
    facts.promises = await parts.store.database.read(_promises)
    changed = (task for task in facts.tasks.values() if known.get(task.task_id) != task)
    parties |= {task.peer for task in changed if task.peer is not None}
    return News(parties=frozenset(parties))


async def events_of(parts: Parts, task_id: bytes) -> list[EventView]:
    """The stored log of one task."""
    return list(await parts.tasks.events(task_id))


def _entry_hash(connection: sqlite3.Connection, height: int) -> bytes | None:
    row = connection.execute("SELECT hash FROM entries WHERE height = ?", (height,)).fetchone()
    return None if row is None else bytes(row[0])


def _entries(connection: sqlite3.Connection, after: int) -> list[tuple[int, str, bytes, bytes]]:
    return connection.execute(
        "SELECT height, kind, body, hash FROM entries WHERE height > ? ORDER BY height", (after,)
    ).fetchall()


def _tasks(connection: sqlite3.Connection) -> list[TaskFacts]:
    names = TaskFacts.__slots__
    rows = connection.execute(f"SELECT {', '.join(names)} FROM tasks ORDER BY created_unix_ms, task_id")  # noqa: S608
    return [TaskFacts(**dict(zip(names, row, strict=True))) for row in rows]


def _promises(connection: sqlite3.Connection) -> list[Promise]:
    rows = connection.execute(
        "SELECT task_id, peer, day, amount_micro, paid_micro, unverified_micro FROM spending ORDER BY task_id, peer"
    )
    return [Promise(*row) for row in rows]
