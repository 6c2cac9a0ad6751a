"""What verified outcomes taught about where each seller's skill lies among meanings."""

import sqlite3
import struct
from collections.abc import Iterable

from node.skills.meaning.learned import NOTHING, learned
from node.skills.meaning.vector import DIMENSIONS, Vector
from node.store.database import Database

_LAYOUT = struct.Struct(f"<{DIMENSIONS}i")


def load(connection: sqlite3.Connection, pairs: Iterable[tuple[bytes, str]]) -> dict[tuple[bytes, str], Vector]:
    """The offset of each contractor and skill of which something was learnt."""
    found = {}
    for pair in pairs:
        row = connection.execute(
            "SELECT offset FROM learned_places WHERE contractor = ? AND skill = ?", pair
        ).fetchone()
        if row is not None and len(row[0]) == _LAYOUT.size:
            found[pair] = _LAYOUT.unpack(row[0])
    return found


def learn(
    connection: sqlite3.Connection, contractor: bytes, skill: str, request: Vector, good: bool, unix_ms: int
) -> None:
    """Take one verified outcome in; `request` is the vector of what was asked for."""
    pair = (contractor, skill)
    offset = learned(load(connection, [pair]).get(pair, NOTHING), request, good=good)
    connection.execute(
        "INSERT OR REPLACE INTO learned_places VALUES (?, ?, ?, ?)", (*pair, _LAYOUT.pack(*offset), unix_ms)
    )


class Places:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, pairs: Iterable[tuple[bytes, str]]) -> dict[tuple[bytes, str], Vector]:
        """See `load`."""
        return await self._database.read(load, tuple(pairs))

    async def learn(self, contractor: bytes, skill: str, request: Vector, *, good: bool, unix_ms: int) -> None:
        """See `learn`."""
        await self._database.write(learn, contractor, skill, request, good, unix_ms)
