"""What this node knows of a peer passes to the key that succeeds its own, as its account did on the chain."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from node.store.database import Database


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What has passed: how many jobs, and the keys that are blocked from now on since the former one was."""

    jobs: int = 0
    blocked: tuple[bytes, ...] = ()


class Successions:
    """On a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_over(self, successors: Mapping[bytes, bytes]) -> TakenOver:
        """Give what is stored under each key to its successor's key. Doing it again moves what was recorded meanwhile.

        A block stays on the former key too: whoever has both keys would else come back by that one.
        """
        return await self._database.write(_take_over, successors)


def _take_over(connection: sqlite3.Connection, successors: Mapping[bytes, bytes]) -> TakenOver:
    moved, blocked = 0, []
    for old, new in successors.items():
        jobs = connection.execute("UPDATE OR IGNORE outcomes SET contractor = ? WHERE contractor = ?", (new, old))
        moved += jobs.rowcount
        # Where the new key has a memory of its own, that stands: two cannot be added up.
        connection.execute("UPDATE OR IGNORE policy_memory SET contractor = ? WHERE contractor = ?", (new, old))
        # What is open is settled under the key that it was awarded to.
        connection.execute(
            "UPDATE OR IGNORE spending SET peer = ? WHERE peer = ? AND paid_micro IS NOT NULL", (new, old)
        )
        followed = connection.execute(
            "INSERT OR IGNORE INTO blocked_peers SELECT ?, unix_ms, reason FROM blocked_peers WHERE public_key = ?",
            (new, old),
        )
        if followed.rowcount:
            blocked.append(new)
    return TakenOver(moved, tuple(blocked))
