"""A static embedding: one row of 128 small whole numbers for each piece of a vocabulary, summed by weight.

The rows are made once, by scripts/embedding, from a sentence model (data/README.md says which, and under which
licence); after that nothing but additions of whole numbers is done, so a text has one vector on every machine.
"""

import hashlib
from pathlib import Path

from node.errors import NodeError
from node.skills.meaning.vector import DIMENSIONS, Vector
from node.skills.meaning.words import Vocabulary, words

NAME = "minilm-static-1"
FILE = Path(__file__).parent / "data" / f"{NAME}.bin"
SHA256 = "8d35e7cfe90d9e6ae39706ca8860ae102dc55f7be7415721e30b81d3db56ccd2"
"""Of the file: another one would give other vectors under the same name."""
MAGIC = b"coalesced-table\n"


class TableError(NodeError):
    """The table's file cannot be used."""


class StaticTable:
    """Weighed rows by vocabulary piece."""

    version = NAME
    theta = 0.32

    def __init__(self, vocabulary: Vocabulary, weights: bytes, rows: memoryview) -> None:
        """`weights`: one byte a piece. `rows`: 128 signed bytes a piece, format "b"."""
        self._vocabulary = vocabulary
        self._weights = weights
        self._rows = rows

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

    Layout: the magic line, the number of pieces in ASCII and a newline, the pieces (sorted, one a line), a byte of
    weight for each, then 128 signed bytes for each.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise TableError(f"{file} cannot be read: {error.strerror}; install coalesced again") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise TableError(f"{file} has SHA-256 {found[:16]}..., not {sha256[:16]}...; install coalesced again")
    count_end = data.index(b"\n", len(MAGIC))
    count = int(data[len(MAGIC) : count_end])
    values_at = len(data) - count * DIMENSIONS
    weights_at = values_at - count
    pieces = data[count_end + 1 : weights_at - 1].split(b"\n")
    return StaticTable(Vocabulary(pieces), data[weights_at:values_at], memoryview(data)[values_at:].cast("b"))
