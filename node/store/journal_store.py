"""The journal on disk: an entry is durable and under the owner's signed head before `append` returns.

Only ever appended to. Entries that arrive together share one transaction, one signature of the head and one fsync.
"""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import astuple, replace
from pathlib import Path

from crypto.identity import Identity
from node.env import Offload
from node.errors import UsageError
from node.ledger.journal import (
    Broken,
    Chain,
    Entry,
    Head,
    Kind,
    check_head,
    export_entry,
    export_head,
    genesis,
    next_entry,
    sign_head,
    task_of,
)
from node.store.database import Database
from node.store.errors import VersionError, damaged
from node.store.former import open_former
from node.store.memory_disk import MemoryFile
from node.store.migrations import JOURNAL

PAGE_ENTRIES = 500
"""Entries read at once by a verification or export: memory stays flat, appends are never held up."""
_NO_HEAD = Broken(0, "the signed record of the journal's end is missing")
_BEFORE_ALL, _AFTER_ALL = -(2**63), 2**63 - 1
_COLUMNS = "height, previous, unix_ms, kind, body, hash, entries.task_id"


class Journal:
    """One node's journal. Use `Journal.open`."""

    def __init__(self, database: Database, owner: bytes, former: Sequence[Database] = ()) -> None:
        self._database = database
        self._former = former
        self.owner = owner

    @classmethod
    async def open(cls, where: Path | MemoryFile | None, owner: Identity, *, inline: bool = False) -> "Journal":
        """Open or create `owner`'s journal; None keeps it in memory. VersionError when it is another key's.

        A journal that was changed opens, so that it can be looked at and verified, but refuses to be appended to.
        Those of keys that this one succeeded lie beside it, and are looked into for what is still open.
        """
        name = str(where if isinstance(where, Path) else "the journal in memory")
        signed: Head | None = None

        def sign(connection: sqlite3.Connection) -> None:
            nonlocal signed
            signed = _sign_end(connection, owner, name, signed)

        database = await Database.open(where, JOURNAL, durable=True, inline=inline, before_commit=sign)
        try:
            await database.read(_check_owner, owner.public_key, name)
            if await database.read(_head_and_end) == (None, 0):
                await database.write(_begin)
        except BaseException:
            await database.close()
            raise
        return cls(database, owner.public_key, await open_former(where) if isinstance(where, Path) else ())

    async def append(self, kind: Kind, body: bytes, unix_ms: int, *, task_id: bytes | None = None) -> Entry:
        """Add an entry; it is durable when this returns.

        `task_id` is what the owner calls its task, where the body calls it otherwise: it is found under both.
        RemoteProtocolError when the body is not a valid `kind`, DamagedError when the journal's end is not the one
        that was signed: to sign on would cover up what happened.
        """
        # Checked here, in one place, so that nothing invalid can ever be in the chain.
        named = task_of(kind, body)
        return await self._database.write(_append, self.owner, kind, body, unix_ms, named, task_id or named)

    async def head(self) -> Head | None:
        """The signed end, at height 0 while the journal is empty; None only when somebody removed it."""
        return await self._database.read(_head)

    async def height(self) -> int:
        """How many entries there are."""
        head = await self.head()
        return 0 if head is None else head.height

    async def show(self, height: int) -> Entry:
        """The entry at `height`; UsageError when there is none."""
        entries = await self._database.read(_page, height - 1, 1)
        if not entries or entries[0].height != height:
            raise UsageError(f"the journal has no entry {height}: it ends at {await self.height()}")
        return entries[0]

    async def tail(self, count: int) -> list[Entry]:
        """The last `count` entries (of at most 500), oldest first."""
        return await self._database.read(_tail, min(count, PAGE_ENTRIES))

    async def of_task(self, task_id: bytes) -> list[Entry]:
        """Every entry about a task, oldest first; of one order of it, where that is what is named.

        Also those that a former key's journal has: what was begun under that key goes on under this one.
        """
        return [entry for one in self._all() for entry in await one.read(_of_task, task_id)]

    async def of_kind(self, kind: Kind, last: int) -> list[Entry]:
        """Those of one kind among the `last` entries, oldest first; before them those of each former key's journal."""
        return [entry for one in self._all() for entry in await one.read(_of_kind, kind, last)]

    async def pages(self, after_height: int = 0) -> AsyncIterator[list[Entry]]:
        """The entries after `after_height` in order, a page at a time, as far as there are any."""
        while page := await self._database.read(_page, after_height, PAGE_ENTRIES):
            yield page
            after_height = page[-1].height

    async def verify(self, offload: Offload, at_least: Head | None = None) -> Broken | None:
        """Recompute the whole chain and every signature in it; the first bad entry, or None when all is well.

        `at_least` is a head noted elsewhere: the journal must contain it. About 0.2 ms an entry, off the event loop.
        """
        head, end = await self._database.read(_head_and_end)
        if head is None:
            return _NO_HEAD
        if at_least is not None and (fault := await self._check_contains(at_least, head)):
            return fault
        chain = Chain(self.owner, head)
        after = _BEFORE_ALL
        # Entries appended meanwhile are beyond `end` and under a later head: not this verification's business.
        while page := await self._database.read(_page, after, PAGE_ENTRIES, end):
            after = page[-1].height
            if await offload(chain.feed, page):
                break
        return chain.finish()

    async def check_end(self) -> Broken | None:
        """What is wrong with the signed end, if anything: the quick part of `verify`, for a node that starts."""
        return await self._database.read(_end_fault, self.owner)

    async def export(self) -> AsyncIterator[str]:
        """The journal as lines of JSON: every entry, then the signed head."""
        head = await self.head()
        if head is None:
            return
        async for page in self.pages():
            for entry in page:
                if entry.height <= head.height:
                    yield export_entry(entry)
        yield export_head(head, self.owner)

    async def close(self) -> None:
        """Finish what is queued and close the files."""
        for one in self._all():
            await one.close()

    def _all(self) -> tuple[Database, ...]:
        return (*self._former, self._database)

    async def _check_contains(self, noted: Head, head: Head) -> Broken | None:
        if fault := check_head(noted, self.owner):
            return fault
        found = await self._database.read(_page, noted.height - 1, 1)
        if noted.height > head.height or not found or found[0].hash != noted.hash:
            return Broken(noted.height, "the head noted elsewhere is not in this journal: an older copy replaced it")
        return None


