"""The journal on disk: what was acknowledged survives SIGKILL, and whatever is done to the file is named."""

import asyncio
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from node.errors import UsageError
from node.ledger.journal import Kind, note_record, offer_record, receipt_record
from node.store.errors import DamagedError, StorageError, VersionError
from node.store.journal_store import PAGE_ENTRIES, Journal
from protocol.errors import RemoteProtocolError
from protocol.receipts import offer_receipt
from tests.harness.jobs import CLIENT, NOW_UNIX_MS, STRANGER, receipt, receipt_terms, task_id_of

ROOT = Path(__file__).parents[2]


def body(number: int) -> tuple[Kind, bytes]:
    if number % 3 == 0:
        return "note", note_record({"n": number})
    if number % 3 == 1:
        return "receipt_offer", offer_record(offer_receipt(CLIENT, receipt_terms(number)))
    return "receipt", receipt_record(receipt(number - 1))


async def written(path: Path | None, count: int = 9) -> Journal:
    journal = await Journal.open(path, CLIENT)
    await asyncio.gather(*(journal.append(*body(number), NOW_UNIX_MS + number) for number in range(1, count + 1)))
    return journal


@pytest.mark.parametrize("in_memory", [False, True])
async def test_a_journal_gives_back_what_was_appended(tmp_path: Path, in_memory: bool) -> None:
    journal = await written(None if in_memory else tmp_path / "journal.db")
    assert await journal.height() == 9
    assert [entry.height for entry in await journal.tail(4)] == [6, 7, 8, 9]
    entry = await journal.show(2)
    assert (entry.kind, entry.body) == body(2)
    assert [found.kind for found in await journal.of_task(task_id_of(4))] == ["receipt_offer", "receipt"]
    assert await journal.verify(asyncio.to_thread) is None
    assert await journal.check_end() is None
    for height in (0, 10):
        with pytest.raises(UsageError, match=f"no entry {height}: it ends at 9"):
            await journal.show(height)
    await journal.close()


async def test_a_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await (await written(path)).close()
    journal = await written(path, 3)
    assert await journal.height() == 12
    assert await journal.verify(asyncio.to_thread) is None
    await journal.close()


async def test_an_empty_journal_verifies_and_exports_its_head(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "journal.db", CLIENT)
    assert await journal.height() == 0
    assert await journal.verify(asyncio.to_thread) is None
    assert [json.loads(line)["head"] async for line in journal.export()] == [0]
    await journal.close()


async def test_what_is_no_valid_entry_never_gets_in(tmp_path: Path) -> None:
    journal = await written(tmp_path / "journal.db", 1)
    made = receipt()
    with pytest.raises(RemoteProtocolError):
        await journal.append("receipt", made.body, NOW_UNIX_MS)
    assert await journal.height() == 1
    await journal.close()


async def test_verification_reads_a_long_journal_page_by_page_while_it_grows(tmp_path: Path) -> None:
    journal = await Journal.open(tmp_path / "journal.db", CLIENT)
    count = 2 * PAGE_ENTRIES + 10
    note = note_record({"n": 1})
    await asyncio.gather(*(journal.append("note", note, NOW_UNIX_MS) for _ in range(count)))
    verdict, *_ = await asyncio.gather(
        journal.verify(asyncio.to_thread), *(journal.append("note", note, NOW_UNIX_MS) for _ in range(50))
    )
    assert verdict is None
    assert await journal.height() == count + 50
    await journal.close()


# Tampering


