"""COALESCE eq. (10) to (15) and (18): calibration, weights, matching, reliability, risk, confidence."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.decision.calibrate import Prior, ewma, observe, predict, start
from node.decision.policies.experience import learn
from node.decision.policies.experience import start as nothing_learnt
from node.decision.policies.interface import Outcome
from node.decision.policies.paper import confidence
from node.decision.policies.settings import CRITERIA, FEATURES, PolicyConfig
from node.decision.reliability import MONTH_MS, History, decayed, posterior, wilson
from node.decision.risk import breach_probability
from node.decision.weights import correlation_adjusted
from node.skills.meaning.embedding import embedding
from node.skills.meaning.fit import Fit
from node.skills.meaning.ontology import jaccard
from node.skills.meaning.vector import cosine


def test_eq_10_the_printed_mean_and_the_regression_that_knows_the_size() -> None:
    """COALESCE eq. (10): lambda * actual + (1 - lambda) * estimate ignores how large a task is."""
    assert ewma(100.0, 200.0, 0.2) == pytest.approx(120)
    sizes = np.exp(np.random.default_rng(5).uniform(0, 5, 40))
    state, printed, missed, missed_printed = start(Prior(seconds_per_unit=1.0)), None, [], []
    for count, size in enumerate(sizes):
        actual = 0.03 * size**0.97
        if count >= 20:
            missed.append(abs(predict(state, size).expected_s / actual - 1))
            missed_printed.append(abs((printed or 0) / actual - 1))
        state, printed = observe(state, size, actual), ewma(printed, actual, 0.2)
    assert np.mean(missed) < 0.02
    assert np.mean(missed_printed) > 0.5


def test_eq_11_weights_fall_by_a_share_of_their_correlations_and_sum_to_one() -> None:
    """COALESCE eq. (11) with alpha = .3: two criteria that are one share their weight."""
    one = np.array([1.0, 2.0, 3.0, 4.0])
    table = np.column_stack((one, one, np.array([1.0, -1.0, -1.0, 1.0])))
    found = correlation_adjusted(np.array([0.4, 0.4, 0.2]), table, np.ones(4, bool), 0.3)
    raw = np.array([0.4 * 0.7, 0.4 * 0.7, 0.2])
    assert found == pytest.approx(raw / raw.sum())


def test_eq_11_is_clamped_where_the_print_goes_negative_and_leaves_two_sellers_alone() -> None:
    """COALESCE eq. (11): with 2 sellers every |rho| is 1 and says nothing."""
    one = np.arange(5.0)
    same = np.column_stack((one, -one, one, 2 * one))
    assert correlation_adjusted(np.full(4, 0.25), same, np.ones(5, bool), 0.4) == pytest.approx(np.full(4, 0.25))
    weights = np.array([0.7, 0.1, 0.1, 0.1])
    assert correlation_adjusted(weights, same[:2], np.ones(2, bool), 0.3) is not weights
    assert correlation_adjusted(weights, same[:2], np.ones(2, bool), 0.3) == pytest.approx(weights)


@given(st.integers(0, 6), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_eq_11_gives_weights_for_any_table(sellers: int, seed: int, penalty: float) -> None:
    """COALESCE eq. (11): defined for no seller, equal columns and huge figures."""
    random = np.random.default_rng(seed)
    table = random.choice([0.0, 1.0, -3.5, 1e12, 1e-9], size=(sellers, 4))
    found = correlation_adjusted(random.dirichlet(np.ones(4)), table, np.ones(sellers, bool), penalty)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)


def test_eq_12_compatibility_weighs_sets_texts_and_history() -> None:
    """COALESCE eq. (12): .3 Jaccard + .5 cosine + .2 history."""
    assert Fit(1, 1, 1).score == pytest.approx(1)
    assert Fit(0.5, 0.2, 1.0).score == pytest.approx(0.15 + 0.1 + 0.2)
    assert jaccard({"a", "b"}, {"b", "c"}) == pytest.approx(1 / 3)
    read = embedding().embed
    near = cosine(read("portfolio risk analysis"), read("risk analysis of portfolios"))
    assert near > cosine(read("portfolio risk analysis"), read("image generation"))
    assert cosine(read("same"), read("same")) == pytest.approx(1)
    assert cosine(read(""), read("x")) == 0


def test_eq_13_weights_move_along_the_gradient_of_a_stated_q() -> None:
    """COALESCE eq. (13): Q = w . x, u = (1 + reward) / 2, step eta (u - Q) x, then normalised."""
    settings = PolicyConfig(weight_learning=0.1)
    state = nothing_learnt((2,), settings)
    x = np.array([1.0, 0.9, 0.5, 0.2, 0.1])
    outcome = Outcome(np.array(0), np.array(True), np.array(0.6), np.array(False), x, np.array(True))
    before = np.array([0.4, 0.25, 0.2, 0.15])
    moved = before + 0.1 * (0.8 - before @ x[1:]) * x[1:]
    assert learn(state, outcome, settings).weights == pytest.approx(moved / moved.sum())


def test_eq_13_learns_which_criterion_pays() -> None:
    """COALESCE eq. (13): where only reliability decides what a job saves, its weight grows most."""
    settings, random = PolicyConfig(weight_learning=0.2), np.random.default_rng(2)
    state = nothing_learnt((1,), settings)
    for _ in range(500):
        placed = random.uniform(0, 1, CRITERIA)
        x = np.concatenate((np.ones(FEATURES - CRITERIA), placed))
        reward = np.array(2 * placed[1] - 1)
        outcome = Outcome(np.array(0), np.array(True), reward, np.array(False), x, np.array(True))
        state = learn(state, outcome, settings)
    assert state.weights.argmax() == 1
    assert state.weights[1] > 0.5


def test_eq_14_counts_decay_so_that_an_idle_honest_seller_returns_to_its_prior() -> None:
    """COALESCE eq. (14): the print multiplies the score by e^(-lambda t) and takes it to 0."""
    history = decayed(History(successes=20, failures=0, jobs=20, at_unix_ms=0), round(12 * MONTH_MS))
    assert history.successes == pytest.approx(20 * math.exp(-1.2))
    forgotten = decayed(history, round(2000 * MONTH_MS))
    mean, _ = posterior(forgotten.successes, forgotten.failures, prior_mean=0.81, prior_jobs=2)
    assert mean == pytest.approx(0.81)
    assert posterior(8, 2, prior_mean=0.5, prior_jobs=2)[0] == pytest.approx((1 + 8) / 12)


def test_eq_15_more_sensitive_data_is_a_higher_risk_and_a_stronger_channel_a_lower_one() -> None:
    """COALESCE eq. (15) corrected: (1 - prod(1 - P_i)) * DS * (1 - CS)."""
    assert breach_probability((0.1, 0.2), 0.5, 0.75) == pytest.approx((1 - 0.9 * 0.8) * 0.5 * 0.25)
    assert breach_probability((0.1,), 0.9, 0.5) > breach_probability((0.1,), 0.2, 0.5)
    assert breach_probability((0.1,), 0.9, 0.9) < breach_probability((0.1,), 0.9, 0.5)


def test_eq_18_as_printed_is_sure_of_a_seller_that_always_fails() -> None:
    """COALESCE eq. (18): 1 - z sqrt(p (1-p)) / sqrt(n) is 1 at p = 0 and never below .8 from n = 25 on."""
    assert confidence(np.array([0.0]), np.array([30.0]))[0] == 1.0
    rates = np.linspace(0, 1, 101)
    assert confidence(rates * 25, np.full(101, 25.0)).min() > 0.8
    assert confidence(np.array([5.0]), np.array([10.0]))[0] < 0.8


def test_eq_18_is_replaced_by_the_wilson_interval() -> None:
    """COALESCE eq. (18): Wilson (1927) is wide where little was seen, and honest at 0 and 1."""
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(10, 0)
    assert (round(low, 4), high) == (0.7225, 1.0)
    assert wilson(0, 30)[1] < 0.12
