"""What this node found out about sellers by itself: attestations, skill tests, leaks; and which test items it used."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.examination.again import Asking
from node.store.database import Database

KEPT = 16
"""Attestations of one peer."""
_COLUMNS = "unix_ms, reason, done, holds, size, rounds, memory_mib, rate_mops, problem"
_CANARY = (
    "INSERT INTO canary_answers VALUES (?, ?, ?, ?, ?) ON CONFLICT (peer, skill) DO UPDATE SET"
    " good = good + excluded.good, bad = bad + excluded.bad, unix_ms = excluded.unix_ms"
)
_ASKED = "INSERT OR IGNORE INTO asked_items VALUES (?, ?)"
_WHO_SAW = (
    "SELECT contractor FROM outcomes WHERE task_id = ?1 "
    "UNION SELECT peer FROM tasks WHERE task_id = ?1 AND peer IS NOT NULL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """One attestation of a peer. `reason` says why it was asked for, unless its owner wished it."""

    unix_ms: int
    reason: str = ""
    done: bool = True
    """Whether it came to it: a peer may refuse, or be gone."""
    holds: bool
    size: int
    rounds: int
    memory_mib: int
    rate_mops: int
    """Millions of operations a second, at least."""
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """The last test of a peer's skill; `items_root` commits to all items, asked or not."""

    skill: str
    unix_ms: int
    verdict: str
    good: int
    bad: int
    items_root: bytes
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """How a peer answered canaries of a skill, and when the last."""

    skill: str
    good: int
    bad: int
    unix_ms: int


@dataclass(frozen=True, slots=True)
class Examined:
    """All that is known of one peer."""

    attested: Attested | None = None
    """The last that was done."""
    tests: tuple[Tested, ...] = ()
    leaks: int = 0
    attestations: tuple[Attested, ...] = ()
    """The last few that were asked for, the latest first."""
    canaries: tuple[Canaries, ...] = ()

    @property
    def settled_unix_ms(self) -> int:
        """When it last proved to be as it should although it had seemed to change; 0 for never."""
        return max((one.unix_ms for one in self.attestations if one.holds and one.reason), default=0)


class Examinations:
    """Attestations are kept, the last 16 of a peer; of tests of a skill the last one counts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def attested(self, peer: bytes, found: Attested) -> None:
        """Remember how an attestation went."""
        row = (
            peer,
            found.unix_ms,
            found.reason,
            found.done,
            found.holds,
            found.size,
            found.rounds,
            found.memory_mib,
            found.rate_mops,
            found.problem,
        )
        await self._database.write(_attested, row)

    async def canary(self, peer: bytes, skill: str, unix_ms: int, *, good: bool) -> None:
        """Remember how a canary was answered."""
        await self._write(_CANARY, (peer, skill, int(good), int(not good), unix_ms))

    async def asked_again(self, since_unix_ms: int) -> list[Asking]:
        """The attestations that this node asked for by itself since then, oldest first."""
        return await self._database.read(_asked_again, since_unix_ms)

    async def tested(self, peer: bytes, found: Tested) -> None:
        """Remember how a test went."""
        row = (
            peer,
            found.skill,
            found.unix_ms,
            found.verdict,
            found.good,
            found.bad,
            found.items_root,
            found.items,
        )
        await self._write("INSERT OR REPLACE INTO skill_tests VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    async def asked(self, input_sha256: bytes, unix_ms: int) -> None:
        """Retire a test item, before anybody is sent it."""
        await self._write(_ASKED, (input_sha256, unix_ms))

    async def retired(self, inputs: Sequence[bytes]) -> set[bytes]:
        """Which of these were asked before."""
        return await self._database.read(_retired, inputs)

    async def planted(self, token: str, task_id: bytes, unix_ms: int) -> None:
        """Remember in which task's input a honeytoken is."""
        await self._write("INSERT OR IGNORE INTO honeytokens VALUES (?, ?, ?)", (token, task_id, unix_ms))

    async def leaked(self, token: str, unix_ms: int) -> tuple[bytes, list[bytes]] | None:
        """Of which task a token was, and who was sent that; each is remembered as a leak. None: no such token."""
        return await self._database.write(_leaked, token, unix_ms)

    async def of(self, peers: Iterable[bytes]) -> dict[bytes, Examined]:
        """What is known of each."""
        return await self._database.read(_of, tuple(peers))

    async def _write(self, statement: str, row: tuple[object, ...]) -> None:
        await self._database.write(_execute, statement, row)


