"""The wire form of discovery, and what it refuses."""

from contextlib import suppress

import pytest

from crypto.identity import Identity
from dht.contacts import NodeAddress, packed_host
from dht.datagram import (
    LOOKUP_BYTES,
    MAX_AMPLIFICATION,
    MAX_DATAGRAM_BYTES,
    NO_TOKEN,
    PING_BYTES,
    Body,
    FindNode,
    FindValue,
    Nodes,
    Ping,
    Pong,
    Store,
    Stored,
    Values,
    answer_budget_bytes,
    decode,
    encode,
)
from dht.errors import LocalDhtError, RemoteDhtError
from dht.ids import network_tag
from dht.records import MAX_BODY_BYTES, sign_record
from dht.storage import Outcome

TAG = network_tag("main")
ALICE = Identity(b"\1" * 32)
BOB = Identity(b"\2" * 32)
RECORD = sign_record(ALICE, b"k" * 20, 3, 9, b"body").raw
V4 = NodeAddress(b"a" * 20, "10.0.0.1", 4000)
V6 = NodeAddress(b"b" * 20, "2001:db8::1", 65535)

BODIES: list[Body] = [
    Ping(),
    FindNode(b"t" * 20),
    FindValue(b"k" * 20, b"s" * 20),
    Store(NO_TOKEN, RECORD),
    Pong("127.0.0.1", 1),
    Pong("::1", 65535),
    Nodes(b"tokentok", (V4, V6)),
    Nodes(b"tokentok", ()),
    Values(b"tokentok", 700, (RECORD, RECORD), (V4,)),
    Stored(Outcome.OUTDATED, b"tokentok", 5),
    Stored(Outcome.REFUSED, b"tokentok", -1),
]


def sealed(body: Body) -> bytes:
    return encode(ALICE, TAG, BOB.node_id, b"r" * 16, 1_800_000_000_000, body)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_every_message_survives_the_wire(body: Body) -> None:
    datagram = decode(sealed(body), TAG)
    assert datagram.body == body
    assert (datagram.sender_key, datagram.recipient_id) == (ALICE.public_key, BOB.node_id)
    assert (datagram.request_id, datagram.unix_ms) == (b"r" * 16, 1_800_000_000_000)
    assert datagram.is_genuine()


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_no_changed_byte_is_genuine(body: Body) -> None:
    raw = sealed(body)
    for at in range(len(raw)):
        forged = raw[:at] + bytes([raw[at] ^ 0x40]) + raw[at + 1 :]
        with suppress(RemoteDhtError):
            assert not decode(forged, TAG).is_genuine()


def test_another_network_another_version_and_an_unknown_kind_are_told_apart() -> None:
    raw = sealed(Ping())
    with pytest.raises(RemoteDhtError) as caught:
        decode(raw, network_tag("other"))
    assert caught.value.code == "wrong_network"
    with pytest.raises(RemoteDhtError) as caught:
        decode(raw[:2] + b"\2" + raw[3:], TAG)
    assert caught.value.code == "wrong_version"
    with pytest.raises(RemoteDhtError) as caught:
        decode(raw[:3] + b"\x63" + raw[4:], TAG)
    assert caught.value.code == "unknown_kind"


@pytest.mark.parametrize("size", [0, 1, PING_BYTES - 1, MAX_DATAGRAM_BYTES + 1, 65_000])
def test_sizes_out_of_bounds_are_malformed(size: int) -> None:
    with pytest.raises(RemoteDhtError) as caught:
        decode(sealed(Ping())[:4].ljust(size, b"\0")[:size], TAG)
    assert caught.value.code == "malformed"


def test_every_request_earns_at_most_three_times_its_size() -> None:
    for body in BODIES[:4]:
        request = decode(sealed(body), TAG)
        answer_bytes = answer_budget_bytes(request) + PING_BYTES
        assert answer_bytes + PING_BYTES <= MAX_AMPLIFICATION * len(request.raw)
    assert len(sealed(FindNode(b"t" * 20))) == len(sealed(FindValue(b"t" * 20, b"s" * 20))) == LOOKUP_BYTES
    assert answer_budget_bytes(decode(sealed(FindNode(b"t" * 20)), TAG)) == MAX_DATAGRAM_BYTES - PING_BYTES


def test_the_largest_record_fits_beside_eight_nodes() -> None:
    record = sign_record(ALICE, b"k" * 20, 3, 9, b"x" * MAX_BODY_BYTES).raw
    assert len(sealed(Values(NO_TOKEN, 1, (record,), (V6,) * 8))) <= MAX_DATAGRAM_BYTES
    assert len(sealed(Nodes(NO_TOKEN, (V6,) * 20))) <= MAX_DATAGRAM_BYTES


def test_what_exceeds_a_datagram_is_our_own_error() -> None:
    record = sign_record(ALICE, b"k" * 20, 3, 9, b"x" * MAX_BODY_BYTES).raw
    with pytest.raises(LocalDhtError, match="1280"):
        sealed(Values(NO_TOKEN, 2, (record, record), ()))


def test_a_host_name_is_not_an_address() -> None:
    with pytest.raises(ValueError, match=r"example\.org"):
        packed_host("example.org")
