"""The community chain on disk: what is said here is durable before it is sent, a block together with its scores.

One chain a file. Everything that one drained batch of messages makes a member write down is one transaction and one
fsync; a file that cannot be believed is a DamagedError, because whoever votes without its votes may vote twice.
"""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.ledger.chain.machine import ChainMachine
from node.ledger.chain.state import State, imported
from node.ledger.chain.trie import encode_value
from node.ledger.pbft.effects import Commit, Persist
from node.ledger.pbft.normal import head_of
from node.ledger.pbft.opened import open_committed
from node.ledger.pbft.records import AnyRecord, AskedView, EnteredView, RecordError, decode_record, encode_record
from node.ledger.pbft.state import Head
from node.store.database import Database
from node.store.errors import damaged
from node.store.memory_disk import MemoryFile
from node.store.migrations import LEDGER
from node.store.own_ratings import OwnRatings
from protocol.consensus import (
    MAX_BLOCK_TXS,
    MAX_PAGE_BLOCKS,
    PAGE_BYTES,
    Block,
    Blocks,
    Certificate,
    Committed,
    CommitteeLink,
)
from protocol.errors import RemoteProtocolError
from protocol.packing import pack, unpack
from protocol.transactions import transaction_id

PAGE_TXS = 2 * MAX_BLOCK_TXS
"""In one page, so that it stays below the number of values that one message may hold."""
ROOM_BYTES = 2**18
"""About what a few blocks take."""
Write = Persist | Commit[State]
_BLOCK_COLUMNS = "header, txs, certificate"


@dataclass(frozen=True, slots=True)
class Pinned:
    """The chain that this node follows, where its genesis came from, and since when."""

    genesis: bytes
    origin: str
    unix_ms: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a core begins with."""

    head: Head
    state: State
    records: tuple[AnyRecord, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transaction is."""

    height: int
    place: int


class LedgerStore:
    """One node's copy of its community chain. Use `LedgerStore.open`."""

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self.own_ratings = OwnRatings(database)

    @classmethod
    async def open(cls, where: Path | MemoryFile | None, *, inline: bool = False) -> "LedgerStore":
        """Open or create the file; None keeps it in memory. StorageError says what is wrong with it."""
        name = str(where if isinstance(where, Path) else "the ledger in memory")
        return cls(await Database.open(where, LEDGER, durable=True, inline=inline), name)

    async def pinned(self) -> Pinned | None:
        """The chain that was chosen, if one was."""
        return await self._database.read(_pinned)

    async def pin(self, chosen: Pinned) -> None:
        """Choose a chain. Only where there is no block yet: an older choice, and the votes on it, are forgotten."""
        await self._database.write(_pin, chosen)

    async def load(self, machine: ChainMachine) -> Loaded:
        """Head, state and log of votes, checked against each other; DamagedError when they contradict each other."""
        try:
            return await self._database.read(_load, machine)
        except (RemoteProtocolError, RecordError) as error:
            raise damaged(self._name, f"{error}; what this node has voted for is not known") from error

    async def append(self, writes: Sequence[Write], before: State) -> None:
        """Write votes and blocks down, in order, in one transaction; durable on return.

        `before` is the state after the last block that was stored.
        """
        await self._database.write(_append, writes, before)

    async def check_room(self) -> None:
        """DiskFullError unless the disk has room for some votes."""
        await self._database.write(_fill)
        await self._database.write(_unfill)

    async def height(self) -> int:
        """Of the last stored block; 0 without one."""
        return await self._database.read(_height)

    async def page(self, height: int) -> Blocks:
        """One page of blocks from `height` on, as it is sent to a peer that lacks them."""
        return await self._database.read(_page, height)

    async def block(self, height: int) -> Committed | None:
        """The block at `height` with its certificate."""
        return await self._database.read(_block, height)

    async def pages(self, first: int = 1) -> AsyncIterator[tuple[Committed, ...]]:
        """All blocks from `first` on, a page at a time."""
        while (page := (await self.page(first)).blocks) != ():
            yield page
            first += len(page)

    async def find(self, tx_id: bytes) -> Place | None:
        """Where a transaction is, if it was committed."""
        return await self._database.read(_find, tx_id)

    async def links(self, before_height: int) -> tuple[CommitteeLink, ...]:
        """What leads from the first committee to that of `before_height`: each block after which it was another."""
        return await self._database.read(_links, before_height)

    async def state_entries(self) -> list[tuple[bytes, bytes]]:
        """Key and value of every entry of the state after the last block."""
        return await self._database.read(_entries)

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        await self._database.close()


def _pinned(connection: sqlite3.Connection) -> Pinned | None:
    row = connection.execute("SELECT genesis, origin, unix_ms FROM pinned").fetchone()
    return None if row is None else Pinned(*row)


def _pin(connection: sqlite3.Connection, chosen: Pinned) -> None:
    assert _height(connection) == 0, "a chain with blocks is not given up"
    connection.execute("DELETE FROM votes")
    connection.execute(
        "INSERT OR REPLACE INTO pinned (one, genesis, origin, unix_ms) VALUES (1, ?, ?, ?)",
        (chosen.genesis, chosen.origin, chosen.unix_ms),
    )


