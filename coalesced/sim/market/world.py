"""Everything that chance decides in a run, drawn beforehand: policies that are compared meet the very same world.

Each run draws from its own SeedSequence, a child of the scenario's seed, so a run is the same whatever runs beside it.
Runs are then stacked: arrays of a `World` are (runs, ...), with shorter runs padded and `present` False there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from coalesced.sim.market.parameters import (
    BUDGET_SHARE,
    COMPLEXITY,
    SIZE_GB,
    TASK_TYPES,
    TASKS_PER_H,
    VALUE_USD,
    Flags,
    Floats,
    Ints,
    local_cost_usd,
    local_hours,
    printed_opportunity_usd,
)
from coalesced.sim.market.scenario import Scenario
from coalesced.sim.market.sellers import Sellers, draw_sellers

CODE_RATE: Final = 4.2
BUSINESS: Final = 3.2
"""The authors' code: tasks an hour at demand 1, and what business hours (9 to 17, five days) multiply demand by."""
JOBS_OF_OTHERS_PER_H: Final = 0.4
"""Work that a seller does for clients outside the simulation, at demand 1: its spare capacity falls by a tenth a
job, as in the authors' code, and within a day reaches the floor."""
LEAST_SPARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class World:
    """Stacked runs. Shapes: (runs, tasks), (runs, hours, sellers), or as said."""

    sellers: Sellers
    client_region: Ints
    """(runs, clients)."""
    liar: Flags
    """(runs, clients): reports the opposite."""
    demand: Floats
    """(runs, hours, sellers): D of eq. (7)."""
    spare: Floats
    """(runs, hours, sellers): S of eq. (7), of a capacity of 1."""
    price_shock: Floats
    """(runs, tasks, sellers), or (runs, 1, 1) when there is none: what quotes are multiplied by."""
    present: Flags
    hour: Ints
    client: Ints
    kind: Ints
    complexity: Floats
    size_gb: Floats
    value_usd: Floats
    budget_usd: Floats
    local_usd: Floats
    offers: Flags
    """(runs, tasks, sellers): who answers the request."""
    work: Floats
    """Uniform: below the seller's success, the work is good."""
    check: Floats
    leak: Floats
    surface: Floats
    latency_noise: Floats

    @property
    def runs(self) -> int:
        """How many runs are stacked."""
        return int(self.present.shape[0])

    @property
    def steps(self) -> int:
        """Tasks of the longest run."""
        return int(self.present.shape[1])


def draw_worlds(scenario: Scenario, seed: int, runs: Sequence[int]) -> World:
    """The stacked worlds of these run numbers; run r is always the same for a scenario and a seed."""
    return _stack([_draw(scenario, np.random.SeedSequence(entropy=seed, spawn_key=(run,))) for run in runs])


def _draw(scenario: Scenario, seed: np.random.SeedSequence) -> dict[str, Any]:
    """One run, arrays without the leading axis."""
    for_sellers, for_market, for_tasks, for_luck = (np.random.default_rng(child) for child in seed.spawn(4))
    sellers = draw_sellers(scenario, for_sellers)
    arrivals, demand, spare = _market(scenario, sellers, for_market)
    hour = np.repeat(np.arange(len(arrivals)), arrivals)
    if scenario.tasks is not None:
        hour = hour[: scenario.tasks]
    count = len(hour)
    kind = for_tasks.choice(len(TASK_TYPES), count, p=[one.share for one in TASK_TYPES])
    complexity = for_tasks.uniform(*COMPLEXITY, count)
    value = for_tasks.uniform(*VALUE_USD, count)
    size = for_tasks.uniform(*SIZE_GB, count)
    budget = value * for_tasks.uniform(*BUDGET_SHARE, count)
    # Round robin; the authors' code begins with its first client every hour.
    turn = np.arange(count)
    client = (turn - np.searchsorted(hour, hour) if scenario.arrivals == "code" else turn) % scenario.clients
    local = local_cost_usd(kind, size, complexity)
    if scenario.printed_opportunity:
        local = local + printed_opportunity_usd(hour, client, value, local_hours(kind, size, complexity))
    client_region = for_market.integers(scenario.regions, size=scenario.clients)
    liar = np.argsort(for_market.random(scenario.clients)) < round(scenario.liars * scenario.clients)
    offers = for_luck.random((count, scenario.contractors)) < sellers.availability
    offers |= scenario.always_offered
    price_shock, offers = _shocked(scenario, offers, for_market)
    return {
        "sellers": sellers,
        "client_region": client_region,
        "liar": liar,
        "demand": demand,
        "spare": spare,
        "price_shock": price_shock,
        "present": np.ones(count, bool),
        "hour": hour,
        "client": client,
        "kind": kind,
        "complexity": complexity,
        "size_gb": size,
        "value_usd": value,
        "budget_usd": budget,
        "local_usd": local * scenario.local_scale,
        "offers": offers,
        "work": for_luck.random(count),
        "check": for_luck.random(count),
        "leak": for_luck.random(count),
        "surface": for_luck.random(count),
        "latency_noise": np.maximum(0.1, for_luck.normal(1.0, 0.1, count)),
    }


