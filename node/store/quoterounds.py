"""What the sellers of a skill answered, task by task: the evidence of the market screens."""

import sqlite3
from collections.abc import Sequence

import msgspec

from node.market.overview import Answer, Round
from node.store.database import Database

MAX_ROUNDS_PER_SKILL = 100
"""Rounds kept of one skill: five times what the screens of prices look at. The oldest go first."""


def add(connection: sqlite3.Connection, task_id: bytes, skill: str, answers: Sequence[Answer], unix_ms: int) -> None:
    """Store the answers about one task; a later round about the same task replaces them."""
    body = msgspec.json.encode(answers).decode()
    connection.execute("INSERT OR REPLACE INTO quote_rounds VALUES (?, ?, ?, ?)", (task_id, skill, unix_ms, body))
    connection.execute(
        "DELETE FROM quote_rounds WHERE task_id IN (SELECT task_id FROM quote_rounds WHERE skill = ?"
        " ORDER BY unix_ms DESC, task_id LIMIT -1 OFFSET ?)",
        (skill, MAX_ROUNDS_PER_SKILL),
    )


def of_skill(connection: sqlite3.Connection, skill: str) -> list[Round]:
    """The rounds kept of a skill, oldest first."""
    rows = connection.execute(
        "SELECT unix_ms, answers FROM quote_rounds WHERE skill = ? ORDER BY unix_ms, task_id", (skill,)
    )
    return [Round(unix_ms, msgspec.json.decode(body, type=tuple[Answer, ...])) for unix_ms, body in rows]


def skills(connection: sqlite3.Connection) -> list[str]:
    """Every skill that sellers were asked about, by label."""
    return [skill for (skill,) in connection.execute("SELECT DISTINCT skill FROM quote_rounds ORDER BY skill")]


def forget(connection: sqlite3.Connection, before_unix_ms: int) -> int:
    """Delete rounds older than that; how many went."""
    return connection.execute("DELETE FROM quote_rounds WHERE unix_ms < ?", (before_unix_ms,)).rowcount


class QuoteRounds:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, task_id: bytes, skill: str, answers: Sequence[Answer], unix_ms: int) -> None:
        """See `add`."""
        await self._database.write(add, task_id, skill, answers, unix_ms)

    async def of_skill(self, skill: str) -> list[Round]:
        """See `of_skill`."""
        return await self._database.read(of_skill, skill)

    async def skills(self) -> list[str]:
        """See `skills`."""
        return await self._database.read(skills)

    async def forget(self, before_unix_ms: int) -> int:
        """See `forget`."""
        return await self._database.write(forget, before_unix_ms)
