"""Inputs and results of tasks: stored once by content, kept while a task needs them, then by age and under a quota.

They are rows of a database of their own: a put is one transaction with its bookkeeping, a crash leaves no
orphan, and in-memory nodes need no directory. The content of a task that has not finished is never evicted.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from node.errors import UsageError
from node.store.database import Database
from node.store.errors import QuotaError, damaged

Part = Literal["input", "result", "plan"]
"""`plan`: what was made of a goal, with the record of how."""
MAX_BLOB_BYTES = 10**9
"""SQLite's limit on one value."""


class RetentionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long and how much a node keeps of finished tasks. The journal with its receipts stays for ever."""

    keep_content_s: Annotated[float, Meta(ge=60, le=10 * 365 * 86_400)] = 7 * 86_400
    """Inputs and results: a week, time to fetch a result and to look into a complaint."""
    quota_bytes: Annotated[int, Meta(ge=2**20, le=2**50)] = 2**30
    """1 GiB of inputs and results: hundreds of the usual size, and no laptop's disk is filled by it."""
    keep_tasks_s: Annotated[float, Meta(ge=60, le=10 * 365 * 86_400)] = 90 * 86_400
    """Rows, logs and decisions: a quarter of a year, about 10 kB a task."""


class BlobUse(msgspec.Struct, frozen=True):
    """One task's input or result: which content, its size and type."""

    part: str
    sha256: bytes
    size_bytes: int
    media_type: str


def put(
    connection: sqlite3.Connection, quota_bytes: int, task_id: bytes, part: Part, data: bytes, media_type: str
) -> bytes:
    """Store a live task's input or result and give its SHA-256. The same content is stored once.

    Over the quota the tasks that finished longest ago lose theirs; QuotaError, and nothing evicted, when even that
    would not be enough. A second put of the same part replaces the first.
    """
    if len(data) > MAX_BLOB_BYTES:
        raise QuotaError(f"content of {len(data)} bytes is over the limit of {MAX_BLOB_BYTES}: split it")
    digest = hashlib.sha256(data).digest()
    replaced = connection.execute(
        "DELETE FROM uses WHERE task_id = ? AND part = ? RETURNING sha256", (task_id, part)
    ).fetchall()
    if not connection.execute("SELECT 1 FROM blobs WHERE sha256 = ?", (digest,)).fetchone():
        _make_room(connection, quota_bytes, len(data))
        connection.execute("INSERT INTO blobs VALUES (?, ?, ?)", (digest, len(data), data))
    connection.execute("INSERT INTO uses VALUES (?, ?, ?, ?, NULL)", (task_id, part, digest, media_type))
    _drop_unused(connection, replaced)
    return digest


def get(connection: sqlite3.Connection, sha256: bytes) -> bytes:
    """The content of this digest, checked against it. UsageError when it is not (or no longer) kept."""
    row = connection.execute("SELECT data FROM blobs WHERE sha256 = ?", (sha256,)).fetchone()
    if row is None:
        raise UsageError(
            f"content {sha256.hex()} is not kept here any more: retention.keep_content_s and quota_bytes say how long"
        )
    data: bytes = row[0]
    if hashlib.sha256(data).digest() != sha256:
        raise damaged("blobs.db", f"the content stored as {sha256.hex()} is another")
    return data


def of_task(connection: sqlite3.Connection, task_id: bytes) -> list[BlobUse]:
    """What is kept of a task: its input, its result, both or nothing."""
    rows = connection.execute(
        "SELECT part, sha256, size_bytes, media_type FROM uses JOIN blobs USING (sha256)"
        " WHERE task_id = ? ORDER BY part",
        (task_id,),
    )
    return [BlobUse(*row) for row in rows]


def finish(connection: sqlite3.Connection, task_id: bytes, unix_ms: int) -> None:
    """The task has finished: from now on its content is kept by age, and may be evicted."""
    connection.execute(
        "UPDATE uses SET finished_unix_ms = ? WHERE task_id = ? AND finished_unix_ms IS NULL", (unix_ms, task_id)
    )


def put_last(
    connection: sqlite3.Connection, quota_bytes: int, task_id: bytes, data: bytes, media_type: str, unix_ms: int
) -> bytes:
    """`put` a task's result and `finish` the task, in one step."""
    digest = put(connection, quota_bytes, task_id, "result", data, media_type)
    finish(connection, task_id, unix_ms)
    return digest


