"""What sellers proved to this node, and when: for its security budget."""

import sqlite3
from collections.abc import Iterable

from node.store.database import Database


def proved(connection: sqlite3.Connection, peer: bytes, proof: str, unix_ms: int, until_unix_ms: int) -> None:
    """Note that a proof of this kind held just now, and when it ends by itself; the latest counts."""
    row = (peer, proof, unix_ms, until_unix_ms)
    connection.execute("INSERT OR REPLACE INTO shown_proofs VALUES (?, ?, ?, ?)", row)


def of(
    connection: sqlite3.Connection, peers: Iterable[bytes], since_unix_ms: float, now_unix_ms: int
) -> dict[bytes, tuple[str, ...]]:
    """The kinds of proof of each peer that were shown since then and have not ended."""
    query = "SELECT proof FROM shown_proofs WHERE peer = ? AND shown_unix_ms >= ? AND until_unix_ms > ?"
    return {
        peer: tuple(proof for (proof,) in connection.execute(query, (peer, since_unix_ms, now_unix_ms)))
        for peer in peers
    }


class ShownProofs:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def proved(self, peer: bytes, proof: str, unix_ms: int, until_unix_ms: int) -> None:
        """See `proved`."""
        await self._database.write(proved, peer, proof, unix_ms, until_unix_ms)

    async def of(self, peers: Iterable[bytes], since_unix_ms: float, now_unix_ms: int) -> dict[bytes, tuple[str, ...]]:
        """See `of`."""
        return await self._database.read(of, tuple(peers), since_unix_ms, now_unix_ms)
