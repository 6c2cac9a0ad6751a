"""A static embedding: one row of 128 small whole numbers for each piece of a vocabulary, summed by weight.

The rows are made once, by scripts/embedding, from a sentence model (data/README.md says which, and under which
licence); after that nothing but additions of whole numbers is done, so a text has one vector on every machine.
"""

import hashlib
import mmap
import struct
import sys
from array import array
from pathlib import Path

from node.errors import NodeError
from node.skills.meaning.vector import DIMENSIONS, Vector
from node.skills.meaning.words import Vocabulary, words

NAME = "minilm-static-1"
FILE = Path(__file__).parent / "data" / f"{NAME}.bin"
SHA256 = "a0054107d775f20705ca9931b8e58c2c0b76a4fa5c0f262ac44d79e1316eedd4"
"""Of the file: another one would give other vectors under the same name."""
MAGIC = b"coalesced-table\n"
WORD_PIECE_CHARS = 3.5
"""On average, of a word that is put together from known ones; a made-up or foreign word falls into shorter pieces."""


class TableError(NodeError):
    """The table's file cannot be used."""


class StaticTable:
    """Weighed rows by vocabulary piece."""

    version = NAME
    margin = 0.06

    def __init__(self, vocabulary: Vocabulary, weights: memoryview, rows: memoryview) -> None:
        """`weights`: one byte a piece. `rows`: 128 signed bytes a piece, format "b"."""
        self._vocabulary = vocabulary
        self._weights = weights
        self._rows = rows

    def knows(self, word: str) -> bool:
        """Whether the vocabulary has the word, whole or in pieces that are long enough to be parts of it."""
        pieces = len(self._vocabulary.rows(word))
        return pieces == 1 or (pieces > 1 and len(word) >= WORD_PIECE_CHARS * pieces)

    def embed(self, text: str) -> Vector:
        """The weighed sum of the rows of the text's pieces; words that the vocabulary cannot spell count nothing."""
        sums = [0] * DIMENSIONS
        for word in words(text):
            for row in self._vocabulary.rows(word):
                weight, start = self._weights[row], row * DIMENSIONS
                values = self._rows[start : start + DIMENSIONS]
                sums = [total + weight * value for total, value in zip(sums, values, strict=True)]
        return tuple(sums)


def read_table(file: Path = FILE, sha256: str = SHA256) -> StaticTable:
    """The table in a file; TableError when it is missing or not the one of this checksum.

    Layout: the magic line; the number of pieces and that of their bytes, 4 each, little-endian; where each piece ends,
    4 each; a byte of weight for each; 128 signed bytes for each; the pieces, sorted, one after the other. It is mapped,
    not read: the system keeps what is used.
    """
    try:
        with file.open("rb") as opened:
            data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise TableError(f"{file} cannot be read: {error}; install coalesced again") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise TableError(f"{file} has SHA-256 {found[:16]}..., not {sha256[:16]}...; install coalesced again")
    if hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED)  # hashing has brought all of it in
    count, length = struct.unpack_from("<II", data, len(MAGIC))
    ends_at = len(MAGIC) + 8
    weights_at = ends_at + 4 * count
    rows_at = weights_at + count
    pieces_at = rows_at + DIMENSIONS * count
    whole = memoryview(data)
    ends = array("I", whole[ends_at:weights_at].tobytes())
    if sys.byteorder == "big":
        ends.byteswap()
    return StaticTable(
        Vocabulary(whole[pieces_at : pieces_at + length], ends),
        whole[weights_at:rows_at],
        whole[rows_at:pieces_at].cast("b"),
    )
