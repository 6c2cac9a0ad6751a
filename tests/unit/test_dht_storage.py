"""The record store: the higher seq wins for good, limits hold, what is over is gone."""

import tracemalloc

from crypto.identity import Identity
from dht.config import DhtConfig
from dht.ids import skill_key
from dht.records import Record, sign_record
from dht.storage import REMEMBER_MS, Outcome, RecordStore

NOW_MS = 1_800_000_000_000
TTL_MS = 3_600_000
KEY = skill_key("main", "risk")
SELLERS = [Identity(bytes([number]) * 32) for number in range(1, 13)]


def advert(seller: int = 0, seq: int = 1, body: bytes = b"body", key: bytes = KEY, now_ms: int = NOW_MS) -> Record:
    return sign_record(SELLERS[seller], key, seq, now_ms + TTL_MS, body)


def test_a_key_holds_one_record_of_each_publisher() -> None:
    store = RecordStore(DhtConfig())
    for seller in range(3):
        assert store.put(advert(seller), None, NOW_MS) is Outcome.STORED
    assert store.put(advert(1, seq=2, body=b"new"), None, NOW_MS) is Outcome.STORED
    assert sorted(record.body for record in store.find(KEY, NOW_MS)) == [b"body", b"body", b"new"]
    assert len(store) == 3


def test_a_lower_seq_never_replaces_a_higher_one() -> None:
    store = RecordStore(DhtConfig())
    store.put(advert(seq=5, body=b"new"), None, NOW_MS)
    assert store.put(advert(seq=4, body=b"old"), None, NOW_MS) is Outcome.OUTDATED
    assert store.put(advert(seq=5, body=b"other"), None, NOW_MS) is Outcome.OUTDATED
    assert [record.body for record in store.find(KEY, NOW_MS)] == [b"new"]


def test_storing_the_same_record_again_is_a_success() -> None:
    store = RecordStore(DhtConfig())
    assert store.put(advert(), None, NOW_MS) is Outcome.STORED
    assert store.put(advert(), None, NOW_MS) is Outcome.STORED
    assert len(store) == 1


def test_an_old_value_does_not_come_back_after_the_new_one_expired() -> None:
    store = RecordStore(DhtConfig())
    store.put(advert(seq=5), None, NOW_MS)
    later_ms = NOW_MS + TTL_MS
    assert store.find(KEY, later_ms) == []
    late_but_old = advert(seq=4, body=b"old", now_ms=later_ms)
    assert store.put(late_but_old, None, later_ms) is Outcome.OUTDATED
    assert store.held_seq(KEY, SELLERS[0].public_key) == 5


def test_an_old_value_does_not_come_back_after_a_withdrawal() -> None:
    store = RecordStore(DhtConfig())
    store.put(advert(seq=5), None, NOW_MS)
    store.put(advert(seq=6, body=b""), None, NOW_MS)
    assert store.put(advert(seq=5), None, NOW_MS) is Outcome.OUTDATED
    assert [record.is_withdrawal for record in store.find(KEY, NOW_MS)] == [True]


def test_a_seq_is_forgotten_once_no_older_record_can_be_alive() -> None:
    store = RecordStore(DhtConfig())
    store.put(advert(seq=5), None, NOW_MS)
    forgotten_ms = NOW_MS + TTL_MS + REMEMBER_MS
    store.expire(forgotten_ms - 1)
    assert store.held_seq(KEY, SELLERS[0].public_key) == 5
    store.expire(forgotten_ms)
    assert store.held_seq(KEY, SELLERS[0].public_key) == -1


def test_records_are_gone_at_their_expiry_and_free_their_room() -> None:
    store = RecordStore(DhtConfig(max_records=1))
    store.put(advert(0), None, NOW_MS)
    assert store.put(advert(1), None, NOW_MS) is Outcome.FULL
    assert store.put(advert(1, now_ms=NOW_MS + TTL_MS), None, NOW_MS + TTL_MS) is Outcome.STORED
    assert len(store) == 1


def test_the_limit_per_key_refuses_newcomers_but_not_updates() -> None:
    store = RecordStore(DhtConfig(max_records_per_key=2))
    store.put(advert(0), None, NOW_MS)
    store.put(advert(1), None, NOW_MS)
    assert store.put(advert(2), None, NOW_MS) is Outcome.FULL
    assert store.put(advert(1, seq=2), None, NOW_MS) is Outcome.STORED
    assert store.put(advert(2, key=skill_key("main", "other")), None, NOW_MS) is Outcome.STORED


def test_one_address_group_holds_eight_records_under_a_key() -> None:
    store = RecordStore(DhtConfig())
    outcomes = [store.put(advert(seller), "c0a801", NOW_MS) for seller in range(9)]
    assert outcomes == [Outcome.STORED] * 8 + [Outcome.FULL]
    assert store.put(advert(9), "c0a802", NOW_MS) is Outcome.STORED
    assert store.put(advert(10), None, NOW_MS) is Outcome.STORED


def test_remembered_seqs_are_bounded() -> None:
    store = RecordStore(DhtConfig(max_records=2))
    for number in range(12):
        now_ms = NOW_MS + number * TTL_MS
        store.put(advert(number, now_ms=now_ms), None, now_ms)
    remembered = [seller for seller in SELLERS if store.held_seq(KEY, seller.public_key) >= 0]
    assert 1 <= len(remembered) <= 2 * 2 + 1


def test_pages_from_any_start_cover_a_long_list() -> None:
    store = RecordStore(DhtConfig())
    for seller in range(12):
        store.put(advert(seller), None, NOW_MS)
    seen: set[bytes] = set()
    after = b"\x80" + bytes(19)
    for _ in range(4):
        page = store.page(KEY, after, budget_bytes=3 * len(advert().raw), overhead_bytes=0, now_unix_ms=NOW_MS)
        assert page.total == 12
        assert len(page.records) == 3
        seen |= {record.public_key for record in page.records}
        after = page.records[-1].publisher_id
    assert len(seen) == 12


def test_endless_updates_of_one_record_take_no_more_room() -> None:
    store = RecordStore(DhtConfig())
    records = [advert(seq=seq) for seq in range(1000)]
    tracemalloc.start()
    for record in records:
        assert store.put(record, None, NOW_MS) is Outcome.STORED
    used_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert used_bytes < 40_000
    assert store.find(KEY, NOW_MS + TTL_MS) == []
