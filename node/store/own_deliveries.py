"""Deliveries of this node's own that no rating on the chain names yet: without these papers none can be filed."""

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from node.store.database import Database

MAX_KEPT = 10_000
"""Some 6 MB; beyond it nothing more is kept, so that no client can fill the disk with jobs that it does not rate."""


@dataclass(frozen=True, slots=True)
class OwnDelivery:
    """A contractor's acceptance and its client's award of one job, both signed, and the salt that shows it is one."""

    acceptance_id: bytes
    acceptance: bytes
    acceptance_signature: bytes
    award: bytes
    award_signature: bytes
    salt: bytes
    awarded_unix_ms: int


class OwnDeliveries:
    """What may still have to be filed as unrated."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, own: OwnDelivery) -> bool:
        """Keep a delivery's papers; False when there is no room for more."""
        return await self._database.write(_add, own)

    async def after(self, last: OwnDelivery | None, limit: int) -> list[OwnDelivery]:
        """The next ones, oldest award first."""
        return await self._database.read(_after, last, limit)

    async def forget(self, owns: Sequence[OwnDelivery]) -> None:
        """These are rated or filed, or never can be."""
        await self._database.write(_forget, [own.acceptance_id for own in owns])


def _add(connection: sqlite3.Connection, own: OwnDelivery) -> bool:
    (count,) = connection.execute("SELECT count(*) FROM own_deliveries").fetchone()
    if count < MAX_KEPT:
        connection.execute("INSERT OR IGNORE INTO own_deliveries VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(own))
    return bool(count < MAX_KEPT)


def _after(connection: sqlite3.Connection, last: OwnDelivery | None, limit: int) -> list[OwnDelivery]:
    place = (-1, b"") if last is None else (last.awarded_unix_ms, last.acceptance_id)
    rows = connection.execute(
        "SELECT * FROM own_deliveries WHERE (awarded_unix_ms, acceptance_id) > (?, ?) "
        "ORDER BY awarded_unix_ms, acceptance_id LIMIT ?",
        (*place, limit),
    )
    return [OwnDelivery(*row) for row in rows]


def _forget(connection: sqlite3.Connection, ids: Sequence[bytes]) -> None:
    connection.executemany("DELETE FROM own_deliveries WHERE acceptance_id = ?", [(one,) for one in ids])
