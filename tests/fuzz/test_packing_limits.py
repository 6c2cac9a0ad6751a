"""The count of a message's values, which is taken before anything is built."""

from contextlib import suppress

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.messages import InputPart
from protocol.packing import MAX_VALUES, _check_values, pack, unpack, unpack_plain

numbers = st.integers(-(2**63), 2**64 - 1) | st.floats()
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=300) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner, max_size=20),
    max_leaves=60,
)  # fmt: skip


def count(value: object) -> int:
    """Values in a tree, keys included."""
    if isinstance(value, dict):
        return 1 + sum(1 + count(inner) for inner in value.values())
    return 1 + sum(map(count, value)) if isinstance(value, list) else 1


@settings(max_examples=8)
@given(values)
def test_any_value_is_counted_to_its_exact_end(value: object) -> None:
    """What follows the value is not looked at; the count is right when filler brings it to the limit, and one over."""
    fits = [value, *[0] * (MAX_VALUES - 1 - count(value))]
    _check_values(msgpack.packb(fits) + b"\xdd\xff\xff\xff\xff")
    with pytest.raises(RemoteProtocolError, match=f"more than {MAX_VALUES} values"):
        _check_values(msgpack.packb([*fits, 0]))


@given(st.binary(max_size=3000))
def test_counting_is_total(data: bytes) -> None:
    with suppress(RemoteProtocolError):
        _check_values(data)


@pytest.mark.parametrize("filler", [b"\x80", b"\x90", b"\xc0", b"\x81\xa0\x90", b"\x91\x91\x90"])
def test_small_values_by_the_million_are_refused_before_they_are_built(filler: bytes) -> None:
    many = b"\xdc\x0f\xff" + (b"\xdc\x0f\xff" + filler * 4095) * 4095
    with pytest.raises(RemoteProtocolError, match="too_large"):
        unpack_plain(many[: 2**21])


def test_a_full_part_is_one_value_among_few() -> None:
    part = InputPart(task_id=bytes(16), offset=0, data=bytes(2**20))
    assert unpack(InputPart, pack(part)) == part
