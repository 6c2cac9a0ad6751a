"""Intervals and tests, deterministic: percentile bootstrap, Pearson's r, two-way analysis of variance, Wilson."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from coalesced.sim.market.parameters import Floats

RESAMPLES: Final = 2000
_SEED: Final = 20261121
"""The same resamples every time: an interval that changes from call to call cannot be quoted."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over runs with its 95 % bootstrap interval (Efron 1979, percentiles). NaN when there is no run."""

    mean: float
    low: float
    high: float

    def text(self, digits: int = 1) -> str:
        """As `35.2 (34.0 to 36.1)`, or `-` without a value."""
        if math.isnan(self.mean):
            return "-"
        return f"{self.mean:z.{digits}f} ({self.low:z.{digits}f} to {self.high:z.{digits}f})"


def estimate(values: Floats) -> Estimate:
    """The mean of `values` (runs,) and its interval; NaNs (runs without such a figure) are left out."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan)
    rng = np.random.default_rng(_SEED)
    means = known[rng.integers(len(known), size=(RESAMPLES, len(known)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(float(known.mean()), float(low), float(high))


def pearson(x: Floats, y: Floats) -> float:
    """Pearson's correlation; NaN when one of them does not vary."""
    a, b = x - x.mean(), y - y.mean()
    scale = math.sqrt(float((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 0.0 else math.nan


@dataclass(frozen=True, slots=True)
class Anova:
    """F and p of a balanced two-way analysis: each factor, and their interaction."""

    f: tuple[float, float, float]
    p: tuple[float, float, float]


def two_way(cells: Floats) -> Anova:
    """Analysis of variance of `cells`, shape (levels of A, levels of B, replicates); at least 2 of each."""
    a, b, n = cells.shape
    grand = cells.mean()
    of_a, of_b, of_cell = cells.mean((1, 2)), cells.mean((0, 2)), cells.mean(2)
    squares = (
        b * n * ((of_a - grand) ** 2).sum(),
        a * n * ((of_b - grand) ** 2).sum(),
        n * ((of_cell - of_a[:, None] - of_b[None, :] + grand) ** 2).sum(),
    )
    within = float(((cells - of_cell[:, :, None]) ** 2).sum())
    freedom, left = (a - 1, b - 1, (a - 1) * (b - 1)), a * b * (n - 1)
    if within <= 0.0:
        raise ValueError("two_way: nothing varies within a cell, so no F can be computed; use more than one seed")
    f = [float(square) / free / (within / left) for square, free in zip(squares, freedom, strict=True)]
    p = [f_tail(value, free, left) for value, free in zip(f, freedom, strict=True)]
    return Anova((f[0], f[1], f[2]), (p[0], p[1], p[2]))


def f_tail(value: float, freedom: float, left: float) -> float:
    """P(F > value) for F(freedom, left)."""
    return beta_ratio(left / 2.0, freedom / 2.0, left / (left + freedom * value))


def beta_ratio(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by Lentz's continued fraction (Numerical Recipes 6.4)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_ratio(b, a, 1.0 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    tiny = 1e-300
    c, d = 1.0, 1.0 / max(1.0 - (a + b) * x / (a + 1.0), tiny)
    total = d
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / (1.0 + term * d or tiny)
            c = 1.0 + term / c or tiny
            total *= c * d
        if abs(c * d - 1.0) < 1e-14:
            break
    return front * total / a
