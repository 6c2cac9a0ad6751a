"""Minimising g/2 w'Cw - m'w over the simplex: accelerated projected gradient, exact on the support it finds."""

import math
from collections.abc import Callable

import numpy as np

from node.execute.builtin.portfolio.problem import Array, Market, certify
from node.execute.errors import InputError

CHECK_EVERY = 25
SUPPORT = 1e-6
"""Weights above this share of the largest are taken as the support."""
INDEFINITE = -1e-8
"""Least eigenvalue of a covariance, relative to its largest, that rounding explains."""


class Solver:
    """Solves one market for several risk aversions, each from the last solution."""

    def __init__(self, market: Market, target: float, *, max_iterations: int, is_exact: bool) -> None:
        """`target`: the relative gap to stop at; `is_exact`: look at the spectrum, solve exactly on the support.

        InputError when the covariance is not positive semidefinite: the problem would have no certificate.
        """
        covariance = market.dense()
        # The largest row sum bounds the largest eigenvalue, closely where assets move together, at no cost.
        norm = float(np.abs(covariance).sum(axis=1).max())
        if is_exact:
            eigenvalues = np.linalg.eigvalsh(covariance)
            if eigenvalues[0] < INDEFINITE * abs(eigenvalues[-1]):
                least = float(eigenvalues[0])
                raise InputError(f"covariance is not positive semidefinite: its least eigenvalue is {least:.3g}")
            norm = float(eigenvalues[-1])
        self._market = Market(means=market.means, covariance=covariance)
        self._covariance = covariance
        self._norm = max(norm, 1e-300)
        self._target = target
        self._max_iterations = max_iterations
        self._is_exact = is_exact

    def solve(self, aversion: float, start: Array, tick: Callable[[], None]) -> Array:
        """Weights (assets,) within the target, or the best found. O'Donoghue & Candes 2015 for the restart."""
        means, step = self._market.means, 1 / (aversion * self._norm)
        weights = ahead = best = start
        momentum, best_gap = 1.0, math.inf
        for iteration in range(self._max_iterations):
            moved = project(ahead - step * (aversion * (self._covariance @ ahead) - means))
            if float((ahead - moved) @ (moved - weights)) > 0:
                momentum = 1.0
            following = (1 + math.sqrt(1 + 4 * momentum * momentum)) / 2
            ahead = moved + (momentum - 1) / following * (moved - weights)
            weights, momentum = moved, following
            if iteration % CHECK_EVERY == CHECK_EVERY - 1:
                tick()
                for candidate in (weights, self._exact(aversion, weights)) if self._is_exact else (weights,):
                    gap = certify(self._market, aversion, candidate).relative_gap
                    if gap < best_gap:
                        best, best_gap = candidate, gap
                if best_gap <= self._target:
                    break
        return best

    def _exact(self, aversion: float, weights: Array) -> Array:
        """The optimum with only the support of `weights`, leaving out assets that would go negative."""
        support = np.flatnonzero(weights > SUPPORT * weights.max())
        while len(support) > 1:
            count = len(support)
            system = np.ones((count + 1, count + 1))
            system[:count, :count] = aversion * self._covariance[np.ix_(support, support)]
            system[count, count] = 0.0
            right = np.append(self._market.means[support], 1.0)
            solution = np.linalg.lstsq(system, right, rcond=None)[0][:count]
            if solution.min() >= 0:
                exact = np.zeros_like(weights)
                exact[support] = solution / solution.sum()
                return exact
            support = support[solution > 0]
        exact = np.zeros_like(weights)
        exact[support if len(support) else int(weights.argmax())] = 1.0
        return exact


def project(point: Array) -> Array:
    """The nearest weights >= 0 that sum to 1 (Held, Wolfe & Crowder 1974)."""
    ordered = np.sort(point)[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, len(point) + 1)
    last = int(np.flatnonzero(ordered > excess)[-1])
    return np.asarray(np.maximum(point - excess[last], 0.0))
