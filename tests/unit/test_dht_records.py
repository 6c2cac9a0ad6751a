"""Records: what is signed is what is sent, and nothing else is accepted."""

import pytest

from crypto.identity import Identity
from dht.errors import LocalDhtError, RemoteDhtError
from dht.ids import ID_BYTES, distance, network_tag, skill_key
from dht.records import MAX_BODY_BYTES, MAX_CLOCK_SKEW_MS, MAX_TTL_MS, MIN_RECORD_BYTES, open_record, sign_record

NOW_MS = 1_800_000_000_000
SELLER = Identity(b"\1" * 32)
KEY = skill_key("main", "risk")


def test_a_signed_record_opens_to_what_was_signed() -> None:
    record = sign_record(SELLER, KEY, 7, NOW_MS + 1000, b"body")
    assert open_record(record.raw, NOW_MS) == record
    assert (record.key, record.public_key, record.seq, record.body) == (KEY, SELLER.public_key, 7, b"body")
    assert record.publisher_id == SELLER.node_id
    assert len(record.raw) == MIN_RECORD_BYTES + 4


def test_every_single_changed_byte_is_refused() -> None:
    raw = sign_record(SELLER, KEY, 7, NOW_MS + 1000, b"body").raw
    for at in range(len(raw)):
        forged = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises(RemoteDhtError):
            open_record(forged, NOW_MS)


def test_a_record_signed_by_another_key_is_refused() -> None:
    honest = sign_record(SELLER, KEY, 7, NOW_MS + 1000, b"body").raw
    thief = sign_record(Identity(b"\2" * 32), KEY, 7, NOW_MS + 1000, b"body").raw
    with pytest.raises(RemoteDhtError, match="bad_signature"):
        open_record(honest[:-64] + thief[-64:], NOW_MS)


@pytest.mark.parametrize(
    ("left_ms", "code"),
    [(0, "expired"), (-1, "expired"), (MAX_TTL_MS + MAX_CLOCK_SKEW_MS + 1, "too_long_lived")],
)
def test_an_expired_or_too_long_lived_record_is_refused(left_ms: int, code: str) -> None:
    record = sign_record(SELLER, KEY, 7, NOW_MS + left_ms, b"body")
    with pytest.raises(RemoteDhtError) as caught:
        open_record(record.raw, NOW_MS)
    assert caught.value.code == code


def test_a_record_at_the_limits_is_accepted() -> None:
    record = sign_record(SELLER, KEY, 2**63 - 1, NOW_MS + MAX_TTL_MS + MAX_CLOCK_SKEW_MS, b"x" * MAX_BODY_BYTES)
    assert open_record(record.raw, NOW_MS) == record


@pytest.mark.parametrize(
    ("key", "seq", "body", "text"),
    [(b"short", 0, b"", "20 bytes"), (KEY, 0, b"x" * 513, "512"), (KEY, -1, b"", "seq"), (KEY, 2**63, b"", "seq")],
)
def test_what_cannot_be_a_record_is_a_clear_local_error(key: bytes, seq: int, body: bytes, text: str) -> None:
    with pytest.raises(LocalDhtError, match=text):
        sign_record(SELLER, key, seq, NOW_MS, body)


def test_keys_differ_by_network_and_label() -> None:
    keys = {skill_key("main", "risk"), skill_key("test", "risk"), skill_key("main", "risk2"), skill_key("mainr", "isk")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {ID_BYTES}
    assert network_tag("main") != network_tag("test")


def test_distance_is_a_metric_on_examples() -> None:
    one, other = b"\0" * 19 + b"\5", b"\0" * 19 + b"\6"
    assert distance(one, other) == distance(other, one) == 3
    assert distance(one, one) == 0
