"""`expect peers >= 7 within 10s`: a claim about a node, parsed. Pure; who asks the node is in session.py.

    expect QUANTITY COMPARISON NUMBER [on NODE|all] [within DURATION]
    expect FACT [on NODE|all] [within DURATION]

`on` and facts are for testnets, where several nodes can be asked.
"""

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
_ONE_NODE = "a console talks to one node, and `use` changes which"
_LINE = r"\s*([a-z_.]+)\s*(?:(>=|<=|==|!=|=|<|>)\s*(-?[0-9.]+)\s*)?(?:on\s+(\S+)\s*)?(?:within\s+(\S+))?\s*"


class ExpectError(ValueError):
    """An expectation that cannot be read."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """`quantity comparison number`, to become true within `within_s`."""

    quantity: str
    comparison: str
    number: float
    within_s: float = DEFAULT_WITHIN_S
    where: str = ""
    """The node that is meant, or "all"; empty where the line does not say."""

    def holds(self, value: float) -> bool:
        """Whether `value` fulfils it."""
        return COMPARISONS[self.comparison](value, self.number)

    def __str__(self) -> str:
        where = f" on {self.where}" if self.where else ""
        return f"{self.quantity} {self.comparison} {self.number:g}{where} within {self.within_s:g} s"


def parse_expectation(
    words: Sequence[str], quantities: Sequence[str], *, facts: Sequence[str] = (), nodes: Sequence[str] = ()
) -> Expectation:
    """The expectation in the words after `expect`; ExpectError says what is wrong and what is allowed.

    A fact is 1 or 0, and expected to be 1. `nodes` may stand after `on`, and "all"; nothing may if there are none.
    """
    # Words may be glued together ("peers>=7"), as the grammar leaves no hint where a comparison ends.
    glued = re.fullmatch(_LINE, " ".join(words))
    if glued is None:
        raise ExpectError(f"{' '.join(words)!r} is not an expectation: {_USAGE}")
    quantity, comparison, number, where, within = glued.groups()
    if quantity in facts and comparison is None:
        comparison, number = "==", "1"
    if quantity not in (*quantities, *facts):
        raise ExpectError(f"nothing is known as {quantity!r}: choose one of {', '.join((*quantities, *facts))}")
    if comparison is None:
        raise ExpectError(f"{' '.join(words)!r} is not an expectation: {_USAGE}")
    if where and (not nodes or where not in ("all", *nodes)):
        raise ExpectError(f"{where!r} is no node here: {', '.join(('all', *nodes)) if nodes else _ONE_NODE}")
    try:
        wanted = float(number)
    except ValueError:
        raise ExpectError(f"{number!r} is not a number: {_USAGE}") from None
    within_s = _within_s(within) if within else DEFAULT_WITHIN_S
    return Expectation(quantity, comparison, wanted, within_s, where or "")


def _within_s(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise ExpectError(str(error)) from error
    if seconds > MAX_WITHIN_S:
        raise ExpectError(f"{text!r} is over the limit of {MAX_WITHIN_S / 60:g}m")
    return seconds
