"""One step of the market: what every seller asks, and what is true of it at this moment. Arrays are (runs, sellers)."""

from dataclasses import dataclass

import numpy as np

from coalesced.sim.market.parameters import (
    COMPLEXITY_PRICE,
    INTEGRATION_USD,
    LATENESS_USD_PER_MIN,
    OUTPUT_GB,
    PRICE_SENSITIVITY,
    PROTOCOL_USD,
    TASK_TYPES,
    TRANSFER_USD_PER_GB,
    Flags,
    Floats,
    Ints,
    skill_matches,
)
from coalesced.sim.market.regions import wire_min
from coalesced.sim.market.scenario import Scenario
from coalesced.sim.market.sellers import (
    BAIT_JOBS,
    BAIT_SUCCESS,
    CARTEL_MARKUP,
    COVER_MARKUP,
    COVER_SPREAD,
    PREDATOR_MARKUP,
    PREDATOR_SHARE,
    SWITCH_INVOICE,
    SWITCH_SUCCESS,
    Kind,
)
from coalesced.sim.market.world import World

_MAX_LATENCY_MIN = np.array([one.max_latency_min for one in TASK_TYPES])
_MATCHES = skill_matches()


@dataclass(frozen=True, slots=True)
class Step:
    """One task in every run: its figures are (runs, 1), its sellers' (runs, sellers)."""

    present: Flags
    value_usd: Floats
    local_usd: Floats
    budget_usd: Floats
    max_latency_min: Floats
    offered: Flags
    """Answered the request, with a price within the budget."""
    answered: Flags
    """Answered the request at any price."""
    price_usd: Floats
    """The quote."""
    bill_usd: Floats
    """What is charged when the work is accepted."""
    success: Floats
    """True."""
    time_min: Floats
    """True mean, wire included; sellers quote it honestly, but for fabricators, who are that fast."""
    overhead_usd: Floats
    """Communication, integration and lateness: borne whatever comes back."""
    match: Floats


def step(scenario: Scenario, world: World, at: int, served: Ints, share: Floats) -> Step:
    """The market at task `at` of every run.

    served: (runs, sellers), jobs done for the client whose turn it is, under the present identity.
    share: (runs, sellers), each seller's share of recent awards.
    """
    sellers = world.sellers
    runs = np.arange(world.runs)
    kind, hour, complexity = world.kind[:, at], world.hour[:, at], world.complexity[:, at, None]
    client_region = world.client_region[runs, world.client[:, at]]
    pressure = world.demand[runs, hour] - world.spare[runs, hour]
    price = sellers.base_usd * (1.0 + PRICE_SENSITIVITY * pressure) * (1.0 + COMPLEXITY_PRICE * (complexity - 1.0))
    shock = world.price_shock[:, at] if world.price_shock.shape[1] > 1 else world.price_shock[:, 0]
    price = price * shock
    budget = world.budget_usd[:, at, None]
    price = _strategic(scenario, sellers.kind, price, budget, share, at)
    switched = (sellers.kind == Kind.BAITER) & (served >= BAIT_JOBS)
    baited = (sellers.kind == Kind.BAITER) & ~switched
    size = world.size_gb[:, at, None]
    time = sellers.latency_min + wire_min(size, client_region[:, None], sellers.region)
    limit = _MAX_LATENCY_MIN[kind][:, None]
    overhead = (
        TRANSFER_USD_PER_GB * (size + OUTPUT_GB)
        + PROTOCOL_USD
        + INTEGRATION_USD
        + LATENESS_USD_PER_MIN * np.maximum(0.0, time - limit)
    )
    answered = world.offers[:, at] & world.present[:, at, None]
    match = _MATCHES[sellers.type, kind[:, None]] if scenario.skills == "paper" else np.ones_like(price)
    return Step(
        present=world.present[:, at],
        value_usd=world.value_usd[:, at, None],
        local_usd=world.local_usd[:, at, None],
        budget_usd=budget,
        max_latency_min=limit,
        offered=answered & (price <= budget),
        answered=answered,
        price_usd=price,
        bill_usd=np.where(switched & (scenario.overbilling != "none"), SWITCH_INVOICE * price, price),
        success=np.where(baited, BAIT_SUCCESS, np.where(switched, SWITCH_SUCCESS, sellers.success)),
        time_min=time,
        overhead_usd=overhead,
        match=match,
    )


def _strategic(scenario: Scenario, kind: Ints, price: Floats, budget: Floats, share: Floats, at: int) -> Floats:
    """Quotes of those who do not price their own work: the ring, the predator, the feeder on exploration."""
    ring = kind == Kind.COLLUDER
    if ring.any() and scenario.ring == "markup":
        price = np.where(ring, CARTEL_MARKUP * price, price)
    elif ring.any():
        agreed = CARTEL_MARKUP * np.where(ring, price, np.inf).min(1, keepdims=True)
        place = np.cumsum(ring, axis=1) - 1
        size = np.maximum(1, ring.sum(1, keepdims=True))
        cover = 1.0 + COVER_MARKUP + COVER_SPREAD * np.sin(place + at)
        price = np.where(ring, agreed * np.where(place == at % size, 1.0, cover), price)
    predator = kind == Kind.PREDATOR
    if predator.any():
        dominant = predator & (share > PREDATOR_SHARE)
        # Twice the predatory quote is the seller's own price again.
        price = np.where(dominant, 2.0 * PREDATOR_MARKUP * price, price)
    return np.where(kind == Kind.FEEDER, 0.99 * budget, price)
