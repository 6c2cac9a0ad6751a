"""Credentials held and issued, and the trees seen of others (see node/proofs)."""

import hashlib
import sqlite3
from dataclasses import dataclass

from node.store.database import Database

MAX_HELD = 8
"""As many as are shown in one answer; keeping another drops the one that ends first."""
MAX_REVOKED = 4096


@dataclass(frozen=True, slots=True)
class SeenTree:
    """The largest tree that was seen, and the serial number of its certificate."""

    serial: str
    root: str
    leaves: int


class Credentials:
    """Documents are files of node/proofs/credential, opaque here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(
        self, issuer: bytes, token: str, document: bytes, *, expires_unix_s: int, unix_ms: int, replaces: str | None
    ) -> None:
        """Keep a credential of this node's; it takes the place of the one with the token that it grew from."""
        digest = hashlib.sha256(token.encode()).digest()
        old = None if replaces is None else hashlib.sha256(replaces.encode()).digest()
        await self._database.write(_keep, (issuer, digest, expires_unix_s, unix_ms, document), old)

    async def held(self) -> list[bytes]:
        """The documents that this node holds, the last kept first."""
        query = "SELECT document FROM held_credentials ORDER BY kept_unix_ms DESC"
        return await self._database.read(_documents, query, ())

    async def add_issued(
        self, serial: str, subject: bytes, document: bytes, *, expires_unix_s: int, unix_ms: int
    ) -> None:
        """Remember what this node certified."""
        row = (serial, subject, unix_ms, expires_unix_s, document)
        await self._database.write(_execute, "INSERT INTO issued_credentials VALUES (?, ?, ?, ?, NULL, ?)", row)

    async def last_issued(self, subject: bytes) -> bytes | None:
        """The newest document about `subject` that was not revoked."""
        query = (
            "SELECT document FROM issued_credentials WHERE subject = ? AND revoked_unix_ms IS NULL "
            "ORDER BY issued_unix_ms DESC LIMIT 1"
        )
        found = await self._database.read(_documents, query, (subject,))
        return found[0] if found else None

    async def revoke(self, serial_prefix: str, unix_ms: int) -> list[str]:
        """Take back what begins with this serial number; the serial numbers that were, at most one."""
        return await self._database.write(_revoke, serial_prefix, unix_ms)

    async def revoked(self, now_unix_s: int) -> list[str]:
        """What was taken back and has not ended since."""
        return await self._database.read(_revoked, now_unix_s)

    async def seen(self, subject: bytes) -> dict[bytes, SeenTree]:
        """The trees seen about a subject, by issuer."""
        return await self._database.read(_seen, subject)

    async def saw(self, subject: bytes, issuer: bytes, tree: SeenTree) -> None:
        """Remember a tree that was checked."""
        row = (subject, issuer, tree.serial, tree.root, tree.leaves)
        await self._database.write(_execute, "INSERT OR REPLACE INTO seen_trees VALUES (?, ?, ?, ?, ?)", row)


def _execute(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> None:
    connection.execute(statement, values)


def _documents(connection: sqlite3.Connection, query: str, values: tuple[object, ...]) -> list[bytes]:
    return [document for (document,) in connection.execute(query, values)]


def _keep(connection: sqlite3.Connection, row: tuple[object, ...], old: bytes | None) -> None:
    connection.execute("DELETE FROM held_credentials WHERE certificate_sha256 = ?", (old,))
    connection.execute("INSERT OR REPLACE INTO held_credentials VALUES (?, ?, ?, ?, ?)", row)
    connection.execute(
        "DELETE FROM held_credentials WHERE certificate_sha256 NOT IN "
        "(SELECT certificate_sha256 FROM held_credentials ORDER BY expires_unix_s DESC LIMIT ?)",
        (MAX_HELD,),
    )


def _revoke(connection: sqlite3.Connection, prefix: str, unix_ms: int) -> list[str]:
    query = "SELECT serial FROM issued_credentials WHERE substr(serial, 1, ?) = ? AND revoked_unix_ms IS NULL"
    found = [serial for (serial,) in connection.execute(query, (len(prefix), prefix))]
    if len(found) == 1:
        connection.execute("UPDATE issued_credentials SET revoked_unix_ms = ? WHERE serial = ?", (unix_ms, found[0]))
    return found


def _revoked(connection: sqlite3.Connection, now_unix_s: int) -> list[str]:
    query = (
        "SELECT serial FROM issued_credentials WHERE revoked_unix_ms IS NOT NULL AND expires_unix_s > ? "
        "ORDER BY revoked_unix_ms DESC LIMIT ?"
    )
    return [serial for (serial,) in connection.execute(query, (now_unix_s, MAX_REVOKED))]


def _seen(connection: sqlite3.Connection, subject: bytes) -> dict[bytes, SeenTree]:
    rows = connection.execute("SELECT issuer, serial, root, leaves FROM seen_trees WHERE subject = ?", (subject,))
    return {issuer: SeenTree(serial, root, leaves) for issuer, serial, root, leaves in rows}
