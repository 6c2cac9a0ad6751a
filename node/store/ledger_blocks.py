"""The blocks of a community chain in its file: where they are, what is in them, and how they are sent to others."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from node.ledger.pbft.opened import OpenBlock, OpenCertificate
from protocol.consensus import MAX_BLOCK_TXS, MAX_PAGE_BLOCKS, PAGE_BYTES, Block, Blocks, Certificate, Committed
from protocol.packing import pack, unpack
from protocol.transactions import transaction_id

PAGE_TXS: Final = 2 * MAX_BLOCK_TXS
"""In one page, so that it stays below the number of values that one message may hold."""
ID_BYTES: Final = 8
"""Of a transaction's id, by which its block is found: what else begins so is told apart by the block itself."""
_BLOCK_COLUMNS = "header, txs, certificate"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transaction is."""

    height: int
    place: int


def add_block(connection: sqlite3.Connection, block: OpenBlock, certificate: OpenCertificate) -> None:
    """Store the next block."""
    height, txs = block.header.height, block.block.txs
    connection.execute(
        "INSERT INTO blocks VALUES (?, ?, ?, ?, ?)",
        (height, block.hash, block.block.header, pack(txs), pack(certificate.certificate)),
    )
    _add_contents(connection, height, txs)


def _add_contents(connection: sqlite3.Connection, height: int, txs: tuple[bytes, ...]) -> None:
    ids = b"".join(transaction_id(tx)[:ID_BYTES] for tx in txs)
    connection.execute("INSERT INTO contents VALUES (?, ?)", (height, ids))


def complete_contents(connection: sqlite3.Connection) -> None:
    """For blocks that an earlier version stored."""
    missing = "SELECT height FROM blocks WHERE height NOT IN (SELECT height FROM contents)"
    for (height,) in connection.execute(missing).fetchall():
        if (committed := block_at(connection, height)) is not None:
            _add_contents(connection, height, committed.block.txs)


def drop_blocks(connection: sqlite3.Connection, up_to: int) -> None:
    """Forget all blocks up to this height."""
    for table in ("contents", "blocks"):
        connection.execute(f"DELETE FROM {table} WHERE height <= ?", (up_to,))  # noqa: S608


def header_at(connection: sqlite3.Connection, height: int) -> tuple[bytes, Certificate] | None:
    """Header and certificate of a block, or of the state that was installed in its place."""
    for table in ("blocks", "points"):
        row = connection.execute(f"SELECT header, certificate FROM {table} WHERE height = ?", (height,)).fetchone()  # noqa: S608
        if row is not None:
            return row[0], unpack(Certificate, row[1])
    return None


def last_height(connection: sqlite3.Connection) -> int:
    """Of the last block, or of the state in its place; 0 without either."""
    for table in ("blocks", "points"):
        (height,) = connection.execute(f"SELECT max(height) FROM {table}").fetchone()  # noqa: S608
        if height is not None:
            return int(height)
    return 0


def first_height(connection: sqlite3.Connection) -> int:
    """Of the first block that is kept; one above the head where there is none."""
    (first,) = connection.execute("SELECT min(height) FROM blocks").fetchone()
    return int(first) if first is not None else last_height(connection) + 1


def page_from(connection: sqlite3.Connection, height: int) -> Blocks:
    """One page of blocks from `height` on; none where blocks before the first are asked for."""
    blocks: list[Committed] = []
    size = txs = 0
    first = first_height(connection)
    if height < first:
        return Blocks(first_height=first, head_height=last_height(connection), blocks=())
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
    return Blocks(first_height=first, head_height=last_height(connection), blocks=tuple(blocks))


def block_at(connection: sqlite3.Connection, height: int) -> Committed | None:
    """A block with its certificate."""
    row = connection.execute(f"SELECT {_BLOCK_COLUMNS} FROM blocks WHERE height = ?", (height,)).fetchone()  # noqa: S608
    return None if row is None else _committed(row)


def _committed(row: tuple[bytes, bytes, bytes]) -> Committed:
    header, txs, certificate = row
    block = Block(header=header, txs=unpack(tuple[bytes, ...], txs))
    return Committed(block=block, certificate=unpack(Certificate, certificate))


def find(connection: sqlite3.Connection, tx_id: bytes) -> Place | None:
    """Where a transaction is. Looks through the beginnings of all ids: some twenty milliseconds for a million."""
    heights = connection.execute("SELECT height FROM contents WHERE instr(ids, ?) ORDER BY height", (tx_id[:ID_BYTES],))
    for (height,) in heights.fetchall():
        committed = block_at(connection, height)
        for place, tx in enumerate(committed.block.txs if committed is not None else ()):
            if transaction_id(tx) == tx_id:
                return Place(height, place)
    return None