TAMPERINGS = {
    "body": (
        "UPDATE entries SET body = cast(substr(body, 1, 40) || x'fe' || substr(body, 42) AS BLOB) WHERE height = 4",
        4,
    ),
    "kind": ("UPDATE entries SET kind = 'note' WHERE height = 5", 5),
    "kind that is no text": ("UPDATE entries SET kind = cast(x'ff' AS TEXT) WHERE height = 5", 5),
    "time": ("UPDATE entries SET unix_ms = unix_ms - 1 WHERE height = 1", 1),
    "negative time": ("UPDATE entries SET unix_ms = -1 WHERE height = 9", 9),
    "previous": ("UPDATE entries SET previous = zeroblob(32) WHERE height = 6", 6),
    "hash": ("UPDATE entries SET hash = zeroblob(32) WHERE height = 3", 3),
    "deleted": ("DELETE FROM entries WHERE height = 4", 4),
    "first deleted": ("DELETE FROM entries WHERE height = 1", 1),
    "all deleted": ("DELETE FROM entries", 1),
    "swapped": (
        "UPDATE entries SET height = -height WHERE height IN (4, 5);"
        "UPDATE entries SET height = 9 + height WHERE height < 0;",
        4,
    ),
    "truncated": ("DELETE FROM entries WHERE height > 7", 8),
    "truncated with a new head": ("DELETE FROM entries WHERE height > 7; UPDATE head SET height = 7", 7),
    "head moved": (
        "DELETE FROM entries WHERE height > 7;"
        "UPDATE head SET height = 7, hash = (SELECT hash FROM entries WHERE height = 7)",
        7,
    ),
    "head gone": ("DELETE FROM head", 0),
    "added before": (
        "INSERT INTO entries SELECT -3, previous, unix_ms, kind, body, hash, task_id FROM entries WHERE height = 2",
        1,
    ),
    "added after": (
        "INSERT INTO entries SELECT 10, hash, unix_ms, kind, body, hash, task_id FROM entries WHERE height = 9",
        10,
    ),
}


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_tampering_is_named_by_its_height(tmp_path: Path, what: str) -> None:
    path = tmp_path / "journal.db"
    await (await written(path)).close()
    statements, height = TAMPERINGS[what]
    connection = sqlite3.connect(path)
    connection.executescript(statements)
    connection.close()
    journal = await Journal.open(path, CLIENT)
    broken = await journal.verify(asyncio.to_thread)
    assert broken is not None
    assert broken.height == height
    await journal.close()


@pytest.mark.parametrize("what", ["truncated", "truncated with a new head", "head moved", "head gone", "all deleted"])
@pytest.mark.parametrize("running", [False, True])
async def test_a_tampered_end_is_never_signed_over(tmp_path: Path, what: str, running: bool) -> None:
    path = tmp_path / "journal.db"
    journal = await written(path)
    if not running:
        await journal.close()
    connection = sqlite3.connect(path)
    connection.executescript(TAMPERINGS[what][0])
    connection.close()
    if not running:
        journal = await Journal.open(path, CLIENT)
    assert await journal.check_end() is not None
    for _ in range(2):
        with pytest.raises(DamagedError, match="restore the file from a copy"):
            await journal.append(*body(3), NOW_UNIX_MS)
    assert await journal.verify(asyncio.to_thread) is not None
    await journal.close()


async def test_an_older_copy_is_found_by_a_head_noted_elsewhere(tmp_path: Path) -> None:
    path, older = tmp_path / "journal.db", tmp_path / "older.db"
    await (await written(path)).close()
    shutil.copy(path, older)
    journal = await written(path, 3)
    noted = await journal.head()
    assert noted is not None
    assert await journal.verify(asyncio.to_thread, at_least=noted) is None
    await journal.close()
    shutil.copy(older, path)
    journal = await Journal.open(path, CLIENT)
    assert await journal.verify(asyncio.to_thread) is None
    broken = await journal.verify(asyncio.to_thread, at_least=noted)
    assert broken is not None
    assert broken.height == 12
    await journal.close()


