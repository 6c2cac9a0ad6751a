"""Task rows: what was asked, where it stands, how it ended. Their logs are in task_events.py.

The SQL functions take a connection, so that a caller can combine several into one transaction with `Database.write`;
`Tasks` is the same, awaited. What a task read and produced is in `blobs`, why it ran where it did in `decisions`.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from node.errors import UsageError
from node.store.database import Database
from node.store.task_events import TaskEvent, append_event, events
from node.tasks.lifecycle import ENDED, TaskState, advance

Role = Literal["client", "contractor"]
MAX_LISTED = 1000


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """One task. `specification` is the packed protocol Specification; `skill` its first label, for lists.

    `peer` is the other party's key: the contractor of a hired task, the client of a sold one; None while it is
    undecided or done here. A plan's subtasks name it as `parent_id`, with their node's name in the plan.
    """

    task_id: bytes
    role: Role
    specification: bytes
    skill: str
    created_unix_ms: int
    deadline_unix_ms: int
    idempotency_key: str | None = None
    state: TaskState = "submitted"
    parent_id: bytes | None = None
    node_name: str | None = None
    peer: bytes | None = None
    price_micro: int | None = None
    paid_micro: int = 0
    error_code: str | None = None
    error_text: str | None = None
    result_sha256: bytes | None = None
    result_media_type: str | None = None
    updated_unix_ms: int = 0
    finished_unix_ms: int | None = None


class TaskChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to change in a row; fields left at None stay as they are."""

    state: TaskState | None = None
    peer: bytes | None = None
    price_micro: int | None = None
    paid_micro: int | None = None
    error_code: str | None = None
    error_text: str | None = None
    result_sha256: bytes | None = None
    result_media_type: str | None = None


class TaskRecord(msgspec.Struct, frozen=True):
    """A task, its whole log, and the ids of its subtasks, oldest first, as they were at one moment."""

    row: TaskRow
    events: list[TaskEvent]
    children: list[bytes]


_COLUMNS = TaskRow.__struct_fields__
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM tasks"  # noqa: S608 column names are this module's own


def insert(connection: sqlite3.Connection, row: TaskRow) -> tuple[TaskRow, bool]:
    """Store a new task; or give the one that already has its idempotency key, and False.

    UsageError when that key belongs to a different specification, or the task id is taken.
    """
    if row.idempotency_key is not None:
        found = connection.execute(f"{_SELECT} WHERE idempotency_key = ?", (row.idempotency_key,)).fetchone()
        if found is not None:
            earlier = _row(found)
            if earlier.specification != row.specification:
                raise UsageError(
                    f"idempotency key {row.idempotency_key!r} was used for another task, {earlier.task_id.hex()}: "
                    "use a new key for a different request"
                )
            return earlier, False
    stored = msgspec.structs.replace(row, updated_unix_ms=row.created_unix_ms)
    marks = ", ".join("?" * len(_COLUMNS))
    try:
        connection.execute(
            f"INSERT INTO tasks ({', '.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608
            msgspec.structs.astuple(stored),
        )
    except sqlite3.IntegrityError as error:
        raise UsageError(f"task {row.task_id.hex()} cannot be stored: {error}") from error
    return stored, True


def open_logged(
    connection: sqlite3.Connection, row: TaskRow, unix_ms: int, kind: str, body: str
) -> tuple[TaskRow, bool]:
    """`insert`, and log it in the same step where the task is new."""
    stored, is_new = insert(connection, row)
    if is_new:
        append_event(connection, stored.task_id, unix_ms, kind, body)
    return stored, is_new


def change(connection: sqlite3.Connection, task_id: bytes, what: TaskChange, unix_ms: int) -> TaskRow:
    """Apply `what` and give the row as it is then.

    TransitionError when its state does not lead to the new one, UsageError when there is no such task.
    """
    return _changed(connection, get(connection, task_id), what, unix_ms)


def change_logged(
    connection: sqlite3.Connection, task_id: bytes, what: TaskChange, unix_ms: int, kind: str, body: str
) -> TaskRow:
    """`change`, and log it in the same step."""
    changed = change(connection, task_id, what, unix_ms)
    append_event(connection, task_id, unix_ms, kind, body)
    return changed


