"""The state after the last block as a file holds it: all entries as they were at one moment, and what changed since.

A block changes entries all over the map. Written in place each would cost the page that it lies on, twice; so what a
turn changes is appended in one piece. Once much more has changed than there are entries, all are written anew: some
with each turn, from the map of one moment, which later blocks leave as it is. So no turn waits for all of them, and a
start reads a few times as much as there is.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec

from node.ledger.chain.state import Entry, State
from node.ledger.chain.trie import encode_value
from protocol.errors import RemoteProtocolError

MIN_CHANGES: Final = 16_384
"""Fewer are not worth writing anything anew: a start reads them in some ten milliseconds."""
CHANGES_PER_ENTRY: Final = 2
"""As many changes later, all is written anew."""
PACE: Final = 4
"""Entries that are written anew for each that changes meanwhile."""
MIN_PACE: Final = 64
PIECE: Final = 4096
"""Entries in one row, at most."""

Packed = tuple[bytes, bytes | None]
"""A key, and its value's bytes; None for one that goes."""
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Packed]).decode


@dataclass(slots=True)
class _Rewriting:
    """All entries of one moment on their way into the file."""

    entries: Iterator[tuple[bytes, bytes]]
    generation: int
    last_change: int
    """Up to this one, changes are in the entries."""
    count: int = 0


class StateWriter:
    """Keeps the stored state up to date. For the thread that writes; `open` first, and after anything went wrong."""

    def __init__(self, min_changes: int = MIN_CHANGES, min_pace: int = MIN_PACE) -> None:
        self._min_changes = min_changes
        self._min_pace = min_pace
        self._generation = 0
        self._entries = 0
        self._changes = 0
        """How many entries changed since all were written."""
        self._rewriting: _Rewriting | None = None

    def open(self, connection: sqlite3.Connection) -> None:
        """See what is there; what was half written anew is forgotten."""
        self._begin(connection)
        former = connection.execute("SELECT key, value FROM state ORDER BY key").fetchall()
        if former:  # as versions before wrote it
            connection.execute("DELETE FROM state")
            self.replace(connection, former)

    def replace(self, connection: sqlite3.Connection, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Another state in place of what is stored."""
        connection.execute("DELETE FROM changes")
        self._rewriting = _Rewriting(iter(entries), self._generation + 1, 0)
        while self._rewriting is not None:
            self._rewrite(connection, self._rewriting, PIECE)

    def _begin(self, connection: sqlite3.Connection) -> None:
        self._generation, self._entries = connection.execute("SELECT generation, count FROM whole").fetchone()
        (self._changes,) = connection.execute("SELECT coalesce(sum(count), 0) FROM changes").fetchone()
        self._rewriting = None
        connection.execute("DELETE FROM entries WHERE generation != ?", (self._generation,))

    def write(self, connection: sqlite3.Connection, changes: Mapping[bytes, Entry | None], after: State) -> None:
        """Turn the stored state, by `changes`, into `after`."""
        if not changes:
            return
        packed = [(key, None if value is None else encode_value(value)) for key, value in changes.items()]
        change = connection.execute(
            "INSERT INTO changes (count, entries) VALUES (?, ?)", (len(packed), _encode(packed))
        ).lastrowid
        assert change is not None
        self._changes += len(packed)
        if self._rewriting is None and self._changes >= max(self._min_changes, CHANGES_PER_ENTRY * self._entries):
            self._rewriting = _Rewriting(after.export(), self._generation + 1, change)
        elif self._rewriting is not None:
            self._rewrite(connection, self._rewriting, min(max(PACE * len(packed), self._min_pace), PIECE))

    def _rewrite(self, connection: sqlite3.Connection, rewriting: _Rewriting, count: int) -> None:
        """Write some more; after the last ones, what was written before is forgotten."""
        generation, entries = rewriting.generation, list(islice(rewriting.entries, count))
        connection.execute("INSERT INTO entries (generation, entries) VALUES (?, ?)", (generation, _encode(entries)))
        rewriting.count += len(entries)
        if len(entries) < count:
            connection.execute("UPDATE whole SET generation = ?, count = ?", (generation, rewriting.count))
            connection.execute("DELETE FROM changes WHERE id <= ?", (rewriting.last_change,))
            self._begin(connection)


def stored_entries(connection: sqlite3.Connection) -> list[tuple[bytes, bytes]]:
    """Key and value of every entry, in order; RemoteProtocolError where what is stored cannot be read."""
    stored = dict[bytes, bytes]()
    whole = "SELECT entries FROM entries WHERE generation = (SELECT generation FROM whole) ORDER BY id"
    for query in (whole, "SELECT entries FROM changes ORDER BY id"):
        for (packed,) in connection.execute(query):
            for key, value in _decoded(packed):
                if value is None:
                    stored.pop(key, None)
                else:
                    stored[key] = value
    return sorted(stored.items())


def _decoded(packed: bytes) -> list[Packed]:
    try:
        return _decode(packed)
    except msgspec.MsgspecError as error:
        raise RemoteProtocolError("bad_ledger", f"its scores cannot be read: {error}") from error
