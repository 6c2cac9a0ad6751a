"""The community chain on disk: what is said here is durable before it is sent, a block together with its scores.

One chain a file. Everything that one drained batch of messages makes a member write down is one transaction, with one
fsync when there is a vote in it: blocks alone become durable with the next vote (node/ledger/pbft/effects.py). A file
that cannot be believed is a DamagedError, because whoever votes without its votes may vote twice; one that is not the
latest (vote_mark.py) makes a member that does not vote.
"""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from node.ledger.chain.machine import ChainMachine
from node.ledger.chain.state import Entry, State, imported
from node.ledger.chain.trie import Trie
from node.ledger.pbft.certified import open_header
from node.ledger.pbft.effects import Commit, Install, KeepPiece, Persist, Recovered
from node.ledger.pbft.records import AnyRecord, AskedView, EnteredView, RecordError, decode_record, encode_record
from node.ledger.pbft.state import Head
from node.store import ledger_blocks as blocks
from node.store import vote_mark
from node.store.database import Database
from node.store.errors import damaged
from node.store.ledger_points import Point, add_link, add_point, load_links, load_points, note_before, prune
from node.store.ledger_state import StateWriter, stored_entries
from node.store.memory_disk import MemoryFile
from node.store.migrations import LEDGER
from node.store.own_deliveries import OwnDeliveries
from node.store.own_ratings import OwnRatings
from node.store.vote_mark import ANY_CHAIN, UNKNOWN, Mark, VoteMark, misses_votes
from protocol.consensus import (
    Blocks,
    Certificate,
    Committed,
    CommitteeLink,
    block_hash,
    decode_header,
)
from protocol.errors import RemoteProtocolError

ROOM_BYTES = 2**18
"""About what a few blocks take."""
Write = Persist | Commit[State] | Install[State] | KeepPiece | Recovered


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
    pieces: tuple[bytes, ...] = ()
    """Of a state that was being fetched."""
    points: tuple[Point, ...] = ()
    """States that can be given to others, oldest first."""
    forgot: bool = False
    """Votes were sent of which this file knows nothing."""


def _changes_committee(writes: Sequence[Write], before: State) -> bool:
    """Whether others may rely on this node never to need again whom a block lets go."""
    return any(isinstance(write, Commit | Install) and write.state.members != before.members for write in writes)