def _changed(connection: sqlite3.Connection, row: TaskRow, what: TaskChange, unix_ms: int) -> TaskRow:
    if what.state not in (None, row.state):
        advance(row.state, what.state)
    fields = {name: value for name, value in msgspec.structs.asdict(what).items() if value is not None}
    ends = what.state in ENDED and row.finished_unix_ms is None
    changed = msgspec.structs.replace(
        row, **fields, updated_unix_ms=unix_ms, finished_unix_ms=unix_ms if ends else row.finished_unix_ms
    )
    settable = (*TaskChange.__struct_fields__, "updated_unix_ms", "finished_unix_ms")
    connection.execute(
        f"UPDATE tasks SET {', '.join(f'{name} = ?' for name in settable)} WHERE task_id = ?",  # noqa: S608
        (*(getattr(changed, name) for name in settable), row.task_id),
    )
    return changed


def get(connection: sqlite3.Connection, task_id: bytes) -> TaskRow:
    """The row of `task_id`; UsageError when there is none."""
    found = connection.execute(f"{_SELECT} WHERE task_id = ?", (task_id,)).fetchone()
    if found is None:
        raise UsageError(f"there is no task {task_id.hex()}: `coalesced task ls` lists them")
    return _row(found)


def record(connection: sqlite3.Connection, task_id: bytes) -> TaskRecord:
    """All that is kept of a task; UsageError when there is none."""
    return _record(connection, get(connection, task_id))


def _record(connection: sqlite3.Connection, row: TaskRow) -> TaskRecord:
    children = connection.execute(
        "SELECT task_id FROM tasks WHERE parent_id = ? ORDER BY created_unix_ms, task_id LIMIT ?",
        (row.task_id, MAX_LISTED),
    )
    return TaskRecord(row, events(connection, row.task_id), [child for (child,) in children])


def find(connection: sqlite3.Connection, prefix: str, limit: int = 10) -> list[TaskRow]:
    """The tasks whose id starts with these hexadecimal digits, newest first: what a person types."""
    rows = connection.execute(
        f"{_SELECT} WHERE substr(lower(hex(task_id)), 1, ?) = ? ORDER BY created_unix_ms DESC LIMIT ?",
        (len(prefix), prefix.lower(), limit),
    )
    return [_row(row) for row in rows]


def select(
    connection: sqlite3.Connection,
    *,
    states: Sequence[TaskState] = (),
    role: Role | None = None,
    parent_id: bytes | None = None,
    before_unix_ms: int | None = None,
    limit: int = 50,
) -> list[TaskRow]:
    """Tasks, newest first, at most `limit` (of 1,000); `before_unix_ms` pages on from the last one shown."""
    where, values = ["1"], list[object]()
    if states:
        where.append(f"state IN ({', '.join('?' * len(states))})")
        values += states
    for name, value in (("role", role), ("parent_id", parent_id)):
        if value is not None:
            where.append(f"{name} = ?")
            values.append(value)
    if before_unix_ms is not None:
        where.append("created_unix_ms < ?")
        values.append(before_unix_ms)
    rows = connection.execute(
        f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY created_unix_ms DESC, task_id DESC LIMIT ?",
        (*values, min(limit, MAX_LISTED)),
    )
    return [_row(row) for row in rows]


def count_by_state(connection: sqlite3.Connection) -> dict[str, int]:
    """How many tasks are in each state that any is in."""
    return dict(connection.execute("SELECT state, count(*) FROM tasks GROUP BY state").fetchall())


def payers(connection: sqlite3.Connection) -> dict[bytes, int]:
    """Clients that signed to pay for work done here, and for how many tasks of those that are kept."""
    return dict(
        connection.execute(
            "SELECT peer, count(*) FROM tasks WHERE role = 'contractor' AND paid_micro > 0 GROUP BY peer"
        ).fetchall()
    )


def unfinished(connection: sqlite3.Connection) -> list[TaskRow]:
    """Every task that was under way, oldest first: what a restarted node has to end or go on with."""
    rows = connection.execute(f"{_SELECT} WHERE finished_unix_ms IS NULL ORDER BY created_unix_ms, task_id")
    return [_row(row) for row in rows]


def end_times(connection: sqlite3.Connection, task_ids: Sequence[bytes]) -> list[tuple[bytes, int]]:
    """When each of these tasks ended, without those that have not; 0 for a task that is not known."""
    ended = []
    for task_id in task_ids:
        row = connection.execute("SELECT finished_unix_ms FROM tasks WHERE task_id = ?", (task_id,)).fetchone()
        if row is None or row[0] is not None:
            ended.append((task_id, 0 if row is None else row[0]))
    return ended


