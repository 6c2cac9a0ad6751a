"""What sellers stated of what does their work, and which of them seem to have changed."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from node.store.database import Database


@dataclass(frozen=True, slots=True)
class Drift:
    """A seller that seems to have changed: when that was seen first, at which skill, and why as a sentence."""

    unix_ms: int
    skill: str
    reason: str


def facts(connection: sqlite3.Connection, peers: Iterable[bytes], skill: str) -> dict[bytes, dict[str, str]]:
    """What each stated of this skill when it was met or examined; those without are left out."""
    query = "SELECT facts FROM seller_facts WHERE peer = ? AND skill = ?"
    rows = {peer: connection.execute(query, (peer, skill)).fetchone() for peer in peers}
    return {peer: json.loads(row[0]) for peer, row in rows.items() if row is not None}


def stated(connection: sqlite3.Connection, peer: bytes, skill: str, stated: Mapping[str, str]) -> None:
    """Remember what a seller states of a skill, in place of what it stated before."""
    row = (peer, skill, json.dumps(dict(stated), sort_keys=True))
    connection.execute("INSERT OR REPLACE INTO seller_facts VALUES (?, ?, ?)", row)


def drifted(connection: sqlite3.Connection, peer: bytes, drift: Drift) -> None:
    """Remember that a seller seems to have changed; the first time counts, the last reason."""
    connection.execute(
        "INSERT INTO drifts VALUES (?, ?, ?, ?) ON CONFLICT (peer) DO UPDATE SET skill = excluded.skill,"
        " reason = excluded.reason",
        (peer, drift.unix_ms, drift.skill, drift.reason),
    )


def settled(connection: sqlite3.Connection, peer: bytes) -> None:
    """It was examined since, and what it states from now on is what it is compared with."""
    connection.execute("DELETE FROM drifts WHERE peer = ?", (peer,))
    connection.execute("DELETE FROM seller_facts WHERE peer = ?", (peer,))


def drifts(connection: sqlite3.Connection, peers: Iterable[bytes]) -> dict[bytes, Drift]:
    """Those among `peers` that seem to have changed."""
    query = "SELECT unix_ms, skill, reason FROM drifts WHERE peer = ?"
    rows = {peer: connection.execute(query, (peer,)).fetchone() for peer in peers}
    return {peer: Drift(*row) for peer, row in rows.items() if row is not None}


class Drifting:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def facts(self, peers: Iterable[bytes], skill: str) -> dict[bytes, dict[str, str]]:
        """See `facts`."""
        return await self._database.read(facts, tuple(peers), skill)

    async def stated(self, peer: bytes, skill: str, given: Mapping[str, str]) -> None:
        """See `stated`."""
        await self._database.write(stated, peer, skill, given)

    async def drifted(self, peer: bytes, drift: Drift) -> None:
        """See `drifted`."""
        await self._database.write(drifted, peer, drift)

    async def settled(self, peer: bytes) -> None:
        """See `settled`."""
        await self._database.write(settled, peer)

    async def drifts(self, peers: Iterable[bytes]) -> dict[bytes, Drift]:
        """See `drifts`."""
        return await self._database.read(drifts, tuple(peers))
