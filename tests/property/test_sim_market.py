"""What holds in any market that can be described."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from coalesced.sim.market.metrics import summarise
from coalesced.sim.market.rules import rule
from coalesced.sim.market.run import simulate
from coalesced.sim.market.scenario import DECEITS, STRATEGIES, Scenario, Shock

shares = st.fixed_dictionaries({name: st.floats(0.0, 0.1) for name in (*DECEITS, *STRATEGIES)})
scenarios = st.builds(
    lambda dealt, **rest: Scenario(**dealt, **rest),
    shares,
    clients=st.integers(1, 4),
    contractors=st.integers(1, 12),
    tasks=st.integers(1, 25),
    arrivals=st.sampled_from(("paper", "code")),
    demand=st.sampled_from(("paper", "code")),
    skills=st.sampled_from(("exact", "paper")),
    local_scale=st.sampled_from((1e-9, 0.05, 0.2, 1.0)),
    regions=st.integers(1, 6),
    shocks=st.sampled_from(((), (Shock(kind="price"),), (Shock(kind="supply"),))),
    shared_reputation=st.booleans(),
    liars=st.floats(0.0, 1.0),
)
names = st.sampled_from(("expected-cost", "paper", "thompson", "linucb", "market-maker", "oracle", "local"))


@settings(max_examples=25)
@given(scenarios, names, st.integers(0, 1000))
def test_any_market_runs_and_its_books_balance(scene: Scenario, name: str, seed: int) -> None:
    log = simulate(scene, rule(name), seed, range(2))
    hired = log.seller >= 0
    assert np.isfinite(log.spent_usd).all()
    assert (log.spent_usd >= 0.0).all()
    assert np.array_equal(log.spent_usd[~hired], log.local_usd[~hired])
    assert not (hired & ~log.present).any()
    assert not (log.explored & ~hired).any()
    summary = summarise(log)
    assert ((summary.hired >= 0.0) & (summary.hired <= 100.0)).all()


@settings(max_examples=8)
@given(scenarios, names, st.integers(0, 1000))
def test_a_simulation_repeats_to_the_last_bit(scene: Scenario, name: str, seed: int) -> None:
    one, other = (simulate(scene, rule(name), seed, range(2)) for _ in range(2))
    assert np.array_equal(one.spent_usd, other.spent_usd)
    assert np.array_equal(one.seller, other.seller)
