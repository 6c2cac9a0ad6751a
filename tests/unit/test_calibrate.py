"""Calibration of run times per type of task, against a batch regression and known distributions."""

import math
import random

import msgspec
import numpy as np
import pytest

from node.decision.calibrate import Calibration, Prior, ewma, observe, predict, start, student_p95

STEADY = Prior(seconds_per_unit=1e-4, memory_runs=1e12)
"""Never forgets, so that the recursion equals one batch regression."""


def runs(count: int, seed: int = 1, noise: float = 0.1) -> list[tuple[float, float]]:
    rng = random.Random(seed)
    sizes = [math.exp(rng.uniform(4, 12)) for _ in range(count)]
    return [(size, 3e-5 * size**0.9 * math.exp(rng.gauss(0, noise))) for size in sizes]


def learnt(prior: Prior, seen: list[tuple[float, float]]) -> Calibration:
    state = start(prior)
    for size, measured_s in seen:
        state = observe(state, size, measured_s)
    return state


def test_the_recursion_equals_one_bayesian_regression_over_all_runs() -> None:
    seen = runs(30)[:5]  # before clipping may begin
    state = learnt(STEADY, seen)
    design = np.array([[1.0, math.log(size)] for size, _ in seen])
    target = np.log([measured for _, measured in seen])
    precision = np.diag([0.25 / STEADY.level_deviation**2, 0.25 / STEADY.slope_deviation**2])
    believed = np.array([math.log(1e-4), 1.0])
    posterior = design.T @ design + precision
    level, slope = np.linalg.solve(posterior, design.T @ target + precision @ believed)
    assert (state.level, state.slope) == pytest.approx((level, slope), rel=1e-9)
    covariance = np.linalg.inv(posterior)
    assert (state.c00, state.c01, state.c11) == pytest.approx(
        (covariance[0, 0], covariance[0, 1], covariance[1, 1]), rel=1e-9
    )
    residual = target @ target + believed @ precision @ believed
    fitted = np.array([level, slope]) @ posterior @ np.array([level, slope])
    assert state.scale == pytest.approx(0.25 + (residual - fitted) / 2, rel=1e-6)
    assert state.shape == pytest.approx(1 + 5 / 2)


def test_after_twenty_runs_the_mean_error_is_that_of_the_noise() -> None:
    state = learnt(Prior(seconds_per_unit=1e-4), runs(20))
    assert state.error < 0.15
    assert predict(state, 10_000).expected_s == pytest.approx(3e-5 * 10_000**0.9, rel=0.1)


def test_about_one_run_in_twenty_takes_longer_than_its_p95() -> None:
    state, over = start(Prior(seconds_per_unit=1e-4)), 0
    for size, measured_s in runs(1_000, seed=3):
        over += measured_s > predict(state, size).p95_s
        state = observe(state, size, measured_s)
    assert 30 <= over <= 70


def test_a_guess_is_the_priors_and_its_p95_is_wide() -> None:
    guess = predict(start(Prior(seconds_per_unit=1e-3)), 1_000)
    assert guess.runs == 0
    assert guess.expected_s == pytest.approx(1.0)
    assert guess.p95_s > 20


def test_a_run_during_which_the_machine_slept_does_not_spoil_the_rest() -> None:
    state = learnt(Prior(seconds_per_unit=1e-4), runs(30))
    before, after = predict(state, 5_000), predict(observe(state, 5_000, 3_600), 5_000)
    assert after.expected_s < 1.1 * before.expected_s


def test_a_machine_that_became_twice_as_slow_is_learnt_anew() -> None:
    state = learnt(Prior(seconds_per_unit=1e-4), runs(300))
    for size, measured_s in runs(100, seed=2):
        state = observe(state, size, 2 * measured_s)
    assert predict(state, 5_000).expected_s == pytest.approx(2 * 3e-5 * 5_000**0.9, rel=0.15)


def test_runs_of_one_size_only_never_make_the_belief_wider_than_the_prior() -> None:
    prior = Prior(seconds_per_unit=1e-4)
    state = learnt(prior, [(1_000, 0.02)] * 5_000)
    assert state.c00 * prior.noise**2 <= prior.level_deviation**2
    assert state.c00 * state.c11 >= state.c01**2
    assert predict(state, 1_000).expected_s == pytest.approx(0.02, rel=1e-3)


def test_a_state_survives_json_exactly() -> None:
    state = learnt(Prior(seconds_per_unit=1e-4), runs(7))
    assert msgspec.json.decode(msgspec.json.encode(state), type=Calibration) == state


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
def test_sizes_and_times_that_cannot_be_are_refused(wrong: float) -> None:
    state = start(STEADY)
    with pytest.raises(ValueError, match="work_units is"):
        predict(state, wrong)
    with pytest.raises(ValueError, match="measured_s is"):
        observe(state, 1, wrong)
    with pytest.raises(ValueError, match=r"Prior\.seconds_per_unit is"):
        Prior(seconds_per_unit=wrong)


def test_no_size_and_no_time_are_the_least_that_can_be_told() -> None:
    state = observe(start(STEADY), 0, 0)
    assert 0 < predict(state, 0).expected_s <= predict(state, 0).p95_s


@pytest.mark.parametrize(("freedom", "exact"), [(2, 2.920), (4, 2.132), (10, 1.812), (1000, 1.646)])
def test_the_t_percentile_is_near_the_tables(freedom: float, exact: float) -> None:
    assert student_p95(freedom) == pytest.approx(exact, rel=0.06 if freedom < 4 else 0.01)


def test_the_printed_average_moves_by_its_rate() -> None:
    # Eq. (10).
    assert ewma(None, 100) == 100
    assert ewma(100, 200) == pytest.approx(120)
    assert ewma(100, 200, rate=0.1) == pytest.approx(110)
    for rate in (0.05, 0.31, math.nan):
        with pytest.raises(ValueError, match="rate is"):
            ewma(100, 200, rate=rate)
