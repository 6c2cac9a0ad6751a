"""Peers, outcomes, calibration, offers and decisions, and the store that opens them all."""

import math
import os
from pathlib import Path

import msgspec
import pytest

from crypto.identity import Identity
from node.decision.reliability import MONTH_MS
from node.ledger.journal import note_record
from node.store import peers as peer_rows
from node.store.blobs import RetentionConfig
from node.store.errors import DamagedError, StorageError
from node.store.history import MAX_JOBS_PER_PAIR, JobOutcome, PeerTotals, record
from node.store.offers import SoldFunction
from node.store.spending import Caps
from node.store.store import Store, Swept
from node.store.tasks import TaskChange, TaskRow

OWNER = Identity(b"\x01" * 32)
SELLER, OTHER = b"\x02" * 32, b"\x03" * 32
MONTH = round(MONTH_MS)


async def open_store(directory: Path | None = None) -> Store:
    return await Store.open(
        directory, OWNER, caps=Caps(day_micro=1000, peer_micro=500), retention=RetentionConfig(keep_content_s=100)
    )


def outcome(number: int, *, success: bool = True, unix_ms: int = 0, contractor: bytes = SELLER) -> JobOutcome:
    return JobOutcome(
        task_id=number.to_bytes(16, "big"),
        contractor=contractor,
        skill="risk",
        unix_ms=unix_ms,
        success=success,
        kind="ok" if success else "timeout",
        paid_micro=10 if success else 0,
        duration_ms=900,
    )


# Peers


async def test_a_known_peer_is_updated_and_keeps_its_last_round_trip() -> None:
    store = await open_store()
    await store.peers.seen(SELLER, "10.0.0.1", 7000, 5, rtt_s=0.0125)
    await store.peers.seen(SELLER, "10.0.0.2", 7001, 9)
    await store.peers.offend(SELLER)
    (peer,) = await store.peers.known()
    assert (peer.host, peer.port, peer.rtt_s, peer.offences) == ("10.0.0.2", 7001, 0.0125, 1)
    assert (peer.first_seen_unix_ms, peer.last_seen_unix_ms) == (5, 9)
    await store.peers.forget(SELLER)
    assert await store.peers.known() == []


async def test_known_peers_are_bounded_and_the_stalest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_rows, "MAX_KNOWN", 10)
    store = await open_store()
    for number in range(25):
        await store.peers.seen(number.to_bytes(32, "big"), "::1", 7000, number)
    assert [peer.last_seen_unix_ms for peer in await store.peers.known()] == list(range(24, 14, -1))


async def test_a_block_outlives_what_is_known_of_the_peer() -> None:
    store = await open_store()
    await store.peers.block(SELLER, 5, "overcharged")
    await store.peers.forget(SELLER)
    assert [(peer.public_key, peer.reason) for peer in await store.peers.blocked()] == [(SELLER, "overcharged")]
    assert await store.peers.unblock(SELLER)
    assert not await store.peers.unblock(SELLER)


# History


async def test_counts_decay_job_by_job() -> None:
    store = await open_store()
    await store.outcomes.record(outcome(1, unix_ms=0))
    await store.outcomes.record(outcome(2, unix_ms=MONTH))
    await store.outcomes.record(outcome(3, success=False, unix_ms=MONTH))
    counts = await store.outcomes.counts([SELLER, OTHER], "risk", 3 * MONTH, decay_per_month=0.1)
    assert counts[SELLER].successes == pytest.approx(math.exp(-0.3) + math.exp(-0.2))
    assert counts[SELLER].failures == pytest.approx(math.exp(-0.2))
    assert counts[SELLER].jobs == 3
    assert (counts[OTHER].successes, counts[OTHER].failures, counts[OTHER].jobs) == (0, 0, 0)
    other_skill = await store.outcomes.counts([SELLER], "sentiment", 3 * MONTH)
    assert other_skill[SELLER].jobs == 0


async def test_a_clock_that_went_back_decays_nothing() -> None:
    store = await open_store()
    await store.outcomes.record(outcome(1, unix_ms=MONTH))
    assert (await store.outcomes.counts([SELLER], "risk", 0))[SELLER].successes == 1.0


async def test_one_job_counts_once() -> None:
    store = await open_store()
    assert await store.outcomes.record(outcome(1, success=False))
    assert not await store.outcomes.record(outcome(1))
    assert (await store.outcomes.counts([SELLER], "risk", 0))[SELLER].failures == 1.0


async def test_counts_of_very_many_contractors_come_in_one_call() -> None:
    store = await open_store()
    keys = [number.to_bytes(32, "big") for number in range(3000)]
    await store.outcomes.record(outcome(1, contractor=keys[2999]))
    counts = await store.outcomes.counts(keys, "risk", 0)
    assert len(counts) == 3000
    assert counts[keys[2999]].jobs == 1


