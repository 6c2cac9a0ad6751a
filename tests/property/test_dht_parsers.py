"""Any bytes parse or raise RemoteDhtError; what parses is what was sent; the store agrees with a model."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.identity import Identity
from dht.config import DhtConfig
from dht.contacts import NodeAddress, nearest, unpacked_host
from dht.datagram import (
    OVERHEAD_BYTES,
    Body,
    FindNode,
    FindValue,
    Nodes,
    Ping,
    Pong,
    Store,
    Stored,
    Values,
    decode,
    encode,
)
from dht.errors import RemoteDhtError
from dht.ids import ID_BYTES, distance, network_tag
from dht.records import MIN_RECORD_BYTES, Record, decode_record, open_record, sign_record
from dht.storage import Outcome, RecordStore

TAG = network_tag("main")
ALICE = Identity(b"\1" * 32)
SELLERS = [Identity(bytes([number]) * 32) for number in (2, 3)]
NOW_MS = 1_800_000_000_000

ids = st.binary(min_size=ID_BYTES, max_size=ID_BYTES)
tokens = st.binary(min_size=8, max_size=8)
hosts = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)).map(unpacked_host)
nodes = st.builds(NodeAddress, ids, hosts, st.integers(1, 65_535))
wire_records = st.binary(min_size=MIN_RECORD_BYTES, max_size=MIN_RECORD_BYTES + 60)
bodies: st.SearchStrategy[Body] = st.one_of(
    st.just(Ping()),
    st.builds(FindNode, ids),
    st.builds(FindValue, ids, ids),
    st.builds(Store, tokens, st.binary(max_size=600)),
    st.builds(Pong, hosts, st.integers(0, 65_535)),
    st.builds(Nodes, tokens, st.lists(nodes, max_size=20).map(tuple)),
    st.builds(
        Values,
        tokens,
        st.integers(0, 65_535),
        st.lists(wire_records, max_size=3).map(tuple),
        st.lists(nodes, max_size=8).map(tuple),
    ),
    st.builds(Stored, st.sampled_from(Outcome), tokens, st.integers(-1, 2**63 - 1)),
)


@given(bodies)
def test_every_body_survives_the_wire(body: Body) -> None:
    assert decode(encode(ALICE, TAG, bytes(20), bytes(16), NOW_MS, body), TAG).body == body


def refusal(parse: Callable[[], object]) -> str:
    """The code under which the bytes are refused; empty when they parse. Any other exception fails the test."""
    try:
        parse()
    except RemoteDhtError as error:
        return error.code
    return ""


@given(st.binary(max_size=1400))
def test_any_bytes_are_no_datagram_or_parse(raw: bytes) -> None:
    assert refusal(lambda: decode(raw, TAG)) in ("", "malformed", "wrong_network", "wrong_version", "unknown_kind")


@given(bodies, st.binary(max_size=200), st.integers(0, 255), st.integers(0, 1_200))
def test_any_body_under_a_good_head_parses_or_raises(body: Body, junk: bytes, kind: int, cut: int) -> None:
    raw = encode(ALICE, TAG, bytes(20), bytes(16), NOW_MS, body)
    head = raw[:3] + bytes([kind]) + raw[4 : OVERHEAD_BYTES - 66]
    content = (raw[OVERHEAD_BYTES - 64 : -64] + junk)[:cut]
    hostile = head + len(content).to_bytes(2, "big") + content + bytes(64)
    assert refusal(lambda: decode(hostile, TAG)) in ("", "malformed", "unknown_kind")


@given(st.binary(max_size=800))
def test_any_bytes_are_no_record_or_parse_but_are_never_believed(raw: bytes) -> None:
    assert refusal(lambda: decode_record(raw)) in ("", "malformed")
    assert refusal(lambda: open_record(raw, NOW_MS)) in ("malformed", "expired", "too_long_lived", "bad_signature")


@given(st.lists(nodes, max_size=60), ids, st.integers(1, 30))
def test_nearest_gives_the_true_nearest_in_order(candidates: list[NodeAddress], target: bytes, count: int) -> None:
    found = nearest(candidates, target, count)
    ranks = sorted(distance(node.id, target) for node in candidates)
    assert [distance(node.id, target) for node in found] == ranks[:count]


steps = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.booleans(), st.integers(0, 5_000_000)), max_size=25)


@settings(max_examples=60)
@given(steps)
def test_whatever_the_order_a_held_seq_never_goes_down_while_it_matters(
    moves: list[tuple[int, int, bool, int]],
) -> None:
    """Each move: publisher, seq, withdrawal or not, milliseconds that pass. A model remembers the highest seqs."""
    store, key, now_ms = RecordStore(DhtConfig()), b"k" * ID_BYTES, NOW_MS
    newest: dict[int, Record] = {}
    for seller, seq, is_withdrawal, passed_ms in moves:
        now_ms += passed_ms
        record = sign_record(SELLERS[seller], key, seq, now_ms + 3_600_000, b"" if is_withdrawal else b"x")
        outcome = store.put(record, None, now_ms)
        known = newest.get(seller)
        if outcome is Outcome.STORED and known is not None and known.raw != record.raw:
            is_forgotten = now_ms >= known.expires_unix_ms + 2 * 3_600_000
            assert record.seq > known.seq or is_forgotten
        if outcome is Outcome.STORED:
            newest[seller] = record
        living = {record.raw for record in newest.values() if record.expires_unix_ms > now_ms}
        assert {record.raw for record in store.find(key, now_ms)} == living
        assert len(store) == len(living)
