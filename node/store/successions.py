"""What this node knows of a seller passes to the key that succeeds its own, as its account did on the chain."""

import sqlite3
from collections.abc import Mapping

from node.store.database import Database


class Successions:
    """On a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_over(self, successors: Mapping[bytes, bytes]) -> int:
        """Give what is stored under each key to its successor's key; how many jobs moved. Doing it again moves what
        was recorded meanwhile."""
        return await self._database.write(_take_over, successors)


def _take_over(connection: sqlite3.Connection, successors: Mapping[bytes, bytes]) -> int:
    moved = 0
    for old, new in successors.items():
        jobs = connection.execute("UPDATE OR IGNORE outcomes SET contractor = ? WHERE contractor = ?", (new, old))
        moved += jobs.rowcount
        # Where the new key has a memory of its own, that stands: two cannot be added up.
        connection.execute("UPDATE OR IGNORE policy_memory SET contractor = ? WHERE contractor = ?", (new, old))
        # What is open is settled under the key that it was awarded to.
        connection.execute(
            "UPDATE OR IGNORE spending SET peer = ? WHERE peer = ? AND paid_micro IS NOT NULL", (new, old)
        )
    return moved
