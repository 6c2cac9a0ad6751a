"""A market maker's probes: what each was allowed to cost, what it cost, and what shows how it ended."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from node.priors.document import Ending, Probe
from node.store.database import Database

DAY_MS = 86_400_000
KEPT_DAYS = 365
"""The longest window that can be set (market_maker.window_days)."""
_SPENT = "coalesce(paid_micro, reserved_micro)"


@dataclass(frozen=True, slots=True)
class Unproved:
    """A probe that was ordered, and of which no record was found yet."""

    probe_id: bytes
    task_id: bytes
    seller: bytes


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe's task came to, whatever its record says."""

    paid_micro: int
    quoted_micro: int = 0
    promised_ms: int = 0


def reserve(
    connection: sqlite3.Connection, probe_id: bytes, seller: bytes, skill: str, reserved_micro: int, unix_ms: int
) -> None:
    """Note that a probe may cost so much, before anybody is asked."""
    connection.execute(
        "INSERT INTO probes (probe_id, seller, skill, unix_ms, reserved_micro) VALUES (?, ?, ?, ?, ?)",
        (probe_id, seller, skill, unix_ms, reserved_micro),
    )


def release(connection: sqlite3.Connection, probe_id: bytes) -> None:
    """Give up a probe that was never ordered."""
    connection.execute("DELETE FROM probes WHERE probe_id = ? AND task_id IS NULL", (probe_id,))


def end(connection: sqlite3.Connection, probe_id: bytes, task_id: bytes, found: Ended) -> None:
    """Note how a probe's task ended."""
    connection.execute(
        "UPDATE probes SET task_id = ?, paid_micro = ?, quoted_micro = ?, promised_ms = ? WHERE probe_id = ?",
        (task_id, found.paid_micro, found.quoted_micro, found.promised_ms, probe_id),
    )


def prove(connection: sqlite3.Connection, probe_id: bytes, ending: Ending, record: bytes, took_ms: int) -> None:
    """Keep the journal's record of how a probe ended."""
    connection.execute(
        "UPDATE probes SET ending = ?, record = ?, took_ms = ? WHERE probe_id = ?", (ending, record, took_ms, probe_id)
    )


def unproved(connection: sqlite3.Connection, since_unix_ms: int) -> list[Unproved]:
    """Probes that ended since then, and of which no record is kept."""
    rows = connection.execute(
        "SELECT probe_id, task_id, seller FROM probes WHERE unix_ms >= ? AND task_id IS NOT NULL AND ending IS NULL",
        (since_unix_ms,),
    )
    return [Unproved(*row) for row in rows]


def of_skill(connection: sqlite3.Connection, skill: str, since_unix_ms: int) -> list[Probe]:
    """The proved probes of a skill, oldest first."""
    rows = connection.execute(
        "SELECT seller, skill, unix_ms, ending, record, quoted_micro, paid_micro, promised_ms, took_ms FROM probes"
        " WHERE skill = ? AND unix_ms >= ? AND ending IS NOT NULL ORDER BY unix_ms, probe_id",
        (skill, since_unix_ms),
    )
    fields = (
        "seller",
        "skill",
        "unix_ms",
        "ending",
        "record",
        "quoted_micro",
        "billed_micro",
        "promised_ms",
        "took_ms",
    )
    return [msgspec.convert(dict(zip(fields, row, strict=True)), Probe, builtin_types=(bytes,)) for row in rows]


def tries(connection: sqlite3.Connection, skill: str, since_unix_ms: int) -> dict[bytes, int]:
    """How often each seller of a skill was probed since then, however that ended."""
    query = "SELECT seller, count(*) FROM probes WHERE skill = ? AND unix_ms >= ? GROUP BY seller"
    return dict(connection.execute(query, (skill, since_unix_ms)))


def skills(connection: sqlite3.Connection) -> list[str]:
    """Every skill that anybody was probed for."""
    return [skill for (skill,) in connection.execute("SELECT DISTINCT skill FROM probes ORDER BY skill")]


def spent_micro(connection: sqlite3.Connection, now_unix_ms: int) -> dict[bytes, int]:
    """Spent or promised on each seller in the last 24 hours."""
    rows = connection.execute(
        f"SELECT seller, sum({_SPENT}) FROM probes WHERE unix_ms > ? GROUP BY seller",  # noqa: S608
        (now_unix_ms - DAY_MS,),
    )
    return {seller: int(micro) for seller, micro in rows}


def last_quotes(connection: sqlite3.Connection, skill: str, sellers: Sequence[bytes]) -> dict[bytes, int]:
    """What each of these sellers last quoted for a probe of a skill."""
    query = (
        "SELECT quoted_micro FROM probes WHERE seller = ? AND skill = ? AND quoted_micro > 0"
        " ORDER BY unix_ms DESC LIMIT 1"
    )
    found = {seller: connection.execute(query, (seller, skill)).fetchone() for seller in sellers}
    return {seller: int(row[0]) for seller, row in found.items() if row is not None}


def forget(connection: sqlite3.Connection, now_unix_ms: int) -> int:
    """Delete probes that no document counts any more; how many went."""
    oldest_unix_ms = now_unix_ms - KEPT_DAYS * DAY_MS
    return connection.execute("DELETE FROM probes WHERE unix_ms < ?", (oldest_unix_ms,)).rowcount


class Probes:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, probe_id: bytes, seller: bytes, skill: str, reserved_micro: int, unix_ms: int) -> None:
        """See `reserve`; on the disk when it returns, so that the probe may be ordered."""
        await self._database.write_durably(reserve, probe_id, seller, skill, reserved_micro, unix_ms)

    async def release(self, probe_id: bytes) -> None:
        """See `release`."""
        await self._database.write(release, probe_id)

    async def end(self, probe_id: bytes, task_id: bytes, found: Ended) -> None:
        """See `end`."""
        await self._database.write(end, probe_id, task_id, found)

    async def prove(self, probe_id: bytes, ending: Ending, record: bytes, took_ms: int) -> None:
        """See `prove`."""
        await self._database.write(prove, probe_id, ending, record, took_ms)

    async def unproved(self, since_unix_ms: int) -> list[Unproved]:
        """See `unproved`."""
        return await self._database.read(unproved, since_unix_ms)

    async def of_skill(self, skill: str, since_unix_ms: int) -> list[Probe]:
        """See `of_skill`."""
        return await self._database.read(of_skill, skill, since_unix_ms)

    async def tries(self, skill: str, since_unix_ms: int) -> dict[bytes, int]:
        """See `tries`."""
        return await self._database.read(tries, skill, since_unix_ms)

    async def skills(self) -> list[str]:
        """See `skills`."""
        return await self._database.read(skills)

    async def spent_micro(self, now_unix_ms: int) -> dict[bytes, int]:
        """See `spent_micro`."""
        return await self._database.read(spent_micro, now_unix_ms)

    async def last_quotes(self, skill: str, sellers: Sequence[bytes]) -> dict[bytes, int]:
        """See `last_quotes`."""
        return await self._database.read(last_quotes, skill, sellers)

    async def forget(self, now_unix_ms: int) -> int:
        """See `forget`."""
        return await self._database.write(forget, now_unix_ms)
