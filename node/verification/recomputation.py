"""Recomputation: what an answer claims and this node can work out for itself, worked out again for a sample of it.

Three kinds of claims are read off an answer: sums that it writes out ("12 x 4 = 48"), counts of its input ("120 words",
or a JSON field of that name), and fields that the task's schema marks as taken from the input. Which are checked is
drawn after the answer has come. What an answer merely asserts is none of these: a judge or a second answer is for that.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from node.tasks.verify import FULL_SCORE_PPM, Finding
from node.verification.material import Document, folded, json_of, shortened
from node.verification.schema import Schema, extracted

SAMPLE: Final = 24
"""Claims that are checked of one answer: of a tenth that are wrong, all pass once in twelve answers."""
MAX_CLAIMS: Final = 10_000
MAX_TERMS: Final = 32
SHOWN: Final = 3
SHOWN_CHARS: Final = 80
NUMBER: Final = r"\d{1,15}(?:,\d{3})*(?:\.\d{1,12})?"
SIGNED: Final = rf"-?\$?{NUMBER}"
EQUATION: Final = re.compile(
    rf"(?<![\w.,=+*/×÷−-])(?P<left>{SIGNED}(?: ?[-+*/×÷−x] ?{SIGNED}){{1,{MAX_TERMS}}}) ?= ?"
    rf"(?P<right>{SIGNED})(?P<unit> ?%)?"
)
SHARE: Final = re.compile(rf"(?P<share>{NUMBER}) ?% of (?P<whole>\$?{NUMBER}) (?:is|=|equals) (?P<part>\$?{NUMBER})")
TERM: Final = re.compile(rf"(?P<sign>[-+*/×÷−x]?) ?(?P<number>{SIGNED})")
PROSE_COUNT: Final = re.compile(rf"\b(?P<count>{NUMBER}) (?P<what>words|characters|lines|paragraphs)\b", re.IGNORECASE)
COUNTS: Final[Mapping[str, Callable[[str], set[int]]]] = {
    # Each way of counting that is usual: an honest answer may use any.
    "words": lambda text: {len(text.split()), len(re.findall(r"\w+", text)), len(re.findall(r"[\w'’-]+", text))},
    "distinct": lambda text: {len(set(re.findall(r"\w+", text.lower()))), len(set(text.lower().split()))},
    "characters": lambda text: {len(text), len(text.strip()), len("".join(text.split()))},
    "lines": lambda text: {len(text.splitlines()), len([line for line in text.splitlines() if line.strip()])},
    "paragraphs": lambda text: {len([part for part in re.split(r"\n\s*\n", text) if part.strip()])},
}
"""By the name of what is counted."""
NAMES: Final = {
    "word_count": "words",
    "distinct_words": "distinct",
    "character_count": "characters",
    "chars": "characters",
    "line_count": "lines",
    "paragraph_count": "paragraphs",
}
"""Other names of the same counts."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that an answer says, and whether it is so."""

    text: str
    holds: Callable[[], bool]


