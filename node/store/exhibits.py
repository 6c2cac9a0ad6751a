"""What is shown to an arbiter, kept until the deal that it is about is closed: a crash must not lose it.

A node's own are kept by the deal's name; those that it judges by the deal's longer key. Neither kind makes the other's
room smaller: what strangers show takes nothing from what this node has to show.
"""

import sqlite3
from typing import Final

from node.store.database import Database

MAX_KEPT: Final = 32
"""Of each kind, of at most 1 MiB each; the oldest make room."""


class Exhibits:
    """By deal, on a node's contents database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, deal: bytes, exhibit: bytes, unix_ms: int) -> None:
        """Keep an exhibit, in place of an earlier one for the same deal."""
        await self._database.write(_keep, deal, exhibit, unix_ms)

    async def of(self, deal: bytes) -> bytes | None:
        """The exhibit of a deal, if there is one."""
        return await self._database.read(_of, deal)

    async def deals(self) -> set[bytes]:
        """Those of which there is one."""
        return await self._database.read(_deals)

    async def forget(self, deal: bytes) -> None:
        """The deal is closed."""
        await self._database.write(_forget, deal)


def _keep(connection: sqlite3.Connection, deal: bytes, exhibit: bytes, unix_ms: int) -> None:
    connection.execute("INSERT OR REPLACE INTO exhibits VALUES (?, ?, ?)", (deal, exhibit, unix_ms))
    connection.execute(
        "DELETE FROM exhibits WHERE length(deal) = ?1 AND deal NOT IN "
        "(SELECT deal FROM exhibits WHERE length(deal) = ?1 ORDER BY unix_ms DESC, rowid DESC LIMIT ?2)",
        (len(deal), MAX_KEPT),
    )


def _of(connection: sqlite3.Connection, deal: bytes) -> bytes | None:
    row = connection.execute("SELECT exhibit FROM exhibits WHERE deal = ?", (deal,)).fetchone()
    return None if row is None else bytes(row[0])


def _deals(connection: sqlite3.Connection) -> set[bytes]:
    return {deal for (deal,) in connection.execute("SELECT deal FROM exhibits")}


def _forget(connection: sqlite3.Connection, deal: bytes) -> None:
    connection.execute("DELETE FROM exhibits WHERE deal = ?", (deal,))
