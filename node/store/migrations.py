"""Numbered SQL files bring a database file to the schema that this program uses.

`schema/<name>/0001_*.sql` is version 1, and so on; `PRAGMA user_version` says which one a file has. A released
SQL file is never edited: the next number changes what it made.
"""

import os
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from node.store.errors import StorageError, VersionError

_NUMBERED = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True)
class Schema:
    """One kind of database file: the SQL of its versions 1, 2, ...

    `application_id` keeps one kind from being opened as another; `shrinks` says whether deleted content is given
    back to the file system at each commit (SQLite's full auto_vacuum).
    """

    name: str
    application_id: int
    migrations: tuple[str, ...]
    shrinks: bool = False


def load_migrations(name: str) -> tuple[str, ...]:
    """The numbered SQL files of one kind of database, in order; the numbers must have no gap."""
    folder = Path(__file__).parent / "schema" / name
    files = sorted(path for path in folder.iterdir() if _NUMBERED.fullmatch(path.name))
    assert [int(path.name[:4]) for path in files] == list(range(1, len(files) + 1)), f"gap in {folder}"
    return tuple(path.read_text(encoding="utf-8") for path in files)


NODE = Schema("node", 0x434F_4E44, load_migrations("node"))
"""Tasks, spending, peers, history, calibration, offers, decisions, A2A callers' tasks."""
JOURNAL = Schema("journal", 0x434F_4A4C, load_migrations("journal"))
"""The hash-chained journal."""
LEDGER = Schema("ledger", 0x434F_4C44, load_migrations("ledger"))
"""The community chain: votes, blocks, state."""
BLOBS = Schema("blobs", 0x434F_424C, load_migrations("blobs"), shrinks=True)
"""Inputs and results, apart from node.db so that a large one never delays a small write."""


def backup_path(path: Path, version: int) -> Path:
    """Where the copy of a file goes before it is upgraded from `version`."""
    return path.with_name(f"{path.name}.v{version}.backup")


def migrate(connection: sqlite3.Connection, schema: Schema, path: Path | None) -> int:
    """Bring the open file up to date and return its version before; 0 is a new file.

    Each step is one transaction, so that a crash leaves the old or the new version and nothing between; a file
    that existed is copied first. VersionError for a newer file or one of another kind.
    """
    before = _pragma(connection, "user_version")
    latest = len(schema.migrations)
    where = path or "the in-memory database"
    if before > 0 and _pragma(connection, "application_id") != schema.application_id:
        raise VersionError(f"{where} is not a coalesced {schema.name} database: point the node at its own directory")
    if before > latest:
        raise VersionError(
            f"{where} has schema {before}, this program knows up to {latest}: "
            "update coalesced, or restore a copy that this version wrote"
        )
    if 0 < before < latest and path is not None:
        _back_up(connection, path, backup_path(path, before))
    for version in range(before + 1, latest + 1):
        _apply(connection, schema, version)
    return before


def _apply(connection: sqlite3.Connection, schema: Schema, version: int) -> None:
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{schema.migrations[version - 1]}\n;"
            f"PRAGMA application_id = {schema.application_id}; PRAGMA user_version = {version}; COMMIT;"
        )
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _back_up(connection: sqlite3.Connection, path: Path, target: Path) -> None:
    """Copy the whole database, and only then give the copy its name: a partial copy is never mistaken for one."""
    partial = target.with_name(target.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        copy = sqlite3.connect(partial, isolation_level=None)
        try:
            connection.backup(copy)
        finally:
            copy.close()
        partial.replace(target)
    except (OSError, sqlite3.Error) as error:
        partial.unlink(missing_ok=True)
        raise StorageError(
            f"cannot keep a copy of {path} before its upgrade ({error}): "
            f"make room for {target.name} beside it and start again"
        ) from error


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