def live_tasks(connection: sqlite3.Connection) -> list[bytes]:
    """Tasks whose content is held as unfinished: after a crash, those that did finish are to be told so."""
    return [
        task_id
        for (task_id,) in connection.execute(
            "SELECT DISTINCT task_id FROM uses WHERE finished_unix_ms IS NULL ORDER BY task_id"
        )
    ]


def expire(connection: sqlite3.Connection, finished_before_unix_ms: int) -> int:
    """Drop the content of tasks that finished before that; the bytes freed."""
    gone = connection.execute(
        "DELETE FROM uses WHERE finished_unix_ms < ? RETURNING sha256", (finished_before_unix_ms,)
    )
    return _drop_unused(connection, gone.fetchall())


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of content kept, each content once."""
    (used,) = connection.execute("SELECT coalesce(sum(size_bytes), 0) FROM blobs").fetchone()
    return int(used)


def _make_room(connection: sqlite3.Connection, quota_bytes: int, size_bytes: int) -> None:
    if size_bytes > quota_bytes:
        raise QuotaError(
            f"content of {size_bytes} bytes is larger than the whole quota of {quota_bytes}: "
            "raise retention.quota_bytes, or split it"
        )
    over = used_bytes(connection) + size_bytes - quota_bytes
    if over <= 0:
        return
    (held,) = connection.execute(
        "SELECT coalesce(sum(size_bytes), 0) FROM blobs"
        " WHERE sha256 IN (SELECT sha256 FROM uses WHERE finished_unix_ms IS NULL)"
    ).fetchone()
    if held + size_bytes > quota_bytes:
        raise QuotaError(
            f"no room for {size_bytes} bytes: unfinished tasks hold {held} of the quota of {quota_bytes}; "
            "wait for them to finish, or raise retention.quota_bytes"
        )
    finished = connection.execute(
        "SELECT task_id FROM uses WHERE finished_unix_ms IS NOT NULL"
        " GROUP BY task_id ORDER BY min(finished_unix_ms), task_id"
    ).fetchall()
    for task_id in finished:
        gone = connection.execute(
            "DELETE FROM uses WHERE task_id = ? AND finished_unix_ms IS NOT NULL RETURNING sha256", task_id
        )
        over -= _drop_unused(connection, gone.fetchall())
        if over <= 0:
            return


def _drop_unused(connection: sqlite3.Connection, digests: Iterable[tuple[bytes]]) -> int:
    """Delete those of these contents that no task uses any more; their bytes."""
    freed = 0
    for digest in digests:
        dropped = connection.execute(
            "DELETE FROM blobs WHERE sha256 = ? AND NOT EXISTS (SELECT 1 FROM uses WHERE uses.sha256 = blobs.sha256)"
            " RETURNING size_bytes",
            digest,
        ).fetchall()
        freed += sum(size_bytes for (size_bytes,) in dropped)
    return freed


class Blobs:
    """The functions above on a node's blobs database, under its retention rules."""

    def __init__(self, database: Database, config: RetentionConfig) -> None:
        self._database = database
        self.config = config

    async def put(self, task_id: bytes, part: Part, data: bytes, media_type: str) -> bytes:
        """See `put`."""
        return await self._database.write(put, self.config.quota_bytes, task_id, part, data, media_type)

    async def put_last(self, task_id: bytes, data: bytes, media_type: str, unix_ms: int) -> bytes:
        """See `put_last`."""
        return await self._database.write(put_last, self.config.quota_bytes, task_id, data, media_type, unix_ms)

    async def get(self, sha256: bytes) -> bytes:
        """See `get`."""
        return await self._database.read(get, sha256)

    async def of_task(self, task_id: bytes) -> list[BlobUse]:
        """See `of_task`."""
        return await self._database.read(of_task, task_id)

    async def finish(self, task_id: bytes, unix_ms: int) -> None:
        """See `finish`."""
        await self._database.write(finish, task_id, unix_ms)

    async def live_tasks(self) -> list[bytes]:
        """See `live_tasks`."""
        return await self._database.read(live_tasks)

    async def expire(self, unix_ms: int) -> int:
        """Drop what is older than the retention time; the bytes freed."""
        return await self._database.write(expire, unix_ms - round(self.config.keep_content_s * 1000))

    async def used_bytes(self) -> int:
        """See `used_bytes`."""
        return await self._database.read(used_bytes)
