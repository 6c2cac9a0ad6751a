"""RFC 8785 in the part that we use: what is written, and what is refused instead of being guessed at."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.jcs import MAX_INTEGER, JcsError, Json, canonical, parse, parse_canonical

NAMES = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=6)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


def test_the_texts_and_literals_of_the_rfcs_example_are_written_as_it_writes_them() -> None:
    """RFC 8785, 3.2.2 and 3.2.4, less its fractions."""
    example = {"string": '€$\u000f\u000aA\'B"\\\\"/', "literals": [None, True, False]}
    assert canonical(example) == '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()


def test_names_are_ordered_as_in_the_rfcs_example() -> None:
    """RFC 8785, 3.2.3, less the name that lies above U+FFFF."""
    names = ["€", "\r", "\ufb33", "1", "\u0080", "ö"]
    assert list(json.loads(canonical(dict.fromkeys(names, 0)))) == ["\r", "1", "\u0080", "ö", "€", "\ufb33"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a": 1.5}, "float"),
        ({"a": MAX_INTEGER + 1}, "2\\^53"),
        ({"\U0001f600": 1}, "above U\\+FFFF"),
        ({1: 2}, "is a int"),
        (["\ud800"], "surrogate"),
        ({"a": b"raw"}, "bytes"),
    ],
)
def test_what_has_no_certain_form_is_refused(value: object, why: str) -> None:
    with pytest.raises(JcsError, match=why):
        canonical(value)


def test_a_value_that_nests_without_end_is_refused() -> None:
    nested: list[object] = []
    nested.append(nested)
    with pytest.raises(JcsError, match="nests deeper"):
        canonical(nested)


@pytest.mark.parametrize(
    "data",
    [b'{"a":1,"a":2}', b"1.0", b"1e3", b"NaN", b"9007199254740992", b"\xff", b"{", b"[" * 100_000, b"1" * 10_000],
)
def test_what_no_writer_of_ours_writes_is_not_read(data: bytes) -> None:
    with pytest.raises(JcsError):
        parse(data)


def test_other_spacing_or_order_is_read_but_is_not_canonical() -> None:
    assert parse(b' {"b":1, "a":2} ') == {"a": 2, "b": 1}
    for data in (b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":"\\u0041"}', b"-0"):
        with pytest.raises(JcsError, match="canonical form"):
            parse_canonical(data)


@given(VALUES)
def test_the_canonical_form_reads_back_as_the_same_value(value: Json) -> None:
    assert parse_canonical(canonical(value)) == value
