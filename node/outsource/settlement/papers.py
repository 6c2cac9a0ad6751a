"""What this node's journal says about the jobs behind its deals: enough to go on with each after a crash."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from node.env import Env
from node.ledger.journal import ABANDONED, Entry, note_record, open_body
from node.outsource.delivered import find_delivered
from node.outsource.settlement.deals import Ending, Known
from node.store.journal_store import Journal
from protocol.errors import RemoteProtocolError
from protocol.packing import unpack
from protocol.receipts import Receipt, Signed
from protocol.signed import FaultTerms, ReceiptTerms, ResultTerms

log = structlog.get_logger()

LAST_ENTRIES: Final = 20_000
"""How far back in the journal is looked after a start: some 6,000 jobs. What is older ends by time alone."""
ESCROW: Final = "escrow"
"""A note of the journal: an order has a deal of this name."""


@dataclass(frozen=True, slots=True)
class Job:
    """The job behind a deal: what both parties call it, what the client's owner does (None at the seller), and the
    account whose deal it is (None where that was not yet noted)."""

    order_id: bytes
    task_id: bytes | None
    client: bytes | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended by the client's journal, and what it signed to pay."""

    ending: Ending = "open"
    paid_micro: int = 0


@dataclass(frozen=True, slots=True)
class Sold:
    """How far a job is by the seller's journal: the packed result once it is delivered, and what it asks for it."""

    result: bytes | None = None
    invoice_micro: int = 0
    is_refused: bool = False
    """The client has signed that it owes nothing."""


@dataclass(slots=True)
class Papers:
    """The journal, looked at by deal."""

    journal: Journal
    env: Env
    jobs: dict[bytes, Job] = field(default_factory=dict)
    """By the deal's name."""

    async def load(self) -> None:
        """Find the jobs that earlier lives of this node made deals about."""
        for entry in await self.journal.of_kind("note", LAST_ENTRIES):
            note = _content(entry)
            name, order_id = note.get("deal"), note.get("task_id")
            if note.get("what") == ESCROW and isinstance(name, bytes) and isinstance(order_id, bytes):
                task_id = entry.task_id if entry.task_id != order_id else None
                self.jobs[name] = Job(order_id, task_id, note.get("client"))

    async def note(self, name: bytes, job: Job) -> None:
        """Write down that the job has a deal of this name, before anything is done about it."""
        note = {"what": ESCROW, "task_id": job.order_id, "deal": name, "client": job.client}
        await self.journal.append("note", note_record(note), self.env.unix_ms(), task_id=job.task_id)
        self.jobs[name] = job

    def job_of(self, known: Known) -> Job | None:
        """The job behind a deal, if this node has a part in that; never behind another's deal of the same name."""
        job = self.jobs.get(known.name)
        return job if job is not None and job.client in (None, known.client) else None

    def forget(self, name: bytes) -> None:
        """The deal is closed."""
        self.jobs.pop(name, None)

    async def bought(self, job: Job) -> Ended:
        """How far a job is on the client's side."""
        return ended_by(await self.journal.of_task(job.order_id))

    async def sold(self, job: Job) -> Sold:
        """How far a job is on the seller's side."""
        return sold_by(await self.journal.of_task(job.order_id))


def ended_by(entries: Iterable[Entry]) -> Ended:
    """What the client's entries about one order come to. An offered receipt binds, whoever countersigned it."""
    ended = Ended()
    for entry in entries:
        content = _content(entry)
        if isinstance(content, dict):
            if content.get("what") == ABANDONED and ended.ending == "open":
                ended = Ended("abandoned")
        elif isinstance(content, Receipt) or isinstance(content.terms, ReceiptTerms):
            terms = content.terms
            assert isinstance(terms, ReceiptTerms)
            ended = Ended(terms.verdict, terms.paid_micro)
        elif isinstance(content.terms, FaultTerms) and ended.ending == "open":
            ended = Ended("rejected" if content.terms.kind == "bad_result" else "failed")
    return ended


def sold_by(entries: Iterable[Entry]) -> Sold:
    """What the seller's entries about one order come to."""
    known = list(entries)
    delivered, refused = find_delivered(known), False
    for entry in known:
        content = _content(entry)
        if isinstance(content, Receipt):
            refused = content.terms.verdict == "rejected"
        elif isinstance(content, Signed) and isinstance(content.terms, FaultTerms):
            refused = True
    if delivered is None:
        return Sold(is_refused=refused)
    return Sold(delivered.result, unpack(ResultTerms, delivered.result).invoice_micro, refused)


def _content(entry: Entry) -> Any:
    """What an entry says; an empty note where it cannot be read: time then ends the deal."""
    try:
        return open_body(entry.kind, entry.body)
    except RemoteProtocolError as error:
        log.error("settlement.unreadable_entry", height=entry.height, error=error.text)
        return {}
