"""Figures for people: money, ratios, durations, sizes, moments. The other way round for what people type."""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

MICRO = 1_000_000
_DURATION_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def money(micro: int | None, decimals: int | None = None) -> str:
    """Micro-dollars as dollars: cents from a dollar up, four decimals from a tenth of a cent, else all six."""
    if micro is None:
        return "-"
    if decimals is None:
        decimals = decimals_for(micro)
    sign = "-" if micro < 0 else ""
    return f"{sign}${Decimal(abs(micro)) / MICRO:.{decimals}f}"


def decimals_for(micro: int) -> int:
    """How many decimals show an amount with at least two digits."""
    size = abs(micro)
    return 2 if size >= MICRO or size == 0 else 4 if size >= 1000 else 6


def share(ppm: int | None) -> str:
    """Parts per million as a ratio of two decimals."""
    return "-" if ppm is None else f"{ppm / MICRO:.2f}"


def percent(ppm: int) -> str:
    """Parts per million in percent, to a tenth: "0.4 %", "100 %"."""
    return f"{round(ppm / 10_000, 1):g} %"


def duration(seconds: float | None) -> str:
    """Seconds with about two digits of precision, in the unit that suits."""
    if seconds is None:
        return "-"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(count: int | None) -> str:
    """Bytes in binary units."""
    if count is None:
        return "-"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def moment(unix_ms: int | None) -> str:
    """Unix milliseconds as local date and time, to the second."""
    if unix_ms is None:
        return "-"
    return _local(unix_ms, "%Y-%m-%d %H:%M:%S")


def clock(unix_ms: int) -> str:
    """Unix milliseconds as local time of day."""
    return _local(unix_ms, "%H:%M:%S")


def _local(unix_ms: int, form: str) -> str:
    try:
        return datetime.fromtimestamp(unix_ms / 1000, UTC).astimezone().strftime(form)
    except (ValueError, OverflowError, OSError):  # a peer's signed word may name any year
        return f"{unix_ms} ms"


def recent(unix_ms: int | None) -> str:
    """Unix milliseconds as local time of day today, else as a date: for the columns of a table."""
    if unix_ms is None:
        return "-"
    date, _, time = moment(unix_ms).partition(" ")
    return time if date == f"{datetime.now().astimezone():%Y-%m-%d}" else date


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number of things: "1 page", "2 pages", "1,200 entries"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def short_task(task_id: str) -> str:
    """The first eight digits of a task id: the daemon takes any unambiguous beginning."""
    return task_id[:8]


def parse_money(text: str) -> int:
    """Micro-dollars in "0.01" or "$0.01"; ValueError below a micro-dollar, negative, or no number."""
    try:
        return micro_of(Decimal(text.strip().removeprefix("$")), text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount: write dollars, as 0.01") from None


def micro_of(amount: Decimal, written: str = "") -> int:
    """Micro-dollars in an amount of dollars; ValueError as `parse_money`, which quotes it as it was written."""
    text = written or format(amount, "f")
    if not amount.is_finite() or not 0 <= amount <= 10**9:
        raise ValueError(f"{text!r} is out of range: 0 to 1,000,000,000 dollars")
    micro = amount * MICRO
    if micro != int(micro):
        raise ValueError(f"{text!r} is finer than a micro-dollar: 6 decimals at most")
    return int(micro)


def parse_rate(text: str) -> tuple[int, int]:
    """Micro-dollars for a million tokens read and written in "0.15:0.60", or in one amount for both; ValueError."""
    read, colon, written = text.partition(":")
    return parse_money(read), parse_money(written if colon else read)


def parse_duration(text: str) -> float:
    """Seconds in "500ms", "90", "30s", "2m", "1.5h" or "1d"; ValueError otherwise, and for no time at all."""
    matched = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(ms|s|m|h|d)?", text.strip())
    if matched is None:
        raise ValueError(f"{text!r} is not a duration: write 500ms, 30s, 2m or 1h")
    seconds = float(matched[1]) * _DURATION_S[matched[2] or "s"]
    if not seconds:
        raise ValueError(f"{text!r} is no time at all: write more, for example 30s")
    return seconds


def parse_size(text: str) -> int:
    """Bytes in "1048576", "512M" or "2GiB" (binary units); ValueError otherwise."""
    matched = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,3})?) ?(?:([KMGT])(?:i?B)?|B)?", text.strip(), re.IGNORECASE)
    if matched is None:
        raise ValueError(f"{text!r} is not a size: write 512M or 2G")
    exponent = " KMGT".index(matched[2].upper()) if matched[2] else 0
    return int(float(matched[1]) * 1024**exponent)
