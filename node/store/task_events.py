"""What happened to each task, line by line: kept with its row, and bounded."""

import sqlite3

import msgspec

from node.errors import UsageError

MAX_EVENTS = 1000
"""Events kept of one task: a chatty seller must not fill the disk. Beyond it the oldest progress goes first."""


class TaskEvent(msgspec.Struct, frozen=True):
    """One line of a task's log; `seq` starts at 1 and rises, `body` is JSON."""

    seq: int
    unix_ms: int
    kind: str
    body: str


def append_event(connection: sqlite3.Connection, task_id: bytes, unix_ms: int, kind: str, body: str) -> int:
    """Add a line to a task's log and give its number. Beyond `MAX_EVENTS` the oldest progress makes room."""
    (last, count) = connection.execute(
        "SELECT coalesce(max(seq), 0), count(*) FROM task_events WHERE task_id = ?", (task_id,)
    ).fetchone()
    if count >= MAX_EVENTS:
        connection.execute(
            "DELETE FROM task_events WHERE (task_id, seq) = (SELECT task_id, seq FROM task_events"
            " WHERE task_id = ? ORDER BY kind = 'progress' DESC, seq LIMIT 1)",
            (task_id,),
        )
    try:
        connection.execute("INSERT INTO task_events VALUES (?, ?, ?, ?, ?)", (task_id, last + 1, unix_ms, kind, body))
    except sqlite3.IntegrityError as error:
        raise UsageError(f"there is no task {task_id.hex()} to log {kind!r} for") from error
    return int(last) + 1


def events(connection: sqlite3.Connection, task_id: bytes, after_seq: int = 0) -> list[TaskEvent]:
    """A task's log after `after_seq`, in order."""
    rows = connection.execute(
        "SELECT seq, unix_ms, kind, body FROM task_events WHERE task_id = ? AND seq > ? ORDER BY seq",
        (task_id, after_seq),
    )
    return [TaskEvent(*row) for row in rows]
