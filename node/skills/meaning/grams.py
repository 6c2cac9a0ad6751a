"""Vectors without a model: letter triples of the words, hashed into 128 places (feature hashing, Weinberger 2009).

It sees what is spelled alike, and nothing of what means the same.
"""

import zlib
from typing import ClassVar

from node.skills.meaning.vector import DIMENSIONS, Vector
from node.skills.meaning.words import words

GRAM = 3


class Grams:
    """Counts of letter triples, each at a place and with a sign that its CRC-32 says."""

    version: ClassVar[str] = "grams-1"
    margin: ClassVar[float] = 0.1

    def knows(self, word: str) -> bool:
        """Any word: it is made of letters, and so are these vectors."""
        return bool(word)

    def embed(self, text: str) -> Vector:
        """128 whole numbers; all zero for a text without letters or digits."""
        sums = [0] * DIMENSIONS
        for word in words(text):
            framed = f" {word} "
            for at in range(len(framed) - GRAM + 1):
                mixed = zlib.crc32(framed[at : at + GRAM].encode())
                sums[mixed % DIMENSIONS] += 1 if mixed & 0x8000_0000 else -1
        return tuple(sums)
