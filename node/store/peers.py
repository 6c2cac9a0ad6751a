"""Peers that this node met, and those it wants nothing to do with. Known peers are bounded, blocks are not."""

import sqlite3

import msgspec

from node.store.database import Database

MAX_KNOWN = 5000
"""Known peers kept: enough to rejoin any network from; about 1 MB. The one not seen for longest goes first."""


class KnownPeer(msgspec.Struct, frozen=True, kw_only=True):
    """One peer as last met. `offences` counts protocol violations."""

    public_key: bytes
    host: str
    port: int
    first_seen_unix_ms: int
    last_seen_unix_ms: int
    rtt_s: float | None = None
    offences: int = 0


class BlockedPeer(msgspec.Struct, frozen=True):
    """A peer that is neither dialled nor answered, since when and why."""

    public_key: bytes
    unix_ms: int
    reason: str


def seen(
    connection: sqlite3.Connection, public_key: bytes, host: str, port: int, unix_ms: int, rtt_s: float | None = None
) -> None:
    """Remember that `public_key` was reached at this address just now; an unknown rtt keeps the one before."""
    rtt_us = None if rtt_s is None else round(rtt_s * 1e6)
    connection.execute(
        "INSERT INTO peers (public_key, host, port, first_seen_unix_ms, last_seen_unix_ms, rtt_us)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (public_key) DO UPDATE SET host = excluded.host, port = excluded.port,"
        " last_seen_unix_ms = max(last_seen_unix_ms, excluded.last_seen_unix_ms),"
        " rtt_us = coalesce(excluded.rtt_us, rtt_us)",
        (public_key, host, port, unix_ms, unix_ms, rtt_us),
    )
    (known,) = connection.execute("SELECT count(*) FROM peers").fetchone()
    if known > MAX_KNOWN:
        connection.execute(
            "DELETE FROM peers WHERE public_key IN"
            " (SELECT public_key FROM peers ORDER BY last_seen_unix_ms, public_key LIMIT ?)",
            (known - MAX_KNOWN,),
        )


def offend(connection: sqlite3.Connection, public_key: bytes) -> None:
    """Count one protocol violation against a known peer."""
    connection.execute("UPDATE peers SET offences = offences + 1 WHERE public_key = ?", (public_key,))


def known(connection: sqlite3.Connection, limit: int = MAX_KNOWN) -> list[KnownPeer]:
    """Known peers, the last seen first; blocked ones included."""
    rows = connection.execute(
        "SELECT public_key, host, port, first_seen_unix_ms, last_seen_unix_ms, rtt_us, offences FROM peers"
        " ORDER BY last_seen_unix_ms DESC, public_key LIMIT ?",
        (limit,),
    )
    return [
        KnownPeer(
            public_key=key,
            host=host,
            port=port,
            first_seen_unix_ms=first,
            last_seen_unix_ms=last,
            rtt_s=None if rtt_us is None else rtt_us / 1e6,
            offences=offences,
        )
        for key, host, port, first, last, rtt_us, offences in rows
    ]


def forget(connection: sqlite3.Connection, public_key: bytes) -> None:
    """Drop what is known about a peer; a block stays."""
    connection.execute("DELETE FROM peers WHERE public_key = ?", (public_key,))


def block(connection: sqlite3.Connection, public_key: bytes, unix_ms: int, reason: str) -> None:
    """Block a peer, met or not; a new reason replaces the old."""
    connection.execute("INSERT OR REPLACE INTO blocked_peers VALUES (?, ?, ?)", (public_key, unix_ms, reason))


def unblock(connection: sqlite3.Connection, public_key: bytes) -> bool:
    """Lift a block; False when there was none."""
    return connection.execute("DELETE FROM blocked_peers WHERE public_key = ?", (public_key,)).rowcount == 1


def blocked(connection: sqlite3.Connection) -> list[BlockedPeer]:
    """Every block, the newest first."""
    rows = connection.execute("SELECT public_key, unix_ms, reason FROM blocked_peers ORDER BY unix_ms DESC, public_key")
    return [BlockedPeer(*row) for row in rows]


class KnownPeers:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def seen(self, public_key: bytes, host: str, port: int, unix_ms: int, rtt_s: float | None = None) -> None:
        """See `seen`."""
        await self._database.write(seen, public_key, host, port, unix_ms, rtt_s)

    async def offend(self, public_key: bytes) -> None:
        """See `offend`."""
        await self._database.write(offend, public_key)

    async def known(self, limit: int = MAX_KNOWN) -> list[KnownPeer]:
        """See `known`."""
        return await self._database.read(known, limit)

    async def forget(self, public_key: bytes) -> None:
        """See `forget`."""
        await self._database.write(forget, public_key)

    async def block(self, public_key: bytes, unix_ms: int, reason: str) -> None:
        """See `block`."""
        await self._database.write(block, public_key, unix_ms, reason)

    async def unblock(self, public_key: bytes) -> bool:
        """See `unblock`."""
        return await self._database.write(unblock, public_key)

    async def blocked(self) -> list[BlockedPeer]:
        """See `blocked`."""
        return await self._database.read(blocked)
