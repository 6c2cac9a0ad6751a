"""What a request is about: work that may be sold, or everyday life.

How near a request is to a caption does not tell: what people say all day is about as near to some of 513 captions as
a badly worded task. So a request is compared with everyday topics too (`data/everyday-1.tsv`), as a speaker is with
other voices before a likeness counts (cohort normalisation, Rosenberg et al. 1992): it is about work if it is nearer to
captions than to topics by a margin. docs/meaning.md says how often that is wrong.
"""

from dataclasses import dataclass
from functools import cache, lru_cache

from node.skills.meaning.anchors import WIDENED, Anchors, Near, Points, anchors
from node.skills.meaning.embedding import Embedding, embedding
from node.skills.meaning.ontology import everyday, taxonomy
from node.skills.meaning.vector import Vector
from node.skills.meaning.words import words

CAPTIONS = 6
TOPICS = 3
"""So many of the nearest count, by their mean: a single one is near by chance more often."""
TOPICS_SHARE = 0.7
"""What nearness to topics counts of nearness to captions: a task has its everyday words too."""
LEAST_KNOWN = 0.5
"""Of a request's words: of one with fewer, what is understood is chance."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A request, and how near it is to work and to everyday life."""

    vector: Vector
    captions: tuple[Near, ...]
    """The nearest, as many as a widened search looks under, nearest first."""
    topics: tuple[Near, ...]
    """The nearest everyday topics."""
    known: float
    """The share of its words that are known."""
    margin: float
    """By how much captions must lead for `is_work`."""

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the captions under which to look for what fits."""
        return tuple(near.term.path for near in self.captions)

    @property
    def lead(self) -> float:
        """By how much it is nearer to captions than to a share of topics."""
        return _mean(self.captions[:CAPTIONS]) - TOPICS_SHARE * _mean(self.topics)

    @property
    def is_work(self) -> bool:
        """Whether it is about work that may be sold."""
        return bool(self.captions) and self.known >= LEAST_KNOWN and self.lead >= self.margin

    def __str__(self) -> str:
        if not self.captions:
            return "no word of it says what it is about"
        if self.known < LEAST_KNOWN:
            return f"{1 - self.known:.0%} of its words are unknown here"
        topics = ", ".join(near.term.caption for near in self.topics)
        about = "work" if self.is_work else "everyday life, where only an offer in nearly these words fits"
        sold, talk = _mean(self.captions[:CAPTIONS]), _mean(self.topics)
        return (
            f"about {about}: {sold:.2f} like the nearest captions, {talk:.2f} like everyday talk ({topics}); "
            f"leads by {self.lead:.2f}, needs {self.margin:.2f}"
        )


class Subjects:
    """Reads what texts are about, by one way to make vectors."""

    def __init__(self, way: Embedding, anchors: Anchors) -> None:
        self._way = way
        self._anchors = anchors
        self._topics = Points(way, everyday)

    def read(self, text: str) -> Subject:
        """What a request is about."""
        vector, of_text = self._way.embed(text), words(text)
        known = sum(self._way.knows(word) or word in _taxonomy_words() for word in of_text)
        return Subject(
            vector,
            self._anchors.nearest(vector, WIDENED),
            self._topics.nearest(vector, TOPICS),
            known / len(of_text) if of_text else 0.0,
            self._way.margin,
        )


@lru_cache(maxsize=16)
def subject(text: str) -> Subject:
    """What a request is about, by the embedding of this process; kept for the rest of its search."""
    return _subjects().read(text)


@cache
def _subjects() -> Subjects:
    return Subjects(embedding(), anchors())


@cache
def _taxonomy_words() -> frozenset[str]:
    """The words of the taxonomy: the vocabulary has them in pieces, and the captions say what they mean."""
    return frozenset(word for term in taxonomy().values() for word in words(term.text))


def _mean(near: tuple[Near, ...]) -> float:
    return sum(one.cosine for one in near) / len(near) if near else 0.0
