"""What the decision policies remember of a skill: one state of the client's own, one of each contractor."""

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec
import structlog

from node.decision.inputs import PolicyMemory, SellerMemory
from node.store.database import Database

if TYPE_CHECKING:
    from node.decision.state import Lesson

S = TypeVar("S", bound=msgspec.Struct)
log = structlog.get_logger()

CLIENT = b""
"""In the place of a contractor: the client's own state."""


class Memories(msgspec.Struct, frozen=True):
    """The memory that one decision starts from."""

    client: PolicyMemory
    sellers: dict[bytes, SellerMemory]


def load(connection: sqlite3.Connection, skill: str, contractors: Sequence[bytes]) -> Memories:
    """The client's state, and that of each contractor; what was never stored is fresh."""
    sellers = {key: _state(connection, skill, key, SellerMemory) or SellerMemory() for key in contractors}
    return Memories(_state(connection, skill, CLIENT, PolicyMemory) or PolicyMemory(), sellers)


def learn(connection: sqlite3.Connection, skill: str, lesson: "Lesson", unix_ms: int) -> None:
    """Take one outcome in: read, change and write in one transaction, since several tasks may end together."""
    from node.decision.state import learnt

    contractor = lesson.contractor
    memories = load(connection, skill, () if contractor is None else (contractor,))
    client, seller = learnt(memories.client, memories.sellers.get(contractor or CLIENT, SellerMemory()), lesson)
    rows = [(skill, CLIENT, msgspec.json.encode(client).decode(), unix_ms)]
    if contractor is not None:
        rows.append((skill, contractor, msgspec.json.encode(seller).decode(), unix_ms))
    connection.executemany("INSERT OR REPLACE INTO policy_memory VALUES (?, ?, ?, ?)", rows)


def _state(connection: sqlite3.Connection, skill: str, contractor: bytes, kind: type[S]) -> S | None:
    row = connection.execute(
        "SELECT state FROM policy_memory WHERE skill = ? AND contractor = ?", (skill, contractor)
    ).fetchone()
    if row is None:
        return None
    try:
        return msgspec.json.decode(row[0], type=kind)
    except (msgspec.ValidationError, ValueError) as error:
        # Of another version, or damaged: what it taught is learnt again.
        log.warning("policy_memory.discarded", skill=skill, error=str(error))
        return None


class PolicyMemories:
    """The functions above on a node's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, skill: str, contractors: Sequence[bytes]) -> Memories:
        """See `load`."""
        return await self._database.read(load, skill, contractors)

    async def learn(self, skill: str, lesson: "Lesson", unix_ms: int) -> None:
        """See `learn`."""
        await self._database.write(learn, skill, lesson, unix_ms)
