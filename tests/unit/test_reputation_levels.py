"""Both levels of reputation: integers that fade and are capped; anchors that decide whom to believe; explanations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.identity import Identity, short_id
from node.ledger.reputation import l1, l2
from node.ledger.reputation.beta import cumulative, lower_bound
from node.ledger.reputation.standing import anchored, standing
from node.owner.trust import trust_view
from protocol.receipts import DAY_MS
from protocol.signed import Outcome
from protocol.transactions import NameSuccessor, Succeed, key_commitment
from tests.harness.chains import MEMBERS, PEOPLE, World

OUTCOMES: tuple[Outcome, ...] = ("ok", "fail", "late", "refund")

# Level 1


def test_the_daily_factor_is_the_equations_within_a_billionth_over_a_year() -> None:
    for days in range(366):
        assert l1.daily_factor(days) / l1.ONE == pytest.approx(math.exp(-0.1 * days / 30.436875), abs=1e-9)
    assert l1.daily_factor(l1.FORGOTTEN_DAYS) == 0


def test_an_idle_agent_goes_back_to_the_prior_and_not_to_zero() -> None:
    a, b = l1.beta_of(l1.Counts(0, 16 * l1.ONE, l1.ONE), 0)
    assert a / (a + b) == pytest.approx(17 / 19)
    a, b = l1.beta_of(l1.Counts(0, 16 * l1.ONE, l1.ONE), 3650)
    assert a / (a + b) == pytest.approx(0.5, abs=1e-3)
    assert l1.as_printed(16, 0, 6.4) < 0.5 < l1.as_printed(16, 0, 6.2)  # the printed form falls below a newcomer


@given(st.lists(st.tuples(st.sampled_from(OUTCOMES), st.integers(0, 400)), max_size=40), st.integers(1, 20))
def test_a_pair_never_weighs_more_than_its_cap_and_never_less_than_nothing(
    jobs: list[tuple[Outcome, int]], cap: int
) -> None:
    pair = l1.Counts(0, 0, 0)
    for outcome, later in jobs:
        before, pair = pair, l1.rated(pair, outcome, pair.day + later, cap)
        assert pair.day == before.day + later
        assert pair.successes >= 0
        assert pair.failures >= 0
        assert pair.successes + pair.failures <= cap * l1.ONE


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(OUTCOMES), st.integers(0, 99)), max_size=60))
def test_a_sum_is_that_of_its_pairs_but_for_rounding(jobs: list[tuple[int, Outcome, int]]) -> None:
    day, sums = 0, l1.Counts(0, 0, 0)
    pairs = {client: l1.Counts(0, 0, 0) for client in range(4)}
    for client, outcome, later in jobs:
        day += later
        before = pairs[client]
        pairs[client] = l1.rated(before, outcome, day, 8)
        sums = l1.replaced(sums, before, pairs[client])
    parts = [l1.decayed(pair, day) for pair in pairs.values()]
    now = l1.decayed(sums, day)
    assert abs(now.successes - sum(one.successes for one in parts)) <= 64 * (len(jobs) + 1)
    assert abs(now.failures - sum(one.failures for one in parts)) <= 64 * (len(jobs) + 1)


def test_decay_does_not_run_backwards() -> None:
    counts = l1.Counts(9, 5, 5)
    assert l1.decayed(counts, 3) == counts


# The interval


@pytest.mark.parametrize("n", [1, 2, 9, 50, 1000])
def test_the_bound_of_nothing_but_successes_is_known_in_closed_form(n: int) -> None:
    assert lower_bound(n + 1, 1) == pytest.approx(0.05 ** (1 / (n + 1)), abs=1e-9)
    assert lower_bound(1, n + 1) == pytest.approx(1 - 0.95 ** (1 / (n + 1)), abs=1e-9)


def test_the_distribution_function_is_the_binomial_tail() -> None:
    for x in (0.05, 0.3, 0.5, 0.9):
        tail = sum(math.comb(12, k) * x**k * (1 - x) ** (12 - k) for k in range(5, 13))
        assert cumulative(x, 5, 8) == pytest.approx(tail, abs=1e-12)
    assert (cumulative(0.0, 2, 3), cumulative(1.0, 2, 3)) == (0.0, 1.0)


@given(st.floats(1, 500), st.floats(1, 500))
def test_a_bound_lies_below_the_mean_and_its_probability_is_five_per_cent(a: float, b: float) -> None:
    low = lower_bound(a, b)
    assert 0 < low < a / (a + b)
    assert cumulative(low, a, b) == pytest.approx(0.05, abs=1e-6)


# Level 2


def community(bad_members: int = 0, *, camouflage: bool = False) -> tuple[l2.Ratings, list[int], np.ndarray]:
    """Forty agents. The first twelve collude: they praise one another and slander the rest. Seven members."""
    rng = np.random.default_rng(1)
    good, bad = np.zeros((40, 40)), np.zeros((40, 40))
    for client in range(12, 40):
        for contractor in rng.choice(40, 14, replace=False):
            rate = 0.2 if contractor < 12 else 0.9
            good[client, contractor] = rng.binomial(6, rate)
            bad[client, contractor] = 6 - good[client, contractor]
    good[:12, :12] = 8
    if camouflage:
        good[:12, 12:], bad[:12, 12:] = 1, rng.random((12, 28)) < 0.1
    else:
        bad[:12, 12:] = 8
    for counts in (good, bad):
        np.fill_diagonal(counts, 0)
    raters, contractors = np.nonzero(good + bad)
    ratings = l2.Ratings(40, raters, contractors, good[raters, contractors], bad[raters, contractors])
    members = [*range(bad_members), *range(20, 27 - bad_members)]
    level_1 = (1 + good.sum(0)) / (2 + (good + bad).sum(0))
    return ratings, members, level_1


def scored(bad_members: int, me: int = 30) -> tuple[l2.Trust, np.ndarray]:
    ratings, members, level_1 = community(bad_members)
    views = [l2.view_of(ratings, anchor) for anchor in (me, *members)]
    return l2.combine(views, [1.0] + [0.5] * 7, level_1), level_1


@pytest.mark.parametrize("bad_members", [0, 1, 2, 3, 4])
def test_honest_anchors_of_more_than_half_the_weight_see_through_a_ring(bad_members: int) -> None:
    trust, level_1 = scored(bad_members)
    assert level_1[:12].mean() > level_1[12:].mean()  # which level 1 does not
    assert trust.scores[:12].max() < 0.5 < trust.scores[12:].min()


def test_who_is_believed_are_those_who_agree_with_the_anchor() -> None:
    ratings, _, _ = community()
    view = l2.view_of(ratings, 30)
    assert view.belief[30] == 1.0
    assert view.belief[:12].max() < 0.01
    assert np.median(view.belief[12:]) > 0.9


def test_who_tells_the_truth_about_others_is_not_believed_about_its_friends() -> None:
    ratings, members, level_1 = community(camouflage=True)
    views = [l2.view_of(ratings, anchor) for anchor in (30, *members)]
    trust = l2.combine(views, [1.0] + [0.5] * 7, level_1)
    assert level_1[:12].mean() > 0.6
    assert trust.scores[:12].max() < 0.5 < trust.scores[12:].min()


def test_any_number_of_invented_clients_weighs_nothing() -> None:
    ratings, _, _ = community()
    alone = l2.view_of(ratings, 30)
    extra = 500
    more = l2.Ratings(
        40 + extra,
        np.concatenate([ratings.raters, np.arange(40, 40 + extra)]),
        np.concatenate([ratings.contractors, np.full(extra, 3)]),
        np.concatenate([ratings.successes, np.full(extra, 8.0)]),
        np.concatenate([ratings.failures, np.zeros(extra)]),
    )
    assert l2.view_of(more, 30).rates[:40] == pytest.approx(alone.rates)


def test_where_the_anchors_are_apart_or_know_nothing_level_1_stands_in() -> None:
    level_1 = np.array([0.7, 0.6])
    belief = np.zeros(2)

    def view(one: float, jobs: float = 50.0) -> l2.View:
        return l2.View(np.array([one, 0.9]), belief, np.full(2, jobs), jobs)

    apart = l2.combine([view(0.1), view(0.5), view(0.9)], [1.0, 1.0, 1.0], level_1)
    assert apart.fell_back.tolist() == [True, False]
    assert apart.scores.tolist() == [0.7, 0.9]
    ignorant = l2.combine([view(0.1, 0.0)], [1.0], level_1)
    assert ignorant.scores.tolist() == level_1.tolist()
    assert l2.combine([], [], level_1).fell_back.all()


def test_a_tie_between_two_halves_takes_the_lower() -> None:
    low, high = (l2.View(np.array([rate]), np.zeros(1), np.ones(1), 5.0) for rate in (0.5, 0.6))
    assert l2.combine([high, low], [1.0, 1.0], np.array([0.0])).scores.tolist() == [0.5]


def test_nothing_said_is_nothing_known() -> None:
    none = np.zeros(0)
    ratings = l2.Ratings(3, none.astype(np.intp), none.astype(np.intp), none, none)
    assert l2.view_of(ratings, 1).rates.tolist() == [0.5, 0.5, 0.5]


def test_columns_that_do_not_fit_are_refused() -> None:
    one, none = np.ones(1), np.zeros(0)
    with pytest.raises(ValueError, match="different lengths"):
        l2.Ratings(3, one.astype(np.intp), one.astype(np.intp), one, none)
    with pytest.raises(ValueError, match="outside 0 to 0"):
        l2.Ratings(1, one.astype(np.intp), one.astype(np.intp), one, one)


# The explanation


def test_a_standing_says_who_said_what_and_how_far_each_is_believed() -> None:
    world = World()
    contractor, liar, me = PEOPLE[5], PEOPLE[6], PEOPLE[4]
    number = 0
    for client in (me, *MEMBERS):
        for other in (contractor, PEOPLE[7], PEOPLE[8]):
            if client is not other:
                number += 1
                world.rated(client, other, number)
    for other in (contractor, PEOPLE[7], PEOPLE[8]):
        number += 1
        world.rated(liar, other, number, "fail")
    day = world.now // DAY_MS
    owner = world.state.account_of(me.public_key)
    shown = standing(world.state, contractor.public_key, day, anchored(world.state, owner, day))
    assert shown is not None
    assert shown.ratings == 6
    assert shown.level_1.mean == pytest.approx(6 / 8)
    assert shown.level_1.low == pytest.approx(lower_bound(6, 2))
    assert shown.level_2 is not None
    assert not shown.level_2.fell_back
    assert shown.level_2.rate > shown.level_1.mean
    assert 0.0 < shown.level_2.jobs < shown.level_1.successes + shown.level_1.failures
    assert sum(anchor.weight for anchor in shown.level_2.anchors) == pytest.approx(1)
    assert [anchor.is_self for anchor in shown.level_2.anchors] == [True, False, False, False, False]
    belief = {one.client: one.belief for one in shown.said}
    assert belief[liar.public_key] == pytest.approx(0)
    assert (belief[MEMBERS[0].public_key] or 0) > 0.5


def test_who_said_what_is_named_by_the_key_that_it_acts_by_now() -> None:
    world = World()
    client, contractor, successor = PEOPLE[4], PEOPLE[5], Identity(b"\x77" * 32)
    world.rated(client, contractor, 1)
    named = key_commitment(successor.public_key)
    world.block(world.tx(NameSuccessor, client, next_key_sha256=named))
    world.block(world.tx(Succeed, client, successor, new_key=successor.public_key))
    day = world.now // DAY_MS
    me = world.state.account_of(successor.public_key)
    shown = standing(world.state, contractor.public_key, day, anchored(world.state, me, day))
    assert shown is not None
    told = trust_view(shown, world.state, own_jobs=0, own_successes=0)
    assert [row.client for row in told.said] == [short_id(successor.public_key)]
    assert short_id(successor.public_key) in {row.anchor for row in told.anchors if row.is_self}


def test_evidence_fades_and_the_printed_form_punishes_idleness() -> None:
    world = World()
    for number in range(8):
        world.rated(PEOPLE[4], PEOPLE[5], number)
    day = world.now // DAY_MS
    now = standing(world.state, PEOPLE[5].public_key, day)
    later = standing(world.state, PEOPLE[5].public_key, day + 365)
    assert now is not None
    assert later is not None
    assert now.level_2 is None
    assert now.kept == 1.0
    assert later.kept == pytest.approx(math.exp(-0.1 * 365 / 30.436875))
    assert later.level_1.mean > 0.5 > later.level_1.as_printed
    assert now.level_1.as_printed == pytest.approx(now.level_1.mean, abs=1e-6)
    assert standing(world.state, PEOPLE[11].public_key, day) is None


def test_level_2_of_a_node_without_an_account_is_the_committees() -> None:
    world = World()
    world.rated(MEMBERS[0], PEOPLE[5], 1)
    levels = anchored(world.state, None, world.now // DAY_MS)
    assert set(levels.anchors) == {one.public_key for one in MEMBERS}
    rate = levels.rate(PEOPLE[5].public_key)
    assert rate is not None
    assert rate[0] > 0.5
    assert levels.rate(bytes(32)) is None
