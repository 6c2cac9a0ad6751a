"""The optimisation problem of one risk aversion, and its certificate of optimality."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from node.execute.builtin.portfolio.task import PortfolioTask
from node.execute.errors import InputError

Array = NDArray[np.float64]

ASYMMETRY = 1e-9
"""Of a covariance, relative to its largest entry; more is a mistake in the input, not rounding."""
FLOOR = 1e-3
"""Relative to the objective's two terms: where equal weights are already best, nothing can be missing."""


@dataclass(frozen=True)
class Market:
    """Means (assets,) and either the covariance (assets, assets) or the centred returns X (periods, assets)."""

    means: Array
    covariance: Array | None = None
    centred: Array | None = None

    @cached_property
    def equal(self) -> tuple[float, float]:
        """Expected return and variance of equal weights, which every certificate compares with."""
        weights = np.full(len(self.means), 1 / len(self.means))
        return float(self.means @ weights), float(weights @ self.risk(weights))

    def risk(self, weights: Array) -> Array:
        """Covariance times weights (assets,), without forming the covariance of a history."""
        if self.covariance is not None:
            return np.asarray(self.covariance @ weights)
        assert self.centred is not None
        return np.asarray(self.centred.T @ (self.centred @ weights)) / (len(self.centred) - 1)

    def dense(self) -> Array:
        """The covariance itself."""
        if self.covariance is not None:
            return self.covariance
        assert self.centred is not None
        return np.asarray(self.centred.T @ self.centred) / (len(self.centred) - 1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a portfolio is worth, and how far from the best it can be (see Point)."""

    expected_return: float
    variance: float
    gap: float
    relative_gap: float


def market_of(task: PortfolioTask) -> Market:
    """The market of a task; InputError when its covariance is not one."""
    if task.returns is not None:
        history = np.array(task.returns)
        means = history.mean(axis=0)
        return Market(means=means, centred=history - means)
    covariance = np.array(task.covariance)
    if float(np.abs(covariance - covariance.T).max()) > ASYMMETRY * float(np.abs(covariance).max()):
        raise InputError("covariance is not symmetric")
    if bool(np.any(np.diag(covariance) < 0)):
        raise InputError("covariance has a negative variance")
    return Market(means=np.array(task.means), covariance=covariance)


def certify(market: Market, aversion: float, weights: Array) -> Certificate:
    """The certificate of `weights`, in one product with the covariance.

    For a convex objective f over the simplex, f(w) - min f <= g'w - min_i g_i with g the gradient at w
    (Jaggi 2013, "Revisiting Frank-Wolfe", section 2).
    """
    risk = market.risk(weights)
    expected, variance = float(market.means @ weights), float(weights @ risk)
    gradient = aversion * risk - market.means
    gap = max(float(gradient @ weights - gradient.min()), 0.0)
    value = aversion / 2 * variance - expected
    equal_return, equal_variance = market.equal
    equal_value = aversion / 2 * equal_variance - equal_return
    attainable = max(equal_value - value, 0.0) + gap + FLOOR * (aversion / 2 * abs(variance) + abs(expected))
    return Certificate(expected, variance, gap, gap / attainable if attainable > 0 else 0.0)
