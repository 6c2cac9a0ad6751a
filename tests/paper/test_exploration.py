"""COALESCE sections III.F.8 and IV, and the two listings: convergence, exploration, the rule as printed."""

from typing import Any

import numpy as np
import pytest

from node.decision.exploration import watched
from node.decision.policies import batch
from node.decision.policies.experience import start
from node.decision.policies.interface import LOCAL, Belief
from node.decision.policies.paper import criteria, rate, topsis, weights
from node.decision.policies.pricing import closeness, price
from node.decision.policies.registry import POLICIES
from node.decision.policies.settings import PolicyConfig
from tests.harness.menus import market, plain

PAPER = POLICIES["paper"]
SETTINGS = PolicyConfig(policy="paper", unproven_value_micro=10**12)


def frequencies(menu_seed: int, *, draws: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """How often the printed rule chooses LOCAL (last) and each of five sellers, nothing being learnt in between."""
    menu = market(np.random.default_rng(menu_seed), (5,))
    arrays: dict[str, Any] = {
        name: np.broadcast_to(values, (draws, 5))
        for name, values in menu._asdict().items()
        if isinstance(values, np.ndarray)
    }
    many = menu._replace(**arrays)
    fresh = start((5,), SETTINGS)
    experience = type(fresh)(*(np.broadcast_to(values, (draws, *values.shape)) for values in fresh))
    seller = batch.choose(PAPER, many, experience, SETTINGS, np.random.default_rng(1)).pick.seller
    return np.array([(seller == column).mean() for column in (*range(5), LOCAL)])


def test_eq_17_without_learning_the_chain_of_decisions_forgets_at_once() -> None:
    """COALESCE eq. (17): ||P^t - pi|| <= C lambda_2^t.

    Whatever was chosen before, the rule chooses alike: all rows of P are equal, lambda_2 is 0 and the bound is reached
    after one step. What takes time in the real process is learning, which makes the chain change: no such bound holds.
    """
    row = frequencies(3, draws=20_000)
    transition = np.tile(row, (6, 1))
    values = np.sort(np.abs(np.linalg.eigvals(transition)))[::-1]
    assert values[0] == pytest.approx(1)
    assert values[1] == pytest.approx(0, abs=1e-7)
    assert np.linalg.matrix_power(transition, 2) == pytest.approx(transition)


def test_eq_19_the_printed_rule_explores_at_epsilon() -> None:
    """COALESCE eq. (19): P(exploration) = epsilon = .1."""
    assert rate(start((3,), SETTINGS), SETTINGS) == 0.1
    menu = market(np.random.default_rng(0), (2000, 6))
    menu = menu._replace(usable=np.ones((2000, 6), bool), explorable=np.ones((2000, 6), bool))
    pick = batch.choose(PAPER, menu, start((2000, 6), SETTINGS), SETTINGS, np.random.default_rng(5)).pick
    assert pick.explored.mean() == pytest.approx(0.1, abs=0.02)


def test_eq_20_information_is_taken_off_the_cost_and_not_added_to_it() -> None:
    """COALESCE eq. (20): C - lambda I. Of two sellers that cost alike, the less known one is tried."""
    menu = plain(29.5, 29.5, prior=0.35, value_usd=60)
    fresh = start((2,), SETTINGS)
    # Both have the same mean; the first was seen more often, so less can be learnt from it.
    experience = fresh._replace(
        successes=np.array([0.7, 0.0]),
        failures=np.array([1.3, 0.0]),
        local_run=np.array(100.0),
        saved_micro=np.array(1e9),
        jobs=np.array([2.0, 0]),
    )
    rule = POLICIES["expected-cost"]
    settings = PolicyConfig(optimism=3.0, pessimism=0.0)
    assert batch.choose(rule, menu, experience, settings).pick.seller == 1


def test_listing_1_builds_the_criteria_matrix_and_weighs_the_market_in_by_beta() -> None:
    """COALESCE Listing 1, lines 5 to 24."""
    menu = plain(10, 20)
    priced = price(menu, Belief(np.array([0.9, 0.8])))
    table = criteria(menu, priced)
    # Line 7, eq. (6) and (9): 10 + 100 (1 - .9 * .99 * (1 - .015)).
    assert table[0] == pytest.approx([10e6 + 100e6 * (1 - 0.9 * 0.99 * 0.985), 0.9, 10, 0.01])
    share = weights(menu, priced, table, start((2,), SETTINGS), SETTINGS)
    # beta = .7: price pressure .5, failure .15, urgency .1, risk .01; history .4, .25, .2, .15.
    mixed = 0.7 * np.array([0.5, 0.15, 0.1, 0.01]) + 0.3 * np.array([0.4, 0.25, 0.2, 0.15])
    assert share == pytest.approx(mixed / mixed.sum())


def test_listing_2_hires_the_best_score_above_the_thresholds_only() -> None:
    """COALESCE Listing 2, lines 19 to 23: TOPSIS_best > .6 and confidence > .8."""
    menu = plain(10, 20)._replace(time_s=np.array([5.0, 50.0]), p_breach=np.array([0.01, 0.02]))
    settings = PolicyConfig(policy="paper", epsilon=0.0)
    experience = start((2,), settings)
    assert batch.choose(PAPER, menu, experience, settings, np.random.default_rng(0)).pick.seller == 0
    doubtful = experience._replace(successes=np.array([5.0, 5.0]), failures=np.array([5.0, 5.0]))
    assert batch.choose(PAPER, menu, doubtful, settings, np.random.default_rng(0)).pick.seller == LOCAL
    strict = PolicyConfig(policy="paper", epsilon=0.0, tau=1.0)
    assert batch.choose(PAPER, menu, experience, strict, np.random.default_rng(0)).pick.seller == LOCAL
    unskilled = menu._replace(match=np.array([0.5, 0.5]))
    assert batch.choose(PAPER, unskilled, experience, settings, np.random.default_rng(0)).pick.seller == LOCAL


def test_listing_1_a_dominated_decoy_moves_scores_by_min_max_but_not_on_fixed_ranges() -> None:
    """COALESCE Listing 1, line 27: why the default normalises on ranges that no seller can move."""
    table = np.array([[10.0, 0.8, 10.0, 0.02], [12.0, 0.95, 20.0, 0.01]])
    share = np.array([0.4, 0.25, 0.2, 0.15])
    decoy = np.vstack((table, [50.0, 0.5, 90.0, 0.1]))
    alone, beside = topsis(table, share, np.ones(2, bool)), topsis(decoy, share, np.ones(3, bool))
    assert np.abs(alone - beside[:2]).max() > 0.1
    placed = np.array([[0.7, 0.8, 0.9, 0.98], [0.6, 0.95, 0.8, 0.99], [0.1, 0.5, 0.1, 0.9]])
    assert np.array_equal(closeness(placed[:2], share), closeness(placed, share)[:2])


def test_exploration_that_falls_short_of_its_target_raises_an_alert() -> None:
    """COALESCE section VI.D: exploration may fail silently, so its rate is watched."""
    fresh = start((1,), SETTINGS)
    silent = fresh._replace(decisions=np.array(60.0), hires=np.array(30.0))
    assert "explored 0.0% of the last 60 decisions; its target is 10.0%" in watched(PAPER, silent, SETTINGS).alert
    few = fresh._replace(decisions=np.array(20.0))
    assert watched(PAPER, few, SETTINGS).alert == ""
    well = fresh._replace(decisions=np.array(60.0), explorations=np.array(5.0))
    assert watched(PAPER, well, SETTINGS).alert == ""
    failing = well._replace(decisions=np.array(5000.0), explorations=np.array(500.0), recent_explorations=np.array(0.0))
    assert "its target is" in watched(PAPER, failing, SETTINGS).alert
    stuck = fresh._replace(decisions=np.array(60.0), local_run=np.array(60.0))
    assert "60 decisions in a row were for LOCAL" in watched(POLICIES["expected-cost"], stuck, SETTINGS).alert
