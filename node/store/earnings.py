"""What this node earned, by day and skill: sums over the receipts that it countersigned."""

import asyncio
import sqlite3

import msgspec

from node.store.database import Database
from node.store.spending import day_of


class Earned(msgspec.Struct, frozen=True):
    """Accepted jobs and what they paid."""

    jobs: int = 0
    paid_micro: int = 0


def add(connection: sqlite3.Connection, skill: str, paid_micro: int, unix_ms: int) -> None:
    """Count one accepted job."""
    connection.execute(
        "INSERT INTO earnings VALUES (?, ?, 1, ?) ON CONFLICT (day, skill) DO UPDATE SET"
        " jobs = jobs + 1, paid_micro = paid_micro + excluded.paid_micro",
        (day_of(unix_ms), skill, paid_micro),
    )


def by_skill(connection: sqlite3.Connection) -> dict[str, Earned]:
    """All that was ever earned with each skill."""
    rows = connection.execute("SELECT skill, sum(jobs), sum(paid_micro) FROM earnings GROUP BY skill")
    return {skill: Earned(jobs, paid) for skill, jobs, paid in rows}


def on_day(connection: sqlite3.Connection, unix_ms: int) -> Earned:
    """What was earned on the UTC day of `unix_ms`."""
    row = connection.execute(
        "SELECT coalesce(sum(jobs), 0), coalesce(sum(paid_micro), 0) FROM earnings WHERE day = ?", (day_of(unix_ms),)
    ).fetchone()
    return Earned(*row)


class Earnings:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def post(self, skill: str, paid_micro: int, unix_ms: int) -> asyncio.Future[None]:
        """See `add`, and `Database.post`."""
        return self._database.post(add, skill, paid_micro, unix_ms)

    async def by_skill(self) -> dict[str, Earned]:
        """See `by_skill`."""
        return await self._database.read(by_skill)

    async def on_day(self, unix_ms: int) -> Earned:
        """See `on_day`."""
        return await self._database.read(on_day, unix_ms)
