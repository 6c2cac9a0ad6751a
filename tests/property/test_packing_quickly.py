"""What is read in one go is what is read step by step: the quick way is only ever quicker."""

from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import packing
from protocol.errors import RemoteProtocolError
from protocol.packing import pack, unpack, unpack_plain
from protocol.signed import AcceptanceTerms

KEY = bytes(32)
TERMS = AcceptanceTerms(
    commitment=KEY, network="n", client=KEY, contractor=bytes([1]) * 32, skill="a.b", price_bucket=3, day=20_000
)


class Parts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value of each kind that messages have."""

    number: int
    content: bytes
    text: str
    pairs: tuple[tuple[bytes, int], ...] = ()
    names: dict[str, str] = {}
    inner: AcceptanceTerms | None = None


NUMBERS = st.integers(-(2**63), 2**64 - 1)
PARTS = st.builds(
    Parts,
    number=NUMBERS,
    content=st.binary(max_size=300),
    text=st.text(max_size=40),
    pairs=st.lists(st.tuples(st.binary(max_size=5), NUMBERS), max_size=20).map(tuple),
    names=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4),
    inner=st.sampled_from([None, TERMS]),
)
BITS = st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=3)


def slowly(kind: type[Any], data: bytes) -> Any:
    """As `unpack` for a struct, without the quick way; None for what is refused."""
    try:
        return msgspec.convert(unpack_plain(data), kind, strict=True, builtin_types=(bytes,))
    except (RemoteProtocolError, ValueError, TypeError):
        return None


def quickly(kind: type[Any], data: bytes) -> Any:
    """As `unpack`; None for what is refused."""
    try:
        return unpack(kind, data)
    except RemoteProtocolError:
        return None


@given(PARTS, BITS)
def test_both_ways_read_the_same_or_refuse_it(parts: Parts, flips: list[tuple[int, int]]) -> None:
    data = bytearray(pack(parts))
    assert msgspec.msgpack.encode(parts) == data, "both encoders write the same"
    for at, mask in flips:
        data[at % len(data)] ^= mask
    assert quickly(Parts, bytes(data)) == slowly(Parts, bytes(data))


@given(BITS)
def test_a_signed_body_is_read_the_same(flips: list[tuple[int, int]]) -> None:
    data = bytearray(pack(TERMS))
    for at, mask in flips:
        data[at % len(data)] ^= mask
    assert quickly(AcceptanceTerms, bytes(data)) == slowly(AcceptanceTerms, bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        b"\x83" + pack("number") + pack(1) + pack("content") + pack(b"c") + pack("text") + pack("t"),
        b"\x84" + pack("number") + pack(1) + pack("content") + pack(b"c") + pack("text") + pack("t") + pack("text") * 2,
        msgpack.packb({"number": 1.0, "content": b"c", "text": "t"}),
        msgpack.packb({"number": 1, "content": "c", "text": "t"}),
        msgpack.packb({"number": 1, "content": b"c", "text": "t", "names": {1: "one"}}),
        b"\x83" + pack("number") + b"\xd3" + bytes(7) + b"\x01" + pack("content") + pack(b"c") + pack("text") + b"\xa0",
        msgpack.packb({"number": 1, "content": msgpack.ExtType(1, b"c"), "text": "t"}),
        pack(Parts(1, b"c", "t")) + b"\x00",
    ],
    ids=["defaults left out", "twice", "float", "text for bytes", "key a number", "long number", "extension", "more"],
)
def test_odd_packing_is_read_the_same_too(data: bytes) -> None:
    assert quickly(Parts, data) == slowly(Parts, data)


def test_a_list_in_so_few_bytes_is_within_the_limit() -> None:
    assert packing.QUICK_BYTES <= packing.MAX_ITEMS
    assert packing.QUICK_BYTES <= packing.MAX_VALUES
