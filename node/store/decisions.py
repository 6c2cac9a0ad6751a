"""Every decision with all its inputs, as JSON: what `why` shows and a replay starts from."""

import sqlite3

import msgspec

from node.store.database import Database

MAX_PER_TASK = 100
"""Decisions kept of one task: far more than the sellers it can run through. The oldest go first."""


class StoredDecision(msgspec.Struct, frozen=True):
    """One decision of a task; `seq` starts at 1, a later one followed a failure."""

    seq: int
    unix_ms: int
    body: str


def add(connection: sqlite3.Connection, task_id: bytes, body: str, unix_ms: int) -> int:
    """Store a task's next decision and give its number."""
    (last,) = connection.execute("SELECT coalesce(max(seq), 0) FROM decisions WHERE task_id = ?", (task_id,)).fetchone()
    connection.execute("INSERT INTO decisions VALUES (?, ?, ?, ?)", (task_id, last + 1, unix_ms, body))
    connection.execute("DELETE FROM decisions WHERE task_id = ? AND seq <= ?", (task_id, last + 1 - MAX_PER_TASK))
    return int(last) + 1


def of_task(connection: sqlite3.Connection, task_id: bytes) -> list[StoredDecision]:
    """A task's decisions in order."""
    rows = connection.execute("SELECT seq, unix_ms, body FROM decisions WHERE task_id = ? ORDER BY seq", (task_id,))
    return [StoredDecision(*row) for row in rows]


def forget(connection: sqlite3.Connection, before_unix_ms: int) -> int:
    """Delete decisions older than that; how many went."""
    return connection.execute("DELETE FROM decisions WHERE unix_ms < ?", (before_unix_ms,)).rowcount


class Decisions:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, task_id: bytes, body: str, unix_ms: int) -> int:
        """See `add`."""
        return await self._database.write(add, task_id, body, unix_ms)

    async def of_task(self, task_id: bytes) -> list[StoredDecision]:
        """See `of_task`."""
        return await self._database.read(of_task, task_id)

    async def forget(self, before_unix_ms: int) -> int:
        """See `forget`."""
        return await self._database.write(forget, before_unix_ms)
