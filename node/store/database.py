"""One SQLite file behind the event loop: a thread that writes and checkpoints, a thread that reads.

Writes that arrive while a commit is under way wait and go into the next transaction together (group commit), each
inside its own savepoint, so that one failing write undoes nothing but itself. A caller resumes after COMMIT. Reads go
together in the same way: the way to a thread and back is what a small one costs.
The event loop keeps the queue, so nothing here needs a lock.

Only the writing connection ever checkpoints: SQLite before 3.51.3 can lose a WAL reset when two connections do.
Inline mode has no threads: everything kept in memory, on a simulated disk (memory_disk.py) or not.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from node.store.errors import StorageError, damaged, translate
from node.store.files import create_private
from node.store.lane import Lane
from node.store.memory_disk import MemoryFile
from node.store.migrations import Schema, migrate
from node.store.queued import Done, Failed, Outcome, Queued, Work, queued, settle

P = ParamSpec("P")
T = TypeVar("T")

MAX_QUEUED = 4096
"""Callers beyond this many wait before they queue; far above what one group takes, so nobody waits in practice."""
MAX_GROUP = 512
"""Writes in one transaction: bounds what one COMMIT holds back, at a cost per write that no longer falls."""
MAX_CHECKED_BYTES = 256 * 2**20
"""Files above this are checked on opening only after an unclean stop: about a second per GiB."""
MAX_READ_GROUP = 32
"""Reads in one go: bounds what the first of them waits for the last."""
BUSY_TIMEOUT_S = 5.0
LINGER_S = 0.005
"""What a write that nobody waits for waits for others, to be committed with them."""


class Database:
    """A migrated, checked SQLite file. Work functions get the connection and must return values, never cursors."""

    def __init__(
        self,
        where: Path | MemoryFile | None,
        schema: Schema,
        *,
        durable: bool,
        inline: bool,
        before_commit: Work | None,
    ) -> None:
        """Use `Database.open`."""
        self.path = where if isinstance(where, Path) else None
        self._simulated = where if isinstance(where, MemoryFile) else None
        self._schema = schema
        self._durable = durable
        self._before_commit = before_commit
        self._writer = None if inline else Lane(f"{schema.name}-write")
        self._reader = None if inline else Lane(f"{schema.name}-read")
        self._write_connection: sqlite3.Connection | None = None
        self._read_connection: sqlite3.Connection | None = None
        self._is_synchronised: bool | None = None
        """What the writing connection was last told about synchronous; None before."""
        self._asked: list[Queued] = []
        self._reading = False
        self._queued: list[Queued] = []
        self._committing = False
        self._lingering: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._room = asyncio.Semaphore(MAX_QUEUED)
        self._closed = False

    @classmethod
    async def open(
        cls,
        where: Path | MemoryFile | None,
        schema: Schema,
        *,
        durable: bool = False,
        inline: bool = False,
        before_commit: Work | None = None,
    ) -> "Database":
        """Open or create, check and migrate a file; None keeps everything in memory, inline.

        `durable` makes every write survive a power cut (synchronous FULL); otherwise the last writes before one may
        be lost, never torn, and a killed process loses nothing either way. `before_commit` runs last in every
        transaction. StorageError and its kinds say what is wrong with the file and what to do.
        """
        is_inline = inline or not isinstance(where, Path)
        database = cls(where, schema, durable=durable, inline=is_inline, before_commit=before_commit)
        try:
            await _run(database._writer, database._open)
            if database._reader is not None:
                await _run(database._reader, database._open_reader)
        except BaseException:
            database._closed = True
            await database._close_lanes(checkpoint=False)
            raise
        return database

    async def write(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The value of `work(connection, ...)`, once it is committed; what it raises undoes only itself.

        Once queued it is carried out even if the caller is cancelled.
        """
        value: T = await self._enqueue(lambda connection: work(connection, *args, **kwargs), durable=self._durable)
        return value

    async def write_durably(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Like `write`, and on the disk platter before it returns, whatever the file's default is."""
        value: T = await self._enqueue(lambda connection: work(connection, *args, **kwargs), durable=True)
        return value

    async def write_relaxed(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Like `write`, but durable only with the next durable write: until then a loss of power may take it."""
        value: T = await self._enqueue(lambda connection: work(connection, *args, **kwargs), durable=False)
        return value

    def post(
        self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        """Queue a write without waiting for it: it is committed before whatever its caller writes later.

        For single lines that nobody has to wait for; the caller sees to it that there are few, and takes the outcome.
        It waits a moment for the next write, since a transaction costs what several lines in it cost.
        """
        self._check_open()
        return self._queue(lambda connection: work(connection, *args, **kwargs), durable=self._durable, lingers=True)

    async def read(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The value of `work(connection, ...)` on one consistent snapshot; it cannot write."""
        self._check_open()
        async with self._room:
            self._check_open()
            waiting = queued(lambda connection: work(connection, *args, **kwargs))
            self._asked.append(waiting)
            if not self._reading:
                self._reading = True
                if self._reader is None:
                    self._read_next()
                else:
                    asyncio.get_running_loop().call_soon(self._read_next)  # With what is asked in this same moment.
            value: T = await waiting.future
            return value

    async def close(self) -> None:
        """Finish what is queued, checkpoint, close. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        await self._idle.wait()
        await self._close_lanes(checkpoint=True)

    async def _close_lanes(self, *, checkpoint: bool) -> None:
        try:
            # The reader goes first: the last connection to close checkpoints, and that has to be the writer.
            await _run(self._reader, self._close_reader)
            await _run(self._writer, self._close_writer, checkpoint)
        finally:
            for lane in (self._reader, self._writer):
                if lane is not None:
                    lane.end()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(f"{self.path or 'the in-memory database'} is closed: the node is stopping")
        if self._simulated is not None:
            self._simulated.check()

    async def _enqueue(self, work: Work, *, durable: bool) -> Any:
        self._check_open()
        async with self._room:
            self._check_open()
            return await self._queue(work, durable=durable)

    def _queue(self, work: Work, *, durable: bool, lingers: bool = False) -> asyncio.Future[Any]:
        write = queued(work, durable=durable)
        self._queued.append(write)
        if not self._committing:
            if not lingers or self._writer is None:
                self._commit_next()
            elif self._lingering is None:
                self._idle.clear()
                self._lingering = asyncio.get_running_loop().call_later(LINGER_S, self._commit_next)
        return write.future

    def _read_next(self) -> None:
        group, self._asked = self._asked[:MAX_READ_GROUP], self._asked[MAX_READ_GROUP:]
        if self._reader is None:
            self._answer(group, self._read(group))
            return
        self._reader.do(partial(self._read, group), partial(self._answer, group))

    def _answer(self, group: list[Queued], outcomes: list[Outcome]) -> None:
        settle(group, outcomes)
        self._reading = bool(self._asked)
        if self._asked:
            self._read_next()

    def _commit_next(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        group, self._queued = self._queued[:MAX_GROUP], self._queued[MAX_GROUP:]
        self._committing = True
        self._idle.clear()
        if self._writer is None:
            self._committed(group, self._commit(group))
            return
        self._writer.do(partial(self._commit, group), partial(self._committed, group))

    def _committed(self, group: list[Queued], outcomes: list[Outcome]) -> None:
        settle(group, outcomes)
        self._committing = False
        if self._queued:
            self._commit_next()
        else:
            self._idle.set()

    # What follows runs on the two threads (in inline mode: on the caller's).

    def _open(self) -> None:
        try:
            unclean = self.path is not None and self.path.with_name(self.path.name + "-wal").exists()
            new = self._is_new()
            connection = _connect(":memory:" if self.path is None else self.path.absolute().as_uri())
            self._write_connection = connection
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

    def _open_reader(self) -> None:
        assert self.path is not None
        try:
            self._read_connection = _connect(self.path.absolute().as_uri() + "?mode=ro")
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _read(self, group: list[Queued]) -> list[Outcome]:
        connection = self._read_connection or self._write_connection
        assert connection is not None
        is_shared = connection is self._write_connection  # Inline; a reader's own connection cannot write anyway.
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

    def _commit(self, group: list[Queued]) -> list[Outcome]:
        connection = self._write_connection
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

    def _close_reader(self) -> None:
        if self._read_connection is not None:
            self._read_connection.close()

    def _close_writer(self, checkpoint: bool) -> None:
        connection = self._write_connection
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


async def _run(lane: Lane | None, work: Callable[..., T], *args: Any) -> T:
    if lane is None:
        return work(*args)
    return await lane.run(partial(work, *args))


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
