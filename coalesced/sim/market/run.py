"""The loop: task after task, all runs at once; what is remembered, by clients and by sellers, in between."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from coalesced.sim.market.binding import MICRO, Choice, Rule, View
from coalesced.sim.market.outcome import Happened, happen, printed_cost_usd
from coalesced.sim.market.parameters import Flags, Floats, Ints
from coalesced.sim.market.quotes import Step, step
from coalesced.sim.market.scenario import Scenario
from coalesced.sim.market.sellers import WHITEWASH_JOBS, Kind
from coalesced.sim.market.world import World, draw_worlds
from node.decision.policies import experience as memory
from node.decision.policies.interface import LOCAL, Experience, Outcome

AWARD_FADE = 0.98
"""A seller's share of recent awards is taken over about fifty of them."""


@dataclass(frozen=True, slots=True)
class Log:
    """What happened, (runs, tasks) each; rows beyond a run's end have `present` False."""

    present: Flags
    seller: Ints
    """-1 = local."""
    kind: Ints
    """`sellers.Kind` of the seller; -1 = local."""
    level: Ints
    explored: Flags
    offered: Flags
    """Whether there was anybody to hire."""
    spent_usd: Floats
    local_usd: Floats
    printed_usd: Floats
    """What the authors' code would have booked (eq. 6 with the risk as an expectation)."""
    bill_usd: Floats
    breach_usd: Floats
    value_usd: Floats
    good: Flags
    missed: Flags
    time_min: Floats
    """The seller's time; meaningless where local."""
    score: Floats
    confidence: Floats
    quotes_usd: Floats | None
    """(runs, tasks, sellers), NaN where nobody answered; kept on request, for the screens."""
    hours: Floats
    """(runs,): how long the run lasted, in hours of the market."""
    sellers_kind: Ints
    """(runs, sellers)."""
    acceptance: Floats
    """(runs, sellers): what sellers advertise of their acceptance."""
    task_kind: Ints
    complexity: Floats
    """(runs, tasks)."""


@dataclass(slots=True)
class _State:
    """The only mutable thing: what clients and sellers remember. Rows are runs * clients, or runs."""

    experience: Experience
    served: Ints
    """(rows, sellers): jobs for this client under the present identity."""
    leaks: Floats
    identity_jobs: Ints
    """(runs, sellers): jobs for anybody under the present identity."""
    awards: Floats
    """(runs, sellers): faded."""


@dataclass(slots=True)
class _Columns:
    """The log while it grows."""

    columns: dict[str, list[Floats | Ints | Flags]] = field(default_factory=dict)

    def add(self, **values: Floats | Ints | Flags) -> None:
        for name, value in values.items():
            self.columns.setdefault(name, []).append(value)


def simulate(
    scenario: Scenario,
    chosen_by: Rule,
    seed: int,
    runs: range,
    *,
    keep_quotes: bool = False,
    world: World | None = None,
) -> Log:
    """Run these runs of a scenario under one rule.

    Worlds depend on the scenario, the seed and the run number alone. What a rule draws at random depends on the first
    run as well: runs that are simulated together share a generator.
    """
    world = world or draw_worlds(scenario, seed, runs)
    draw = np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(runs.start, 1)))
    clients, sellers = scenario.clients, scenario.contractors
    rows = (world.runs * clients, sellers)
    state = _State(
        experience=memory.start(rows, chosen_by.settings),
        served=np.zeros(rows, np.int64),
        leaks=np.zeros(rows),
        identity_jobs=np.zeros((world.runs, sellers), np.int64),
        awards=np.zeros((world.runs, sellers)),
    )
    grown = _Columns()
    choose = chosen_by.begin(world.runs)
    first_row = np.arange(world.runs) * clients
    for at in range(world.steps):
        client = first_row + world.client[:, at]
        part = state.experience if clients == 1 else memory.rows_of(state.experience, client)
        share = state.awards / np.maximum(1.0, state.awards.sum(1, keepdims=True))
        now = step(scenario, world, at, state.served[client], share)
        choice = choose(View(scenario, world, now, part, state.leaks[client]), draw)
        happened = happen(scenario, world, at, now, choice.seller, choice.level)
        part = _learnt(part, now, choice, happened, chosen_by)
        state.experience = part if clients == 1 else memory.with_rows(state.experience, client, part)
        _remember(state, client, now, choice, happened)
        if scenario.shared_reputation:
            _report(state, scenario, world, client, choice, happened)
        _rename(state, world, scenario)
        _record(grown, world, at, now, choice, happened, keep_quotes=keep_quotes)
    return _log(grown, world)


