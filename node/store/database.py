"""One SQLite file behind the event loop: a thread that writes and checkpoints, a thread that reads.

Writes that arrive while a commit is under way wait and go into the next transaction together (group commit), each
inside its own savepoint, so that one failing write undoes nothing but itself. A caller resumes after COMMIT. Reads go
together in the same way: the way to a thread and back is what a small one costs.
The event loop keeps the queue, so nothing here needs a lock; what the threads do is in connections.py.

Inline mode has no threads: everything kept in memory, on a simulated disk (memory_disk.py) or not.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from node.store.connections import Connections
from node.store.errors import StorageError
from node.store.lane import Lane
from node.store.memory_disk import MemoryFile
from node.store.migrations import Schema
from node.store.queued import Outcome, Queued, Work, queued, settle

P = ParamSpec("P")
T = TypeVar("T")

MAX_QUEUED = 4096
"""Callers beyond this many wait before they queue; far above what one group takes, so nobody waits in practice."""
MAX_GROUP = 512
"""Writes in one transaction: bounds what one COMMIT holds back, at a cost per write that no longer falls."""
MAX_READ_GROUP = 32
"""Reads in one go: bounds what the first of them waits for the last."""
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
        self._connections = Connections(where, schema, before_commit)
        self._durable = durable
        self._writer = None if inline else Lane(f"{schema.name}-write")
        self._reader = None if inline else Lane(f"{schema.name}-read")
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
            await _run(database._writer, database._connections.open_writer)
            if database._reader is not None:
                await _run(database._reader, database._connections.open_reader)
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
            await _run(self._reader, self._connections.close_reader)
            await _run(self._writer, self._connections.close_writer, checkpoint)
        finally:
            for lane in (self._reader, self._writer):
                if lane is not None:
                    lane.end()

    def _check_open(self) -> None:
        if self._closed:
            where = self._connections.path or "the in-memory database"
            raise StorageError(f"{where} is closed: the node is stopping")
        self._connections.check()

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
            self._answer(group, self._connections.read(group))
            return
        self._reader.do(partial(self._connections.read, group), partial(self._answer, group))

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
            self._committed(group, self._connections.commit(group))
            return
        self._writer.do(partial(self._connections.commit, group), partial(self._committed, group))

    def _committed(self, group: list[Queued], outcomes: list[Outcome]) -> None:
        settle(group, outcomes)
        self._committing = False
        if self._queued:
            self._commit_next()
        else:
            self._idle.set()


async def _run(lane: Lane | None, work: Callable[..., T], *args: Any) -> T:
    if lane is None:
        return work(*args)
    return await lane.run(partial(work, *args))
