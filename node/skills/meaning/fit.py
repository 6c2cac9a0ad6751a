"""How well an offered skill fits a request: COALESCE eq. (12), a weighed sum of three likenesses from 0 to 1.

    S = .3 * Jaccard of the ontology terms + .5 * cosine of the texts + .2 * past performance at the like

Both texts are read here: no vector and no term that a seller states about itself is believed. What is spelled alike
word for word needs none of this: it fits by 1.
"""

from collections.abc import Collection
from dataclasses import dataclass

from node.skills.meaning.ontology import jaccard

WEIGHT_ONTOLOGICAL = 0.3
WEIGHT_EMBEDDING = 0.5
WEIGHT_PERFORMANCE = 0.2
"""alpha, beta and gamma of eq. (12), as printed; they sum to 1."""
UNKNOWN_PERFORMANCE = 0.5
"""Of a seller that nothing is known of: the middle, so that strangers rank by meaning alone."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The three parts of eq. (12), each from 0 to 1."""

    ontological: float
    embedding: float
    performance: float

    def __post_init__(self) -> None:
        for name in ("ontological", "embedding", "performance"):
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} is {value!r}: write a number from 0 to 1")

    @property
    def meaning(self) -> float:
        """The parts that texts alone give, brought to 1: what decides whether an offer fits at all."""
        texts = WEIGHT_ONTOLOGICAL * self.ontological + WEIGHT_EMBEDDING * self.embedding
        return texts / (WEIGHT_ONTOLOGICAL + WEIGHT_EMBEDDING)

    @property
    def score(self) -> float:
        """S of eq. (12)."""
        return (
            WEIGHT_ONTOLOGICAL * self.ontological
            + WEIGHT_EMBEDDING * self.embedding
            + WEIGHT_PERFORMANCE * self.performance
        )


def fit(request_terms: Collection[str], offer_terms: Collection[str], cosine: float, performance: float | None) -> Fit:
    """Eq. (12) from the terms of both sides (paths), the cosine of their texts (below 0 counts 0), and a record.

    `performance` is the share of good work at the like, from 0 to 1; None where there is none.
    """
    record = UNKNOWN_PERFORMANCE if performance is None else performance
    return Fit(jaccard(request_terms, offer_terms), max(0.0, cosine), record)
