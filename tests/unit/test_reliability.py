"""Success probabilities from receipts: decay, prior, pessimism, Wilson's interval."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from node.decision.reliability import (
    MONTH_MS,
    History,
    Reputation,
    Told,
    decayed,
    pessimistic,
    posterior,
    record,
    told,
    wilson,
)

YEAR_MS = round(12 * MONTH_MS)


def test_counts_decay_by_a_tenth_a_month_and_jobs_do_not() -> None:
    # Eq. (14) with lambda = .1: after a year e^-1.2 = .3012 of each count is left.
    later = decayed(History(successes=10, failures=5, jobs=15), YEAR_MS)
    assert later.successes == pytest.approx(3.012, abs=1e-3)
    assert later.failures == pytest.approx(1.506, abs=1e-3)
    assert (later.jobs, later.at_unix_ms) == (15, YEAR_MS)


def test_an_idle_honest_seller_returns_to_its_prior_and_not_to_nothing() -> None:
    later = decayed(History(successes=50, jobs=50), 100 * YEAR_MS)
    mean, _ = posterior(later.successes, later.failures, prior_mean=0.8, prior_jobs=2)
    assert mean == pytest.approx(0.8, abs=1e-6)


def test_decay_in_two_steps_is_decay_in_one() -> None:
    start = History(successes=10, failures=3, jobs=13)
    twice = decayed(decayed(start, YEAR_MS // 3), YEAR_MS)
    assert twice.successes == pytest.approx(decayed(start, YEAR_MS).successes)


def test_a_clock_that_went_backwards_changes_nothing() -> None:
    start = History(successes=10, jobs=10, at_unix_ms=1_000_000)
    assert decayed(start, 0) == start


def test_a_receipt_adds_one_to_what_is_left_of_the_others() -> None:
    history = record(record(History(), success=True, now_unix_ms=0), success=False, now_unix_ms=YEAR_MS)
    assert history.successes == pytest.approx(math.exp(-1.2), abs=1e-4)
    assert (history.failures, history.jobs) == (1.0, 2)


def test_the_posterior_is_that_of_a_beta_distribution() -> None:
    # Prior Beta(1.8, .2), 8 good and 2 bad: Beta(9.8, 2.2), mean 9.8/12, variance ab / (n^2 (n+1)).
    mean, deviation = posterior(8, 2, prior_mean=0.9, prior_jobs=2)
    assert mean == pytest.approx(9.8 / 12)
    assert deviation == pytest.approx(math.sqrt(9.8 * 2.2 / (144 * 13)))


def test_pessimism_takes_deviations_off_and_stops_at_nothing() -> None:
    assert pessimistic(0.8, 0.2, 0.5) == pytest.approx(0.7)
    assert pessimistic(0.1, 0.3, 1.0) == 0


def test_wilsons_interval_matches_the_published_example_and_is_defined_at_the_ends() -> None:
    assert wilson(8, 2) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0, 1)
    assert wilson(25, 0)[0] == pytest.approx(0.8668, abs=1e-4)
    assert wilson(25, 0)[1] == 1
    assert wilson(0, 25)[0] == 0
    assert wilson(0, 25)[1] == pytest.approx(0.1332, abs=1e-4)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
def test_counts_that_cannot_be_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="successes is"):
        wilson(wrong, 0)
    with pytest.raises(ValueError, match=r"History\.failures is"):
        History(failures=wrong)


# What others say

CHAIN = Reputation(level_1=0.9, level_1_low=0.8, level_1_jobs=30.0, raters=9)


def weigh(reputation: Reputation | None) -> Told:
    return told(reputation, discount=0.3, unanchored=0.1, most_jobs=10.0)


def test_without_a_chain_others_add_nothing() -> None:
    assert weigh(None) == weigh(replace(CHAIN, level_1_jobs=0.0)) == Told()


def test_the_words_of_those_whom_a_node_believes_weigh_more_than_anybodys() -> None:
    anybody, believed = weigh(CHAIN), weigh(replace(CHAIN, level_2=0.9, level_2_jobs=30.0))
    assert sum(anybody) == pytest.approx(3.0)
    assert sum(believed) == pytest.approx(9.0)
    assert believed.successes == pytest.approx(0.3 * (0.9 * 32 - 1))


def test_slander_and_praise_by_people_whom_a_node_does_not_believe_change_nothing() -> None:
    believed = replace(CHAIN, level_2=0.9, level_2_jobs=12.0)
    slandered = replace(believed, level_1=0.1, level_1_low=0.0, level_1_jobs=400.0, raters=90)
    assert weigh(slandered) == weigh(believed)


@given(
    rate=st.floats(0, 1), jobs=st.floats(0, 1e6), level_2=st.none() | st.floats(0, 1), level_2_jobs=st.floats(0, 1e6)
)
def test_others_never_weigh_more_than_ten_jobs_and_own_experience_outweighs_them(
    rate: float, jobs: float, level_2: float | None, level_2_jobs: float
) -> None:
    said = weigh(
        Reputation(level_1=rate, level_1_low=0.0, level_1_jobs=jobs, level_2=level_2, level_2_jobs=level_2_jobs)
    )
    assert said.successes >= 0.0
    assert said.failures >= 0.0
    assert sum(said) <= 10.0 + 1e-9
    mean, _ = posterior(said.successes, said.failures + 30.0, prior_mean=0.9, prior_jobs=2.0)
    assert mean < 0.3  # thirty failures of one's own, whatever others say
