"""Tasks that agents gave this node over A2A, each seen only by the caller who gave it, and where to push their news.

Bodies are the protocol's own messages, already encoded: this module knows whose they are, how new, and whether they
have ended. How long they are kept is the retention of all tasks.
"""

import sqlite3
from collections.abc import Sequence

import msgspec

from node.errors import UsageError
from node.store.database import Database

MAX_PUSH_CONFIGS = 8
"""Addresses that may hear of one task: each is a request to somebody else's server at every change."""


class A2aTask(msgspec.Struct, frozen=True, kw_only=True):
    """One task of one caller. `state` is the protocol's number, `updated_unix_ns` the time of its last status."""

    task_id: str
    owner: str
    context_id: str
    state: int
    ended: bool
    created_unix_ms: int
    updated_unix_ns: int
    body: bytes


class A2aQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks of a caller are wanted; what is None or empty does not matter. `after` continues a page."""

    owner: str
    context_id: str = ""
    state: int = 0
    since_unix_ns: int | None = None
    after: tuple[int, str] | None = None
    """(updated_unix_ns, task_id) of the last task of the page before."""
    limit: int = 50


class A2aPush(msgspec.Struct, frozen=True, kw_only=True):
    """One address that hears of one task."""

    task_id: str
    config_id: str
    owner: str
    created_unix_ms: int
    body: bytes


def save(connection: sqlite3.Connection, task: A2aTask) -> None:
    """Store or replace a task; UsageError when its id is another caller's."""
    changed = connection.execute(
        "INSERT INTO a2a_tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (task_id) DO UPDATE SET"
        " state = excluded.state, ended = excluded.ended, updated_unix_ns = excluded.updated_unix_ns,"
        " body = excluded.body WHERE owner = excluded.owner",
        (
            task.task_id,
            task.owner,
            task.context_id,
            task.state,
            task.ended,
            task.created_unix_ms,
            task.updated_unix_ns,
            task.body,
        ),
    )
    if changed.rowcount != 1:
        raise UsageError(f"A2A task {task.task_id} is another caller's")


def get(connection: sqlite3.Connection, owner: str, task_id: str) -> bytes | None:
    """The task's body, if it is this caller's."""
    found = connection.execute("SELECT body FROM a2a_tasks WHERE task_id = ? AND owner = ?", (task_id, owner))
    row = found.fetchone()
    return None if row is None else bytes(row[0])


def page(connection: sqlite3.Connection, query: A2aQuery) -> tuple[list[A2aTask], int]:
    """The caller's tasks that match, the last updated first, and how many match over all pages."""
    where, values = ["owner = ?"], list[object]([query.owner])
    for condition, value in (("context_id = ?", query.context_id), ("state = ?", query.state)):
        if value:
            where.append(condition)
            values.append(value)
    if query.since_unix_ns is not None:
        where.append("updated_unix_ns >= ?")
        values.append(query.since_unix_ns)
    matching = " AND ".join(where)
    (total,) = connection.execute(f"SELECT count(*) FROM a2a_tasks WHERE {matching}", values).fetchone()  # noqa: S608
    if query.after is not None:
        matching += " AND (updated_unix_ns, task_id) < (?, ?)"
        values += query.after
    rows = connection.execute(
        "SELECT task_id, owner, context_id, state, ended, created_unix_ms, updated_unix_ns, body FROM a2a_tasks"  # noqa: S608
        f" WHERE {matching} ORDER BY updated_unix_ns DESC, task_id DESC LIMIT ?",
        (*values, query.limit),
    )
    return [_task(row) for row in rows], total


def delete(connection: sqlite3.Connection, owner: str, task_id: str) -> None:
    """Drop one task of this caller, and its addresses."""
    if connection.execute("DELETE FROM a2a_tasks WHERE task_id = ? AND owner = ?", (task_id, owner)).rowcount:
        connection.execute("DELETE FROM a2a_push_configs WHERE task_id = ?", (task_id,))


def unfinished(connection: sqlite3.Connection) -> list[A2aTask]:
    """Every task that has not ended, of all callers: what a restarted node has to look at."""
    rows = connection.execute(
        "SELECT task_id, owner, context_id, state, ended, created_unix_ms, updated_unix_ns, body FROM a2a_tasks"
        " WHERE ended = 0 ORDER BY task_id"
    )
    return [_task(row) for row in rows]


