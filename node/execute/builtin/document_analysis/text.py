"""Passages, terms and sentences of a document, all found locally: a place in the text gives its passage at once."""

import re
from collections.abc import Iterator
from functools import lru_cache

from node.execute.builtin.document_analysis.task import Citation, Document

PASSAGE_CHARS = 600
"""Paragraphs longer than this are cut at the next sentence end: long enough for context, short enough to cite."""
REACH_CHARS = 300
"""How far after PASSAGE_CHARS a sentence end is looked for."""
PARAGRAPH = "\n\n"
SENTENCE_END = re.compile(r"[.!?][\"')\]]*\s")
TERM = re.compile(r"[^\W_]+")
SUFFIXES = ("ingly", "edly", "ies", "ied", "ing", "ers", "ed", "es", "er", "ly", "s", "y", "e")
MIN_STEM_CHARS = 4
_STOPWORDS = """
    a about after all also an and any are as at be because been before being between both but by can could did
    do does doing during each few for from further had has have having he her here hers him his how i if in
    into is it its itself just me more most my no nor not now of off on once only or other our ours out over
    own same she should so some such than that the their theirs them then there these they this those through
    to too under until up very was we were what when where which while who whom why will with would you your
    yours
"""
STOPWORDS = frozenset(_STOPWORDS.split())


class Reading:
    """A document made ready: its text, and the same in lower case with equal offsets."""

    def __init__(self, document: Document) -> None:
        self.name = document.name
        self.text = document.text
        lowered = document.text.lower()
        if len(lowered) != len(self.text):
            lowered = "".join(low if len(low := char.lower()) == 1 else char for char in self.text)
        self.lowered = lowered
        self.is_ascii = document.text.isascii()

    def cite(self, start: int, end: int, score: float) -> Citation:
        """The passage from character `start` to `end` as an answer quotes it."""
        return Citation(
            document=self.name,
            start_char=start,
            end_char=end,
            start_byte=self.byte_offset(start),
            end_byte=self.byte_offset(end),
            quote=self.text[start:end],
            score=score,
        )

    def byte_offset(self, char: int) -> int:
        """The UTF-8 offset of a character offset."""
        return char if self.is_ascii else len(self.text[:char].encode())

    def passages(self) -> Iterator[tuple[int, int]]:
        """Bounds of all passages, in order."""
        position, stop = 0, len(self.text)
        while position < stop:
            end = self.text.find(PARAGRAPH, position)
            end = stop if end < 0 else end
            yield from self._cut(position, end)
            position = end + len(PARAGRAPH)

    def passage_at(self, position: int) -> tuple[int, int]:
        """Bounds of the passage that holds a character that is not white space."""
        before = self.text.rfind(PARAGRAPH, 0, position + 1)
        # Paragraphs are cut from the left, so in a run of line ends the leftmost pairs count.
        while before > 0 and self.text[before - 1] == "\n":
            before -= 1
        start = 0 if before < 0 else before
        end = self.text.find(PARAGRAPH, position)
        for bounds in self._cut(start, len(self.text) if end < 0 else end, position):
            if bounds[0] <= position < bounds[1]:
                return bounds
        return position, position

    def terms(self, start: int, end: int) -> list[str]:
        """Stems of the words in a passage, in order, stopwords left out."""
        return [stem(word) for word in TERM.findall(self.lowered, start, end) if word not in STOPWORDS]

    def _cut(self, start: int, end: int, near: int | None = None) -> Iterator[tuple[int, int]]:
        """Passages of the paragraph start-end, or only those around the character `near`."""
        while start < end and self.text[start].isspace():
            start += 1
        while end > start and self.text[end - 1].isspace():
            end -= 1
        first = 0 if near is None else max(0, (near - start) // PASSAGE_CHARS - 1)
        position = start if first == 0 else self._boundary(start, end, first)
        number = first
        while position < end:
            number += 1
            following = self._boundary(start, end, number)
            if following > position:
                yield position, following
            position = following
            if near is not None and position > near:
                return

    def _boundary(self, start: int, end: int, number: int) -> int:
        """Where passage `number` of a paragraph ends: at the first sentence end after number x PASSAGE_CHARS."""
        place = start + number * PASSAGE_CHARS
        if place >= end:
            return end
        found = SENTENCE_END.search(self.text, place, min(place + REACH_CHARS, end))
        return found.end() if found else place


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A crude stem that is always the beginning of the word, so that a plain search for it finds every form."""
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= MIN_STEM_CHARS:
            return word[: -len(suffix)]
    return word


def question_terms(question: str) -> tuple[str, ...]:
    """Different stems of a question's words, in order; of all its words when they are all stopwords."""
    words = TERM.findall(question.lower())
    kept = [word for word in words if word not in STOPWORDS] or words
    return tuple(dict.fromkeys(stem(word) for word in kept))


def sentences(text: str) -> list[str]:
    """The sentences of a passage."""
    found, position = [], 0
    for match in SENTENCE_END.finditer(text):
        found.append(text[position : match.end()].strip())
        position = match.end()
    found.append(text[position:].strip())
    return [sentence for sentence in found if sentence]