def _execute(connection: sqlite3.Connection, statement: str, row: tuple[object, ...]) -> None:
    connection.execute(statement, row)


def _retired(connection: sqlite3.Connection, inputs: Sequence[bytes]) -> set[bytes]:
    query = "SELECT 1 FROM asked_items WHERE input_sha256 = ?"
    return {one for one in inputs if connection.execute(query, (one,)).fetchone()}


def _leaked(connection: sqlite3.Connection, token: str, unix_ms: int) -> tuple[bytes, list[bytes]] | None:
    row = connection.execute("SELECT task_id FROM honeytokens WHERE token = ?", (token,)).fetchone()
    if row is None:
        return None
    peers = [peer for (peer,) in connection.execute(_WHO_SAW, row)]
    rows = [(peer, token, unix_ms) for peer in peers]
    connection.executemany("INSERT OR IGNORE INTO leaks VALUES (?, ?, ?)", rows)
    return row[0], peers


def _of(connection: sqlite3.Connection, peers: Sequence[bytes]) -> dict[bytes, Examined]:
    return {peer: _one(connection, peer) for peer in peers}


def _attested(connection: sqlite3.Connection, row: tuple[object, ...]) -> None:
    connection.execute("INSERT OR REPLACE INTO asked_attestations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute(
        "DELETE FROM asked_attestations WHERE peer = ?1 AND unix_ms NOT IN"
        " (SELECT unix_ms FROM asked_attestations WHERE peer = ?1 ORDER BY unix_ms DESC LIMIT ?2)",
        (row[0], KEPT),
    )


def _asked_again(connection: sqlite3.Connection, since_unix_ms: int) -> list[Asking]:
    query = "SELECT peer, unix_ms, holds FROM asked_attestations WHERE reason != '' AND unix_ms >= ? ORDER BY unix_ms"
    return [Asking(peer, at, bool(holds)) for peer, at, holds in connection.execute(query, (since_unix_ms,))]


def _one(connection: sqlite3.Connection, peer: bytes) -> Examined:
    query = f"SELECT {_COLUMNS} FROM asked_attestations WHERE peer = ? ORDER BY unix_ms DESC"  # noqa: S608
    attestations = tuple(
        Attested(
            unix_ms=unix_ms,
            reason=reason,
            done=bool(done),
            holds=bool(holds),
            size=size,
            rounds=rounds,
            memory_mib=memory_mib,
            rate_mops=rate_mops,
            problem=problem,
        )
        for unix_ms, reason, done, holds, size, rounds, memory_mib, rate_mops, problem in connection.execute(
            query, (peer,)
        )
    )
    query = (
        "SELECT skill, unix_ms, verdict, good, bad, items_root, items FROM skill_tests WHERE peer = ? ORDER BY skill"
    )
    tests = tuple(
        Tested(skill=skill, unix_ms=unix_ms, verdict=verdict, good=good, bad=bad, items_root=items_root, items=items)
        for skill, unix_ms, verdict, good, bad, items_root, items in connection.execute(query, (peer,))
    )
    query = "SELECT skill, good, bad, unix_ms FROM canary_answers WHERE peer = ? ORDER BY skill"
    canaries = tuple(
        Canaries(skill=skill, good=good, bad=bad, unix_ms=unix_ms)
        for skill, good, bad, unix_ms in connection.execute(query, (peer,))
    )
    (leaks,) = connection.execute("SELECT count(*) FROM leaks WHERE peer = ?", (peer,)).fetchone()
    last = next((one for one in attestations if one.done), None)
    return Examined(last, tests, leaks, attestations, canaries)
