"""The market simulator: its world is the paper's, chance is drawn beforehand, outcomes are booked as they happen."""

from dataclasses import fields
from typing import get_args

import msgspec
import numpy as np
import pytest

from coalesced.sim.market.binding import SIMULATED
from coalesced.sim.market.jobs import ClusterError, Job, do, run_jobs, split
from coalesced.sim.market.metrics import Summary, joined, reduction, summarise
from coalesced.sim.market.parameters import TASK_TYPES, printed_opportunity_usd, skill_matches
from coalesced.sim.market.regions import RTT_MS, wire_min
from coalesced.sim.market.rules import rule
from coalesced.sim.market.run import Log, simulate
from coalesced.sim.market.scenario import SCENARIOS, Overbilling, Scenario, Shock, mixed, scenario
from coalesced.sim.market.sellers import WHITEWASH_JOBS, Kind
from coalesced.sim.market.statistics import beta_ratio, estimate, f_tail, pearson, two_way
from coalesced.sim.market.world import draw_worlds
from node.decision.policies.experience import start
from node.decision.policies.interface import CheckTerms, Menu
from node.decision.policies.two_kinds import believe
from node.errors import UsageError

HONEST = Scenario(name="small", contractors=12, tasks=60)
SMALL = mixed(HONEST, 0.4)

MENU = Menu(
    usable=np.ones(1, bool),
    explorable=np.ones(1, bool),
    price_micro=np.ones(1),
    fixed_micro=np.zeros(1),
    prior=np.ones(1),
    time_s=np.ones(1),
    p_breach=np.zeros(1),
    match=np.ones(1),
    checks=(CheckTerms("none", 0.0, 0.0),),
    value_micro=1.0,
    redo_micro=1.0,
    local_micro=1.0,
    limit_micro=1.0,
    deadline_s=1.0,
)


def log_of(scene: Scenario, name: str, runs: int = 4, seed: int = 1) -> Log:
    return simulate(scene, rule(name), seed, range(runs))


def same(one: Summary, other: Summary) -> bool:
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=True) for f in fields(Summary))


def test_local_costs_are_those_of_the_printed_regime() -> None:
    world = draw_worlds(Scenario(local_scale=1.0), 1, range(20))
    assert world.local_usd.mean() == pytest.approx(139, rel=0.03)
    assert draw_worlds(Scenario(), 1, range(20)).local_usd.mean() == pytest.approx(27.8, rel=0.03)


def test_the_paper_s_skill_sets_let_nobody_do_sentiment_or_portfolios() -> None:
    best = skill_matches().max(0)
    names = [task.name for task, match in zip(TASK_TYPES, best, strict=True) if match < 0.7]
    assert names == ["sentiment", "portfolio"]


def test_a_run_is_the_same_whatever_runs_beside_it() -> None:
    alone, together = draw_worlds(SMALL, 5, [2]), draw_worlds(SMALL, 5, range(4))
    assert np.array_equal(alone.local_usd[0], together.local_usd[2])
    assert np.array_equal(alone.offers[0], together.offers[2])
    assert np.array_equal(alone.sellers.success[0], together.sellers.success[2])


def test_another_seed_is_another_market() -> None:
    assert not np.array_equal(draw_worlds(SMALL, 1, [0]).local_usd, draw_worlds(SMALL, 2, [0]).local_usd)


def test_dishonesty_changes_nothing_else_of_the_market() -> None:
    honest, mixed = draw_worlds(HONEST, 1, [0]), draw_worlds(SMALL, 1, [0])
    assert np.array_equal(honest.local_usd, mixed.local_usd)
    unchanged = mixed.sellers.kind == Kind.HONEST
    assert np.array_equal(honest.sellers.success[unchanged], mixed.sellers.success[unchanged])


def test_the_dealt_shares_are_exact() -> None:
    kinds = draw_worlds(mixed(Scenario(contractors=30), 0.4), 3, range(5)).sellers.kind
    assert [int((kinds[0] == kind).sum()) for kind in (Kind.SPOOFER, Kind.FABRICATOR, Kind.BAITER)] == [4, 4, 4]
    assert ((kinds > 0).sum(1) == 12).all()


def test_shares_above_one_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"spoofers=0\.8, leechers=0\.4"):
        Scenario(spoofers=0.8, leechers=0.4)


