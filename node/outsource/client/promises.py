"""Promises of money: made before an award leaves, ended by what the journal says was signed. Never forgotten."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

import structlog

from node.background import Background
from node.env import Env
from node.errors import NodeError
from node.ledger.journal import ABANDONED, AGENT_ORDER, AGENT_PAID, Entry, note_record, open_body, paid_micro
from node.outsource.client.offers import Offer
from node.store.journal_store import Journal
from node.store.spending import CapRefusal, Spending
from protocol.errors import RemoteProtocolError
from protocol.signed import AwardTerms, FaultTerms
from protocol.specification import Level

log = structlog.get_logger()


class Promises:
    """What this node may have to pay, by task and contractor."""

    def __init__(self, *, env: Env, spending: Spending, journal: Journal, in_background: Background) -> None:
        self._env = env
        self._spending = spending
        self._journal = journal
        self._in_background = in_background
        self._held: set[tuple[bytes, bytes]] = set()

    async def make(self, task_id: bytes, offer: Offer, level: Level) -> CapRefusal | None:
        """Promise what was quoted; or which cap forbids it."""
        price_micro = offer.terms.price_micro
        unverified_micro = price_micro if level == "none" else 0
        made = await self._spending.reserve(
            task_id,
            offer.seller.key,
            price_micro,
            self._env.unix_ms(),
            unverified_micro=unverified_micro,
            subnet=offer.subnet,
        )
        return made if isinstance(made, CapRefusal) else None

    async def close(self, task_id: bytes, contractor: bytes, *, abandoned: str = "") -> None:
        """End one: what the journal says was signed counts as paid, else the promise is released.

        `abandoned` says why its order was cut short: an award without any end yet gets that as its end, and what an
        agent from outside may bill for an order without one counts as paid.
        """
        try:
            entries = await self._journal.of_task(task_id)
            paid = paid_micro(entries, contractor)
            is_open = bool(abandoned) and paid is None
            award = _open_award(entries, contractor) if is_open else None
            billed = _billed_note(entries, contractor, abandoned) if is_open else None
        except RemoteProtocolError as error:
            # What was signed cannot be read, so the promise stays: no cap may be freed by damage.
            log.error("promise.kept", task=task_id.hex()[:8], error=error.text)
            return
        if billed is not None:
            paid = billed["paid_micro"]
            await self._written(task_id, billed)
        if paid is None:
            await self._spending.release(task_id, contractor)
        else:
            await self._spending.settle(task_id, contractor, paid)
        if award is not None:
            await self._abandon(task_id, award, abandoned)

    async def close_all(self, why: str, task_id: bytes | None = None) -> None:
        """End every open promise of one task that was cut short; of all tasks, after a restart."""
        for reservation in await self._spending.open_reservations():
            is_held = (reservation.task_id, reservation.peer) in self._held
            if task_id in (None, reservation.task_id) and not is_held:
                await self.close(reservation.task_id, reservation.peer, abandoned=why)

    def hold(self, task_id: bytes, contractor: bytes, settling: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Settle an order in the background; until that has ended, `close_all` leaves its promise alone."""
        key = (task_id, contractor)
        self._held.add(key)
        task = self._in_background(settling)
        task.add_done_callback(lambda _: self._held.discard(key))
        return task

    def holds(self, task_id: bytes) -> bool:
        """Whether an order of this task is being settled in the background."""
        return any(held == task_id for held, _ in self._held)

    async def open_tasks(self) -> set[bytes]:
        """The tasks with an open promise."""
        return {reservation.task_id for reservation in await self._spending.open_reservations()}

    async def _abandon(self, task_id: bytes, award: AwardTerms, why: str) -> None:
        note = {"what": ABANDONED, "task_id": award.task_id, "contractor": award.contractor, "text": why}
        await self._written(task_id, note)

    async def _written(self, task_id: bytes, note: dict[str, Any]) -> None:
        try:
            await self._journal.append("note", note_record(note), self._env.unix_ms(), task_id=task_id)
        except NodeError as error:
            # A damaged journal or a full disk: nothing depends on the note, and the node has to go on.
            log.warning("award.end_not_recorded", task=task_id.hex()[:8], error=str(error))


def _billed_note(entries: Iterable[Entry], contractor: bytes, why: str) -> dict[str, Any] | None:
    """The note of what an agent may bill for its last order of a task, which was cut short; None where it may not."""
    ordered = [
        note
        for entry in entries
        if entry.kind == "note"
        and isinstance(note := open_body(entry.kind, entry.body), dict)
        and (note.get("what"), note.get("contractor")) == (AGENT_ORDER, contractor)
    ]
    if not ordered or not (at_stake_micro := int(ordered[-1].get("at_stake_micro", 0))):
        return None
    return {**ordered[-1], "what": AGENT_PAID, "paid_micro": at_stake_micro, "receipt": "", "text": why}


def _open_award(entries: Iterable[Entry], contractor: bytes) -> AwardTerms | None:
    """The award to `contractor` among the entries of a task, unless the journal says how it ended."""
    found: AwardTerms | None = None
    for entry in entries:
        content = open_body(entry.kind, entry.body)
        if isinstance(content, dict):
            found = None if content.get("contractor") == contractor else found
        elif isinstance(content.terms, AwardTerms):
            found = content.terms if content.terms.contractor == contractor else found
        elif isinstance(content.terms, FaultTerms):
            found = None if content.terms.contractor == contractor else found
    return found
