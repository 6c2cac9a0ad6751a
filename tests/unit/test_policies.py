"""Every policy behind the one interface, alone and in batches; and what each is known for."""

from typing import Any

import msgspec
import numpy as np
import pytest

from node.decision.policies import batch
from node.decision.policies.adaptive_threshold import threshold
from node.decision.policies.experience import RECENT_DECISIONS, aged, learn, rows_of, start, with_rows
from node.decision.policies.graduated_epsilon import rate
from node.decision.policies.interface import LOCAL, Belief, Experience, Menu, Outcome, Pick, Policy
from node.decision.policies.market_maker import believe as with_reports
from node.decision.policies.pricing import column, features, least_cost, price
from node.decision.policies.registry import POLICIES, policy
from node.decision.policies.settings import FEATURES, PolicyConfig
from node.errors import UsageError
from tests.harness.menus import market, plain

SETTINGS = PolicyConfig(unproven_value_micro=10**12)
EVERY = pytest.mark.parametrize("rule", POLICIES.values(), ids=POLICIES)


def row_of(menu: Menu, row: int) -> Menu:
    """One row of a batch, as one decision."""
    figures: dict[str, Any] = {
        name: values[row] if values.shape == menu.usable.shape else float(values[row, 0])
        for name, values in menu._asdict().items()
        if isinstance(values, np.ndarray)
    }
    return menu._replace(**figures)


def chosen(rule: Policy, menu: Menu, experience: Experience, settings: PolicyConfig = SETTINGS, seed: int = 1) -> Pick:
    return batch.choose(rule, menu, experience, settings, np.random.default_rng(seed)).pick


def seen(menu: Menu, *, good: float, bad: float = 0.0, settings: PolicyConfig = SETTINGS) -> Experience:
    """As if every seller had done as many jobs."""
    fresh = start(menu.price_micro.shape, settings)
    return fresh._replace(successes=fresh.jobs + good, failures=fresh.jobs + bad, jobs=fresh.jobs + good + bad)


def after(pick: Pick, *, good: bool = True, reward: float = 0.3) -> Outcome:
    shape = pick.seller.shape
    placed = np.full((*shape, FEATURES), 0.5)
    return Outcome(
        pick.seller,
        np.full(shape, good),
        np.full(shape, reward),
        pick.explored,
        placed,
        np.ones(shape, bool),
        np.full(shape, 10e6),
    )


