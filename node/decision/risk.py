"""What may go wrong, as probabilities and expected money: failure, breach, lateness, and the worst cases."""

import math
from collections.abc import Iterable, Sequence

Z_P95 = 1.6448536269514722
"""The 95th percentile of the normal distribution."""


def risk_cost_micro(value_micro: float, probabilities: Iterable[float], gamma: float = 1.0) -> float:
    """COALESCE eq. (9): V * gamma * (1 - prod(1 - P_i)).

    The print defines gamma and then leaves it out; here it multiplies.
    """
    return value_micro * gamma * any_of(probabilities)


def any_of(probabilities: Iterable[float]) -> float:
    """The probability that at least one of several independent events happens."""
    return 1.0 - math.prod(1.0 - probability for probability in probabilities)


def breach_probability(vectors: Iterable[float], sensitivity: float, channel_strength: float) -> float:
    """COALESCE eq. (15) corrected: (1 - prod(1 - P_breach,i)) * DS * (1 - CS).

    As printed, more sensitive data and a stronger channel make 1 - prod * DS * CS behave the wrong way round.
    """
    return any_of(vectors) * sensitivity * (1.0 - channel_strength)


def spread(expected_s: float, p95_s: float) -> float:
    """Sigma of the lognormal duration whose median is `expected_s` and whose 95th percentile is `p95_s`; 0 = certain.

    Taking the expectation for the median overstates lateness a little, on the side of caution.
    """
    return (math.log(p95_s) - math.log(expected_s)) / Z_P95 if 0.0 < expected_s < p95_s else 0.0


def late_probability(expected_s: float, sigma: float, deadline_s: float) -> float:
    """P(T > deadline) for the lognormal duration of median `expected_s` and `spread` sigma."""
    if expected_s <= 0.0:
        return 0.0
    if sigma <= 0.0 or deadline_s <= 0.0:
        return 1.0 if expected_s > deadline_s else 0.0
    # Logarithms apart: the quotient of the extremes would overflow.
    return 0.5 * math.erfc((math.log(deadline_s) - math.log(expected_s)) / (sigma * math.sqrt(2.0)))


def cvar(outcomes: Sequence[tuple[float, float]], tail: float) -> float:
    """Mean cost of the worst `tail` share of `outcomes`, given as (probability, cost) (Rockafellar & Uryasev 2000).

    Probabilities sum to 1; tail in (0, 1]. cvar(outcomes, 1) is the expectation.
    """
    left, total = tail, 0.0
    for probability, cost in sorted(outcomes, key=lambda outcome: -outcome[1]):
        share = min(probability, left)
        total += share * cost
        left -= share
        if left <= 0.0:
            break
    else:  # the probabilities fell short of 1 by rounding
        total += left * min(cost for _, cost in outcomes)
    return total / tail
