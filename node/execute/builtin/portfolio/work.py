"""The work of the portfolio skill: one optimal portfolio for each risk aversion, each with its certificate."""

import msgspec
import numpy as np

from node.execute.builtin.portfolio.problem import Array, Market, certify, market_of
from node.execute.builtin.portfolio.solver import Solver
from node.execute.builtin.portfolio.task import Point, PortfolioResult, parse
from node.execute.skill import Progress
from protocol.specification import Effort

TARGET: dict[Effort, float] = {"full": 5e-7, "cheap": 1e-3}
MAX_ITERATIONS: dict[Effort, int] = {"full": 20_000, "cheap": 25}
"""Relative gap and number of steps at which the search stops; cheapest does not search."""
NEGLIGIBLE = 1e-10
"""Weights below this are left out of the result."""


def run(input: bytes, media_type: str, effort: Effort, progress: Progress) -> bytes:  # noqa: A002
    """Solve for every risk aversion; JSON of a PortfolioResult."""
    task = parse(input, media_type)
    market = market_of(task)
    count = len(task.risk_aversions)
    progress(0, f"{task.count} assets")
    solver = None
    if effort != "cheapest":
        is_exact = effort == "full"
        solver = Solver(market, TARGET[effort], max_iterations=MAX_ITERATIONS[effort], is_exact=is_exact)
    weights = np.full(task.count, 1 / task.count)
    points: list[Point] = []
    for aversion in task.risk_aversions:

        def tick(done: int = len(points)) -> None:
            progress(done * 990_000 // count, f"portfolio {done + 1} of {count}")

        weights = _rule_of_thumb(market, aversion) if solver is None else solver.solve(aversion, weights, tick)
        points.append(_point(market, aversion, weights, task.names))
        tick(len(points))
    worst = max(point.relative_gap for point in points)
    summary = f"{count} long-only portfolios of {task.count} assets; at most {worst:.1e} of the attainable is missing."
    return msgspec.json.encode(PortfolioResult(summary=summary, points=tuple(points)))


def _point(market: Market, aversion: float, weights: Array, names: tuple[str, ...]) -> Point:
    kept = np.where(weights > NEGLIGIBLE, weights, 0.0)
    kept /= kept.sum()
    certificate = certify(market, aversion, kept)
    return Point(
        risk_aversion=aversion,
        weights={names[index]: float(kept[index]) for index in np.flatnonzero(kept)},
        expected_return=certificate.expected_return,
        variance=certificate.variance,
        gap=certificate.gap,
        relative_gap=certificate.relative_gap,
    )


def _rule_of_thumb(market: Market, aversion: float) -> Array:
    """Mean over variance for each asset alone: no correlations, no search."""
    if market.covariance is not None:
        variances = np.diag(market.covariance)
    else:
        assert market.centred is not None
        variances = np.square(market.centred).mean(axis=0)
    wanted = np.maximum(market.means, 0) / (aversion * variances + 1e-12)
    total = float(wanted.sum())
    return np.asarray(wanted / total) if total > 0 else np.full(len(wanted), 1 / len(wanted))
