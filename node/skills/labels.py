"""Skill labels: which are well formed, and which known ones are near an unknown one."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from node.errors import UsageError
from protocol.fields import Label

LEAST_LIKENESS = 0.2
"""Below this, two labels share a letter pair by chance."""


def check_label(text: str) -> str:
    """Return `text` if it is a well-formed label; UsageError says what is allowed."""
    try:
        return msgspec.convert(text, Label)
    except msgspec.ValidationError as error:
        shown = shortened(text)
        raise UsageError(
            f"{shown!r} is not a skill label: write 1 to 64 of a-z, 0-9, '.', '_', '/' and '-', "
            "a letter or digit first and last"
        ) from error


def is_label(text: str) -> bool:
    """Whether `text` is a well-formed label."""
    try:
        check_label(text)
    except UsageError:
        return False
    return True


def nearest(text: str, known: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """The labels of `known` most like `text`, best first, at most `limit`; none that is nothing like it.

    Likeness is the Dice coefficient over letter pairs of the words (Dice 1945), so that neither a typing error
    nor another order of words hides a label. `text` may be any text, not only a label.
    """
    wanted = _pairs(text)
    scored = ((_dice(wanted, _pairs(label)), label) for label in sorted(set(known)))
    near = sorted((pair for pair in scored if pair[0] >= LEAST_LIKENESS), key=lambda pair: (-pair[0], pair[1]))
    return tuple(label for _, label in near[:limit])


def unknown_label(text: str, known: Iterable[str]) -> UsageError:
    """The refusal of a label that nobody knows: it names the nearest known ones, or says where to look."""
    return UsageError(f"no skill {shortened(text)!r} is known here: {advice(text, known)}")


def advice(text: str, known: Iterable[str]) -> str:
    """What to write instead of a text that leads to no skill: the nearest known labels, or where to look."""
    near = nearest(text, known)
    return f"did you mean {' or '.join(near)}?" if near else "`coalesced skills ls` lists what is known"


def shortened(text: str) -> str:
    """At most 70 characters of what somebody wrote, for a message."""
    return text if len(text) <= 70 else text[:67] + "..."


def _pairs(text: str) -> Counter[str]:
    """The letter pairs of each word, its edges marked."""
    words = "".join(char if char.isalnum() else " " for char in text.lower()[:4000]).split()
    return Counter(f" {word} "[at : at + 2] for word in words for at in range(len(word) + 1))


def _dice(one: Counter[str], other: Counter[str]) -> float:
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0