def test_an_unknown_scenario_or_policy_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="nearest: parity"):
        scenario("paritty")
    with pytest.raises(UsageError, match="ucb1"):
        rule("ucb2")


def test_every_named_scenario_runs() -> None:
    for name, scene in SCENARIOS.items():
        tiny = msgspec.structs.replace(scene, tasks=20)
        log = simulate(tiny, rule("expected-cost"), 1, range(2))
        assert log.present.all(), name
        assert np.isfinite(log.spent_usd).all(), name


def test_local_saves_nothing_and_nobody_beats_the_oracle_in_expectation() -> None:
    local, oracle, default = (summarise(log_of(SMALL, name, 20)) for name in ("local", "oracle", "expected-cost"))
    assert (local.cost_reduction == 0.0).all()
    assert oracle.cost_reduction.mean() > default.cost_reduction.mean() > 0.0


def test_what_is_spent_is_what_happened() -> None:
    log = log_of(SMALL, "expected-cost")
    hired = log.seller >= 0
    assert np.array_equal(log.spent_usd[~hired], log.local_usd[~hired])
    missed = log.missed & hired
    assert (log.spent_usd[missed] > log.value_usd[missed]).all()
    assert not (log.missed & log.good).any()


def test_a_whitewasher_is_forgotten_after_its_jobs() -> None:
    scene = Scenario(contractors=2, tasks=80, whitewashers=1.0, local_scale=1.0)
    log = simulate(scene, rule("expected-cost"), 1, range(1))
    hires = np.bincount(log.seller[0][log.seller[0] >= 0], minlength=2)
    assert hires.max() > 2 * WHITEWASH_JOBS  # it is hired again and again, being nobody each time


def test_a_bill_above_a_signed_quote_is_a_fault() -> None:
    unseen, seen, refused, none = (
        summarise(simulate(Scenario(baiters=0.5, tasks=200, overbilling=how), rule("expected-cost"), 1, range(10)))
        for how in get_args(Overbilling)
    )
    assert max(seen.to_dishonest.mean(), refused.to_dishonest.mean()) < unseen.to_dishonest.mean()
    assert none.cost_reduction.mean() > unseen.cost_reduction.mean()


def test_shared_reputation_helps_and_lies_help_less() -> None:
    scene = mixed(Scenario(clients=6, contractors=12, tasks=150), 0.4)
    alone, shared, lied = (
        summarise(simulate(msgspec.structs.replace(scene, **more), rule("market-maker"), 1, range(10)))
        for more in ({}, {"shared_reputation": True}, {"shared_reputation": True, "liars": 0.4})
    )
    assert shared.cost_reduction.mean() > alone.cost_reduction.mean()
    assert shared.cost_reduction.mean() > lied.cost_reduction.mean()


def test_a_supply_shock_empties_the_market_while_it_lasts() -> None:
    scene = Scenario(tasks=100, shocks=(Shock(kind="supply", start=0.5, end=0.8, share=1.0),))
    log = simulate(scene, rule("oracle"), 1, range(3))
    assert not log.offered[:, 50:80].any()
    assert log.offered[:, :50].any()
    assert log.offered[:, 80:].any()


def test_a_price_shock_raises_quotes_while_it_lasts() -> None:
    scene = Scenario(tasks=100, demand="paper", shocks=(Shock(kind="price", factor=3.0, share=1.0),))
    log = simulate(scene, rule("local"), 1, range(3), keep_quotes=True)
    assert log.quotes_usd is not None
    assert np.nanmean(log.quotes_usd[:, 40:70]) > 2.0 * np.nanmean(log.quotes_usd[:, :40])


def test_distance_costs_time() -> None:
    region = np.arange(6)
    near, far = wire_min(np.array(10.0), region, region), wire_min(np.array(10.0), region, region[::-1])
    assert (far > near).all()
    assert np.array_equal(RTT_MS, RTT_MS.T)


def test_opportunity_is_the_best_of_what_waits() -> None:
    hour, client = np.array([0, 0, 0, 1]), np.array([0, 1, 0, 0])
    value, hours = np.array([100.0, 200.0, 300.0, 400.0]), np.array([4.0, 4.0, 4.0, 4.0])
    assert printed_opportunity_usd(hour, client, value, hours).tolist() == [600.0, 0.0, 0.0, 0.0]


