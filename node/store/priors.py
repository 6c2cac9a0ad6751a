"""What market makers sold to this node, and how far each is believed."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog

from node.priors.belief import Standing
from node.store.database import Database

log = structlog.get_logger()

_BOUGHT = "maker, skill, token, expires_unix_s, bought_unix_ms, paid_micro, opened"


@dataclass(frozen=True, slots=True)
class Bought:
    """A document that was checked when it was bought; `opened` leaves were shown with it."""

    maker: bytes
    skill: str
    token: str
    expires_unix_s: int
    bought_unix_ms: int
    paid_micro: int
    opened: int


@dataclass(frozen=True, slots=True)
class Known:
    """A maker that this node had to do with: how many documents it sold here, and what was wrong with the last."""

    standing: Standing
    bought: int
    problem: str


def keep(connection: sqlite3.Connection, bought: Bought, first: Standing) -> None:
    """Keep a document in the place of the maker's last about the skill. `first`: its standing, if it has none yet."""
    row = (
        bought.maker,
        bought.skill,
        bought.token,
        bought.expires_unix_s,
        bought.bought_unix_ms,
        bought.paid_micro,
        bought.opened,
    )
    connection.execute(f"INSERT OR REPLACE INTO market_priors ({_BOUGHT}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
    _meet(connection, bought.maker, first)
    connection.execute("UPDATE market_makers SET bought = bought + 1, problem = '' WHERE maker = ?", (bought.maker,))


def of_skill(connection: sqlite3.Connection, skill: str, now_unix_s: float) -> list[tuple[Bought, Standing]]:
    """The documents about a skill that have not expired, with what their makers' words are worth."""
    rows = connection.execute(
        f"SELECT {_BOUGHT} FROM market_priors WHERE skill = ? AND expires_unix_s > ? ORDER BY maker",  # noqa: S608
        (skill, now_unix_s),
    )
    listed = [Bought(*row) for row in rows]
    return [(one, known.standing) for one in listed if (known := maker(connection, one.maker)) is not None]


def last(connection: sqlite3.Connection, maker: bytes, skill: str) -> Bought | None:
    """The last document of a maker about a skill, expired or not."""
    row = connection.execute(
        f"SELECT {_BOUGHT} FROM market_priors WHERE maker = ? AND skill = ?",  # noqa: S608
        (maker, skill),
    ).fetchone()
    return None if row is None else Bought(*row)


def maker(connection: sqlite3.Connection, key: bytes) -> Known | None:
    """What is known of a maker; None for one that sold nothing here."""
    row = connection.execute("SELECT standing, bought, problem FROM market_makers WHERE maker = ?", (key,)).fetchone()
    if row is None:
        return None
    try:
        return Known(msgspec.json.decode(row[0], type=Standing), row[1], row[2])
    except (msgspec.ValidationError, ValueError) as error:
        log.warning("market_maker.discarded", error=str(error))  # Of another version: it begins anew, little believed.
        return Known(Standing(), row[1], row[2])


def change(
    connection: sqlite3.Connection,
    key: bytes,
    first: Standing,
    how: Callable[[Standing], Standing],
    problem: str | None = None,
) -> Standing:
    """Read, change and write a maker's standing in one transaction, since several tasks may end together."""
    _meet(connection, key, first)
    known = maker(connection, key)
    standing = how(known.standing if known is not None else first)
    connection.execute(
        "UPDATE market_makers SET standing = ?, problem = coalesce(?, problem) WHERE maker = ?",
        (msgspec.json.encode(standing).decode(), problem, key),
    )
    return standing


def makers(connection: sqlite3.Connection) -> dict[bytes, Known]:
    """Every maker that this node had to do with."""
    keys = [key for (key,) in connection.execute("SELECT maker FROM market_makers ORDER BY maker")]
    return {key: known for key in keys if (known := maker(connection, key)) is not None}


def skills(connection: sqlite3.Connection) -> list[str]:
    """Every skill about which a document is kept."""
    return [skill for (skill,) in connection.execute("SELECT DISTINCT skill FROM market_priors ORDER BY skill")]


def _meet(connection: sqlite3.Connection, key: bytes, first: Standing) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO market_makers (maker, standing) VALUES (?, ?)",
        (key, msgspec.json.encode(first).decode()),
    )


class Priors:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, bought: Bought, first: Standing) -> None:
        """See `keep`."""
        await self._database.write(keep, bought, first)

    async def of_skill(self, skill: str, now_unix_s: float) -> list[tuple[Bought, Standing]]:
        """See `of_skill`."""
        return await self._database.read(of_skill, skill, now_unix_s)

    async def last(self, maker: bytes, skill: str) -> Bought | None:
        """See `last`."""
        return await self._database.read(last, maker, skill)

    async def maker(self, key: bytes) -> Known | None:
        """See `maker`."""
        return await self._database.read(maker, key)

    async def makers(self) -> dict[bytes, Known]:
        """See `makers`."""
        return await self._database.read(makers)

    async def change(
        self, key: bytes, first: Standing, how: Callable[[Standing], Standing], problem: str | None = None
    ) -> Standing:
        """See `change`."""
        return await self._database.write(change, key, first, how, problem)

    async def skills(self) -> list[str]:
        """See `skills`."""
        return await self._database.read(skills)
