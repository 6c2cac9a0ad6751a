"""How well a passage fits a question: BM25 (Robertson & Zaragoza 2009) times the share of the question it covers."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from node.execute.builtin.document_analysis.task import Statistics
from node.execute.builtin.document_analysis.text import TERM, sentences, stem

K1, B = 1.2, 0.75
"""The customary values; nothing in these documents asks for others."""


def weights(terms: Sequence[str], statistics: Statistics) -> dict[str, float]:
    """Inverse document frequency of each term, always positive."""
    count, frequency = statistics.passages, statistics.document_frequency
    return {
        term: math.log(1 + (count - min(frequency.get(term, 0), count) + 0.5) / (frequency.get(term, 0) + 0.5))
        for term in terms
    }


def passage_score(counts: Mapping[str, int], length: int, idf: Mapping[str, float], mean_terms: float) -> float:
    """Score of a passage of `length` terms with `counts` of each term."""
    norm = K1 * (1 - B + B * length / mean_terms) if mean_terms > 0 else K1
    score = covered = total = 0.0
    for term, weight in idf.items():
        total += weight
        count = counts.get(term, 0)
        if count:
            score += weight * count * (K1 + 1) / (count + norm)
            covered += weight
    return score * (0.5 + 0.5 * covered / total) if total > 0 else 0.0


def best_sentence(passage: str, idf: Mapping[str, float]) -> str:
    """The sentence of a passage that holds most of the question; the earlier of equals."""

    def fit(sentence: str) -> float:
        found = Counter(stem(word) for word in TERM.findall(sentence.lower()))
        return sum(weight for term, weight in idf.items() if term in found)

    return max(sentences(passage), key=fit)
