"""A disk in memory, for simulated nodes: it outlives the process that writes to it, can be full, and can lose power.

A commit survives the end of its process. A commit that was not durable survives a loss of power only once a later
one in the same file was, as with a write-ahead log under synchronous = NORMAL.
"""

import sqlite3
from dataclasses import dataclass, field

from node.store.errors import StorageError

MAX_PAGES = 2**30


@dataclass(slots=True, eq=False)
class MemoryFile:
    """One database file as the process that has it open holds it. Used by one Database, inline."""

    name: str
    disk: "MemoryDisk"
    _connection: sqlite3.Connection | None = None
    _durable: bytes | None = None
    """The content up to the last durable commit, while later ones are not; None when all are."""
    _is_limited: bool = False

    @property
    def is_new(self) -> bool:
        """Whether there is no such file yet."""
        return self.name not in self.disk.files

    def attach(self, connection: sqlite3.Connection) -> None:
        """Let an empty in-memory connection hold what the disk holds."""
        self._connection = connection
        if content := self.disk.files.get(self.name):
            connection.deserialize(content)

    def check(self) -> None:
        """StorageError once the process that opened the file has ended."""
        if self._connection is None:
            raise StorageError(f"{self.name} is gone: the process that had it open has ended")

    def before_commit(self, *, durable: bool) -> None:
        """Before each transaction: a full disk takes no new page."""
        self.check()
        assert self._connection is not None
        if self.disk.is_full or self._is_limited:
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            self._connection.execute(f"PRAGMA max_page_count = {pages if self.disk.is_full else MAX_PAGES}")
            self._is_limited = self.disk.is_full
        if not durable and self._durable is None and self.disk.can_lose_power:
            self._durable = self._connection.serialize()

    def committed(self, *, durable: bool) -> None:
        """After each transaction that succeeded."""
        if durable:
            self._durable = None

    def detach(self, *, power: bool) -> None:
        """The process ends: the disk keeps what survives it. `power`: the machine went with it."""
        if self._connection is not None:
            keeps_older = power and self._durable is not None
            content = self._durable if keeps_older else self._connection.serialize()
            assert content is not None
            self.disk.files[self.name] = content
            self._connection = None
            self.disk.open_files.remove(self)


@dataclass(slots=True)
class MemoryDisk:
    """The database files of one simulated machine, by name."""

    files: dict[str, bytes] = field(default_factory=dict)
    open_files: list[MemoryFile] = field(default_factory=list)
    is_full: bool = False
    can_lose_power: bool = True
    """False spares the copy of each file's durable content that a loss of power would need."""

    def open(self, name: str) -> MemoryFile:
        """The file of that name, for one Database."""
        file = MemoryFile(name, self)
        self.open_files.append(file)
        return file

    def crash(self, *, power: bool) -> None:
        """End the process that has files open, without a word; with `power`, its machine."""
        for file in list(self.open_files):
            file.detach(power=power)
