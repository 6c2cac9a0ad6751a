"""Sentences of a text, and the feeling in one sentence. Only + - * / and sqrt, so every machine agrees."""

import math
import re
from collections.abc import Iterator

from node.execute.builtin.sentiment.lexicon import CONTRASTS, INTENSIFIERS, NEGATIONS, VALENCES

BREAK = re.compile(r"[.!?]+[\"')\]]*(?=\s)|\n+")
"""A sentence ends after its punctuation, if white space follows, or at a line's end."""
TOKEN = re.compile(r"[A-Za-z][A-Za-z'-]*|[,;:]")
MAX_SENTENCE_CHARS = 2_000
"""Longer stretches without an end are cut, so that the work on one sentence is bounded."""
REACH = 3
"""An intensifier works on the next three words (Hutto & Gilbert 2014, VADER)."""
NEGATION_REACH = 5
"""A negation works on the next five, but not past a comma: "I cannot say that it was good"."""
NEGATED = -0.74
DECAY = (1.0, 0.95, 0.9)
BEFORE_CONTRAST, AFTER_CONTRAST = 0.5, 1.5
EXCLAMATION, MAX_EXCLAMATIONS = 0.3, 3
SHOUTED = 1.25
SOFTNESS = 15.0
"""Sum s becomes s / sqrt(s^2 + 15): about four strong words reach 0.9."""


def sentences(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Bounds of the sentences of text[start:end], white space trimmed off."""
    stop = len(text) if end is None else end
    position = start
    while position < stop:
        if text[position].isspace():
            position += 1
            continue
        # Counted from the first letter, so that where a sentence ends follows from where it starts.
        limit = min(position + MAX_SENTENCE_CHARS, stop)
        found = BREAK.search(text, position, limit)
        cut = found.end() if found else limit
        last = cut
        while text[last - 1].isspace():
            last -= 1
        yield position, last
        position = cut


def score(sentence: str) -> int:
    """Feeling of a sentence in thousandths, with negation, intensifiers, contrast and emphasis."""
    words = TOKEN.findall(sentence)
    lowered = [word.lower() for word in words]
    is_shouting = sentence.isupper()
    total = before = 0.0
    turn = lowered.index(",") if lowered and lowered[0] in CONTRASTS and "," in lowered else -1
    for index, word in enumerate(lowered):
        if index == turn or (word in CONTRASTS and 0 < index < len(lowered) - 1):
            before += total
            total = 0.0
            continue
        valence = VALENCES.get(word)
        if valence is None or word in NEGATIONS:
            continue
        if not is_shouting and len(word) > 1 and words[index].isupper():
            valence *= SHOUTED
        total += valence * _influence(lowered, index)
    if before:
        total = BEFORE_CONTRAST * before + AFTER_CONTRAST * total
    if total:
        marks = min(sentence.count("!"), MAX_EXCLAMATIONS) * EXCLAMATION
        total += marks if total > 0 else -marks
    return _thousandths(total)


def _influence(words: list[str], index: int) -> float:
    """What the words before number `index` do to it: negations and intensifiers within their reach."""
    factor = 1.0
    for distance in range(1, min(NEGATION_REACH, index) + 1):
        earlier = words[index - distance]
        if earlier in NEGATIONS:
            factor *= NEGATED
        elif earlier in INTENSIFIERS and distance <= REACH:
            factor *= 1 + (INTENSIFIERS[earlier] - 1) * DECAY[distance - 1]
        elif earlier in ",;:":
            break
    return factor


def plain_score(sentence: str) -> int:
    """The same from the words alone, without looking at their neighbours."""
    return _thousandths(sum(VALENCES.get(word, 0.0) for word in TOKEN.findall(sentence.lower())))


def _thousandths(total: float) -> int:
    return round(1000 * total / math.sqrt(total * total + SOFTNESS))


def mean(total: int, count: int) -> int:
    """Rounded mean of `count` scores that add up to `total`; 0 where there are none."""
    return round(total / count) if count else 0
