"""Figures and numbers of things in sentences for people: money, durations, plurals."""

import math
import unicodedata
from collections.abc import Sequence

HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move a cursor, hide, reorder or break lines: controls, formats (bidi overrides, zero widths,
tags), surrogates, line and paragraph separators."""
_UNITS = ((1.0, 0.001, "ms"), (120.0, 1.0, "s"), (7_200.0, 60.0, "min"), (172_800.0, 3_600.0, "h"))
"""Below which seconds, seconds in one, name."""
_DAY_S = 86_400.0
_NAMES = 8
_NAME_CHARS = 64


def usd(micro: float) -> str:
    """Micro-dollars as dollars: whole micro-dollars exactly, estimates to three significant digits."""
    if isinstance(micro, int):
        places = 2 if micro % 10_000 == 0 else 4 if micro % 100 == 0 else 6
    else:
        places = 2 if micro <= 0 else min(9, max(2, 8 - math.floor(math.log10(micro))))
    return f"${micro / 1e6:.{places}f}"


def duration(seconds: float, digits: int = 2) -> str:
    """Seconds to so many significant digits, in the unit that suits: "40 ms", "2.4 s", "7.5 min"."""
    if not 0 < seconds < math.inf:
        return "0 s" if seconds == 0 else f"{seconds} s"
    divisor, unit = next(((one, name) for below, one, name in _UNITS if seconds < below), (_DAY_S, "days"))
    value = seconds / divisor
    places = max(0, digits - 1 - math.floor(math.log10(value)))
    shown = f"{value:.{places}f}"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown} {unit}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number of things: "1 contact", "2 contacts", "1,200 entries"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """The first names of a list that somebody else wrote, quoted and cut to a length that a line bears."""
    shown = [ascii(name if len(name) <= _NAME_CHARS else name[:_NAME_CHARS] + "...") for name in names[:_NAMES]]
    return ", ".join([*shown, *([f"and {len(names) - _NAMES} more"] if len(names) > _NAMES else [])]) or "none"


def visible_json(text: str, *, keep: str = "") -> str:
    """Encoded JSON with every harmful character but those of `keep` as JSON's own escape: it means what it meant."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one in keep or unicodedata.category(one) not in HARMFUL else _in_json(one) for one in text)


def _in_json(char: str) -> str:
    units = char.encode("utf-16-be", errors="surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def check_name(level: str) -> str:
    """A verification level as a noun: "full check", "no check"."""
    return "no check" if level == "none" else f"{level} check"