def _append(
    connection: sqlite3.Connection,
    owner: bytes,
    kind: Kind,
    body: bytes,
    unix_ms: int,
    named: bytes | None,
    task_id: bytes | None,
) -> Entry:
    last = connection.execute("SELECT height, hash FROM entries ORDER BY height DESC LIMIT 1").fetchone()
    height, previous = last or (0, genesis(owner))
    entry = replace(next_entry(height + 1, previous, unix_ms, kind, body), task_id=task_id)
    connection.execute(
        "INSERT INTO entries (height, previous, unix_ms, kind, body, hash, task_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
        astuple(entry),
    )
    for name in {named, task_id} - {None}:
        connection.execute("INSERT INTO entries_of_tasks VALUES (?, ?)", (name, entry.height))
    return entry


def _begin(_: sqlite3.Connection) -> None:
    """An empty first write: the head that is signed last in it says that there are no entries."""


def _sign_end(connection: sqlite3.Connection, owner: Identity, where: str, last_signed: Head | None) -> Head:
    """Last in every transaction: the old end must still be there as signed; then the owner signs the new one.

    A head that is byte for byte the one signed here last (`last_signed`) bears the owner's signature.
    """
    head = _head(connection)
    if head is not None and (fault := _head_fault(connection, head, owner.public_key, known=last_signed)):
        raise damaged(where, str(fault))
    last = connection.execute("SELECT height, hash FROM entries ORDER BY height DESC LIMIT 1").fetchone()
    if head is None and last is not None:
        raise damaged(where, "the record of its end is missing")
    signed = sign_head(owner, *(last or (0, genesis(owner.public_key))))
    connection.execute(
        "INSERT OR REPLACE INTO head (one, height, hash, signature) VALUES (1, ?, ?, ?)",
        (signed.height, signed.hash, signed.signature),
    )
    return signed


def _head_fault(
    connection: sqlite3.Connection, head: Head, owner: bytes, *, known: Head | None = None
) -> Broken | None:
    """What is wrong with the signed end. The signature of `known` was checked, or made, before."""
    if head != known and (fault := check_head(head, owner)):
        return fault
    found = connection.execute("SELECT hash FROM entries WHERE height = ?", (head.height,)).fetchone()
    if head.height and found != (head.hash,):
        return Broken(head.height, "the owner signed it as the last one, and it is missing or another")
    return None


def _end_fault(connection: sqlite3.Connection, owner: bytes) -> Broken | None:
    head, end = _head_and_end(connection)
    if head is None:
        return _NO_HEAD
    if end > head.height:
        return Broken(head.height + 1, f"the owner signed for {head.height} entries, and there are more")
    return _head_fault(connection, head, owner)


def _check_owner(connection: sqlite3.Connection, owner: bytes, where: str) -> None:
    head = _head(connection)
    first = connection.execute("SELECT previous FROM entries WHERE height = 1").fetchone()
    if head is not None and first not in (None, (genesis(owner),)) and check_head(head, owner):
        raise VersionError(f"{where} belongs to another key: put back the key file that goes with it, or move it away")


def _head(connection: sqlite3.Connection) -> Head | None:
    row = connection.execute("SELECT height, hash, signature FROM head").fetchone()
    return None if row is None else Head(*row)


def _head_and_end(connection: sqlite3.Connection) -> tuple[Head | None, int]:
    (end,) = connection.execute("SELECT coalesce(max(height), 0) FROM entries").fetchone()
    return _head(connection), int(end)


def _page(connection: sqlite3.Connection, after_height: int, count: int, end: int = _AFTER_ALL) -> list[Entry]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM entries WHERE height > ? AND height <= ? ORDER BY height LIMIT ?",  # noqa: S608
        (after_height, end, count),
    )
    return [Entry(*row) for row in rows]


def _tail(connection: sqlite3.Connection, count: int) -> list[Entry]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM entries ORDER BY height DESC LIMIT ?",  # noqa: S608
        (count,),
    )
    return [Entry(*row) for row in rows][::-1]


def _of_task(connection: sqlite3.Connection, task_id: bytes) -> list[Entry]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM entries JOIN entries_of_tasks AS found USING (height)"  # noqa: S608
        " WHERE found.task_id = ? ORDER BY height",
        (task_id,),
    )
    return [Entry(*row) for row in rows]


def _of_kind(connection: sqlite3.Connection, kind: Kind, last: int) -> list[Entry]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM entries"  # noqa: S608
        " WHERE height > (SELECT coalesce(max(height), 0) FROM entries) - ? AND kind = ? ORDER BY height",
        (last, kind),
    )
    return [Entry(*row) for row in rows]
