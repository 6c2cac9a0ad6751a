"""The market screens: what raises each alarm, and what does not."""

import math

import numpy as np
import pytest

from node.market.screens import (
    CARTEL_TASKS,
    Promise,
    alike,
    beside_alike,
    binomial_tail,
    cartel,
    concentration,
    hhi,
    hoarding,
    predation,
    relative_distance,
    variation,
)

RING = [[100.0, 105.0, 105.2, 104.9]] * CARTEL_TASKS


def test_a_ring_with_cover_bids_raises_the_cartel_alarm() -> None:
    alarm = cartel(RING)
    assert alarm is not None
    assert alarm.screen == "cartel"
    assert "20 tasks" in alarm.text


def test_honest_prices_raise_no_cartel_alarm() -> None:
    rng = np.random.default_rng(1)
    tasks = [(20.0 * rng.normal(1.0, 0.1, 8)).tolist() for _ in range(CARTEL_TASKS)]
    assert cartel(tasks) is None


def test_equal_prices_without_a_winner_that_stands_apart_are_competition() -> None:
    assert cartel([[100.0, 100.1, 100.2, 100.3]] * CARTEL_TASKS) is None


def test_the_cartel_screen_waits_for_enough_tasks_with_enough_quotes() -> None:
    assert cartel(RING[:-1]) is None
    assert cartel([*RING[:-1], [1.0, 2.0]]) is None


def test_distance_and_variation_are_defined_at_their_edges() -> None:
    assert relative_distance([1.0, 2.0]) == 0.0
    assert relative_distance([1.0, 2.0, 2.0]) == math.inf
    assert relative_distance([2.0, 2.0, 2.0]) == 0.0
    assert variation([1.0]) == math.inf
    assert variation([2.0, 2.0]) == 0.0


def test_the_index_of_a_monopoly_is_ten_thousand() -> None:
    assert hhi({"a": 7.0}) == pytest.approx(10_000.0)
    assert hhi({"a": 1.0, "b": 1.0}) == pytest.approx(5_000.0)
    assert hhi({}) == 0.0


def test_concentration_needs_a_high_index_that_rises_or_a_dominant_seller() -> None:
    even = dict.fromkeys("abcdefgh", 10.0)
    risen = concentration(even, {"a": 60.0, "b": 40.0})
    assert risen is not None
    assert risen.screen == "concentration"
    share = concentration({}, {**even, "a": 60.0})
    assert share is not None
    assert share.screen == "share"
    assert concentration(even, even) is None


def test_a_seller_that_answers_far_less_than_it_advertises_hoards() -> None:
    assert hoarding(10, 40, 0.9) is not None
    assert hoarding(35, 40, 0.9) is None
    assert hoarding(0, 29, 0.9) is None  # too few requests to tell


def test_the_binomial_tail_is_exact() -> None:
    assert binomial_tail(1, 3, 0.5) == pytest.approx(0.5)
    assert binomial_tail(3, 3, 0.2) == pytest.approx(1.0)


def test_a_price_far_below_all_others_is_predatory() -> None:
    assert predation([4.0] * CARTEL_TASKS, [10.0] * CARTEL_TASKS) is not None
    assert predation([8.0] * CARTEL_TASKS, [10.0] * CARTEL_TASKS) is None


def test_a_cheap_machine_is_held_against_cheap_machines() -> None:
    # Two fast and sure sellers, three slow ones: the third slow one is most like the other two.
    assert alike(4, [8.0, 9.0, 40.0, 50.0, 45.0], [0.99, 0.98, 0.75, 0.8, 0.78]) == [3, 2]
    promises = {
        at: Promise(*promise) for at, promise in enumerate([(8, 0.99), (9, 0.98), (40, 0.75), (50, 0.8), (45, 0.78)])
    }
    prices = {0: 20.0, 1: 19.0, 2: 5.0, 3: 6.0, 4: 4.0}
    assert beside_alike([prices] * 3, [promises] * 3, 4) == ([4.0] * 3, [5.5] * 3)


def test_a_seller_without_two_others_like_it_is_not_judged() -> None:
    assert alike(0, [8.0, 9.0, 90.0], [0.99, 0.99, 0.99]) == []
    assert beside_alike([{0: 1.0, 1: 9.0, 2: 9.0}], [{0: Promise(8, 0.9), 2: Promise(8, 0.9)}], 0) == ([], [])
