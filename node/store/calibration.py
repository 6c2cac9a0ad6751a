"""What was learnt about how long tasks take here: one opaque JSON state per task type."""

import sqlite3

from node.store.database import Database


def save(connection: sqlite3.Connection, task_type: str, state: str, unix_ms: int) -> None:
    """Replace the state of one task type."""
    connection.execute("INSERT OR REPLACE INTO calibration VALUES (?, ?, ?)", (task_type, state, unix_ms))


def load(connection: sqlite3.Connection) -> dict[str, str]:
    """Every task type's state."""
    return dict(connection.execute("SELECT task_type, state FROM calibration ORDER BY task_type").fetchall())


class Calibrations:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, task_type: str, state: str, unix_ms: int) -> None:
        """See `save`."""
        await self._database.write(save, task_type, state, unix_ms)

    async def load(self) -> dict[str, str]:
        """See `load`."""
        return await self._database.read(load)
