"""What the runs of all types tell of how fast this machine is now."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.decision.calibrate import Calibration, Prior, observe, predict, start
from node.decision.pace import FADE_S, GAIN, KEEP, MOST, USUAL, Pace, after_run, slowness

seconds = st.floats(1e-6, 1e6)


def test_a_machine_of_the_usual_speed_changes_nothing() -> None:
    assert slowness(USUAL, 1e9) == 1.0
    assert after_run(USUAL, 2.0, 2.0, 5.0) == Pace(0.0, 5.0)


def test_slow_runs_of_any_type_make_it_slow_and_idle_time_makes_it_usual_again() -> None:
    pace = USUAL
    for _ in range(100):
        pace = after_run(pace, 1.0, 2.0, 0.0)
    settled = GAIN * math.log(2) / (1 - KEEP * (1 - GAIN))
    assert pace.surprise == pytest.approx(settled)
    assert slowness(pace, FADE_S) == pytest.approx(math.exp(settled / math.e))
    assert slowness(pace, 100 * FADE_S) == pytest.approx(1.0)


@given(st.lists(st.tuples(seconds, seconds), max_size=50))
def test_the_pace_is_bounded_whatever_the_runs(runs: list[tuple[float, float]]) -> None:
    pace = USUAL
    for at, (usual_s, measured_s) in enumerate(runs):
        pace = after_run(pace, usual_s, measured_s, float(at))
    assert abs(pace.surprise) <= GAIN * MOST / (1.0 - KEEP) + 1e-9


def test_a_clock_that_goes_back_is_no_reason_to_forget_or_to_fail() -> None:
    pace = after_run(USUAL, 1.0, 3.0, 1_000.0)
    assert slowness(pace, 0.0) == pytest.approx(math.exp(pace.surprise))


def error_of(types: int, *, paced: bool) -> float:
    """Mean error over two types whose machine is half as fast for stretches of twenty runs."""
    chooser = random.Random(7)
    states: list[Calibration] = [start(Prior(seconds_per_unit=1e-3)) for _ in range(types)]
    pace, missed = USUAL, []
    for number in range(400):
        kind, units = chooser.randrange(types), math.exp(chooser.uniform(3, 6))
        measured_s = units * 1e-3 * (kind + 1) * (2.0 if number // 20 % 2 else 1.0) * math.exp(chooser.gauss(0, 0.05))
        usual_s, now_s = predict(states[kind], units).expected_s, float(number)
        factor = slowness(pace, now_s) if paced else 1.0
        missed.append(abs(usual_s * factor / measured_s - 1.0))
        states[kind] = observe(states[kind], units, measured_s / factor)
        pace = after_run(pace, usual_s, measured_s, now_s)
    return sum(missed[100:]) / 300


def test_where_the_machine_is_slow_for_stretches_prediction_is_better_for_it() -> None:
    assert error_of(4, paced=True) < 0.8 * error_of(4, paced=False)