def _load(connection: sqlite3.Connection, machine: ChainMachine) -> Loaded:
    records = [decode_record(record) for (record,) in connection.execute("SELECT record FROM votes ORDER BY id")]
    (height, count) = connection.execute("SELECT coalesce(max(height), 0), count(*) FROM blocks").fetchone()
    if height == 0:
        head, state = Head(0, machine.chain, machine.genesis.time_unix_ms), machine.start()
        return Loaded(head, state, tuple(records))
    last = _block(connection, height)
    assert last is not None
    opened = open_committed(last)
    header, state = opened.block.header, imported(_entries(connection))
    if (header.chain, header.height, count) != (machine.chain, height, height):
        raise RemoteProtocolError("bad_ledger", f"{count} blocks up to {height}, the last one of {header.height}")
    if machine.root(state) != header.state_root:
        raise RemoteProtocolError("bad_ledger", f"its scores are not those that block {height} certifies")
    return Loaded(head_of(opened.block, opened.certificate), state, tuple(records))


def _append(connection: sqlite3.Connection, writes: Sequence[Write], before: State) -> None:
    # Before the first block nothing is stored: that state follows from the genesis.
    stored, after = (before.trie if _height(connection) else State().trie), before
    for write in writes:
        match write:
            case Persist(record=record):
                connection.execute(
                    "INSERT INTO votes (height, is_view, record) VALUES (?, ?, ?)",
                    (record.height, isinstance(record, AskedView | EnteredView), encode_record(record)),
                )
            case Commit():
                _store_block(connection, write, is_turn=write.state.members != after.members)
                after = write.state
    for key, value in (after.trie.changes(stored) if after is not before else {}).items():
        if value is None:
            connection.execute("DELETE FROM state WHERE key = ?", (key,))
        else:
            connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, encode_value(value)))


def _store_block(connection: sqlite3.Connection, commit: Commit[State], *, is_turn: bool) -> None:
    block, height = commit.block.block, commit.block.header.height
    connection.execute(
        "INSERT INTO blocks VALUES (?, ?, ?, ?, ?)",
        (height, commit.block.hash, block.header, pack(block.txs), pack(commit.certificate.certificate)),
    )
    connection.executemany(
        "INSERT OR IGNORE INTO transactions VALUES (?, ?, ?)",
        [(transaction_id(tx), height, place) for place, tx in enumerate(block.txs)],
    )
    if is_turn:
        connection.execute("INSERT INTO committees VALUES (?, ?)", (height, pack(commit.state.members)))
    # As records.still_needed has it: what is about later heights, and the last word on views.
    connection.execute(
        "DELETE FROM votes WHERE height <= ? AND id IS NOT (SELECT max(id) FROM votes WHERE is_view)", (height,)
    )


def _fill(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT OR REPLACE INTO room VALUES (1, zeroblob(?))", (ROOM_BYTES,))


def _unfill(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM room")


def _height(connection: sqlite3.Connection) -> int:
    (height,) = connection.execute("SELECT coalesce(max(height), 0) FROM blocks").fetchone()
    return int(height)


def _page(connection: sqlite3.Connection, height: int) -> Blocks:
    blocks: list[Committed] = []
    size = txs = 0
    for row in connection.execute(
        f"SELECT {_BLOCK_COLUMNS} FROM blocks WHERE height >= ? ORDER BY height LIMIT ?",  # noqa: S608
        (height, MAX_PAGE_BLOCKS),
    ):
        committed = _committed(row)
        size += sum(map(len, row))
        txs += len(committed.block.txs)
        if blocks and (size > PAGE_BYTES or txs > PAGE_TXS):
            break
        blocks.append(committed)
    return Blocks(first_height=1, head_height=_height(connection), blocks=tuple(blocks))


def _block(connection: sqlite3.Connection, height: int) -> Committed | None:
    row = connection.execute(f"SELECT {_BLOCK_COLUMNS} FROM blocks WHERE height = ?", (height,)).fetchone()  # noqa: S608
    return None if row is None else _committed(row)


def _committed(row: tuple[bytes, bytes, bytes]) -> Committed:
    header, txs, certificate = row
    block = Block(header=header, txs=unpack(tuple[bytes, ...], txs))
    return Committed(block=block, certificate=unpack(Certificate, certificate))


def _find(connection: sqlite3.Connection, tx_id: bytes) -> Place | None:
    row = connection.execute("SELECT height, place FROM transactions WHERE tx_id = ?", (tx_id,)).fetchone()
    return None if row is None else Place(*row)


def _links(connection: sqlite3.Connection, before_height: int) -> tuple[CommitteeLink, ...]:
    rows = connection.execute(
        "SELECT header, certificate, members FROM committees JOIN blocks USING (height)"
        " WHERE height < ? ORDER BY height",
        (before_height,),
    )
    return tuple(
        CommitteeLink(
            header=header,
            certificate=unpack(Certificate, certificate),
            members=unpack(tuple[bytes, ...], members),
        )
        for header, certificate, members in rows
    )


def _entries(connection: sqlite3.Connection) -> list[tuple[bytes, bytes]]:
    return connection.execute("SELECT key, value FROM state ORDER BY key").fetchall()
