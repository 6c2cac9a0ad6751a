"""Ratings of this node's own between their promise and their showing; without the salt, a promise cannot be kept."""

import sqlite3
from dataclasses import astuple, dataclass

from node.store.database import Database

MAX_WAITING = 10_000
"""Beyond this a node without an account keeps no more: they would only grow old."""


@dataclass(frozen=True, slots=True)
class OwnRating:
    """A signed rating, the salt of its promise, and the epoch in which that was committed (None before)."""

    promise: bytes
    rating: bytes
    signature: bytes
    salt: bytes
    unix_ms: int
    epoch: int | None = None


class OwnRatings:
    """What is still to be promised or shown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, own: OwnRating) -> None:
        """Keep a rating until it is on the chain."""
        await self._database.write(_add, own)

    async def after(self, last: OwnRating | None, limit: int, *, epoch: int) -> list[OwnRating]:
        """The next ones, oldest first, without those that were promised in `epoch`: they wait for a later one."""
        return await self._database.read(_after, last, limit, epoch)

    async def promised(self, promise: bytes, epoch: int) -> None:
        """The promise stands on the chain since this epoch."""
        await self._database.write(_promised, promise, epoch)

    async def forget(self, promise: bytes) -> None:
        """It was shown, or never can be."""
        await self._database.write(_forget, promise)


def _add(connection: sqlite3.Connection, own: OwnRating) -> None:
    (count,) = connection.execute("SELECT count(*) FROM own_ratings").fetchone()
    if count < MAX_WAITING:
        connection.execute("INSERT INTO own_ratings VALUES (?, ?, ?, ?, ?, ?)", astuple(own))


def _after(connection: sqlite3.Connection, last: OwnRating | None, limit: int, epoch: int) -> list[OwnRating]:
    place = (-1, b"") if last is None else (last.unix_ms, last.promise)
    rows = connection.execute(
        "SELECT * FROM own_ratings WHERE (epoch IS NULL OR epoch < ?) AND (unix_ms, promise) > (?, ?) "
        "ORDER BY unix_ms, promise LIMIT ?",
        (epoch, *place, limit),
    )
    return [OwnRating(*row) for row in rows]


def _promised(connection: sqlite3.Connection, promise: bytes, epoch: int) -> None:
    connection.execute("UPDATE own_ratings SET epoch = ? WHERE promise = ?", (epoch, promise))


def _forget(connection: sqlite3.Connection, promise: bytes) -> None:
    connection.execute("DELETE FROM own_ratings WHERE promise = ?", (promise,))
