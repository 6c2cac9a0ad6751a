"""Figures in sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.wording import check_name, counted, duration, listed, usd


@pytest.mark.parametrize(
    ("micro", "text"),
    [(250_000, "$0.25"), (1_234, "$0.001234"), (95, "$0.000095"), (1_200, "$0.0012"), (4_780.4, "$0.00478")],
)
def test_money_is_in_dollars(micro: float, text: str) -> None:
    assert usd(micro) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.0412, "41 ms"),
        (2.44, "2.4 s"),
        (9.0, "9 s"),
        (100.0, "100 s"),
        (450.0, "7.5 min"),
        (10_800.0, "3 h"),
        (1e6, "12 days"),
    ],
)
def test_a_duration_is_in_the_unit_that_suits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(), st.integers(1, 6))
def test_no_duration_is_written_as_a_power_of_ten(seconds: float, digits: int) -> None:
    if 1e-9 < seconds < 1e15:
        assert "e" not in duration(seconds, digits)
    assert duration(seconds, digits)


def test_one_is_singular() -> None:
    assert [counted(n, "contact") for n in (0, 1, 2)] == ["0 contacts", "1 contact", "2 contacts"]
    assert counted(1, "entry", "entries") == "1 entry"
    assert counted(1_200, "entry", "entries") == "1,200 entries"


def test_a_level_is_named_as_a_check() -> None:
    assert [check_name(level) for level in ("none", "cheap")] == ["no check", "cheap check"]


def test_names_that_others_chose_are_quoted_and_make_no_long_line() -> None:
    assert listed([]) == "none"
    assert listed(["small-1", "\x1b[31m\u202e"]) == r"'small-1', '\x1b[31m\u202e'"
    long = listed(["x" * 100_000] * 1000)
    assert (long.endswith("and 992 more"), len(long) < 1000) == (True, True)
