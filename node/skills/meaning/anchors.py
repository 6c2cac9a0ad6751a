"""Captions as anchors: the terms of the taxonomy that a text is nearest to, under which sellers and clients meet.

A seller publishes where its skill is; a client looks where its request is. Neither knows the other's words, both know
the taxonomy's (measured in docs/benchmarks.md; hashing the vectors themselves finds far fewer).
"""

import heapq
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from node.skills.meaning.embedding import Embedding, embedding
from node.skills.meaning.ontology import TAXONOMY, Term, ancestors, taxonomy
from node.skills.meaning.vector import Vector, dot, ratio

PUBLISHED = 3
"""Nearest terms under which a skill is published, beside the class and category of the very nearest."""
ASKED = 6
"""Nearest terms under which a request is looked for."""
WIDENED = 12
"""As many where what came is weak."""


@dataclass(frozen=True, slots=True)
class Near:
    """A term and how near it is: the cosine of both texts."""

    term: Term
    cosine: float


class Points:
    """Terms as points among texts, read when they are first asked for."""

    def __init__(self, embedding: Embedding, terms: Callable[[], Mapping[str, Term]]) -> None:
        self._embedding = embedding
        self._terms = terms
        self._points: list[tuple[Term, array[int], int]] = []

    def nearest(self, vector: Vector, count: int) -> tuple[Near, ...]:
        """The `count` nearest terms, nearest first; none for a text without meaning."""
        if not any(vector):
            return ()
        if not self._points:
            vectors = ((term, array("q", self._embedding.embed(term.text))) for term in self._terms().values())
            self._points = [(term, point, dot(point, point)) for term, point in vectors]
        length = dot(vector, vector)
        likeness = (Near(term, ratio(dot(vector, point), length * square)) for term, point, square in self._points)
        return tuple(heapq.nlargest(count, likeness, key=lambda near: near.cosine))


class Anchors(Points):
    """The taxonomy's terms as points."""

    def __init__(self, embedding: Embedding) -> None:
        super().__init__(embedding, taxonomy)

    @property
    def version(self) -> str:
        """Of taxonomy and vectors: who uses others meets nobody by mistake, for their keys differ."""
        return f"{TAXONOMY}/{self._embedding.version}"

    def names(self, terms: Sequence[str]) -> tuple[str, ...]:
        """What the keys of these terms' paths are made from."""
        return tuple(f"{self.version}/{path}" for path in terms)

    def published(self, text: str) -> tuple[str, ...]:
        """The paths of the terms under which a skill of this text is published: three, a class and a category."""
        near = [one.term.path for one in self.nearest(self._embedding.embed(text), PUBLISHED)]
        above = ancestors(near[0]) if near else ()
        return tuple(dict.fromkeys((*near, *above)))


@cache
def anchors() -> Anchors:
    """The anchors of this process, with the embedding that it has."""
    return Anchors(embedding())
