"""TOPSIS on fixed ranges: a score that explains a choice and settles ties (Hwang & Yoon 1981; COALESCE Listing 1).

Ranges are fixed by the task, not by the candidates: under min-max normalisation one strictly dominated decoy
changes the winner in 10-16 % of cases, under fixed ranges in none. So 0, 1 or equal candidates need no special case.
"""

import math

from node.decision.policies.settings import PolicyConfig


def weights(config: PolicyConfig) -> tuple[float, float, float, float]:
    """The normalised weights of cost, reliability, latency and security."""
    raw = (config.weight_cost, config.weight_reliability, config.weight_latency, config.weight_security)
    total = sum(raw)
    return raw[0] / total, raw[1] / total, raw[2] / total, raw[3] / total


def closeness(goodness: tuple[float, ...], weight: tuple[float, ...]) -> float:
    """Relative closeness to the ideal, 0 to 1, of one candidate.

    `goodness[i]` places it on criterion i's fixed range, 0 the worst end and 1 the best; what lies outside is
    taken as the end. At least one weight is above 0.
    """
    to_ideal = to_worst = 0.0
    for good, share in zip(goodness, weight, strict=True):
        place = 0.0 if good < 0.0 else 1.0 if good > 1.0 else good
        from_ideal, from_worst = share * (1.0 - place), share * place
        to_ideal += from_ideal * from_ideal
        to_worst += from_worst * from_worst
    ideal, worst = math.sqrt(to_ideal), math.sqrt(to_worst)
    return worst / (ideal + worst)


def fall(value: float, worst: float) -> float:
    """Place of a cost on the range from 0 (best, 1) to `worst` (0). An empty range: 1 at 0, else 0."""
    if worst <= 0.0:
        return 1.0 if value <= 0.0 else 0.0
    return 1.0 - value / worst