def load_of(connection: sqlite3.Connection, owner: str, since_unix_ms: int) -> tuple[int, int, int]:
    """What a caller asks of this node: its open tasks, those it began since then, and everybody's open tasks."""
    (own_open,) = connection.execute(
        "SELECT count(*) FROM a2a_tasks WHERE owner = ? AND ended = 0", (owner,)
    ).fetchone()
    (begun,) = connection.execute(
        "SELECT count(*) FROM a2a_tasks WHERE owner = ? AND created_unix_ms >= ?", (owner, since_unix_ms)
    ).fetchone()
    (all_open,) = connection.execute("SELECT count(*) FROM a2a_tasks WHERE ended = 0").fetchone()
    return own_open, begun, all_open


def put_push(connection: sqlite3.Connection, push: A2aPush) -> None:
    """Store or replace an address; UsageError when a task has too many, or the id is another caller's."""
    (others,) = connection.execute(
        "SELECT count(*) FROM a2a_push_configs WHERE task_id = ? AND config_id != ?", (push.task_id, push.config_id)
    ).fetchone()
    if others >= MAX_PUSH_CONFIGS:
        raise UsageError(f"a task tells at most {MAX_PUSH_CONFIGS} addresses: delete one first")
    changed = connection.execute(
        "INSERT INTO a2a_push_configs VALUES (?, ?, ?, ?, ?) ON CONFLICT (task_id, config_id) DO UPDATE SET"
        " body = excluded.body WHERE owner = excluded.owner",
        (push.task_id, push.config_id, push.owner, push.created_unix_ms, push.body),
    )
    if changed.rowcount != 1:
        raise UsageError("this push configuration is another caller's")


def pushes(connection: sqlite3.Connection, task_id: str, owner: str | None = None) -> list[bytes]:
    """The bodies of a task's addresses; of one caller's only, or of all for telling them."""
    rows = connection.execute(
        "SELECT body FROM a2a_push_configs WHERE task_id = ? AND (? IS NULL OR owner = ?) ORDER BY config_id",
        (task_id, owner, owner),
    )
    return [bytes(body) for (body,) in rows]


def drop_push(connection: sqlite3.Connection, owner: str, task_id: str, config_id: str | None) -> None:
    """Delete one address of this caller's, or all of a task's; there may be none."""
    connection.execute(
        "DELETE FROM a2a_push_configs WHERE task_id = ? AND owner = ? AND (? IS NULL OR config_id = ?)",
        (task_id, owner, config_id, config_id),
    )


def forget(connection: sqlite3.Connection, before_unix_ms: int) -> int:
    """Delete what was last touched before that, ended or left waiting, with its addresses; how many tasks went."""
    gone = connection.execute("DELETE FROM a2a_tasks WHERE updated_unix_ns < ?", (before_unix_ms * 1_000_000,)).rowcount
    # An address may come before its task does, so the young ones without a task stay.
    connection.execute(
        "DELETE FROM a2a_push_configs WHERE created_unix_ms < ? AND task_id NOT IN (SELECT task_id FROM a2a_tasks)",
        (before_unix_ms,),
    )
    return gone


def _task(row: Sequence[object]) -> A2aTask:
    values = dict(zip(A2aTask.__struct_fields__, row, strict=True))
    return msgspec.convert(values, A2aTask, strict=False, builtin_types=(bytes,))


class A2aTasks:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, task: A2aTask) -> None:
        """See `save`."""
        await self._database.write(save, task)

    async def get(self, owner: str, task_id: str) -> bytes | None:
        """See `get`."""
        return await self._database.read(get, owner, task_id)

    async def page(self, query: A2aQuery) -> tuple[list[A2aTask], int]:
        """See `page`."""
        return await self._database.read(page, query)

    async def delete(self, owner: str, task_id: str) -> None:
        """See `delete`."""
        await self._database.write(delete, owner, task_id)

    async def unfinished(self) -> list[A2aTask]:
        """See `unfinished`."""
        return await self._database.read(unfinished)

    async def load_of(self, owner: str, since_unix_ms: int) -> tuple[int, int, int]:
        """See `load_of`."""
        return await self._database.read(load_of, owner, since_unix_ms)

    async def put_push(self, push: A2aPush) -> None:
        """See `put_push`."""
        await self._database.write(put_push, push)

    async def pushes(self, task_id: str, owner: str | None = None) -> list[bytes]:
        """See `pushes`."""
        return await self._database.read(pushes, task_id, owner)

    async def drop_push(self, owner: str, task_id: str, config_id: str | None) -> None:
        """See `drop_push`."""
        await self._database.write(drop_push, owner, task_id, config_id)

    async def forget(self, before_unix_ms: int) -> int:
        """See `forget`."""
        return await self._database.write(forget, before_unix_ms)
