"""Skill labels: which are well formed, and which are near an unknown one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import UsageError
from node.skills.labels import check_label, nearest, unknown_label

KNOWN = ("document-analysis", "portfolio", "risk", "sentiment")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("sentimant", "sentiment"),
        ("rsik", "risk"),
        ("analysis of documents", "document-analysis"),
        ("portfolio optimisation", "portfolio"),
        ("Document_Analysis", "document-analysis"),
    ],
)
def test_a_typing_error_or_another_order_of_words_finds_the_label(typed: str, meant: str) -> None:
    assert nearest(typed, KNOWN)[0] == meant


def test_nothing_is_named_where_nothing_is_near() -> None:
    assert nearest("xyzzy", KNOWN) == ()
    assert nearest("", KNOWN) == ()
    assert nearest("risk", ()) == ()


@given(st.text(max_size=80), st.lists(st.text("abc-/", min_size=1, max_size=12), max_size=12), st.integers(0, 4))
def test_the_nearest_are_known_distinct_and_limited_and_their_order_is_fixed(
    text: str, known: list[str], limit: int
) -> None:
    near = nearest(text, known, limit)
    assert len(near) == len(set(near)) <= limit
    assert set(near) <= set(known)
    assert near == nearest(text, reversed(known), limit)


@given(st.from_regex(r"\A[a-z]{1,20}\Z"))
def test_a_label_is_nearest_to_itself(label: str) -> None:
    assert nearest(label, (*KNOWN, label))[0] == label


@pytest.mark.parametrize("label", ["risk", "ocr/page-2", "a", "x" * 64])
def test_well_formed_labels_pass(label: str) -> None:
    assert check_label(label) == label


@pytest.mark.parametrize("text", ["", "Risk", "two words", "-x", "x-", "x" * 65, "ümlaut", "risk\n"])
def test_malformed_labels_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError, match="write 1 to 64 of a-z"):
        check_label(text)


def test_the_refusal_of_an_unknown_label_names_the_nearest_or_says_where_to_look() -> None:
    assert str(unknown_label("rsik", KNOWN)) == "no skill 'rsik' is known here: did you mean risk?"
    assert "`coalesced skills ls` lists what is known" in str(unknown_label("xyzzy", KNOWN))
    assert len(str(unknown_label("long " * 100, KNOWN))) < 200
