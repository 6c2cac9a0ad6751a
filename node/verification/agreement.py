"""Agreement: whether independent answers to one task say the same, where no two models use the same words.

JSON is compared field by field, text by its words; and apart from them by what turns a statement around: numbers and
negations. The likeness of two answers is the lower of both, so that one changed figure weighs more than one other word.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from node.tasks.verify import RELATIVE_TOLERANCE
from node.verification.material import folded, json_of

LEAST_LIKENESS: Final = 0.6
"""From which on two answers agree: see node/decision/data/model_checks.py for what it finds and refuses."""
MAX_FIELDS: Final = 10_000
MAX_DEPTH: Final = 32
WORD: Final = re.compile(r"[^\W\d_]+")
NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
TURNING: Final = frozenset({"not", "no", "never", "none", "without", "nor", "cannot", "nicht", "kein", "keine"})


def likeness(first: str, second: str) -> float:
    """How much two answers say the same, from 0 to 1."""
    one, other = json_of(first), json_of(second)
    if isinstance(one, dict | list) and isinstance(other, dict | list):
        return _share_of_fields(one, other)
    if isinstance(one, dict | list) or isinstance(other, dict | list):
        return 0.0
    left, right = folded(first), folded(second)
    return 1.0 if left == right else min(_overlap(_words(left), _words(right)), _turning_overlap(left, right))


def _words(text: str) -> Counter[str]:
    return Counter(WORD.findall(text))


def _turning_overlap(left: str, right: str) -> float:
    one, other = _turning(left), _turning(right)
    return _overlap(one, other) if one or other else 1.0


def _turning(text: str) -> Counter[str]:
    numbers = Counter(number.replace(",", "").rstrip(".") for number in NUMBER.findall(text))
    return numbers + Counter(word for word in WORD.findall(text) if word in TURNING or word == "t")


def _overlap(one: Counter[str], other: Counter[str]) -> float:
    """F1 of two bags: twice what they share over what both hold."""
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 1.0


def _share_of_fields(one: Any, other: Any) -> float:
    left, right = dict(_fields(one, "$", MAX_DEPTH)), dict(_fields(other, "$", MAX_DEPTH))
    if len(left) > MAX_FIELDS or len(right) > MAX_FIELDS or not (left and right):
        return 1.0 if one == other else 0.0
    shared = sum(path in right and _equal(value, right[path]) for path, value in left.items())
    return 2 * shared / (len(left) + len(right))


def _fields(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth and isinstance(value, dict) and value:
        for name, one in value.items():
            yield from _fields(one, f"{path}.{name}", depth - 1)
    elif depth and isinstance(value, list) and value:
        for at, one in enumerate(value):
            yield from _fields(one, f"{path}[{at}]", depth - 1)
    else:
        yield path, value


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=RELATIVE_TOLERANCE, abs_tol=1e-12)
    if isinstance(one, str) and isinstance(other, str):
        return one == other or folded(one) == folded(other) or likeness(one, other) >= LEAST_LIKENESS
    return bool(one == other)