@EVERY
@pytest.mark.parametrize("shape", [(30,), (4, 30), (1, 30), (2, 3, 5), (1,), (3, 1), (0,), (3, 0)], ids=str)
def test_a_policy_never_hires_a_seller_that_is_out_whatever_it_has_seen(rule: Policy, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(7)
    experience = start(shape, SETTINGS)
    for step in range(40):
        menu = market(random, shape)
        pick, priced = batch.choose(rule, menu, experience, SETTINGS, random)
        assert pick.seller.shape == pick.level.shape == pick.explored.shape == shape[:-1]
        hired = pick.seller != LOCAL
        assert np.all(column(menu.usable.astype(float), pick.seller)[hired] == 1)
        assert not np.any(pick.explored & ~hired)
        assert np.all(pick.level < len(menu.checks))
        good = random.random(shape[:-1]) < 0.8
        placed = features(menu, priced)
        x = (
            np.zeros((*shape[:-1], FEATURES))
            if not shape[-1]
            else np.take_along_axis(placed, np.maximum(pick.seller, 0)[..., None, None], -2)[..., 0, :]
        )
        outcome = Outcome(
            pick.seller, good, np.where(good, 0.4, -0.8), pick.explored, x, np.asarray(menu.usable.any(-1))
        )
        experience = learn(experience, outcome, SETTINGS)
        assert all(np.isfinite(values).all() for values in experience), step
    assert np.all(experience.hires == experience.jobs.sum(-1))


@EVERY
def test_a_batch_chooses_what_each_row_chooses_alone(rule: Policy) -> None:
    random = np.random.default_rng(3)
    shape = (6, 12)
    experience = start(shape, SETTINGS)._replace(
        successes=random.integers(0, 30, shape).astype(float),
        failures=random.integers(0, 5, shape).astype(float),
        jobs=np.full(shape, 20.0),
        reward=random.uniform(-3, 9, shape),
        recent_hires=np.full(6, 0.4),
    )
    menu = market(random, shape)
    # Only the part without draws can be compared: a batch draws for all its rows at once.
    settings = PolicyConfig(epsilon=0.0, epsilon_least=0.0, linear_bonus=0.0, stuck_after=0)
    if rule.name == "thompson":
        pytest.skip("its belief is a draw")
    together = chosen(rule, menu, experience, settings)
    for row in range(6):
        alone = row_of(menu, row)
        one = chosen(rule, alone, rows_of(experience, np.array(row)), settings)
        assert (int(one.seller), int(one.level)) == (int(together.seller[row]), int(together.level[row]))


@pytest.mark.parametrize("tie_share", [0.02, 0.2, 0.5])
def test_many_near_equals_in_a_batch_are_settled_as_the_few_of_each_row_alone(tie_share: float) -> None:
    random, settings = np.random.default_rng(5), PolicyConfig(tie_share=tie_share)
    shape = (200, 6)
    menu = market(random, shape)
    # In steps, so that costs and scores are often equal to the last bit.
    menu = menu._replace(
        price_micro=np.round(menu.price_micro, -6), prior=np.full(shape, 0.9), fixed_micro=0 * menu.prior
    )
    priced = price(menu, Belief(np.round(random.uniform(0.6, 0.95, shape), 1)))
    together = least_cost(menu, priced, settings)
    for row in range(shape[0]):
        alone = row_of(menu, row)
        found = least_cost(alone, price(alone, Belief(priced.success[row])), settings)
        assert int(found) == int(together[row])


@pytest.mark.parametrize("name", sorted(name for name, rule in POLICIES.items() if rule.is_gated))
def test_policies_that_know_the_gate_leave_work_here_where_every_seller_costs_more(name: str) -> None:
    random = np.random.default_rng(11)
    experience = start((20, 30), SETTINGS)._replace(local_run=np.full(20, 1e6))
    for _ in range(20):
        menu = market(random, (20, 30), local_usd=(0.1, 0.9))
        assert np.all(batch.choose(POLICIES[name], menu, experience, SETTINGS, random).pick.seller == LOCAL)


def test_learning_changes_nothing_in_place_and_touches_only_what_was_hired() -> None:
    before = start((2, 3), SETTINGS)
    copies = [values.copy() for values in before]
    pick = Pick(np.array([1, LOCAL]), np.zeros(2, np.int64), np.array([True, False]))
    then = learn(before, after(pick), SETTINGS)
    assert all(np.array_equal(values, copy) for values, copy in zip(before, copies, strict=True))
    assert then.jobs.tolist() == [[0, 1, 0], [0, 0, 0]]
    assert (then.decisions.tolist(), then.hires.tolist(), then.explorations.tolist()) == ([1, 1], [1, 0], [1, 0])
    assert then.local_run.tolist() == [0, 1]
    assert then.recent_explorations[0] == pytest.approx(1 / RECENT_DECISIONS)
    assert np.array_equal(then.gram[1], np.eye(FEATURES))


def test_rows_can_be_taken_out_and_put_back() -> None:
    whole = start((4, 3), SETTINGS)
    some = np.array([1, 3])
    changed = learn(
        rows_of(whole, some), after(Pick(np.array([0, 2]), np.zeros(2, np.int64), np.zeros(2, bool))), SETTINGS
    )
    put = with_rows(whole, some, changed)
    assert put.jobs.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]]
    assert whole.jobs.sum() == 0
    assert aged(put, 0.5).successes.sum() == 1.0


def test_a_policy_that_draws_says_so_when_it_is_given_nothing_to_draw_from() -> None:
    menu = plain(10)
    with pytest.raises(ValueError, match="thompson draws at random: give it a numpy Generator"):
        batch.choose(POLICIES["thompson"], menu, start((1,), SETTINGS), SETTINGS)
    assert batch.choose(POLICIES["expected-cost"], menu, start((1,), SETTINGS), SETTINGS).pick.seller == 0


def test_an_unknown_policy_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no policy is called 'thomson': did you mean thompson"):
        policy("thomson")
    with pytest.raises(UsageError, match="there are expected-cost, paper, ucb1"):
        policy("zzzz")


# --- exploration


def test_about_five_of_fifty_tasks_explore_at_epsilon_one_tenth() -> None:
    menu = plain(10, 12, 14, 60)
    menu = menu._replace(usable=np.array([True, True, True, False]), explorable=np.array([True, True, True, False]))
    counts = []
    for run in range(40):
        random, experience = np.random.default_rng(run), start((4,), SETTINGS)
        for _ in range(50):
            pick = batch.choose(POLICIES["paper"], menu, experience, SETTINGS, random).pick
            assert int(pick.seller) != 3, "a seller that is out was explored"
            experience = learn(experience, after(pick), SETTINGS)
        counts.append(float(experience.explorations))
    assert np.mean(counts) == pytest.approx(5, abs=1)
    assert max(counts) <= 13
    assert len(set(counts)) > 3, "runs with other seeds must not explore alike"


