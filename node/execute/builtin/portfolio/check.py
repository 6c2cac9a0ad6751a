"""Checking portfolios: feasibility and the duality gap, recomputed with one matrix-vector product a point."""

import math

import msgspec
import numpy as np

from node.execute.builtin.portfolio.problem import Market, certify, market_of
from node.execute.builtin.portfolio.task import Point, PortfolioResult, PortfolioTask, parse
from node.tasks.verify import FULL_SCORE_PPM, Finding
from protocol.specification import Level

SHARE: dict[Level, float] = {"cheap": 0.25, "full": 1.0}
SUM_TOLERANCE = 1e-9
CLAIM_TOLERANCE = 1e-6
"""Relative; stated returns, variances and gaps may differ by rounding alone."""
GAP_ROUNDING = 1e-9
"""Absolute tolerance of a relative gap near zero, where it is all rounding."""
DECADES = 6
"""A relative gap of 10^-6 or less is as good as exact: full score. 1 is worth nothing."""


def check(input: bytes, media_type: str, output: bytes, *, level: Level, seed: bytes) -> Finding:  # noqa: A002
    """Score a delivered result by its worst point; `seed` chooses the points at level cheap."""
    task = parse(input, media_type)
    try:
        result = msgspec.json.decode(output, type=PortfolioResult)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Finding(0, (f"the result is not a portfolio result: {error}",))
    if tuple(point.risk_aversion for point in result.points) != task.risk_aversions:
        return Finding(0, ("the points are not those of the risk aversions asked for",))
    market = market_of(task)
    count = len(result.points)
    rng = np.random.default_rng(int.from_bytes(seed[:32], "big"))
    numbers = rng.choice(count, size=math.ceil(SHARE[level] * count), replace=False)
    index = {name: position for position, name in enumerate(task.names)}
    worst, note = FULL_SCORE_PPM, ""
    for number in numbers.tolist():
        score, reason = _score(task, market, index, result.points[number])
        if score < worst or (reason and not note):
            worst, note = min(worst, score), reason
    return Finding(worst, (note,) if note else ())


def _score(task: PortfolioTask, market: Market, index: dict[str, int], point: Point) -> tuple[int, str]:
    where = f"portfolio for risk aversion {point.risk_aversion:g}"
    if unknown := point.weights.keys() - index.keys():
        return 0, f"{where}: unknown asset {min(unknown)[:80]!r}"
    weights = np.zeros(task.count)
    for name, weight in point.weights.items():
        weights[index[name]] = weight
    # No weight over 1 first: the sum of the largest floats would be an OverflowError.
    is_share = bool(np.all((weights >= 0) & (weights <= 1 + SUM_TOLERANCE)))
    if not is_share or abs(math.fsum(weights) - 1) > SUM_TOLERANCE:
        return 0, f"{where}: weights are negative or do not sum to 1"
    found = certify(market, point.risk_aversion, weights)
    scale = abs(found.expected_return) + point.risk_aversion * abs(found.variance) + found.gap
    for name, claimed, actual in (
        ("expected return", point.expected_return, found.expected_return),
        ("variance", point.variance, found.variance),
        ("gap", point.gap, found.gap),
    ):
        if not math.isclose(claimed, actual, rel_tol=CLAIM_TOLERANCE, abs_tol=GAP_ROUNDING * scale):
            return 0, f"{where}: {name} is {actual:.9g}, not {claimed:.9g}"
    missing = max(found.relative_gap, 10.0**-DECADES)
    score = round(min(1.0, -math.log10(missing) / DECADES) * FULL_SCORE_PPM)
    return score, "" if score == FULL_SCORE_PPM else f"{where}: up to {missing:.2g} of the attainable is missing"
