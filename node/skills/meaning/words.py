"""Texts as words, and words as pieces of a known vocabulary: WordPiece (Schuster & Nakajima 2012), as BERT reads."""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from itertools import islice

from node.skills.meaning.vector import Buffer

MAX_TEXT_CHARS = 4000
"""Of a text that are read: a request or an advert says in them what it is about."""
MAX_WORDS = 400
MAX_WORD_CHARS = 40
"""A longer run of letters is no word."""
WORD = re.compile(r"[^\W_]+")
LEAST_PIECE_CHARS = 2.5
"""On average, in a word of several pieces: shorter ones are letters, which mean nothing."""
INNER = b"##"
"""Marks a piece that continues a word."""


def words(text: str) -> list[str]:
    """The words of a text: small letters without accents, no punctuation; at most 400 of the first 4,000 characters."""
    plain = unicodedata.normalize("NFD", text[:MAX_TEXT_CHARS].lower())
    bare = "".join(char for char in plain if not unicodedata.combining(char))
    return [found.group()[:MAX_WORD_CHARS] for found in islice(WORD.finditer(bare), MAX_WORDS)]


class Vocabulary:
    """Pieces in the order of their bytes, found by halving where they lie: as objects they would fill megabytes."""

    def __init__(self, pieces: Buffer, ends: Sequence[int]) -> None:
        """`pieces`: one after the other, sorted, each once. `ends`: where each ends."""
        self._pieces = memoryview(pieces)
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, row: int) -> bytes:
        """The piece in that row; IndexError when there is none."""
        return bytes(self._pieces[self._ends[row - 1] if row else 0 : self._ends[row]])

    def row(self, piece: bytes) -> int | None:
        """Where a piece stands; None when it is not there."""
        at = bisect_left(range(len(self)), piece, key=self.__getitem__)
        return at if at < len(self) and self[at] == piece else None

    def rows(self, word: str) -> list[int]:
        """The longest known pieces that make up a word, from its start on; empty when it falls into shreds."""
        found: list[int] = []
        at = 0
        while at < len(word):
            step = self._longest(word, at)
            if step is None:
                return []
            row, at = step
            found.append(row)
        return found if len(found) <= 1 or len(word) >= LEAST_PIECE_CHARS * len(found) else []

    def _longest(self, word: str, at: int) -> tuple[int, int] | None:
        """The row of the longest piece that begins at `at`, and where it ends."""
        mark = INNER if at else b""
        for end in range(len(word), at, -1):
            row = self.row(mark + word[at:end].encode())
            if row is not None:
                return row, end
        return None
