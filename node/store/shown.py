"""What sellers proved to this node, when, and on whose word: for its security budget."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.store.database import Database
from node.views.base import Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownClaim:
    """One thing that a peer showed. `amount` is in the claim's own unit: parts per million of a skill's test items."""

    proof: Proof
    claim: str
    """`skill:LABEL` or `resource:NAME`; empty for one of before claims were kept."""
    attester: bytes
    amount: int
    shown_unix_ms: int
    until_unix_ms: int


def showed(connection: sqlite3.Connection, peer: bytes, claims: Sequence[ShownClaim]) -> None:
    """Note that these held just now: each amount of a claim by its attester, the last time that it was shown."""
    connection.executemany(
        "INSERT OR REPLACE INTO shown_amounts VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(peer, c.proof, c.claim, c.attester, c.amount, c.shown_unix_ms, c.until_unix_ms) for c in claims],
    )


def withdrew(connection: sqlite3.Connection, peer: bytes, proof: str) -> None:
    """Forget what was shown by this kind of proof, before what is shown now is noted."""
    connection.execute("DELETE FROM shown_amounts WHERE peer = ? AND proof = ?", (peer, proof))


def of(connection: sqlite3.Connection, peers: Iterable[bytes], now_unix_ms: int) -> dict[bytes, tuple[ShownClaim, ...]]:
    """What each peer showed that has not ended."""
    query = (
        "SELECT proof, claim, attester, amount, shown_unix_ms, until_unix_ms FROM shown_amounts"
        " WHERE peer = ? AND until_unix_ms > ? ORDER BY proof, claim, attester, amount"
    )
    return {
        peer: tuple(
            ShownClaim(
                proof=proof, claim=claim, attester=attester, amount=amount, shown_unix_ms=at, until_unix_ms=until
            )
            for proof, claim, attester, amount, at, until in connection.execute(query, (peer, now_unix_ms))
        )
        for peer in peers
    }


class ShownProofs:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def showed(self, peer: bytes, claims: Sequence[ShownClaim]) -> None:
        """See `showed`."""
        await self._database.write(showed, peer, claims)

    async def withdrew(self, peer: bytes, proof: str) -> None:
        """See `withdrew`."""
        await self._database.write(withdrew, peer, proof)

    async def of(self, peers: Iterable[bytes], now_unix_ms: int) -> dict[bytes, tuple[ShownClaim, ...]]:
        """See `of`."""
        return await self._database.read(of, tuple(peers), now_unix_ms)