def _market(scenario: Scenario, sellers: Sellers, rng: np.random.Generator) -> tuple[Ints, Floats, Floats]:
    """Arrivals (hours,), demand and spare capacity (hours, sellers), until all tasks have come."""
    hours = scenario.hours
    if scenario.tasks is not None:
        rate = TASKS_PER_H if scenario.arrivals == "paper" else 0.5 * CODE_RATE
        hours = int(np.ceil(scenario.tasks / rate * 1.5)) + 24
    business = np.array([9 <= hour % 24 <= 17 and hour // 24 % 7 < 5 for hour in range(hours)])
    level = np.clip(0.5 * np.where(business, BUSINESS, 1.0) + rng.normal(0.0, 0.1, hours), 0.1, 2.0)
    arrivals = rng.poisson(TASKS_PER_H if scenario.arrivals == "paper" else CODE_RATE * level, hours)
    if scenario.tasks is not None and arrivals.sum() < scenario.tasks:
        arrivals[-1] += scenario.tasks - arrivals.sum()
    demand = np.empty((hours, scenario.contractors))
    others = rng.poisson(JOBS_OF_OTHERS_PER_H * np.repeat(level[:, None], scenario.contractors, 1))
    if scenario.demand == "paper":
        demand[:] = 0.5 * rng.uniform(0.75, 1.25, (hours, scenario.contractors))
        spare = np.broadcast_to(sellers.availability, demand.shape)
        return arrivals, demand, np.array(spare)
    now = sellers.demand
    for hour in range(hours):
        now = np.clip(now + (level[hour] - 0.5) * 0.3, 0.1, 1.0)
        demand[hour] = now
    spare = np.maximum(LEAST_SPARE, sellers.availability - np.cumsum(others, axis=0) / 10.0)
    return arrivals, demand, spare


def _shocked(scenario: Scenario, offers: Flags, rng: np.random.Generator) -> tuple[Floats, Flags]:
    """Price factors and offers with the scenario's shocks, each hitting its own random sellers."""
    if not scenario.shocks:
        return np.ones((1, 1)), offers
    count, sellers = offers.shape
    factor, left = np.ones((count, sellers)), offers.copy()
    for shock in scenario.shocks:
        hit = np.argsort(rng.random(sellers)) < round(shock.share * sellers)
        place = np.arange(count) / max(1, count)
        during = ((place >= shock.start) & (place < shock.end))[:, None] & hit
        if shock.kind == "price":
            factor = np.where(during, factor * shock.factor, factor)
        else:
            left &= ~during
    return factor, left


def _stack(runs: list[dict[str, Any]]) -> World:
    """Stack runs along a new first axis, padding along the axes that differ (tasks, hours) with their last entry."""
    stacked: dict[str, Any] = {}
    for field in fields(World):
        values = [run[field.name] for run in runs]
        if field.name == "sellers":
            stacked["sellers"] = Sellers(
                **{one.name: np.stack([getattr(v, one.name) for v in values]) for one in fields(Sellers)}
            )
            continue
        longest = max(value.shape[0] for value in values)
        padded = [_padded(value, longest, is_flag=field.name == "present") for value in values]
        stacked[field.name] = np.stack(padded)
    return World(**stacked)


def _padded(value: Any, length: int, *, is_flag: bool) -> Any:
    missing = length - value.shape[0]
    if missing == 0:
        return value
    if value.shape[0] == 0 or is_flag:
        return np.concatenate([value, np.zeros((missing, *value.shape[1:]), value.dtype)])
    return np.concatenate([value, np.repeat(value[-1:], missing, axis=0)])