async def test_no_flipped_byte_of_the_file_passes_unseen(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = await written(path, 30)
    original = await journal.tail(30)
    await journal.close()
    content = path.read_bytes()
    named = 0
    for offset in range(0, len(content), len(content) // 150):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 0x55]) + content[offset + 1 :])
        for extra in ("journal.db-wal", "journal.db-shm"):
            (tmp_path / extra).unlink(missing_ok=True)
        try:
            journal = await Journal.open(path, CLIENT)
        except StorageError:
            named += 1
            continue
        try:
            if await journal.verify(asyncio.to_thread) is not None:
                named += 1
            else:  # the byte is in no entry: free space, an index, a counter
                assert await journal.tail(30) == original
        except StorageError:
            named += 1
        await journal.close()
    assert named > 50


async def test_a_journal_of_another_key_is_refused(tmp_path: Path) -> None:
    await (await written(tmp_path / "journal.db")).close()
    with pytest.raises(VersionError, match="belongs to another key: put back the key file"):
        await Journal.open(tmp_path / "journal.db", STRANGER)


async def test_an_export_can_be_checked_without_this_program(tmp_path: Path) -> None:
    journal = await written(tmp_path / "journal.db")
    *lines, last = [json.loads(line) async for line in journal.export()]
    previous = hashlib.sha256(b"coalesced/journal-genesis/1\0" + bytes.fromhex(last["owner"])).digest()
    for line in lines:
        kind = line["kind"].encode()
        content = line["height"].to_bytes(8, "big") + line["unix_ms"].to_bytes(8, "big")
        content += len(kind).to_bytes(4, "big") + previous + kind + bytes.fromhex(line["body"])
        previous = hashlib.sha256(b"coalesced/journal-entry/1\0" + content).digest()
        assert previous.hex() == line["hash"]
    assert (last["head"], last["hash"]) == (len(lines), previous.hex())
    await journal.close()


# Crashes


APPENDER = """
import asyncio, sys
from pathlib import Path
from node.ledger.journal import note_record
from node.store.journal_store import Journal
from tests.harness.jobs import CLIENT

async def main():
    journal = await Journal.open(Path(sys.argv[1]), CLIENT)
    async def worker(name):
        n = 0
        while True:
            n += 1
            entry = await journal.append("note", note_record({"worker": name, "n": n}), n)
            print(entry.height, entry.hash.hex(), flush=True)
    async with asyncio.TaskGroup() as group:
        for name in range(8):
            group.create_task(worker(name))

asyncio.run(main())
"""


async def test_every_acknowledged_entry_survives_a_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for wanted in (1, 200, 57):
        acknowledged: dict[int, str] = {}
        with subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            while len(acknowledged) < wanted:
                line = process.stdout.readline()
                assert line, "the appender ended by itself"
                height, digest = line.split()
                acknowledged[int(height)] = digest
            process.kill()
            for line in process.stdout.read().splitlines():
                if len(line.split()) == 2 and len(line.split()[1]) == 64:
                    acknowledged[int(line.split()[0])] = line.split()[1]
        journal = await Journal.open(path, CLIENT)
        assert await journal.verify(asyncio.to_thread) is None
        for known, digest in acknowledged.items():
            assert (await journal.show(known)).hash.hex() == digest
        await journal.close()


async def test_a_torn_write_ahead_log_leaves_a_whole_journal(tmp_path: Path) -> None:
    journal = await written(tmp_path / "journal.db")
    wal = (tmp_path / "journal.db-wal").read_bytes()
    for number, kept in enumerate(range(0, len(wal), len(wal) // 25)):
        torn = tmp_path / f"torn {number}"
        torn.mkdir()
        shutil.copy(tmp_path / "journal.db", torn)
        (torn / "journal.db-wal").write_bytes(wal[:kept])
        again = await Journal.open(torn / "journal.db", CLIENT)
        assert await again.verify(asyncio.to_thread) is None
        await again.append(*body(3), NOW_UNIX_MS)
        assert await again.verify(asyncio.to_thread) is None
        await again.close()
    await journal.close()


async def test_a_write_that_fails_is_not_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.store.connections.BUSY_TIMEOUT_S", 0.05)
    journal = await written(tmp_path / "journal.db", 3)
    blocker = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    appending = asyncio.ensure_future(journal.append(*body(3), NOW_UNIX_MS))
    with pytest.raises(StorageError, match="in use by another process"):
        await appending
    blocker.execute("ROLLBACK")
    blocker.close()
    assert await journal.height() == 3
    await journal.close()
    assert [path.name for path in tmp_path.iterdir()] == ["journal.db"]