def test_the_paper_s_metric_is_not_a_cost_reduction() -> None:
    log = log_of(msgspec.structs.replace(HONEST, local_scale=1.0), "expected-cost")
    summary = summarise(log)
    assert (summary.paper_metric > 100.0).any()
    assert (summary.cost_reduction < 100.0).all()


def test_reduction_of_nothing_is_not_a_number() -> None:
    nothing, there = np.zeros((1, 3)), np.ones((1, 3), bool)
    assert np.isnan(reduction(nothing, nothing, there)).all()


def test_a_job_gives_equal_bits_here_and_in_a_process() -> None:
    jobs = [job for name in ("paper", "thompson") for job in split(SMALL, name, 7, 4)]
    here, there = run_jobs(jobs, workers=1), run_jobs(jobs, workers=2)
    assert all(same(one, other) for one, other in zip(here, there, strict=True))


def test_jobs_keep_their_size_however_many_do_them() -> None:
    jobs = split(SMALL, "local", 1, 45)
    assert [(job.start, job.stop) for job in jobs] == [(0, 20), (20, 40), (40, 45)]
    parts = [do(Job(SMALL, "oracle", 1, start, start + 2)) for start in (0, 2)]
    assert same(joined(parts), do(Job(SMALL, "oracle", 1, 0, 4)))


def test_a_cluster_without_dask_is_refused_with_what_to_install() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError:
        with pytest.raises(ClusterError, match=r"coalesced\[sim\]"):
            run_jobs(split(SMALL, "local", 1, 1), cluster="tcp://127.0.0.1:1")


def test_progress_counts_every_job() -> None:
    seen: list[tuple[int, int]] = []
    run_jobs(split(SMALL, "local", 1, 25), workers=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_a_bootstrap_interval_holds_the_mean_and_is_always_the_same() -> None:
    values = np.random.default_rng(1).normal(3.0, 1.0, 50)
    found = estimate(values)
    assert found.low < found.mean < found.high
    assert found == estimate(values)
    assert estimate(np.array([np.nan])).text() == "-"


def test_the_f_distribution_agrees_with_tables() -> None:
    # 5 % points of F: (1, 10) 4.965, (4, 20) 2.866.
    assert f_tail(4.9646, 1, 10) == pytest.approx(0.05, abs=1e-4)
    assert f_tail(2.8661, 4, 20) == pytest.approx(0.05, abs=1e-4)
    assert beta_ratio(2.0, 3.0, 0.5) == pytest.approx(0.6875)


def test_two_way_analysis_finds_the_interaction_that_is_there() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0.0, 1.0, (3, 4, 20))
    plain = noise + np.arange(3)[:, None, None]
    crossed = plain + 3.0 * np.eye(3, 4)[:, :, None]
    assert two_way(plain).p[0] < 0.001 < two_way(plain).p[2]
    assert two_way(crossed).p[2] < 0.001


def test_correlation_of_a_constant_is_undefined() -> None:
    assert np.isnan(pearson(np.ones(3), np.arange(3.0)))
    assert pearson(np.arange(3.0), np.arange(3.0)) == pytest.approx(1.0)


def test_a_failure_says_more_of_a_bold_claim_than_of_a_modest_one() -> None:
    def after(claim: float, successes: float, failures: float) -> float:
        seen = start((1,), SIMULATED)._replace(successes=np.array([successes]), failures=np.array([failures]))
        prior = SIMULATED.prior_factor * np.array([claim])
        return float(believe(MENU._replace(prior=prior), seen, SIMULATED).success[0])

    bold, modest = (after(claim, 0.0, 1.0) / after(claim, 0.0, 0.0) for claim in (0.98, 0.75))
    assert bold < modest < 1.0
    assert after(0.98, 3.0, 0.0) > after(0.98, 0.0, 0.0)


def test_a_security_budget_lowers_exposure() -> None:
    scene = Scenario(tasks=150, leechers=0.4)
    free, guarded = (summarise(log_of(scene, name, 6)) for name in ("expected-cost", "expected-cost+guarded"))
    assert guarded.exposure.mean() < free.exposure.mean()
