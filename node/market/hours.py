"""Weekly opening hours of a seller: 168 bits, one for each hour of the week in UTC, Monday 00:00 first. Pure.

People write them in their own time zone. What is advertised is the coming week in UTC, so a change of summer time is
seen with the next advert.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from node.errors import UsageError

HOURS: Final = 168
BYTES: Final = HOURS // 8
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOUR_S: Final = 3600
WEEK_S: Final = HOURS * HOUR_S
FIRST_MONDAY_S: Final = 4 * 86_400
"""1970-01-05, in Unix time."""
_SPAN = re.compile(r"(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? (?P<opens>\d{1,2})-(?P<closes>\d{1,2})")
FORM: Final = (
    "write days and whole hours, perhaps several with commas, and a time zone: mon-fri 9-17, sat 10-14 Europe/Berlin"
)


def parse_hours(text: str, now_unix_s: float) -> bytes:
    """The week as bits, for the offsets of the seven days from now; UsageError says what cannot be read."""
    return _week(text, int(now_unix_s) // HOUR_S * HOUR_S)


@lru_cache(maxsize=64)  # A seller reads its own hours for every quote, and they change by the hour.
def _week(text: str, start: int) -> bytes:
    spans, _, zone_name = text.strip().rpartition(" ")
    if not spans or re.fullmatch(r"[\d-]+", zone_name):
        spans, zone_name = text.strip(), "UTC"
    try:
        zone = ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"{zone_name[:40]!r} is no time zone: {FORM}") from error
    local_open = {hour for span in spans.lower().split(",") for hour in _span(span.strip(), text)}
    week = bytearray(BYTES)
    for moment in range(start, start + WEEK_S, HOUR_S):
        # An hour of UTC is open where all of it is: zones may be half an hour off.
        there = [datetime.fromtimestamp(moment, UTC).astimezone(zone) + timedelta(minutes=at) for at in (0, 59)]
        if all(one.weekday() * 24 + one.hour in local_open for one in there):
            at = hour_of(moment)
            week[at // 8] |= 0x80 >> at % 8
    if not any(week):
        raise UsageError(f"{text[:60]!r} is never open: {FORM}")
    return bytes(week)


def _span(span: str, text: str) -> range | list[int]:
    match = _SPAN.fullmatch(span)
    if match is None or match["first"] not in DAYS or (match["last"] or match["first"]) not in DAYS:
        raise UsageError(f"{text[:60]!r} cannot be read as opening hours: {FORM}")
    opens, closes = int(match["opens"]), int(match["closes"])
    if not 0 <= opens < closes <= 24:
        raise UsageError(
            f"{span!r} opens at {opens} and closes at {closes}: write hours from 0 to 24, the later one second"
        )
    first, last = DAYS.index(match["first"]), DAYS.index(match["last"] or match["first"])
    days = range((last - first) % 7 + 1)
    return [(first + day) % 7 * 24 + hour for day in days for hour in range(opens, closes)]


def hour_of(unix_s: float) -> int:
    """Which hour of the week it is, from 0."""
    return int((unix_s - FIRST_MONDAY_S) // HOUR_S) % HOURS


def is_open(week: bytes, at: int) -> bool:
    """Whether this hour of the week is open."""
    return bool(week[at // 8] & 0x80 >> at % 8)


def is_open_for(week: bytes, now_unix_s: float, seconds: float) -> bool:
    """Whether it is open now and stays so for that long."""
    last = min(int(now_unix_s + max(0.0, seconds)) // HOUR_S, int(now_unix_s) // HOUR_S + HOURS)
    return all(is_open(week, hour_of(hour * HOUR_S)) for hour in range(int(now_unix_s) // HOUR_S, last + 1))


def changes_in_s(week: bytes, now_unix_s: float) -> float | None:
    """Until it opens, if it is closed, or closes, if it is open; None where it never does."""
    hour = int(now_unix_s) // HOUR_S
    now_open = is_open(week, hour_of(now_unix_s))
    for later in range(1, HOURS + 1):
        if is_open(week, hour_of((hour + later) * HOUR_S)) != now_open:
            return (hour + later) * HOUR_S - now_unix_s
    return None


def shown_hours(week: bytes | None, now_unix_s: float) -> str:
    """In a word or two: until when it is open, or from when."""
    if week is None:
        return ""
    now_open, left_s = is_open(week, hour_of(now_unix_s)), changes_in_s(week, now_unix_s)
    if left_s is None:
        return "always open" if now_open else "closed"
    at = hour_of(now_unix_s + left_s)
    return f"{'open until' if now_open else 'closed until'} {DAYS[at // 24]} {at % 24:02d}:00 UTC"
