"""Inputs and results: the quota holds, live tasks keep theirs, the oldest finished ones make room."""

import hashlib
import sqlite3
from pathlib import Path

import pytest

from node.errors import UsageError
from node.store.blobs import Blobs, RetentionConfig
from node.store.database import Database
from node.store.errors import DamagedError, QuotaError
from node.store.migrations import BLOBS

MIB = 2**20


async def blobs(path: Path | None = None, quota_bytes: int = 4 * MIB) -> Blobs:
    config = RetentionConfig(quota_bytes=quota_bytes, keep_content_s=100)
    return Blobs(await Database.open(path, BLOBS), config)


def task(number: int) -> bytes:
    return number.to_bytes(16, "big")


def content(number: int, size: int = MIB) -> bytes:
    return bytes([number]) * size


async def test_content_comes_back_by_its_digest() -> None:
    store = await blobs()
    digest = await store.put(task(1), "input", b"hello", "text/plain")
    assert digest == hashlib.sha256(b"hello").digest()
    assert await store.get(digest) == b"hello"
    (use,) = await store.of_task(task(1))
    assert (use.part, use.size_bytes, use.media_type) == ("input", 5, "text/plain")


async def test_equal_content_is_stored_once_and_kept_for_the_last_who_needs_it() -> None:
    store = await blobs()
    digest = await store.put(task(1), "input", content(1), "a/b")
    await store.put(task(2), "result", content(1), "a/b")
    assert await store.used_bytes() == MIB
    await store.finish(task(1), 0)
    assert await store.expire(1_000_000) == 0
    assert await store.get(digest) == content(1)


async def test_over_quota_the_tasks_that_finished_first_make_room() -> None:
    store = await blobs()
    digests = {number: await store.put(task(number), "input", content(number), "a/b") for number in (1, 2, 3, 4)}
    await store.finish(task(3), 10)
    await store.finish(task(1), 20)
    await store.put(task(5), "input", content(5), "a/b")
    with pytest.raises(UsageError, match="not kept here any more"):
        await store.get(digests[3])
    for number in (1, 2, 4):
        assert await store.get(digests[number]) == content(number)
    await store.put(task(6), "input", content(6), "a/b")
    with pytest.raises(UsageError):
        await store.get(digests[1])
    assert await store.used_bytes() == 4 * MIB


async def test_content_of_unfinished_tasks_is_never_evicted() -> None:
    store = await blobs()
    for number in (1, 2, 3):
        await store.put(task(number), "input", content(number), "a/b")
    await store.put(task(4), "input", content(4), "a/b")
    await store.finish(task(4), 10)
    with pytest.raises(QuotaError, match=f"no room for {2 * MIB} bytes: unfinished tasks hold {3 * MIB} of the quota"):
        await store.put(task(5), "input", content(5, 2 * MIB), "a/b")
    assert await store.used_bytes() == 4 * MIB  # nothing was evicted for a put that could not succeed
    assert await store.of_task(task(5)) == []


async def test_content_that_never_fits_is_not_told_to_wait() -> None:
    store = await blobs()
    size = store.config.quota_bytes + 1
    with pytest.raises(
        QuotaError, match=f"content of {size} bytes is larger than the whole quota of {size - 1}: raise"
    ):
        await store.put(task(1), "input", content(1, size), "a/b")


async def test_a_second_put_replaces_the_first() -> None:
    store = await blobs()
    await store.put(task(1), "result", content(1, 3 * MIB), "a/b")
    await store.put(task(1), "result", content(2, 3 * MIB), "a/b")
    assert await store.used_bytes() == 3 * MIB
    await store.put(task(1), "result", content(2, 3 * MIB), "c/d")
    assert [use.media_type for use in await store.of_task(task(1))] == ["c/d"]


async def test_content_expires_some_time_after_its_task_finished(tmp_path: Path) -> None:
    store = await blobs(tmp_path / "blobs.db")
    for number in (1, 2, 3):
        await store.put(task(number), "input", content(number), "a/b")
    await store.finish(task(1), 1_000)
    await store.finish(task(2), 50_000)
    assert await store.live_tasks() == [task(3)]
    assert await store.expire(101_000) == 0
    assert await store.expire(101_001) == MIB
    assert await store.of_task(task(1)) == []
    assert len(await store.of_task(task(2))) == 1


async def test_freed_space_is_given_back_to_the_disk(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "blobs.db", BLOBS)
    store = Blobs(database, RetentionConfig(quota_bytes=8 * MIB, keep_content_s=100))
    await store.put(task(1), "input", content(1, 7 * MIB), "a/b")
    await store.finish(task(1), 0)
    await store.expire(1_000_000)
    await database.close()
    assert (tmp_path / "blobs.db").stat().st_size < MIB


async def test_changed_content_is_found_out(tmp_path: Path) -> None:
    database = await Database.open(tmp_path / "blobs.db", BLOBS)
    store = Blobs(database, RetentionConfig())
    digest = await store.put(task(1), "input", b"hello", "a/b")
    other = sqlite3.connect(tmp_path / "blobs.db")
    other.execute("UPDATE blobs SET data = x'00'")
    other.commit()
    other.close()
    with pytest.raises(DamagedError, match="is another"):
        await store.get(digest)
    await database.close()


async def test_the_last_content_of_a_task_makes_all_of_it_evictable_at_once() -> None:
    store = await blobs()
    await store.put(task(1), "input", content(1), "text/plain")
    digest = await store.put_last(task(1), content(2), "text/plain", 1000)
    assert await store.live_tasks() == []
    assert await store.get(digest) == content(2)
    await store.put(task(2), "input", content(3, 4 * MIB), "text/plain")
    assert await store.of_task(task(1)) == []