class LedgerStore:
    """One node's copy of its community chain. Use `LedgerStore.open`."""

    def __init__(self, database: Database, name: str, mark: VoteMark) -> None:
        self._database = database
        self._name = name
        self._mark = mark
        self._chain = b""
        self._instance = b""
        self._keep_blocks = 0
        self._state = StateWriter()
        self.own_ratings = OwnRatings(database)
        self.own_deliveries = OwnDeliveries(database)

    @classmethod
    async def open(cls, where: Path | MemoryFile | None, *, inline: bool = False) -> "LedgerStore":
        """Open or create the file; None keeps it in memory. StorageError says what is wrong with it."""
        name = str(where if isinstance(where, Path) else "the ledger in memory")
        mark = VoteMark(where.with_name(vote_mark.NAME) if isinstance(where, Path) else None)
        return cls(await Database.open(where, LEDGER, durable=True, inline=inline), name, mark)

    async def pinned(self) -> Pinned | None:
        """The chain that was chosen, if one was."""
        return await self._database.read(_pinned)

    async def pin(self, chosen: Pinned, *, is_new: bool = False) -> None:
        """Choose a chain. Only where there is no block yet: an older choice, and the votes on it, are forgotten.

        `is_new`: its genesis was made here just now, so this key cannot have voted on it, wherever else it has.
        """
        instance = await self._database.write(_pin, chosen)
        mark = self._mark.read()
        if mark is not None and mark.chain == ANY_CHAIN:
            self._mark.write(Mark(ANY_CHAIN, instance, 0) if is_new else UNKNOWN)

    async def load(self, machine: ChainMachine, *, keep_blocks: int = 0) -> Loaded:
        """Head, state and log of votes, checked against each other; DamagedError when they contradict each other.

        From now on at least the last `keep_blocks` blocks are kept, and at most twice as many; with 0, all.
        """
        self._keep_blocks, self._chain = keep_blocks, machine.chain
        mark = self._mark.read()
        try:
            self._instance, forgot = await self._database.write(_remember, mark, machine.chain, self._state)
            return await self._database.read(_load, machine, forgot)
        except (RemoteProtocolError, RecordError) as error:
            raise damaged(self._name, f"{error}; what this node has voted for is not known") from error

    async def append(self, writes: Sequence[Write], before: State) -> None:
        """Write votes and blocks down, in order, in one transaction; durable on return if there is a vote among them,
        or a change of the committee.

        `before` is the state after the last block that was stored.
        """
        if not any(isinstance(write, Persist) for write in writes) and not _changes_committee(writes, before):
            await self._database.write_relaxed(_append, writes, before, self._keep_blocks, self._state)
            return
        votes = await self._database.write(_append, writes, before, self._keep_blocks, self._state)
        self._mark.write(Mark(self._chain, self._instance, votes))

    async def check_room(self) -> None:
        """DiskFullError unless the disk has room for some votes."""
        await self._database.write(_fill)
        await self._database.write(_unfill)

    async def height(self) -> int:
        """Of the last stored block; 0 without one."""
        return await self._database.read(blocks.last_height)

    async def page(self, height: int) -> Blocks:
        """One page of blocks from `height` on, as it is sent to a peer that lacks them."""
        return await self._database.read(blocks.page_from, height)

    async def block(self, height: int) -> Committed | None:
        """The block at `height` with its certificate."""
        return await self._database.read(blocks.block_at, height)

    async def header(self, height: int) -> tuple[bytes, Certificate] | None:
        """The header at `height` with its certificate: of a block, or of a state that is kept to be given to others."""
        return await self._database.read(blocks.header_at, height)

    async def pages(self, first: int = 1) -> AsyncIterator[tuple[Committed, ...]]:
        """All blocks from `first` on that are stored, a page at a time."""
        first = max(first, await self.first_height())
        while (page := (await self.page(first)).blocks) != ():
            yield page
            first += len(page)

    async def find(self, tx_id: bytes) -> blocks.Place | None:
        """Where a transaction is, if it was committed."""
        return await self._database.read(blocks.find, tx_id)

    async def links(self, before_height: int, after_height: int = 0) -> tuple[CommitteeLink, ...]:
        """What leads from the committee after one block to that of another: each block after which it was another."""
        return await self._database.read(load_links, after_height, before_height)

    async def base(self, machine: ChainMachine) -> Point | None:
        """What the first stored block follows; None when that is the genesis. DamagedError as `load`."""
        if await self.first_height() == 1:
            return None
        try:
            loaded = await self._database.read(_load, machine, False)
        except (RemoteProtocolError, RecordError) as error:
            raise damaged(self._name, str(error)) from error
        return loaded.points[0]

    async def state_entries(self) -> list[tuple[bytes, bytes]]:
        """Key and value of every entry of the state after the last block."""
        return await self._database.read(stored_entries)

    async def first_height(self) -> int:
        """Of the first stored block; what was before it is pruned. One above the head where there is none."""
        return await self._database.read(blocks.first_height)

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        await self._database.close()
        self._mark.close()


def _pinned(connection: sqlite3.Connection) -> Pinned | None:
    row = connection.execute("SELECT genesis, origin, unix_ms FROM pinned").fetchone()
    return None if row is None else Pinned(*row)


def _pin(connection: sqlite3.Connection, chosen: Pinned) -> bytes:
    """Which file this is."""
    assert blocks.last_height(connection) == 0, "a chain with blocks is not given up"
    connection.execute("DELETE FROM votes")
    connection.execute(
        "INSERT OR REPLACE INTO pinned (one, genesis, origin, unix_ms) VALUES (1, ?, ?, ?)",
        (chosen.genesis, chosen.origin, chosen.unix_ms),
    )
    (instance,) = connection.execute("SELECT instance FROM memory").fetchone()
    return bytes(instance)


def _remember(
    connection: sqlite3.Connection, mark: Mark | None, chain: bytes, state: StateWriter
) -> tuple[bytes, bool]:
    """Which file this is, and whether votes were sent of which it knows nothing: that stays so until it is settled."""
    state.open(connection)
    blocks.complete_contents(connection)
    instance, forgot = connection.execute("SELECT instance, forgot FROM memory").fetchone()
    if not forgot and misses_votes(mark, chain, instance, _votes(connection)):
        connection.execute("UPDATE memory SET forgot = 1")
        forgot = 1
    return instance, bool(forgot)


