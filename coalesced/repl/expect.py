"""`expect peers >= 7 within 10s`: a claim about the node, parsed. Pure; who asks the node is in session.py."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from coalesced.cli.units import parse_duration

COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
DEFAULT_WITHIN_S: Final = 10.0
MAX_WITHIN_S: Final = 3600.0
_USAGE = "write it as: expect peers >= 7 within 10s"


class ExpectError(ValueError):
    """An expectation that cannot be read."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """`quantity comparison number`, to become true within `within_s`."""

    quantity: str
    comparison: str
    number: float
    within_s: float = DEFAULT_WITHIN_S

    def holds(self, value: float) -> bool:
        """Whether `value` fulfils it."""
        return COMPARISONS[self.comparison](value, self.number)

    def __str__(self) -> str:
        return f"{self.quantity} {self.comparison} {self.number:g} within {self.within_s:g} s"


def parse_expectation(words: Sequence[str], quantities: Sequence[str]) -> Expectation:
    """The expectation in the words after `expect`; ExpectError says what is wrong and what is allowed."""
    # Words may be glued together ("peers>=7"), as the grammar leaves no hint where a comparison ends.
    glued = re.fullmatch(r"\s*([a-z_.]+)\s*(>=|<=|==|!=|=|<|>)\s*(-?[0-9.]+)\s*(?:within\s+(\S+))?\s*", " ".join(words))
    if glued is None:
        raise ExpectError(f"{' '.join(words)!r} is not an expectation: {_USAGE}")
    quantity, comparison, number, within = glued.groups()
    if quantity not in quantities:
        raise ExpectError(f"nothing is known as {quantity!r}: choose one of {', '.join(quantities)}")
    try:
        wanted = float(number)
    except ValueError:
        raise ExpectError(f"{number!r} is not a number: {_USAGE}") from None
    return Expectation(quantity, comparison, wanted, _within_s(within) if within else DEFAULT_WITHIN_S)


def _within_s(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ExpectError(str(error)) from error
    if seconds > MAX_WITHIN_S:
        raise ExpectError(f"{text!r} is over the limit of {MAX_WITHIN_S / 60:g}m")
    return seconds