async def test_kept_evidence_is_bounded_and_the_oldest_goes() -> None:
    store = await open_store()

    def many(connection: object) -> None:
        for number in range(MAX_JOBS_PER_PAIR + 20):
            record(connection, outcome(number, unix_ms=number, success=number >= 20))  # type: ignore[arg-type]

    await store.database.write(many)
    counts = (await store.outcomes.counts([SELLER], "risk", 0))[SELLER]
    assert (counts.jobs, counts.failures) == (MAX_JOBS_PER_PAIR, 0)


async def test_totals_and_recent_jobs() -> None:
    store = await open_store()
    await store.outcomes.record(outcome(1, unix_ms=1))
    await store.outcomes.record(outcome(2, unix_ms=2, success=False))
    assert await store.outcomes.totals() == {SELLER: PeerTotals(2, 1, 10)}
    assert await store.outcomes.recent(SELLER) == [outcome(2, unix_ms=2, success=False), outcome(1, unix_ms=1)]


# The rest


async def test_a_sweep_forgets_old_payments_and_no_promise() -> None:
    store = await open_store()
    day = 86_400_000
    for number, unix_ms in ((1, day), (2, day), (3, 60 * day)):
        await store.spending.reserve(number.to_bytes(16, "big"), SELLER, 100, unix_ms)
    for number in (1, 3):
        await store.spending.settle(number.to_bytes(16, "big"), SELLER, 90)
    await store.sweep(100 * day)
    assert await store.spending.day_used_micro(day) == 100
    assert await store.spending.day_used_micro(60 * day) == 90
    assert [held.task_id[-1] for held in await store.spending.open_reservations()] == [2]


async def test_decisions_are_kept_in_order_and_bounded() -> None:
    store = await open_store()
    numbers = [await store.decisions.add(b"t" * 16, f'{{"n":{n}}}', n) for n in range(1, 104)]
    assert numbers == list(range(1, 104))
    kept = await store.decisions.of_task(b"t" * 16)
    assert [decision.seq for decision in kept] == list(range(4, 104))
    assert kept[-1].body == '{"n":103}'
    assert await store.decisions.forget(100) == 96


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    sold = SoldFunction(
        label="ocr",
        target="scan:ocr",
        directory="/home/me",
        python="/usr/bin/python3",
        environment={"LANG": "C"},
        price_micro=2000,
        timeout_s=1.5,
        memory_bytes=2**30,
    )
    await store.sold_functions.save(sold, 1)
    await store.sold_functions.save(msgspec.structs.replace(sold, label="other"), 1)
    await store.calibrations.save("risk/full", '{"a":0.1}', 1)
    await store.calibrations.save("risk/full", '{"a":0.2}', 2)
    await store.spending.reserve(b"t" * 16, SELLER, 100, 5)
    await store.journal.append("note", note_record({"text": "hello"}), 5)
    await store.close()
    store = await open_store(tmp_path)
    assert await store.sold_functions.load() == [sold, msgspec.structs.replace(sold, label="other")]
    assert await store.sold_functions.remove("other")
    assert not await store.sold_functions.remove("other")
    assert await store.calibrations.load() == {"risk/full": '{"a":0.2}'}
    assert [held.amount_micro for held in await store.spending.open_reservations()] == [100]
    assert await store.journal.height() == 1
    await store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blobs.db", "journal.db", "ledger.db", "node.db"]


def task_row(number: int) -> TaskRow:
    return TaskRow(
        task_id=number.to_bytes(16, "big"),
        role="client",
        specification=b"s",
        skill="risk",
        created_unix_ms=1,
        deadline_unix_ms=9,
    )


async def test_after_a_crash_finished_tasks_hold_no_content(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    for number in (1, 2):
        await store.tasks.open_logged(task_row(number), 1, "submitted", "{}")
    for number in (1, 2, 3):
        await store.blobs.put(task_row(number).task_id, "input", os.urandom(1000), "a/b")
    await store.tasks.change(task_row(1).task_id, TaskChange(state="failed"), 500_000)
    await store.close()  # before the content of task 1 was released; task 3's row never made it to the disk
    store = await open_store(tmp_path)
    assert await store.blobs.live_tasks() == [task_row(2).task_id]
    assert (await store.sweep(500_001)).content_bytes == 1000  # task 3's; task 1 ended just now
    assert await store.sweep(700_000) == Swept(tasks=0, decisions=0, content_bytes=1000)
    assert (await store.sweep(10**12)).tasks == 1
    await store.close()


async def test_a_store_that_cannot_open_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"junk" * 1000)
    with pytest.raises(DamagedError, match=r"journal\.db"):
        await open_store(tmp_path)
    (tmp_path / "journal.db").unlink()
    store = await open_store(tmp_path)
    await store.close()
    with pytest.raises(StorageError, match="the node is stopping"):
        await store.tasks.select()
