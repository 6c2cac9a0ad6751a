"""States that others may fetch: those after certain blocks, kept as what turns the present state back into them.

A point costs what has changed since: for every key, its value at the point. So a pruned ledger keeps the state after
the last block, and can give that after the block which its first one follows.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from node.ledger.chain.state import Entry, State, decode_entry
from node.ledger.chain.trie import Trie, encode_value
from node.store.ledger_blocks import drop_blocks
from protocol.consensus import Certificate, CommitteeLink, decode_header
from protocol.packing import pack, unpack

MAX_POINTS: Final = 2
"""While one is being fetched, the next one may come."""


@dataclass(frozen=True, slots=True)
class Point:
    """A certified header, and the state after it."""

    header: bytes
    certificate: Certificate
    state: State

    @property
    def height(self) -> int:
        """Of its block."""
        return decode_header(self.header).height


def note_before(connection: sqlite3.Connection, before: Trie[Entry], keys: Iterable[bytes]) -> None:
    """The stored state, which is `before`, changes at these keys: note what the latest point needs to go back."""
    (point,) = connection.execute("SELECT max(height) FROM points").fetchone()
    if point is not None:
        olds = ((key, before.get(key)) for key in keys)
        connection.executemany(
            "INSERT OR IGNORE INTO before VALUES (?, ?, ?)",
            ((point, key, None if old is None else encode_value(old)) for key, old in olds),
        )


def add_point(connection: sqlite3.Connection, height: int, header: bytes, certificate: Certificate) -> None:
    """From now on the stored state can be given as it is at this moment; of older points, the last stays."""
    connection.execute("INSERT INTO points VALUES (?, ?, ?)", (height, header, pack(certificate)))
    kept = "SELECT height FROM points ORDER BY height DESC LIMIT ?"
    connection.execute(f"DELETE FROM before WHERE point NOT IN ({kept})", (MAX_POINTS,))  # noqa: S608
    connection.execute(f"DELETE FROM points WHERE height NOT IN ({kept})", (MAX_POINTS,))  # noqa: S608


def prune(connection: sqlite3.Connection) -> None:
    """Forget all blocks up to the older of two points."""
    count, lowest = connection.execute("SELECT count(*), min(height) FROM points").fetchone()
    if count == MAX_POINTS:
        drop_blocks(connection, lowest)


def load_points(connection: sqlite3.Connection, state: State) -> tuple[Point, ...]:
    """All of them, oldest first; `state` is the one after the last block. One whose root is not certified is left out:
    it is of no use to anybody, and nothing here rests on it."""
    found = list[Point]()
    trie = state.trie
    for height, header, certificate in connection.execute("SELECT * FROM points ORDER BY height DESC").fetchall():
        olds = connection.execute("SELECT key, value FROM before WHERE point = ?", (height,))
        trie = trie.update({key: None if value is None else decode_entry(key, value) for key, value in olds})
        if trie.root() == decode_header(header).state_root:
            found.append(Point(header, unpack(Certificate, certificate), State(trie)))
    return tuple(reversed(found))


def add_link(connection: sqlite3.Connection, link: CommitteeLink) -> None:
    """Remember a change of the committee, for good."""
    connection.execute(
        "INSERT OR IGNORE INTO committees (height, members, header, certificate) VALUES (?, ?, ?, ?)",
        (decode_header(link.header).height, pack(link.members), link.header, pack(link.certificate)),
    )


def load_links(connection: sqlite3.Connection, after: int, before: int) -> tuple[CommitteeLink, ...]:
    """The changes of the committee by blocks between two heights, both left out."""
    rows = connection.execute(
        "SELECT header, certificate, members FROM committees WHERE height > ? AND height < ? ORDER BY height",
        (after, before),
    )
    return tuple(
        CommitteeLink(
            header=header,
            certificate=unpack(Certificate, certificate),
            members=unpack(tuple[bytes, ...], members),
        )
        for header, certificate, members in rows
    )