def check_recomputation(answer: str, documents: Sequence[Document], schema: Schema | None, seed: bytes) -> Finding:
    """The share of a sample of the claims that hold. An answer that claims nothing of the kind cannot be checked so."""
    claims = list(islice(claims_of(answer, documents, schema), MAX_CLAIMS))
    if not claims:
        return Finding(0, ("there is nothing in it that can be computed again",))
    drawn = sampled(claims, seed)
    wrong = [claim for claim in drawn if not claim.holds()]
    said = f"{len(drawn) - len(wrong)} of {len(drawn)} figures come out the same, of {len(claims)} in all"
    shown = tuple(f"does not come out: {shortened(claim.text, SHOWN_CHARS)}" for claim in wrong[:SHOWN])
    return Finding(FULL_SCORE_PPM * (len(drawn) - len(wrong)) // len(drawn), (said, *shown))


def sampled(claims: Sequence[Claim], seed: bytes) -> list[Claim]:
    """At most SAMPLE of them: those whose places hash lowest with the seed."""
    order = sorted(range(len(claims)), key=lambda at: sha256(seed + at.to_bytes(4, "big")).digest())
    return [claims[at] for at in order[:SAMPLE]]


def claims_of(answer: str, documents: Sequence[Document], schema: Schema | None = None) -> Iterator[Claim]:
    """Everything in an answer that can be computed again."""
    value = json_of(answer)
    if isinstance(value, dict | list):
        yield from _field_counts(value, documents, "$", 32)
        if schema is not None:
            yield from _extracted(schema, value, documents)
    else:
        yield from (_count(match["what"].lower(), match["count"], documents) for match in PROSE_COUNT.finditer(answer))
    for match in EQUATION.finditer(answer):
        yield Claim(match[0], partial(_comes_out, match["left"], match["right"], is_share=bool(match["unit"])))
    for match in SHARE.finditer(answer):
        yield Claim(match[0], partial(_is_share, match["share"], match["whole"], match["part"]))


# --- sums


def _comes_out(left: str, right: str, *, is_share: bool = False) -> bool:
    """Whether a written-out sum has the result that is written, to the digits that it is written with."""
    worked = _worked_out(left)
    if worked is None:
        return False
    return _rounds_to(worked * 100 if is_share else worked, right) or (is_share and _rounds_to(worked, right))


def _worked_out(left: str) -> Fraction | None:
    """The value of a sum, products first; None for a division by zero."""
    total, product = Fraction(0), Fraction(0)
    for match in TERM.finditer(left):
        number = _number(match["number"])
        match match["sign"]:
            case "*" | "×" | "x":
                product *= number
            case "/" | "÷":
                if number == 0:
                    return None
                product /= number
            case "-" | "−":
                total, product = total + product, -number
            case _:
                total, product = total + product, number
    return total + product


def _is_share(share: str, whole: str, part: str) -> bool:
    return _rounds_to(_number(share) * _number(whole) / 100, part)


def _rounds_to(value: Fraction, written: str) -> bool:
    """Whether a value written with so many digits is that one: rounded, or cut off."""
    unit, number = Fraction(1, 10 ** len(written.partition(".")[2])), _number(written)
    return abs(value - number) <= unit / 2 or (0 <= abs(value) - abs(number) < unit and value * number >= 0)


def _number(text: str) -> Fraction:
    return Fraction(text.replace(",", "").replace("$", ""))


# --- counts and fields of the input


def _count(what: str, written: str, documents: Sequence[Document]) -> Claim:
    def holds() -> bool:
        count = COUNTS[what]
        return any(int(_number(written)) in count(text) for text in _counted_texts(documents))

    return Claim(f"{written} {what}", holds)


def _counted_texts(documents: Sequence[Document]) -> Iterator[str]:
    """What a count may be about: a document, all of them, or a text without the request before its first colon."""
    for one in documents:
        yield one.text
        yield one.text.partition(":")[2].strip()
    if len(documents) > 1:
        yield "\n".join(one.text for one in documents)


def _field_counts(value: Any, documents: Sequence[Document], path: str, depth: int) -> Iterator[Claim]:
    if not depth:
        return
    if isinstance(value, list):
        for at, one in enumerate(value):
            yield from _field_counts(one, documents, f"{path}[{at}]", depth - 1)
    elif isinstance(value, dict):
        for name, one in value.items():
            what = NAMES.get(name.lower(), name.lower())
            if what in COUNTS and isinstance(one, int) and not isinstance(one, bool):
                yield _count(what, str(abs(one)), documents)
            else:
                yield from _field_counts(one, documents, f"{path}.{name}", depth - 1)


def _extracted(schema: Schema, value: Any, documents: Sequence[Document]) -> Iterator[Claim]:
    texts = [folded(one.text) for one in documents]
    for path, field in extracted(schema, value):
        yield Claim(f"{path}: {field}", partial(_stands_in, folded(field), texts))


def _stands_in(form: str, texts: Sequence[str]) -> bool:
    whole = re.compile(rf"(?<!\w){re.escape(form)}(?!\w)")
    return bool(form) and any(whole.search(text) for text in texts)
