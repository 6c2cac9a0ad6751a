"""How jobs with each contractor ended, and the decayed counts that reliability is judged by.

Evidence is kept job by job with its time, so the counts can be taken for any decay and at any moment
(COALESCE eq. (14), with the counts decayed and not the score).
"""

import asyncio
import math
import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from node.decision.reliability import DECAY_PER_MONTH, MONTH_MS, History
from node.store.database import Database

MAX_JOBS_PER_PAIR = 2000
"""Outcomes kept of one contractor and skill: more evidence changes no judgement. The oldest go first."""
_CHUNK = 500
"""Contractors in one query: below SQLite's limit on parameters in every build."""


class JobOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one job ended. `kind` is a receipt's outcome (ok, late, fail, refund) or a fault report's kind."""

    task_id: bytes
    contractor: bytes
    skill: str
    unix_ms: int
    success: bool
    kind: str
    paid_micro: int = 0
    duration_ms: int = 0


class PeerTotals(msgspec.Struct, frozen=True):
    """All jobs with one contractor: how many, how many good, what was paid."""

    jobs: int = 0
    successes: int = 0
    paid_micro: int = 0


def record(connection: sqlite3.Connection, outcome: JobOutcome) -> bool:
    """Store how a job ended; False, and nothing changed, when this job with this contractor already has an outcome."""
    new = connection.execute(
        "INSERT OR IGNORE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(outcome)
    )
    if new.rowcount == 0:
        return False
    pair = (outcome.contractor, outcome.skill)
    (jobs,) = connection.execute("SELECT count(*) FROM outcomes WHERE contractor = ? AND skill = ?", pair).fetchone()
    if jobs > MAX_JOBS_PER_PAIR:
        connection.execute(
            "DELETE FROM outcomes WHERE (task_id, contractor) IN (SELECT task_id, contractor FROM outcomes"
            " WHERE contractor = ? AND skill = ? ORDER BY unix_ms, task_id LIMIT ?)",
            (*pair, jobs - MAX_JOBS_PER_PAIR),
        )
    return True


def counts(
    connection: sqlite3.Connection,
    contractors: Sequence[bytes],
    skill: str,
    unix_ms: int,
    decay_per_month: float = DECAY_PER_MONTH,
) -> dict[bytes, History]:
    """Successes and failures of each contractor in a skill, each weighing e^(-decay * its age in months).

    A contractor without jobs has zeros. An outcome dated after `unix_ms` counts in full.
    """
    found: dict[bytes, list[tuple[int, int]]] = {contractor: [] for contractor in contractors}
    keys = list(found)
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        rows = connection.execute(
            f"SELECT contractor, unix_ms, success FROM outcomes WHERE contractor IN ({', '.join('?' * len(chunk))})"  # noqa: S608
            " AND skill = ?",
            (*chunk, skill),
        )
        for contractor, at_unix_ms, success in rows:
            found[contractor].append((at_unix_ms, success))
    return {contractor: _decayed(jobs, unix_ms, decay_per_month) for contractor, jobs in found.items()}


def _decayed(jobs: Iterable[tuple[int, int]], unix_ms: int, decay_per_month: float) -> History:
    weighed = [
        (math.exp(-decay_per_month * max(0, unix_ms - at_unix_ms) / MONTH_MS), success) for at_unix_ms, success in jobs
    ]
    return History(
        successes=math.fsum(weight for weight, success in weighed if success),
        failures=math.fsum(weight for weight, success in weighed if not success),
        jobs=len(weighed),
        at_unix_ms=unix_ms,
    )


def recent(connection: sqlite3.Connection, contractor: bytes, limit: int = 50) -> list[JobOutcome]:
    """A contractor's last jobs in any skill, newest first."""
    columns = JobOutcome.__struct_fields__
    rows = connection.execute(
        f"SELECT {', '.join(columns)} FROM outcomes WHERE contractor = ? ORDER BY unix_ms DESC, task_id LIMIT ?",  # noqa: S608
        (contractor, limit),
    )
    return [
        msgspec.convert(dict(zip(columns, row, strict=True)), JobOutcome, strict=False, builtin_types=(bytes,))
        for row in rows
    ]


def awards(connection: sqlite3.Connection, skill: str, limit: int) -> list[bytes]:
    """The contractors of the last jobs of a skill, the latest first."""
    rows = connection.execute(
        "SELECT contractor FROM outcomes WHERE skill = ? ORDER BY unix_ms DESC, task_id LIMIT ?", (skill, limit)
    )
    return [contractor for (contractor,) in rows]


def totals(connection: sqlite3.Connection) -> dict[bytes, PeerTotals]:
    """Every contractor that this node ever hired."""
    rows = connection.execute(
        "SELECT contractor, count(*), sum(success), sum(paid_micro) FROM outcomes GROUP BY contractor"
    )
    return {contractor: PeerTotals(*sums) for contractor, *sums in rows}


class Outcomes:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, outcome: JobOutcome) -> bool:
        """See `record`."""
        return await self._database.write(record, outcome)

    def post(self, outcome: JobOutcome) -> asyncio.Future[bool]:
        """See `record`, and `Database.post`."""
        return self._database.post(record, outcome)

    async def counts(
        self, contractors: Sequence[bytes], skill: str, unix_ms: int, decay_per_month: float = DECAY_PER_MONTH
    ) -> dict[bytes, History]:
        """See `counts`."""
        return await self._database.read(counts, contractors, skill, unix_ms, decay_per_month)

    async def recent(self, contractor: bytes, limit: int = 50) -> list[JobOutcome]:
        """See `recent`."""
        return await self._database.read(recent, contractor, limit)

    async def awards(self, skill: str, limit: int) -> list[bytes]:
        """See `awards`."""
        return await self._database.read(awards, skill, limit)

    async def totals(self) -> dict[bytes, PeerTotals]:
        """See `totals`."""
        return await self._database.read(totals)
