"""The owner's view of the journal."""

from typing import Any

import msgspec

from crypto.identity import short_id
from node.daemon import Parts
from node.errors import UsageError
from node.ledger.journal import Entry, open_body
from node.owner.names import find_task
from node.store.tasks import TaskRow
from node.views import JournalEntryView, JournalRow, JournalView, ReceiptView, VerifyView
from node.views.receipts import fault_view, receipt_view
from node.wording import usd
from protocol.errors import RemoteProtocolError
from protocol.receipts import Receipt, Signed
from protocol.signed import AwardTerms, FaultTerms, RatingTerms, ReceiptTerms

MAX_SHOWN_DEPTH = 16
"""A note may be nested deeper than any encoder follows; nobody reads that."""


class Records:
    """Journal entries and receipts."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def tail(self, limit: int) -> JournalView:
        """The last entries, oldest first."""
        journal = self._parts.store.journal
        entries = await journal.tail(limit)
        return JournalView(height=await journal.height(), entries=tuple(_row(entry) for entry in entries))

    async def show(self, height: int) -> JournalEntryView:
        """One entry in full."""
        entry = await self._parts.store.journal.show(height)
        return JournalEntryView(
            height=entry.height,
            at_unix_ms=entry.unix_ms,
            kind=entry.kind,
            previous=entry.previous.hex(),
            digest=entry.hash.hex(),
            body=_body(entry),
        )

    async def verify(self) -> VerifyView:
        """Recompute the whole chain and every signature in it."""
        journal = self._parts.store.journal
        broken = await journal.verify(self._parts.env.offload)
        head = await journal.head()
        return VerifyView(
            ok=broken is None,
            checked=head.height if head else 0,
            head=head.hash.hex() if head else "",
            problem=str(broken) if broken else "",
        )

    async def receipt(self, text: str) -> ReceiptView:
        """The receipt of a task, or else its last fault report; UsageError when there is neither."""
        row = await find_task(self._parts.store.tasks, text)
        found = await self.receipt_of(row)
        if found is None:
            raise UsageError(f"task {row.task_id.hex()[:8]} has no receipt: it was {_how(row)}")
        return found

    async def receipt_of(self, row: TaskRow) -> ReceiptView | None:
        """The receipt of a task, else its last fault report, else None."""
        found: ReceiptView | None = None
        for entry in await self._parts.store.journal.of_task(row.task_id):
            content = open_body(entry.kind, entry.body)
            if isinstance(content, Receipt):
                return receipt_view(row.task_id, content, entry.height)
            if entry.kind == "fault" and isinstance(content, Signed) and isinstance(content.terms, FaultTerms):
                report = Signed(content.terms, content.body, content.signature)
                found = fault_view(row.task_id, report, row.skill, entry.height)
        return found


def _how(row: TaskRow) -> str:
    return "done here, where nobody else signs" if row.state == "completed" else f"{row.state} before there was one"


def _row(entry: Entry) -> JournalRow:
    named, text = _heading(entry)
    task_id = entry.task_id or named
    return JournalRow(
        height=entry.height,
        at_unix_ms=entry.unix_ms,
        kind=entry.kind,
        task_id=task_id.hex() if task_id else "",
        text=text,
        digest=entry.hash.hex()[:16],
    )


def _heading(entry: Entry) -> tuple[bytes | None, str]:
    try:
        content = open_body(entry.kind, entry.body)
    except RemoteProtocolError as error:
        return None, f"not valid: {error.text}"
    if isinstance(content, dict):
        task_id = content.get("task_id")
        return task_id if isinstance(task_id, bytes) else None, str(content.get("what", ""))
    match content.terms:
        case AwardTerms() as terms:
            return terms.task_id, f"to {short_id(terms.contractor)}"
        case ReceiptTerms() as terms:
            return terms.task_id, (
                f"{terms.skill}: {short_id(terms.contractor)} for {short_id(terms.client)}, {terms.verdict}, "
                f"{usd(terms.paid_micro)}"
            )
        case FaultTerms() as terms:
            return terms.task_id, f"{terms.kind} of {short_id(terms.contractor)}: {terms.text}"
        case RatingTerms() as terms:
            return None, f"{terms.outcome}, score {terms.score}"


def _body(entry: Entry) -> dict[str, object]:
    try:
        content = open_body(entry.kind, entry.body)
    except RemoteProtocolError as error:
        return {"problem": error.text, "raw": entry.body.hex()}
    plain = content if isinstance(content, dict) else msgspec.to_builtins(content.terms, builtin_types=(bytes,))
    return {name: _shown(value, MAX_SHOWN_DEPTH) for name, value in plain.items()}


def _shown(value: Any, depth: int) -> object:
    if isinstance(value, bytes):
        return value.hex()
    if depth == 0 and isinstance(value, list | tuple | dict):
        return "..."
    if isinstance(value, list | tuple):
        return [_shown(one, depth - 1) for one in value]
    if isinstance(value, dict):
        return {str(name): _shown(one, depth - 1) for name, one in value.items()}
    return value