def test_graduated_exploration_begins_at_epsilon_and_grows_rarer_but_never_ends() -> None:
    fresh = start((2,), SETTINGS)
    rates = [float(rate(fresh._replace(decisions=np.array(count)), SETTINGS)) for count in (0.0, 50.0, 450.0, 1e9)]
    assert rates == pytest.approx([0.1, 0.05, 0.01, 0.01])


@pytest.mark.parametrize("name", ["expected-cost", "adaptive-threshold", "linucb"])
def test_a_stuck_policy_tries_the_unproven_seller_that_could_be_worth_it(name: str) -> None:
    menu = plain(29.9, 29.5, 28.0, prior=0.35, value_usd=60)
    experience = seen(menu, good=0)._replace(jobs=np.array([0.0, 0.0, 9.0]), moment=np.full(FEATURES, -1.0))
    experience = experience._replace(saved_micro=np.array(1e9))
    settings = PolicyConfig(stuck_after=25, unproven_value_micro=10**9, optimism=3.0, linear_bonus=0)
    assert chosen(POLICIES[name], menu, experience._replace(local_run=np.array(24.0)), settings).seller == LOCAL
    pick = chosen(POLICIES[name], menu, experience._replace(local_run=np.array(25.0)), settings)
    assert (int(pick.seller), bool(pick.explored)) == (1, True)


def test_nothing_is_tried_that_could_not_be_worth_it_or_that_goes_over_a_cap() -> None:
    experience = seen(plain(1, 1), good=0)._replace(local_run=np.array(1e6), saved_micro=np.array(1e9))
    rule = POLICIES["expected-cost"]
    dear = plain(31, 45, prior=0.9)
    assert chosen(rule, dear, experience).seller == LOCAL
    doubtful = plain(29.9, 29.5, prior=0.35, value_usd=60)
    settings = PolicyConfig(optimism=3.0)
    assert chosen(rule, doubtful, experience, settings).seller != LOCAL
    capped = doubtful._replace(explorable=np.zeros(2, bool))
    assert chosen(rule, capped, experience, settings).seller == LOCAL
    poor = experience._replace(saved_micro=np.array(0.0))
    assert chosen(rule, doubtful, poor, settings).seller == LOCAL, "what is tried is paid from what was saved"
    assert chosen(rule, doubtful, experience, PolicyConfig(optimism=3.0, stuck_after=0)).seller == LOCAL


# --- what each is known for


def test_ucb1_tries_every_arm_once_and_then_settles_on_the_one_that_saves() -> None:
    menu, random = plain(10, 11, 12), np.random.default_rng(0)
    experience, picks = start((3,), SETTINGS), []
    for _ in range(300):
        pick = batch.choose(POLICIES["ucb1"], menu, experience, SETTINGS, random).pick
        picks.append(int(pick.seller))
        experience = learn(experience, after(pick, reward=0.8 if pick.seller == 1 else -0.5), SETTINGS)
    assert picks[:3] == [0, 1, 2]
    assert picks[200:].count(1) > 80


def test_optimism_and_pessimism_move_the_same_seller_apart() -> None:
    menu = plain(24.5, prior=0.8, local_usd=30, value_usd=60)
    experience = start((1,), SETTINGS)
    settings = PolicyConfig(pessimism=2.0, optimism=2.0)
    assert chosen(POLICIES["expected-cost"], menu, experience, settings).seller == LOCAL
    assert chosen(POLICIES["ucb-structured"], menu, experience, settings).seller == 0


def test_thompson_hires_a_doubtful_seller_sometimes() -> None:
    menu, experience = plain(24, prior=0.7), start((1,), SETTINGS)
    hired = [int(chosen(POLICIES["thompson"], menu, experience, seed=seed).seller) for seed in range(60)]
    assert {0, LOCAL} == set(hired)


@pytest.mark.parametrize("name", ["linucb", "contextual-thompson"])
def test_linear_policies_learn_that_cheap_sellers_disappoint(name: str) -> None:
    menu = plain(3, 27)
    menu = menu._replace(prior=np.array([0.5, 0.99]))
    experience, random = start((2,), SETTINGS), np.random.default_rng(4)
    picks = []
    for _ in range(200):
        pick, priced = batch.choose(POLICIES[name], menu, experience, SETTINGS, random)
        picks.append(int(pick.seller))
        x = features(menu, priced)[max(0, picks[-1])]
        reward = {0: -0.9, 1: 0.1, LOCAL: 0.0}[picks[-1]]
        outcome = Outcome(pick.seller, np.array(reward > 0), np.array(reward), pick.explored, x, np.array(True))
        experience = learn(experience, outcome, SETTINGS)
    assert picks[100:].count(0) < 5