def end(
    connection: sqlite3.Connection,
    task_id: bytes,
    what: TaskChange,
    unix_ms: int,
    kind: str,
    body_of: Callable[[TaskRecord], str],
) -> tuple[TaskRecord, bool]:
    """End a task and log it in one step: the line is what `body_of` makes of the ended task. Its record then.

    False, and nothing changes, when it has ended before.
    """
    row = get(connection, task_id)
    if row.state in ENDED:
        return _record(connection, row), False
    ended = _record(connection, _changed(connection, row, what, unix_ms))
    append_event(connection, task_id, unix_ms, kind, body_of(ended))
    return msgspec.structs.replace(ended, events=events(connection, task_id)), True


def forget(connection: sqlite3.Connection, finished_before_unix_ms: int) -> list[bytes]:
    """Delete tasks that ended before that time, with their logs and subtasks; the ids that went.

    A plan stays whole: it goes when it ended itself, whatever its subtasks did before. Receipts are in the journal.
    """
    gone = [
        task_id
        for (task_id,) in connection.execute(
            "WITH RECURSIVE old(task_id) AS (SELECT task_id FROM tasks WHERE finished_unix_ms < ? AND parent_id IS NULL"
            " UNION SELECT tasks.task_id FROM tasks JOIN old ON tasks.parent_id = old.task_id) SELECT task_id FROM old",
            (finished_before_unix_ms,),
        )
    ]
    connection.executemany("DELETE FROM tasks WHERE task_id = ?", [(task_id,) for task_id in gone])
    return gone


def _row(values: tuple[object, ...]) -> TaskRow:
    return msgspec.convert(dict(zip(_COLUMNS, values, strict=True)), TaskRow, builtin_types=(bytes,))


class Tasks:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_logged(self, row: TaskRow, unix_ms: int, kind: str, body: str) -> tuple[TaskRow, bool]:
        """See `open_logged`."""
        return await self._database.write(open_logged, row, unix_ms, kind, body)

    async def change(self, task_id: bytes, what: TaskChange, unix_ms: int) -> TaskRow:
        """See `change`."""
        return await self._database.write(change, task_id, what, unix_ms)

    async def change_logged(self, task_id: bytes, what: TaskChange, unix_ms: int, kind: str, body: str) -> TaskRow:
        """See `change_logged`."""
        return await self._database.write(change_logged, task_id, what, unix_ms, kind, body)

    async def get(self, task_id: bytes) -> TaskRow:
        """See `get`."""
        return await self._database.read(get, task_id)

    async def record(self, task_id: bytes) -> TaskRecord:
        """See `record`."""
        return await self._database.read(record, task_id)

    async def find(self, prefix: str, limit: int = 10) -> list[TaskRow]:
        """See `find`."""
        return await self._database.read(find, prefix, limit)

    async def select(
        self,
        *,
        states: Sequence[TaskState] = (),
        role: Role | None = None,
        parent_id: bytes | None = None,
        before_unix_ms: int | None = None,
        limit: int = 50,
    ) -> list[TaskRow]:
        """See `select`."""
        return await self._database.read(
            select, states=states, role=role, parent_id=parent_id, before_unix_ms=before_unix_ms, limit=limit
        )

    async def count_by_state(self) -> dict[str, int]:
        """See `count_by_state`."""
        return await self._database.read(count_by_state)

    async def payers(self) -> dict[bytes, int]:
        """See `payers`."""
        return await self._database.read(payers)

    async def unfinished(self) -> list[TaskRow]:
        """See `unfinished`."""
        return await self._database.read(unfinished)

    async def end(
        self, task_id: bytes, what: TaskChange, unix_ms: int, kind: str, body_of: Callable[[TaskRecord], str]
    ) -> tuple[TaskRecord, bool]:
        """See `end`."""
        return await self._database.write(end, task_id, what, unix_ms, kind, body_of)

    async def append_event(self, task_id: bytes, unix_ms: int, kind: str, body: str) -> int:
        """See `append_event`."""
        return await self._database.write(append_event, task_id, unix_ms, kind, body)

    def post_event(self, task_id: bytes, unix_ms: int, kind: str, body: str) -> asyncio.Future[int]:
        """See `append_event`, and `Database.post`."""
        return self._database.post(append_event, task_id, unix_ms, kind, body)

    async def events(self, task_id: bytes, after_seq: int = 0) -> list[TaskEvent]:
        """See `events`."""
        return await self._database.read(events, task_id, after_seq)

    async def forget(self, finished_before_unix_ms: int) -> list[bytes]:
        """See `forget`."""
        return await self._database.write(forget, finished_before_unix_ms)
