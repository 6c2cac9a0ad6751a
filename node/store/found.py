"""Signed records of others, kept until they expire, for when neither the DHT nor a registry answers."""

import sqlite3
from collections.abc import Iterable

from dht.records import Record
from node.store.database import Database


def remember(connection: sqlite3.Connection, records: Iterable[Record], most: int) -> None:
    """Keep the newest record of each publisher under each key; beyond `most`, those go that expire first.

    What a publisher has withdrawn goes.
    """
    latest = list(records)
    connection.executemany(
        "DELETE FROM found_records WHERE key = ? AND public_key = ? AND seq < ?",
        [(one.key, one.public_key, one.seq) for one in latest if one.is_withdrawal],
    )
    connection.executemany(
        "INSERT INTO found_records VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "seq = excluded.seq, expires_unix_ms = excluded.expires_unix_ms, raw = excluded.raw "
        "WHERE excluded.seq > seq",
        [(one.key, one.public_key, one.seq, one.expires_unix_ms, one.raw) for one in latest if not one.is_withdrawal],
    )
    connection.execute(
        "DELETE FROM found_records WHERE (key, public_key) IN (SELECT key, public_key FROM found_records "
        "ORDER BY expires_unix_ms DESC LIMIT -1 OFFSET ?)",
        (most,),
    )


def recall(connection: sqlite3.Connection, key: bytes, now_unix_ms: int) -> list[bytes]:
    """What is kept under `key` and has not expired, as it was signed."""
    rows = connection.execute(
        "SELECT raw FROM found_records WHERE key = ? AND expires_unix_ms > ? ORDER BY public_key", (key, now_unix_ms)
    )
    return [bytes(raw) for (raw,) in rows]


def forget(connection: sqlite3.Connection, now_unix_ms: int) -> int:
    """Drop what has expired; how many that were."""
    return connection.execute("DELETE FROM found_records WHERE expires_unix_ms <= ?", (now_unix_ms,)).rowcount


class FoundRecords:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remember(self, records: Iterable[Record], most: int) -> None:
        """See `remember`."""
        await self._database.write_relaxed(remember, tuple(records), most)

    async def recall(self, key: bytes, now_unix_ms: int) -> list[bytes]:
        """See `recall`."""
        return await self._database.read(recall, key, now_unix_ms)

    async def forget(self, now_unix_ms: int) -> int:
        """See `forget`."""
        return await self._database.write(forget, now_unix_ms)
