"""A node.db as version 1 wrote it is brought up to date with everything in it, and kept as it was beside."""

import sqlite3
import stat
from pathlib import Path

import pytest

from node.store.database import Database
from node.store.errors import StorageError
from node.store.migrations import NODE, backup_path
from node.store.peers import KnownPeers
from node.store.spending import Caps, Spending
from node.store.tasks import Tasks

VERSION_1 = """
CREATE TABLE tasks (
    task_id BLOB PRIMARY KEY CHECK (length(task_id) = 16),
    idempotency_key TEXT UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('client', 'contractor')),
    state TEXT NOT NULL CHECK (state IN ('submitted', 'working', 'input-required', 'completed', 'failed', 'cancelled',
        'rejected')),
    specification BLOB NOT NULL,
    skill TEXT NOT NULL,
    parent_id BLOB REFERENCES tasks ON DELETE CASCADE,
    node_name TEXT,
    peer BLOB,
    price_micro INTEGER,
    paid_micro INTEGER NOT NULL DEFAULT 0,
    error_code TEXT,
    error_text TEXT,
    result_sha256 BLOB,
    result_media_type TEXT,
    created_unix_ms INTEGER NOT NULL,
    updated_unix_ms INTEGER NOT NULL,
    finished_unix_ms INTEGER,
    deadline_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tasks_by_creation ON tasks (created_unix_ms, task_id);
CREATE INDEX tasks_by_parent ON tasks (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX tasks_unfinished ON tasks (state) WHERE finished_unix_ms IS NULL;
CREATE INDEX tasks_by_end ON tasks (finished_unix_ms) WHERE finished_unix_ms IS NOT NULL;

CREATE TABLE task_events (
    task_id BLOB NOT NULL REFERENCES tasks ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    unix_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (task_id, seq)
) STRICT, WITHOUT ROWID;

-- One row for each award: open from before it is sent until it is settled; a released one is deleted.
CREATE TABLE spending (
    task_id BLOB NOT NULL,
    peer BLOB NOT NULL,
    day INTEGER NOT NULL,
    reserved_unix_ms INTEGER NOT NULL,
    amount_micro INTEGER NOT NULL CHECK (amount_micro >= 0),
    paid_micro INTEGER CHECK (paid_micro BETWEEN 0 AND amount_micro),
    unverified_micro INTEGER NOT NULL DEFAULT 0 CHECK (unverified_micro >= 0),
    PRIMARY KEY (task_id, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX spending_by_day ON spending (day, paid_micro, amount_micro);
CREATE INDEX spending_by_peer ON spending (peer, day);
CREATE INDEX spending_open ON spending (peer) WHERE paid_micro IS NULL;

INSERT INTO tasks VALUES (x'00000000000000000000000000000001', 'key', 'client', 'completed', x'80', 'risk', NULL, NULL,
    zeroblob(32), 1200, 1000, NULL, NULL, zeroblob(32), 'application/json', 1000, 3000, 3000, 9000);
INSERT INTO tasks VALUES (x'00000000000000000000000000000002', NULL, 'client', 'working', x'80', 'risk',
    x'00000000000000000000000000000001', 'part', NULL, NULL, 0, NULL, NULL, NULL, NULL, 2000, 2000, NULL, 9000);
INSERT INTO task_events VALUES (x'00000000000000000000000000000001', 1, 1000, 'submitted', '{}');
INSERT INTO spending VALUES (x'00000000000000000000000000000001', zeroblob(32), 0, 1500, 1200, 1000, 0);
INSERT INTO spending VALUES (x'00000000000000000000000000000002', zeroblob(32), 0, 2500, 700, NULL, 0);
PRAGMA application_id = 0x434F4E44;
PRAGMA user_version = 1;
"""
"""Frozen: what the first version of the schema and some rows of its looked like."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "node.db"
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA journal_mode = WAL;" + VERSION_1)
    connection.close()
    return path


def version(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return found
    finally:
        connection.close()


async def test_a_version_1_database_is_upgraded_with_all_its_rows(old: Path) -> None:
    database = await Database.open(old, NODE)
    tasks = Tasks(database)
    first, second = [await tasks.get(number.to_bytes(16, "big")) for number in (1, 2)]
    assert (first.state, first.idempotency_key, first.paid_micro, first.finished_unix_ms) == (
        "completed",
        "key",
        1000,
        3000,
    )
    assert (second.state, second.parent_id, second.node_name) == ("working", first.task_id, "part")
    assert [event.kind for event in await tasks.events(first.task_id)] == ["submitted"]
    spending = Spending(database, Caps(day_micro=10_000, peer_micro=10_000))
    assert await spending.day_used_micro(5000) == 1700
    assert [held.amount_micro for held in await spending.open_reservations()] == [700]
    await KnownPeers(database).seen(b"p" * 32, "::1", 7000, 1)
    await database.close()
    assert version(old) == len(NODE.migrations) > 1


async def test_the_old_file_is_kept_and_private(old: Path) -> None:
    await (await Database.open(old, NODE)).close()
    kept = backup_path(old, 1)
    assert kept.name == "node.db.v1.backup"
    assert version(kept) == 1
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    connection = sqlite3.connect(kept)
    assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (2,)
    connection.close()
    assert sorted(path.name for path in old.parent.iterdir()) == ["node.db", "node.db.v1.backup"]


async def test_an_upgraded_or_new_file_is_not_copied_again(old: Path, tmp_path: Path) -> None:
    await (await Database.open(old, NODE)).close()
    backup_path(old, 1).unlink()
    await (await Database.open(old, NODE)).close()
    await (await Database.open(tmp_path / "new.db", NODE)).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.db", "node.db"]


async def test_without_a_copy_there_is_no_upgrade(old: Path) -> None:
    in_the_way = backup_path(old, 1)
    in_the_way.mkdir()
    (in_the_way / "file").touch()
    with pytest.raises(StorageError, match=r"cannot keep a copy of .*node\.db before its upgrade"):
        await Database.open(old, NODE)
    assert version(old) == 1
    in_the_way.joinpath("file").unlink()
    in_the_way.rmdir()
    await (await Database.open(old, NODE)).close()


async def test_an_upgraded_file_has_the_same_schema_as_a_new_one(old: Path, tmp_path: Path) -> None:
    def schema(connection: sqlite3.Connection) -> list[tuple[str, str]]:
        return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()

    upgraded, new = await Database.open(old, NODE), await Database.open(tmp_path / "new.db", NODE)
    assert await upgraded.read(schema) == await new.read(schema)
    await upgraded.close()
    await new.close()