def test_the_paper_refuses_a_lone_seller_and_never_looks_at_the_local_cost() -> None:
    settings = PolicyConfig(epsilon=0.0, unproven_value_micro=10**12)
    lone = plain(1.0)
    assert chosen(POLICIES["paper"], lone, seen(lone, good=30), settings).seller == LOCAL
    # Faster, safer and cheaper than the other, at a million dollars against a local $30.
    absurd = plain(1e6, 2e6)
    absurd = absurd._replace(time_s=np.array([5.0, 50.0]), p_breach=np.array([0.01, 0.02]))
    assert chosen(POLICIES["paper"], absurd, seen(absurd, good=30), settings).seller == 0
    assert chosen(POLICIES["expected-cost"], absurd, seen(absurd, good=30), settings).seller == LOCAL


def test_the_adaptive_threshold_falls_while_little_is_hired_and_rises_again() -> None:
    fresh = start((1,), SETTINGS)
    rates = [
        float(threshold(fresh._replace(recent_hires=np.array(hires)), SETTINGS)) for hires in (0.0, 0.165, 0.33, 1.0)
    ]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.6])


def test_reports_of_others_count_less_than_own_jobs_and_are_bounded() -> None:
    menu = plain(10)
    fresh = start((1,), SETTINGS)

    def belief(successes: float, failures: float) -> float:
        told = fresh._replace(shared_successes=np.array([successes]), shared_failures=np.array([failures]))
        return float(with_reports(menu, told, SETTINGS, None).success[0])

    assert belief(0, 20) < belief(0, 0) < belief(20, 0)
    # A million lies weigh what the bound says, ten jobs.
    assert belief(1e6, 0) == pytest.approx(belief(SETTINGS.shared_jobs_max / SETTINGS.shared_discount, 0), abs=1e-6)
    own = fresh._replace(failures=np.array([40.0]), shared_successes=np.array([1e6]))
    assert with_reports(menu, own, SETTINGS, None).success[0] < 0.3


def test_a_portfolio_gives_no_seller_more_than_its_share_while_others_can_be_had() -> None:
    menu, experience = plain(10, 12, 14), start((3,), SETTINGS)
    for _ in range(100):
        experience = learn(experience, after(chosen(POLICIES["portfolio"], menu, experience)), SETTINGS)
    assert float(experience.jobs.max()) / 100 <= SETTINGS.share_max + 0.05
    lone = plain(10, 45)
    experience = start((2,), SETTINGS)
    for _ in range(10):
        pick = chosen(POLICIES["portfolio"], lone, experience)
        assert int(pick.seller) == 0, "the cap gives way where nobody else is worth it"
        experience = learn(experience, after(pick), SETTINGS)


def test_a_portfolio_tries_newcomers_that_cost_hardly_more_within_its_window() -> None:
    menu = plain(10, 10.1, 40)
    known = start((3,), SETTINGS)._replace(jobs=np.array([9.0, 0.0, 0.0]), successes=np.array([9.0, 0.0, 0.0]))
    pick = chosen(POLICIES["portfolio"], menu._replace(price_micro=np.array([25e6, 10e6, 29e6])), known)
    assert (int(pick.seller), bool(pick.explored)) == (1, False), "it is the best there is, and no trial"
    near = menu._replace(prior=np.array([0.9, 0.89, 0.9]), price_micro=np.array([14e6, 9e6, 29e6]))
    for window, expected in ((SETTINGS, 1), (msgspec.structs.replace(SETTINGS, newcomer_share=0.0), 0)):
        pick = chosen(POLICIES["portfolio"], near, known, window)
        assert (int(pick.seller), bool(pick.explored)) == (expected, expected == 1)
    tried = known._replace(recent_explorations=np.array(0.06))
    assert int(chosen(POLICIES["portfolio"], near, tried).seller) == 0, "the window is used up"
    closed = near._replace(explorable=np.zeros(3, bool))
    assert int(chosen(POLICIES["portfolio"], closed, known).seller) == 0, "the caps on the unproven hold"


def test_the_check_is_chosen_with_the_seller() -> None:
    menu = plain(10, prior=0.6, value_usd=500)
    experience = start((1,), SETTINGS)
    priced = price(menu, Belief(np.array([0.6])))
    assert int(priced.level[0]) == 1
    assert int(chosen(POLICIES["ucb-structured"], menu, experience).level) == 1
    trusted = seen(menu, good=1000)
    assert int(chosen(POLICIES["expected-cost"], menu._replace(prior=np.array([1.0])), trusted).level) == 0
