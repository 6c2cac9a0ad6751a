"""What turns a text into a vector: the static table, or hashed letter triples where it is not there."""

from functools import cache
from typing import Protocol

import structlog

from node.skills.meaning.grams import Grams
from node.skills.meaning.table import TableError, read_table
from node.skills.meaning.vector import Vector

log = structlog.get_logger()


class Embedding(Protocol):
    """A way to make vectors. `version` names it: vectors of different versions do not compare."""

    @property
    def version(self) -> str:
        """Its name and version."""
        ...  # pragma: no cover

    @property
    def margin(self) -> float:
        """By how much a request for work is nearer to captions than to everyday topics (`subject`)."""
        ...  # pragma: no cover

    def knows(self, word: str) -> bool:
        """Whether it reads a word as one, not as letters."""
        ...  # pragma: no cover

    def embed(self, text: str) -> Vector:
        """128 whole numbers; all zero for a text of which nothing is known."""
        ...  # pragma: no cover


@cache
def embedding() -> Embedding:
    """The embedding of this process; see `open_embedding`."""
    return open_embedding()


def open_embedding() -> Embedding:
    """The static table, or letter triples when its file is missing or damaged, which is logged."""
    try:
        return read_table()
    except TableError as error:
        log.warning("embedding.fallback", error=str(error), instead=Grams.version)
        return Grams()
