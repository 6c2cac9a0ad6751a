"""The simulation itself: the model of a task, and one block of paths from its own random stream."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.execute.builtin.risk.task import RiskTask
from node.execute.errors import InputError

Array = NDArray[np.float64]

ASYMMETRY = 1e-9
"""Of a covariance, relative to its largest entry; more is a mistake in the input, not rounding."""
RISKLESS = 1e-9
"""Deviation relative to that of the same positions unhedged: below it only rounding is left."""
JITTER = 1e-12
"""Added to the covariance's diagonal, relative to its mean, where it is singular."""


@dataclass(frozen=True, slots=True)
class Model:
    """Positions (assets,), means (assets,) and a lower factor L (assets, assets) with L L' = covariance, per period."""

    positions: Array
    means: Array
    covariance: Array
    factor: Array
    horizon: int
    degrees_of_freedom: float | None


@dataclass(frozen=True, slots=True)
class Block:
    """One block of paths: losses (paths,), greatest drawdowns (paths,), profit by asset (paths, assets)."""

    losses: Array
    drawdowns: Array
    profits: Array


def model_of(task: RiskTask) -> Model:
    """The model of a task; InputError when the covariance is not one."""
    if task.returns is not None:
        history = np.array(task.returns)
        means = history.mean(axis=0)
        covariance = np.atleast_2d(np.cov(history, rowvar=False))
    else:
        means, covariance = np.array(task.means), np.array(task.covariance)
    if float(np.abs(covariance - covariance.T).max()) > ASYMMETRY * float(np.abs(covariance).max()):
        raise InputError("covariance is not symmetric")
    positions = np.array(task.amounts, dtype=np.float64)
    gross = float(np.abs(positions) @ np.sqrt(np.maximum(np.diag(covariance), 0)))
    if float(positions @ covariance @ positions) <= (RISKLESS * gross) ** 2:
        loss = 0.0 - task.horizon * float(means @ positions)
        raise InputError(f"this portfolio carries no risk: it loses {loss:g} whatever happens, nothing to simulate")
    return Model(
        positions=positions,
        means=means,
        covariance=covariance,
        factor=_factor(covariance),
        horizon=task.horizon,
        degrees_of_freedom=task.degrees_of_freedom if task.distribution == "student" else None,
    )


def _factor(covariance: Array) -> Array:
    scale = float(np.mean(np.diag(covariance)))
    if scale < 0 or not math.isfinite(scale):
        raise InputError("covariance has a negative or infinite variance")
    if scale == 0:
        return np.zeros_like(covariance)
    for jitter in (0.0, JITTER, JITTER * 1e3):
        try:
            return np.asarray(np.linalg.cholesky(covariance + jitter * scale * np.eye(len(covariance))))
        except np.linalg.LinAlgError:
            continue
    raise InputError("covariance is not positive semidefinite: it cannot be the covariance of any returns")


def simulate_block(model: Model, seed: int, number: int, paths: int) -> Block:
    """Simulate block `number` of `paths` paths. Its stream depends on `seed` and `number` alone."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=(number,))))
    profits = np.zeros((paths, len(model.positions)))
    value, peak, drawdowns = np.zeros(paths), np.zeros(paths), np.zeros(paths)
    for _ in range(model.horizon):
        shocks = rng.standard_normal(profits.shape) @ model.factor.T
        if model.degrees_of_freedom is not None:
            # One common divisor a period gives the multivariate Student law; the factor restores the covariance.
            nu = model.degrees_of_freedom
            shocks *= np.sqrt((nu - 2) / rng.chisquare(nu, paths))[:, np.newaxis]
        profits += (shocks + model.means) * model.positions
        np.sum(profits, axis=1, out=value)
        np.maximum(peak, value, out=peak)
        np.maximum(drawdowns, peak - value, out=drawdowns)
    return Block(losses=-value, drawdowns=drawdowns, profits=profits)


def closed_form(model: Model, quantile: float, density: float, confidence: float) -> tuple[float, float, float, Array]:
    """VaR, ES, standard deviation of the loss, and ES by asset, for normal returns.

    `quantile` and `density` are the standard normal's at `confidence`. McNeil, Frey & Embrechts 2015, 2.3.4 and 8.5.
    """
    mean = -model.horizon * model.means * model.positions
    exposure = model.horizon * (model.covariance @ model.positions) * model.positions
    deviation = math.sqrt(max(float(exposure.sum()), 0.0))
    tail = density / (1 - confidence)
    components = mean + (tail * exposure / deviation if deviation > 0 else 0.0)
    return float(mean.sum()) + quantile * deviation, float(mean.sum()) + tail * deviation, deviation, components
