"""The optimisation problem of one risk aversion, and its certificate of optimality."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.execute.builtin.portfolio.task import PortfolioTask
from node.execute.errors import InputError

Array = NDArray[np.float64]

FLOOR = 1e-3
"""Relative to the objective's two terms: where equal weights are already best, nothing can be missing."""


@dataclass(frozen=True, slots=True)
class Market:
    """Means (assets,) and either the covariance (assets, assets) or the centred returns X (periods, assets)."""

    means: Array
    covariance: Array | None
    centred: Array | None

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
        return Market(means=means, covariance=None, centred=history - means)
    covariance = np.array(task.covariance)
    if not np.allclose(covariance, covariance.T, rtol=1e-9, atol=1e-300):
        raise InputError("covariance is not symmetric")
    if bool(np.any(np.diag(covariance) < 0)):
        raise InputError("covariance has a negative variance")
    return Market(means=np.array(task.means), covariance=covariance, centred=None)


def certify(market: Market, aversion: float, weights: Array) -> Certificate:
    """The certificate of `weights`, in one product with the covariance.

    For a convex objective f over the simplex, f(w) - min f <= g'w - min_i g_i with g the gradient at w
    (Jaggi 2013, "Revisiting Frank-Wolfe", section 2).
    """
    equal = np.full(len(weights), 1 / len(weights))
    risk, equal_risk = market.risk(weights), market.risk(equal)
    expected, variance = float(market.means @ weights), float(weights @ risk)
    gradient = aversion * risk - market.means
    gap = max(float(gradient @ weights - gradient.min()), 0.0)
    value = aversion / 2 * variance - expected
    equal_value = aversion / 2 * float(equal @ equal_risk) - float(market.means @ equal)
    attainable = max(equal_value - value, 0.0) + gap + FLOOR * (aversion / 2 * abs(variance) + abs(expected))
    return Certificate(expected, variance, gap, gap / attainable if attainable > 0 else 0.0)