def _votes(connection: sqlite3.Connection) -> int:
    """How many records were ever written."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'votes'").fetchone()
    return 0 if row is None else int(row[0])


def _load(connection: sqlite3.Connection, machine: ChainMachine, forgot: bool) -> Loaded:
    records = tuple(decode_record(record) for (record,) in connection.execute("SELECT record FROM votes ORDER BY id"))
    pieces = tuple(piece for (piece,) in connection.execute("SELECT piece FROM pieces ORDER BY id"))
    first, height = blocks.first_height(connection), blocks.last_height(connection)
    if height == 0:
        head, state = Head(0, machine.chain, machine.genesis.time_unix_ms), machine.start()
        return Loaded(head, state, records, pieces, forgot=forgot)
    last = blocks.header_at(connection, height)
    if last is None:
        raise RemoteProtocolError("bad_ledger", f"block {height} is missing")
    header, certificate = last
    opened, certified = open_header(machine.chain, header, certificate)
    (count,) = connection.execute("SELECT count(*) FROM blocks").fetchone()
    if (opened.height, count) != (height, height - first + 1):
        raise RemoteProtocolError("bad_ledger", f"{count} blocks from {first} to {height}, the last of {opened.height}")
    state = imported(stored_entries(connection))
    if machine.root(state) != opened.state_root:
        raise RemoteProtocolError("bad_ledger", f"its scores are not those that block {height} certifies")
    points = load_points(connection, state)
    if first > 1 and [point.height for point in points[:1]] != [first - 1]:
        raise RemoteProtocolError("bad_ledger", f"the state before its first block, {first}, is not what was certified")
    view = certified.ballot.view
    head = Head(height, block_hash(header), opened.time_unix_ms, certificate, view)
    return Loaded(head, state, records, pieces, points, forgot)


def _append(
    connection: sqlite3.Connection, writes: Sequence[Write], before: State, keep_blocks: int, state: StateWriter
) -> int:
    """The number of records ever written, for the mark."""
    # Before the first block nothing is stored: that state follows from the genesis.
    stored, after = (before.trie if before.chain.height else State().trie), before
    for write in writes:
        match write:
            case Persist(record=record):
                connection.execute(
                    "INSERT INTO votes (height, is_view, record) VALUES (?, ?, ?)",
                    (record.height, isinstance(record, AskedView | EnteredView), encode_record(record)),
                )
            case Commit(block=block, certificate=certificate):
                _store_block(connection, write, is_turn=write.state.members != after.members)
                after = write.state
                if keep_blocks and block.header.height % keep_blocks == 0:
                    _write_state(connection, state, stored, after)
                    stored = after.trie
                    add_point(connection, block.header.height, block.block.header, certificate.certificate)
                    prune(connection)
            case Install():
                _install(connection, write, state)
                stored, after = write.state.trie, write.state
            case KeepPiece(piece=piece):
                connection.execute("INSERT INTO pieces (piece) VALUES (?)", (piece,))
            case Recovered():
                connection.execute("UPDATE memory SET forgot = 0")
            case _:
                assert_never(write)
    _write_state(connection, state, stored, after)
    return _votes(connection)


def _write_state(connection: sqlite3.Connection, state: StateWriter, before: Trie[Entry], after: State) -> None:
    changes = after.changes(before)
    note_before(connection, before, changes)
    state.write(connection, changes, after)


def _store_block(connection: sqlite3.Connection, commit: Commit[State], *, is_turn: bool) -> None:
    header, certificate = commit.block.block.header, commit.certificate.certificate
    blocks.add_block(connection, commit.block, commit.certificate)
    if is_turn:
        add_link(connection, CommitteeLink(header=header, certificate=certificate, members=commit.state.members))
    _drop_votes(connection, commit.block.header.height)


def _install(connection: sqlite3.Connection, install: Install[State], state: StateWriter) -> None:
    """A state in place of all that is stored; the changes of the committee stay, for proofs."""
    for table in ("blocks", "contents", "points", "before", "pieces"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608
    state.replace(connection, install.state.export())
    for link in install.links:
        add_link(connection, link)
    height = decode_header(install.header).height
    add_point(connection, height, install.header, install.certificate)
    _drop_votes(connection, height)


def _drop_votes(connection: sqlite3.Connection, height: int) -> None:
    # As records.still_needed has it: what is about later heights, and the last word on views.
    connection.execute(
        "DELETE FROM votes WHERE height <= ? AND id IS NOT (SELECT max(id) FROM votes WHERE is_view)", (height,)
    )


def _fill(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT OR REPLACE INTO room VALUES (1, zeroblob(?))", (ROOM_BYTES,))


def _unfill(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM room")
