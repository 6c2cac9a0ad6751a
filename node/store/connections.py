"""The two SQLite connections to one file: one writes and checkpoints, one reads. `Database` gives each its thread.

Only the writing connection ever checkpoints: SQLite before 3.51.3 can lose a WAL reset when two connections do.
"""

import sqlite3
from pathlib import Path

from node.store.errors import damaged, translate
from node.store.files import create_private
from node.store.memory_disk import MemoryFile
from node.store.migrations import Schema, migrate
from node.store.queued import Done, Failed, Outcome, Queued, Work

MAX_CHECKED_BYTES = 256 * 2**20
"""Files above this are checked on opening only after an unclean stop: about a second per GiB."""
BUSY_TIMEOUT_S = 5.0


class Connections:
    """To a file, to one on a simulated disk, or (None) to memory, where what writes reads too.

    What SQLite finds wrong comes out as a StorageError that says what it means for the file and what to do.
    """

    def __init__(self, where: Path | MemoryFile | None, schema: Schema, before_commit: Work | None) -> None:
        """`before_commit` runs last in every transaction."""
        self.path = where if isinstance(where, Path) else None
        self._simulated = where if isinstance(where, MemoryFile) else None
        self._schema = schema
        self._before_commit = before_commit
        self._writing: sqlite3.Connection | None = None
        self._reading: sqlite3.Connection | None = None
        self._is_synchronised: bool | None = None
        """What the writing connection was last told about synchronous; None before."""

    def check(self) -> None:
        """StorageError where the simulated disk is not there any more."""
        if self._simulated is not None:
            self._simulated.check()

    def open_writer(self) -> None:
        """Open or create the file, check and migrate it."""
        try:
            unclean = self.path is not None and self.path.with_name(self.path.name + "-wal").exists()
            new = self._is_new()
            connection = _connect(":memory:" if self.path is None else self.path.absolute().as_uri())
            self._writing = connection
            if self._simulated is not None:
                self._simulated.attach(connection)
            if new and self._schema.shrinks:
                connection.execute("PRAGMA auto_vacuum = FULL")
            if self.path is not None and not new and (unclean or self.path.stat().st_size <= MAX_CHECKED_BYTES):
                _quick_check(connection, self.path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
            # Of use on macOS alone, where an fsync leaves what it wrote in the drive's own memory.
            connection.execute("PRAGMA fullfsync = ON")
            self._synchronise(connection, full=True)
            # SQLite opens a read-only file without a word and fails at the first write: better now.
            connection.execute("BEGIN")
            connection.execute("PRAGMA user_version = 0")
            connection.execute("ROLLBACK")
            migrate(connection, self._schema, self.path)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _is_new(self) -> bool:
        if self._simulated is not None:
            return self._simulated.is_new
        return self.path is None or create_private(self.path)

    def open_reader(self) -> None:
        """Open the file a second time, to read it."""
        assert self.path is not None
        try:
            self._reading = _connect(self.path.absolute().as_uri() + "?mode=ro")
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def read(self, group: list[Queued]) -> list[Outcome]:
        """What each of a group finds, all on one snapshot."""
        connection = self._reading or self._writing
        assert connection is not None
        is_shared = connection is self._writing  # Inline; a reader's own connection cannot write anyway.
        try:
            if is_shared:
                connection.execute("PRAGMA query_only = ON")
            # One transaction, so that several SELECTs see one state.
            connection.execute("BEGIN")
            try:
                return [self._looked_up(connection, read.work) for read in group]
            finally:
                connection.execute("ROLLBACK")
                if is_shared:
                    connection.execute("PRAGMA query_only = OFF")
        except Exception as error:  # noqa: BLE001 every caller of the group gets it
            return [Failed(self._explained(error)) for _ in group]

    def _looked_up(self, connection: sqlite3.Connection, work: Work) -> Outcome:
        try:
            return Done(work(connection))
        except Exception as error:  # noqa: BLE001 whoever asked gets it
            return Failed(self._explained(error))

    def commit(self, group: list[Queued]) -> list[Outcome]:
        """Do a group's writes in one transaction; what came of each, once it is committed."""
        connection = self._writing
        assert connection is not None
        durable = any(write.durable for write in group)
        try:
            if self._simulated is not None:
                self._simulated.before_commit(durable=durable)
            self._synchronise(connection, full=durable)
            connection.execute("BEGIN IMMEDIATE")
            if len(group) == 1:
                outcomes: list[Outcome] = [Done(group[0].work(connection))]  # If it fails, all of it goes: see below.
            else:
                outcomes = [self._attempt(connection, write.work) for write in group]
            if self._before_commit is not None:
                self._before_commit(connection)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 every caller of the group gets it
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            return [Failed(self._explained(error)) for _ in group]
        if self._simulated is not None:
            self._simulated.committed(durable=durable)
        return outcomes

    def _attempt(self, connection: sqlite3.Connection, work: Work) -> Outcome:
        connection.execute("SAVEPOINT one_write")
        try:
            value = work(connection)
        except Exception as error:
            if not connection.in_transaction:
                raise  # a full disk makes SQLite drop the whole transaction: nobody's write is there
            connection.execute("ROLLBACK TO one_write")
            connection.execute("RELEASE one_write")
            return Failed(self._explained(error))
        connection.execute("RELEASE one_write")
        return Done(value)

    def _synchronise(self, connection: sqlite3.Connection, *, full: bool) -> None:
        if full is not self._is_synchronised:
            connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            self._is_synchronised = full

    def _explained(self, error: Exception) -> Exception:
        return translate(error, self.path)

    def close_reader(self) -> None:
        """Close the connection that reads, if there is one."""
        if self._reading is not None:
            self._reading.close()

    def close_writer(self, checkpoint: bool) -> None:
        """Close the connection that writes, which has to be the last; with the WAL emptied into the file, if asked."""
        connection = self._writing
        if connection is None:
            return
        try:
            if checkpoint and self.path is not None:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            # Nothing is lost: the WAL holds it and the next opening reads it from there.
            raise self._explained(error) from error
        finally:
            if self._simulated is not None:
                self._simulated.detach(power=False)
            connection.close()


def _connect(where: str) -> sqlite3.Connection:
    # isolation_level=None: transactions begin and end where this module says so, never inside the sqlite3 module.
    connection = sqlite3.connect(
        where, uri=where.startswith("file:"), isolation_level=None, timeout=BUSY_TIMEOUT_S, cached_statements=256
    )
    # A damaged text is for its reader to judge (the journal names the entry); the default would raise here.
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def _quick_check(connection: sqlite3.Connection, path: Path) -> None:
    """DamagedError when the file's pages do not hang together; linear in its size."""
    try:
        (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        raise translate(error, path) from error
    if finding != "ok":
        raise damaged(str(path), str(finding)) from None
