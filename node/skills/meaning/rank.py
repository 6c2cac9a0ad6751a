"""What was found for a request, put in order: every offer's text is read here, and weighed by eq. (12)."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from node.skills.meaning.anchors import PUBLISHED, anchors
from node.skills.meaning.embedding import embedding
from node.skills.meaning.fit import Fit, fit
from node.skills.meaning.learned import NOTHING, placed
from node.skills.meaning.offer import offer_text
from node.skills.meaning.subject import subject
from node.skills.meaning.vector import Vector, dot, ratio

MOST_RANKED = 64
"""Offers, the most alike by their texts, that are compared by their terms too: a flood of adverts costs no more."""
LEAST_MEANING = 0.2
"""Under which an offer does not fit: where fitting and unfitting ones of the test corpus part best."""
OWN_WORDS = 0.75
"""The cosine from which an offer fits a request about everyday life too: asked for in its own words."""
ENOUGH = 5
"""Fitting offers after which nobody looks further: with fewer, what came is weak, and the search is widened."""


@dataclass(frozen=True, slots=True)
class Offered:
    """One offer to rank. `record` is the share of good work at the like, None without any; `offset` what was learnt."""

    skill: str
    caption: str
    record: float | None = None
    offset: Vector = field(default=NOTHING)


def rank(request: str, offers: Sequence[Offered]) -> list[tuple[int, Fit]]:
    """The places of those offers that fit, best first, with their parts of eq. (12).

    A request about everyday life fits nobody but who sells just that. Nor does an offer fit whose texts are too unlike,
    whatever its record.
    """
    about = subject(request)
    wanted = about.vector
    least_cosine = -1.0 if about.is_work else OWN_WORDS
    square = dot(wanted, wanted)
    places = (_place(offer.skill, offer.caption, offer.offset) for offer in offers)
    likeness = (ratio(dot(wanted, place), square * length) for place, length in places)
    alike = heapq.nlargest(MOST_RANKED, ((cosine, -at) for at, cosine in enumerate(likeness)))
    terms = about.paths[:PUBLISHED]
    found = [
        (-at, fit(terms, _terms(offers[-at].skill, offers[-at].caption), cosine, offers[-at].record))
        for cosine, at in alike
        if cosine >= least_cosine
    ]
    fitting = [pair for pair in found if pair[1].meaning >= LEAST_MEANING]
    return sorted(fitting, key=lambda pair: (-pair[1].score, pair[0]))


@lru_cache(maxsize=1024)
def _place(skill: str, caption: str, offset: Vector) -> tuple[Vector, int]:
    """Where an offer lies, and its squared length."""
    place = placed(embedding().embed(offer_text(skill, caption)), offset)
    return place, dot(place, place)


@lru_cache(maxsize=1024)
def _terms(skill: str, caption: str) -> tuple[str, ...]:
    vector = embedding().embed(offer_text(skill, caption))
    return tuple(one.term.path for one in anchors().nearest(vector, PUBLISHED))
