"""What the owner put on sale with `coalesced sell`, so that it is on sale again after a restart."""

import sqlite3

import msgspec

from node.store.database import Database
from node.views import AgentSource, ModelSource


class SoldFunction(msgspec.Struct, frozen=True, kw_only=True):
    """One registration. `target` is a builtin label, `module:function` to be imported in `directory`, or what does the
    work elsewhere, which `remote` describes: never a key, only where its owner keeps it.

    `python` is the interpreter to run it with, `environment` the variables of the caller that it needs. A price of
    None is left to the node; limits of None are the node's own.
    """

    label: str
    target: str
    caption: str = ""
    directory: str = ""
    python: str = ""
    environment: dict[str, str] = {}
    price_micro: int | None = None
    timeout_s: float | None = None
    memory_bytes: int | None = None
    remote: ModelSource | AgentSource | None = None
    hours: str = ""
    shown: str = ""


def save(connection: sqlite3.Connection, offer: SoldFunction, unix_ms: int) -> None:
    """Register an offer; one with the same label is replaced."""
    body = msgspec.json.encode(offer).decode()
    connection.execute("INSERT OR REPLACE INTO offers VALUES (?, ?, ?)", (offer.label, body, unix_ms))


def remove(connection: sqlite3.Connection, label: str) -> bool:
    """Take an offer off sale for good; False when there was none."""
    return connection.execute("DELETE FROM offers WHERE label = ?", (label,)).rowcount == 1


def load(connection: sqlite3.Connection) -> list[SoldFunction]:
    """Every registration, by label."""
    rows = connection.execute("SELECT body FROM offers ORDER BY label")
    return [msgspec.json.decode(body, type=SoldFunction) for (body,) in rows]


class SoldFunctions:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, offer: SoldFunction, unix_ms: int) -> None:
        """See `save`."""
        await self._database.write(save, offer, unix_ms)

    async def remove(self, label: str) -> bool:
        """See `remove`."""
        return await self._database.write(remove, label)

    async def load(self) -> list[SoldFunction]:
        """See `load`."""
        return await self._database.read(load)
