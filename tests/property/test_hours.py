"""Opening hours: what people write, in UTC, with summer time; who is open long enough."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.decision.calibrate import Prediction
from node.errors import UsageError
from node.market.hours import (
    BYTES,
    HOURS,
    changes_in_s,
    hour_of,
    is_open,
    is_open_for,
    parse_hours,
    shown_hours,
)
from node.market.pricing import Load
from node.outsource.contractor.admission import decline_hours
from protocol.messages import Advert, decode_advert, encode_advert
from protocol.packing import pack, unpack_plain

WINTER = datetime(2027, 1, 13, 12, tzinfo=UTC).timestamp()  # a Wednesday
SUMMER = datetime(2027, 7, 14, 12, tzinfo=UTC).timestamp()
weeks = st.binary(min_size=BYTES, max_size=BYTES)


def open_hours(week: bytes) -> list[int]:
    return [at for at in range(HOURS) if is_open(week, at)]


def test_working_hours_in_berlin_are_an_hour_earlier_in_utc_in_winter_and_two_in_summer() -> None:
    for now, offset in ((WINTER, 1), (SUMMER, 2)):
        week = parse_hours("mon-fri 9-17 Europe/Berlin", now)
        assert open_hours(week) == [day * 24 + hour for day in range(5) for hour in range(9 - offset, 17 - offset)]


def test_several_spans_a_weekend_over_sunday_and_utc_by_default() -> None:
    assert open_hours(parse_hours("mon 0-1, sat-mon 22-24", WINTER)) == [0, 22, 23, 142, 143, 166, 167]


def test_of_a_zone_half_an_hour_off_only_whole_hours_are_open() -> None:
    assert open_hours(parse_hours("mon 9-11 Asia/Kolkata", WINTER)) == [4], "9:00 to 11:00 is 3:30 to 5:30"


@pytest.mark.parametrize("text", ["", "always", "mon-fri", "mon 17-9", "mon 9-25", "xyz 9-17", "mon 9-17 Nowhere/City"])
def test_what_cannot_be_read_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(UsageError, match="write"):
        parse_hours(text, WINTER)


@given(weeks, st.floats(0, 4e9), st.floats(0, 1e6), st.floats(0, 1e6))
def test_who_is_open_for_longer_is_open_for_less(week: bytes, now: float, one: float, other: float) -> None:
    if is_open_for(week, now, max(one, other)):
        assert is_open_for(week, now, min(one, other))
        assert is_open(week, hour_of(now))


@given(weeks, st.floats(0, 4e9))
def test_what_is_shown_agrees_with_whether_it_is_open(week: bytes, now: float) -> None:
    assert ("open" in shown_hours(week, now)) is is_open_for(week, now, 0)


@given(weeks, st.floats(0, 4e9))
def test_it_is_the_other_way_round_when_its_change_has_come(week: bytes, now: float) -> None:
    left_s = changes_in_s(week, now)
    if left_s is None:
        assert len(set(open_hours(week))) in (0, HOURS)
    else:
        assert 0 < left_s <= HOURS * 3600
        assert is_open(week, hour_of(now + left_s + 1)) is not is_open(week, hour_of(now))


def test_work_that_would_end_after_closing_is_declined_and_work_that_would_not_is_taken() -> None:
    week, half_past_four = parse_hours("mon-fri 9-17", WINTER), WINTER + 4.5 * 3600
    assert decline_hours("risk", week, half_past_four, Load(demand=0, slots=1), taking(60.0)) is None
    late = decline_hours("risk", week, half_past_four, Load(demand=0, slots=1), taking(2400.0))
    assert late is not None
    assert (late.code, late.text) == ("closed", "risk is open until wed 17:00 UTC, and this takes about 40 min here")
    assert decline_hours("risk", None, half_past_four, Load(demand=0, slots=1), taking(2400.0)) is None


def taking(seconds: float) -> Prediction:
    return Prediction(expected_s=seconds, p95_s=seconds, runs=9, mean_relative_error=0.1)


@given(weeks)
def test_adverts_carry_hours_and_those_without_are_as_they_were(week: bytes) -> None:
    plain = Advert(host="127.0.0.1", port=1, skill="risk")
    assert "hours" not in unpack_plain(encode_advert(plain))
    assert decode_advert(encode_advert(plain)) == plain
    assert decode_advert(pack({"host": "h", "port": 1, "skill": "risk"})).hours is None
    timed = Advert(host="127.0.0.1", port=1, skill="risk", hours=week)
    assert decode_advert(encode_advert(timed)) == timed
