"""The database behind the event loop: real files, real threads, a real SIGKILL."""

import asyncio
import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from node.store.database import Database
from node.store.errors import DamagedError, DiskFullError, StorageError, VersionError
from node.store.migrations import JOURNAL, NODE, Schema, backup_path


def make_table(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE numbers (n INTEGER PRIMARY KEY) STRICT")


def add(connection: sqlite3.Connection, n: int) -> int:
    connection.execute("INSERT INTO numbers VALUES (?)", (n,))
    return n


def numbers(connection: sqlite3.Connection) -> list[int]:
    return [n for (n,) in connection.execute("SELECT n FROM numbers ORDER BY n")]


async def open_numbers(path: Path | None, *, inline: bool = False) -> Database:
    database = await Database.open(path, NODE, inline=inline)
    await database.write(make_table)
    return database


@pytest.fixture(params=["threads", "inline", "memory"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    path = None if request.param == "memory" else tmp_path / "node.db"
    return await open_numbers(path, inline=request.param != "threads")


async def test_a_failing_write_undoes_only_itself(database: Database) -> None:
    results = await asyncio.gather(*(database.write(add, n % 7) for n in range(10)), return_exceptions=True)
    assert [isinstance(result, sqlite3.IntegrityError) for result in results] == [False] * 7 + [True] * 3
    assert await database.read(numbers) == list(range(7))
    await database.close()


async def test_a_failing_write_leaves_none_of_its_statements(database: Database) -> None:
    def two(connection: sqlite3.Connection) -> None:
        add(connection, 1)
        add(connection, 1)

    with pytest.raises(sqlite3.IntegrityError):
        await database.write(two)
    assert await database.read(numbers) == []
    await database.close()


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError):
        await database.read(add, 1)
    await database.write(add, 1)
    assert await database.read(numbers) == [1]
    await database.close()


async def test_a_read_sees_one_state_while_writes_go_on(tmp_path: Path) -> None:
    database = await open_numbers(tmp_path / "node.db")
    reading, written = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def twice(connection: sqlite3.Connection) -> tuple[list[int], list[int]]:
        before = numbers(connection)
        loop.call_soon_threadsafe(reading.set)
        asyncio.run_coroutine_threadsafe(written.wait(), loop).result(timeout=60)
        return before, numbers(connection)

    read = asyncio.ensure_future(database.read(twice))
    await reading.wait()
    await database.write(add, 1)
    written.set()
    assert await read == ([], [])
    assert await database.read(numbers) == [1]
    await database.close()


async def test_writes_that_wait_share_one_transaction(tmp_path: Path) -> None:
    groups: list[int] = []
    database = await Database.open(tmp_path / "node.db", NODE, before_commit=lambda _: groups.append(1))
    await database.write(make_table)
    groups.clear()
    await asyncio.gather(*(database.write(add, n) for n in range(100)))
    assert len(groups) == 2  # the first went at once, the other 99 waited for it
    await database.close()


async def test_a_write_that_nobody_waits_for_is_committed_before_what_follows_and_with_it(tmp_path: Path) -> None:
    groups: list[int] = []
    database = await Database.open(tmp_path / "node.db", NODE, before_commit=lambda _: groups.append(1))
    await database.write(make_table)
    groups.clear()
    posted = [database.post(add, n) for n in range(3)]
    await database.write(add, 3)
    assert [await one for one in posted] == [0, 1, 2]
    assert len(groups) == 1
    assert await database.read(numbers) == [0, 1, 2, 3]
    await database.close()


async def test_closing_commits_what_nobody_waited_for(tmp_path: Path) -> None:
    database = await open_numbers(tmp_path / "node.db")
    posted = database.post(add, 7)
    await database.close()
    assert posted.result() == 7
    again = await Database.open(tmp_path / "node.db", NODE)
    assert await again.read(numbers) == [7]
    await again.close()


async def test_of_reads_that_go_together_a_failing_one_fails_alone(database: Database) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT nothing FROM nowhere")

    await database.write(add, 1)
    found = await asyncio.gather(
        database.read(numbers), database.read(fail), database.read(numbers), return_exceptions=True
    )
    assert (found[0], found[2]) == ([1], [1])
    assert isinstance(found[1], sqlite3.OperationalError | StorageError)
    await database.close()


async def test_a_full_disk_fails_the_write_and_nothing_else(tmp_path: Path) -> None:
    database = await open_numbers(tmp_path / "node.db")

    def shrink(connection: sqlite3.Connection) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    def large(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE large (data BLOB) STRICT")
        connection.execute("INSERT INTO large VALUES (zeroblob(1000000))")

    await database.write(add, 1)
    await database.write(shrink)
    with pytest.raises(DiskFullError, match="free some space"):
        await database.write(large)
    await database.write(add, 2)
    assert await database.read(numbers) == [1, 2]
    await database.close()


async def test_a_cancelled_caller_does_not_stop_its_write_or_others(tmp_path: Path) -> None:
    database = await open_numbers(tmp_path / "node.db")
    writes = [asyncio.ensure_future(database.write(add, n)) for n in range(20)]
    await asyncio.sleep(0)
    writes[3].cancel()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(results[3], asyncio.CancelledError)
    assert await database.read(numbers) == list(range(20))
    await database.close()


async def test_closing_finishes_what_is_queued_and_leaves_one_file(tmp_path: Path) -> None:
    database = await open_numbers(tmp_path / "node.db")
    writes = [asyncio.ensure_future(database.write(add, n)) for n in range(50)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*writes)
    await database.close()
    with pytest.raises(StorageError, match="closed"):
        await database.write(add, 51)
    assert [path.name for path in tmp_path.iterdir()] == ["node.db"]
    again = await Database.open(tmp_path / "node.db", NODE)
    assert await again.read(numbers) == list(range(50))
    await again.close()


async def test_what_was_committed_is_there_after_a_crash(tmp_path: Path) -> None:
    database = await open_numbers(tmp_path / "node.db")
    await database.write(add, 1)
    left = tmp_path / "left behind"
    shutil.copytree(tmp_path, left, ignore=lambda *_: ["left behind"])  # the files as a killed process leaves them
    again = await Database.open(left / "node.db", NODE)
    assert await again.read(numbers) == [1]
    await again.close()
    await database.close()


async def test_files_are_private(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    database = await open_numbers(home / "node.db")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {0o600}
    await database.close()
    (home / "node.db").chmod(0o644)
    await (await Database.open(home / "node.db", NODE)).close()
    assert stat.S_IMODE((home / "node.db").stat().st_mode) == 0o600


async def test_a_path_with_odd_characters_works(tmp_path: Path) -> None:
    database = await open_numbers(tmp_path / "a b?c#d%20é" / "node.db")
    await database.write(add, 1)
    assert await database.read(numbers) == [1]
    await database.close()


@pytest.mark.parametrize("offset", [0, 4096])
async def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "node.db"
    database = await open_numbers(path)
    await asyncio.gather(*(database.write(add, n) for n in range(2000)))
    await database.close()
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(os.urandom(2000))
    with pytest.raises(DamagedError, match=r"node\.db is damaged .* restore the file from a copy"):
        await Database.open(path, NODE)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node.db").write_text("my shopping list, which is long enough to be looked at " * 20)
    with pytest.raises(DamagedError, match="not a database"):
        await Database.open(tmp_path / "node.db", NODE)


async def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.db"
    database = await open_numbers(path)
    await asyncio.gather(*(database.write(add, n) for n in range(2000)))
    await database.close()
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(DamagedError):
        await Database.open(path, NODE)


@pytest.mark.parametrize("home", ["/proc/coalesced", "/dev/null"])
async def test_a_directory_that_cannot_be_had_is_named(home: str) -> None:
    with pytest.raises(StorageError, match=f"cannot create {home}/node.db .* choose another directory"):
        await Database.open(Path(home) / "node.db", NODE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize(("directory_mode", "file_mode"), [(0o500, 0o600), (0o700, 0o400)])
async def test_a_read_only_directory_or_file_is_named_on_opening(
    tmp_path: Path, directory_mode: int, file_mode: int
) -> None:
    await (await Database.open(tmp_path / "node.db", NODE)).close()
    (tmp_path / "node.db").chmod(file_mode)
    tmp_path.chmod(directory_mode)
    try:
        with pytest.raises(StorageError, match="choose another directory"):
            await Database.open(tmp_path / "node.db", NODE)
    finally:
        tmp_path.chmod(0o700)


async def test_a_file_in_use_by_another_process_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.store.connections.BUSY_TIMEOUT_S", 0.05)
    database = await open_numbers(tmp_path / "node.db")
    other = sqlite3.connect(tmp_path / "node.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="in use by another process"):
        await database.write(add, 1)
    other.execute("ROLLBACK")
    other.close()
    await database.write(add, 1)
    await database.close()


# Schema versions


async def test_a_newer_file_is_refused_untouched(tmp_path: Path) -> None:
    await (await Database.open(tmp_path / "node.db", NODE)).close()
    connection = sqlite3.connect(tmp_path / "node.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(VersionError, match="schema 99, this program knows up to"):
        await Database.open(tmp_path / "node.db", NODE)


async def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    await (await Database.open(tmp_path / "node.db", NODE)).close()
    with pytest.raises(VersionError, match="not a coalesced journal database"):
        await Database.open(tmp_path / "node.db", JOURNAL)


async def test_a_step_that_fails_leaves_the_version_before(tmp_path: Path) -> None:
    first = Schema("test", 1, ("CREATE TABLE first (n INTEGER) STRICT;",))
    half = "CREATE TABLE second (n INTEGER) STRICT; INSERT INTO missing VALUES (1);"
    path = tmp_path / "test.db"
    await (await Database.open(path, first)).close()
    with pytest.raises(sqlite3.OperationalError, match="missing"):
        await Database.open(path, Schema("test", 1, (*first.migrations, half)))
    database = await Database.open(path, first)
    assert await database.read(lambda c: c.execute("SELECT name FROM sqlite_schema").fetchall()) == [("first",)]
    await database.close()
    assert backup_path(path, 1).exists()
