"""Rings inside a larger market: who takes turns is found, who only asks the same or is always cheapest is not."""

import numpy as np

from node.market.rings import RING_LEAST, rings
from node.market.screens import CARTEL_TASKS

NAMES = {seller: f"s{seller}" for seller in range(12)}


def quotes(tasks: int, members: int, *, in_turn: bool, seed: int = 1) -> list[dict[int, float]]:
    """A market of twelve: the first `members` ask about 10, one of them 5 % less; the others from 11 up, all apart."""
    rng = np.random.default_rng(seed)
    found = []
    for task in range(tasks):
        size = 1.0 + task % 3
        winner = task % members if in_turn else 0
        ring = {one: 10.5 + rng.uniform(-0.03, 0.03) if one != winner else 10.0 for one in range(members)}
        others = {one: 11.0 + 2.0 * one + rng.normal(0.0, 0.3) for one in range(members, 12)}
        found.append({seller: size * price for seller, price in (ring | others).items()})
    return found


def test_sellers_that_take_turns_are_named_though_others_hide_their_spread() -> None:
    (found,) = rings(quotes(CARTEL_TASKS, 5, in_turn=True), NAMES)
    assert found.named == ("s0", "s1", "s2", "s3", "s4")
    assert found.alarm.screen == "ring"
    assert "s0, s1, s2, s3, s4" in found.alarm.text


def test_two_rings_are_two_alarms() -> None:
    one, other = quotes(CARTEL_TASKS, 5, in_turn=True), quotes(CARTEL_TASKS, 4, in_turn=True, seed=2)
    both = [
        {**{key: price for key, price in first.items() if key < 5}, **{key + 6: 3.0 * second[key] for key in range(4)}}
        for first, second in zip(one, other, strict=True)
    ]
    assert [found.named for found in rings(both, NAMES)] == [("s0", "s1", "s2", "s3", "s4"), ("s6", "s7", "s8", "s9")]


def test_one_that_is_always_cheapest_is_cheaper_and_no_ring() -> None:
    assert rings(quotes(CARTEL_TASKS, 5, in_turn=False), NAMES) == []


def test_sellers_with_the_same_costs_and_loads_of_their_own_are_no_ring() -> None:
    rng = np.random.default_rng(1)
    assert rings([dict(enumerate(10.0 * rng.normal(1.0, 0.02, 12))) for _ in range(100)], NAMES) == []


def test_a_ring_needs_members_tasks_and_prices() -> None:
    assert rings(quotes(CARTEL_TASKS - 1, 5, in_turn=True), NAMES) == []
    assert rings(quotes(CARTEL_TASKS, RING_LEAST - 1, in_turn=True), NAMES) == []
    assert rings([dict.fromkeys(range(5), 0.0)] * CARTEL_TASKS, NAMES) == []
    assert rings([], NAMES) == []
