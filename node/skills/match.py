"""How well a seller's skill fits a task: COALESCE eq. (12), a weighed sum of three likenesses from 0 to 1.

    S = .3 * Jaccard of the skill sets + .5 * cosine of the descriptions + .2 * past performance at the like

A label that is the same word for word needs none of this: it fits by 1.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping

WEIGHT_ONTOLOGICAL = 0.3
WEIGHT_EMBEDDING = 0.5
WEIGHT_PERFORMANCE = 0.2
"""alpha, beta and gamma of eq. (12), as printed; they sum to 1."""
GRAM = 3
"""Letters that count as one feature of a text: three tell words apart and forgive their endings."""
MAX_TEXT = 4000


def compatibility(ontological: float, embedding: float, performance: float) -> float:
    """Eq. (12) of three figures from 0 to 1; ValueError for one outside."""
    parts = {"ontological": ontological, "embedding": embedding, "performance": performance}
    for name, value in parts.items():
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} is {value!r}: write a number from 0 to 1")
    return WEIGHT_ONTOLOGICAL * ontological + WEIGHT_EMBEDDING * embedding + WEIGHT_PERFORMANCE * performance


def jaccard(one: Collection[str], other: Collection[str]) -> float:
    """Shared members over all members of two sets; 1 for two empty ones, which ask for nothing."""
    first, second = set(one), set(other)
    return len(first & second) / len(first | second) if first or second else 1.0


def embedding(text: str) -> Counter[str]:
    """A text as counts of letter triples within words: no model, no download, the same on every machine."""
    words = "".join(char if char.isalnum() else " " for char in text.lower()[:MAX_TEXT]).split()
    return Counter(f" {word} "[at : at + GRAM] for word in words for at in range(len(word) + 3 - GRAM))


def cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The cosine of two non-negative vectors, 0 to 1; 0 when either is empty."""
    lengths = math.hypot(*one.values()) * math.hypot(*other.values())
    if lengths == 0.0:
        return 0.0
    return min(1.0, math.fsum(weight * other[key] for key, weight in one.items() if key in other) / lengths)