def _learnt(part: Experience, now: Step, choice: Choice, happened: Happened, by: Rule) -> Experience:
    local = np.maximum(now.local_usd[:, 0], 1e-9)
    outcome = Outcome(
        seller=choice.seller,
        success=happened.seen_good,
        reward=1.0 - happened.spent_usd / local,
        saved_micro=MICRO * (now.local_usd[:, 0] - happened.spent_usd),
        explored=choice.explored,
        features=choice.features,
        offered=np.asarray(now.offered.any(1)),
    )
    return memory.learn(part, outcome, by.settings)


def _remember(state: _State, client: Ints, now: Step, choice: Choice, happened: Happened) -> None:
    """Jobs, leaks and awards, in place."""
    hired = choice.seller >= 0
    runs, column = np.flatnonzero(hired), choice.seller[hired]
    state.served[client[hired], column] += 1
    state.leaks[client[hired], column] += happened.noticed[hired]
    state.identity_jobs[runs, column] += 1
    state.awards[hired] *= AWARD_FADE
    state.awards[runs, column] += 1.0


def _report(state: _State, scenario: Scenario, world: World, client: Ints, choice: Choice, happened: Happened) -> None:
    """Tell every other client of the run what this one says of its seller."""
    hired = np.flatnonzero(choice.seller >= 0)
    if not len(hired):
        return
    column = choice.seller[hired]
    lies = world.liar[hired, client[hired] % scenario.clients]
    said = happened.seen_good[hired] ^ lies
    shape = (world.runs, scenario.clients, scenario.contractors)
    good, bad = state.experience.shared_successes.copy(), state.experience.shared_failures.copy()
    others = np.ones((len(hired), scenario.clients))
    others[np.arange(len(hired)), client[hired] % scenario.clients] = 0.0
    good.reshape(shape)[hired, :, column] += others * said[:, None]
    bad.reshape(shape)[hired, :, column] += others * ~said[:, None]
    state.experience = state.experience._replace(shared_successes=good, shared_failures=bad)


def _rename(state: _State, world: World, scenario: Scenario) -> None:
    """Whitewashers whose time has come appear under a new name, of which nobody knows anything."""
    renewed = (world.sellers.kind == Kind.WHITEWASHER) & (state.identity_jobs >= WHITEWASH_JOBS)
    if not renewed.any():
        return
    state.identity_jobs = np.where(renewed, 0, state.identity_jobs)
    everywhere = np.repeat(renewed, scenario.clients, axis=0)
    state.served = np.where(everywhere, 0, state.served)
    state.leaks = np.where(everywhere, 0.0, state.leaks)
    kept = state.experience
    forgotten = {
        name: np.where(everywhere, 0.0, getattr(kept, name))
        for name in ("successes", "failures", "jobs", "shared_successes", "shared_failures", "reward", "awards")
    }
    state.experience = kept._replace(**forgotten)


def _record(
    grown: _Columns, world: World, at: int, now: Step, choice: Choice, happened: Happened, *, keep_quotes: bool
) -> None:
    runs, column = np.arange(world.runs), np.maximum(choice.seller, 0)
    hired = choice.seller >= 0
    grown.add(
        seller=choice.seller,
        kind=np.where(hired, world.sellers.kind[runs, column], LOCAL),
        level=choice.level,
        explored=choice.explored & hired,
        offered=np.asarray(now.offered.any(1)),
        spent_usd=happened.spent_usd,
        printed_usd=np.where(hired, printed_cost_usd(world, now)[runs, column], world.local_usd[:, at]),
        bill_usd=np.where(hired & happened.seen_good, now.bill_usd[runs, column], 0.0),
        breach_usd=happened.breach_usd,
        good=happened.good,
        missed=happened.missed,
        time_min=happened.time_min,
        score=choice.score,
        confidence=choice.confidence,
    )
    if keep_quotes:
        grown.add(quotes_usd=np.where(now.answered, now.price_usd, np.nan))


def _log(grown: _Columns, world: World) -> Log:
    stacked: dict[str, Any] = {name: np.stack(values, axis=1) for name, values in grown.columns.items()}
    last = np.where(world.present, world.hour, 0).max(1, initial=0)
    return Log(
        present=world.present,
        local_usd=world.local_usd,
        value_usd=world.value_usd,
        hours=last + 1.0,
        sellers_kind=world.sellers.kind,
        acceptance=world.sellers.acceptance,
        task_kind=world.kind,
        complexity=world.complexity,
        quotes_usd=stacked.pop("quotes_usd", None),
        **stacked,
    )
