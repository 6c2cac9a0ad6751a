"""What a contractor keeps of a delivered job: enough to countersign its receipt, also after a restart. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from node.ledger.journal import Entry
from node.tasks.spec import digest
from protocol.packing import unpack
from protocol.receipts import Job
from protocol.signed import AwardTerms, QuoteTerms, ResultTerms

WHAT = "delivered"
PARTS = ("quote", "award", "result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The three signed bodies of a job: what was quoted, awarded and delivered."""

    quote: bytes
    award: bytes
    result: bytes

    def note(self, task_id: bytes) -> dict[str, Any]:
        """As a note of the journal."""
        return {"what": WHAT, "task_id": task_id, "quote": self.quote, "award": self.award, "result": self.result}


def find_delivered(entries: Iterable[Entry]) -> Delivered | None:
    """The delivery among the journal entries of one task."""
    for entry in entries:
        if entry.kind == "note":
            note = unpack(dict[str, Any], entry.body)
            if note.get("what") == WHAT:
                parts = [part for name in PARTS if isinstance(part := note.get(name), bytes)]
                if len(parts) == len(PARTS):
                    return Delivered(**dict(zip(PARTS, parts, strict=True)))
    return None


def job_of(delivered: Delivered) -> Job:
    """What the receipt of this job has to say."""
    quote = unpack(QuoteTerms, delivered.quote)
    award = unpack(AwardTerms, delivered.award)
    result = unpack(ResultTerms, delivered.result)
    return Job(
        task_id=quote.task_id,
        network=quote.network,
        client=quote.client,
        contractor=quote.contractor,
        skill=quote.skill,
        effort=quote.effort,
        specification_sha256=quote.specification_sha256,
        quote_sha256=digest(delivered.quote),
        result_sha256=result.result_sha256,
        price_micro=quote.price_micro,
        invoice_micro=result.invoice_micro,
        awarded_unix_ms=award.awarded_unix_ms,
        explored=award.explored,
    )
