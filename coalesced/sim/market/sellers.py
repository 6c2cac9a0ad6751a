"""The sellers of one run: what they are, what they claim, and what the dishonest and the strategic ones do instead."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from coalesced.sim.market.parameters import (
    AVAILABILITY,
    DEMAND,
    DETECTION,
    FABRICATION_DETECTION,
    LATENCY_NOISE,
    PRICE_NOISE,
    SELLER_TYPES,
    Floats,
    Ints,
    breach_probability,
    quality_risk,
)
from coalesced.sim.market.scenario import DECEITS, STRATEGIES, Scenario


class Kind(IntEnum):
    """How a seller behaves; the order is that of the scenario's shares."""

    HONEST = 0
    SPOOFER = 1
    FABRICATOR = 2
    BAITER = 3
    WHITEWASHER = 4
    LEECHER = 5
    COLLUDER = 6
    HOARDER = 7
    PREDATOR = 8
    FEEDER = 9


CLAIM: Final = 0.98
"""What a spoofer's quote claims."""
CERTIFICATE: Final = 0.95
"""What its advert says besides: certificates are a little harder to forge than claims."""
SPOOFED_SUCCESS: Final = 0.45
FABRICATED_SUCCESS: Final = 0.1
BAIT_JOBS: Final = 3
BAIT_SUCCESS: Final = 0.95
SWITCH_SUCCESS: Final = 0.6
SWITCH_INVOICE: Final = 1.5
"""After the bait the bill is half as much again as the quote; where quotes are signed it would bounce."""
WHITEWASH_JOBS: Final = 5
LEAK_PROBABILITY: Final = 0.5
"""A leecher leaks every second job that it sees."""
LEAK_NOTICED: Final = 0.25
"""Share of the leaks that come to light and are traced (planted records, a buyer who tells)."""
FEEDER_SUCCESS: Final = 0.2

PRICE_FACTOR: Final = np.array([1.0, 0.85, 0.7, 0.6, 0.85, 0.9, 1.0, 1.0, 0.5, 1.0])
"""By kind, on the quote."""
LATENCY_FACTOR: Final = np.array([1.0, 1.0, 0.3, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
"""By kind, on the true duration: nothing is done as fast as nothing."""

CARTEL_MARKUP: Final = 1.4
COVER_MARKUP: Final = 0.05
"""Cover bids lie this far above the ring's winning bid."""
COVER_SPREAD: Final = 0.005
HOARDED_ACCEPTANCE: Final = 0.3
"""A hoarder accepts this share of what it advertises capacity for."""
ADVERTISED_ACCEPTANCE: Final = 0.9
PREDATOR_SHARE: Final = 0.3
"""From this share of its client's recent awards on, a predator takes its rivals as gone."""
PREDATOR_MARKUP: Final = 1.6


@dataclass(frozen=True, slots=True)
class Sellers:
    """All arrays are (sellers,), or (runs, sellers) once runs are stacked."""

    kind: Ints
    type: Ints
    success: Floats
    """True probability of good work, before what `baiters` do over time."""
    claimed: Floats
    advertised: Floats
    base_usd: Floats
    """P_base of eq. (7)."""
    latency_min: Floats
    """True mean duration; a fabricator's is the time of writing something down."""
    demand: Floats
    """D of eq. (7) at the start."""
    availability: Floats
    """S of eq. (7) at the start, and the share of requests that it answers with an offer."""
    acceptance: Floats
    """What it advertises of that."""
    detection: Floats
    """(..., levels): how likely each check finds its bad work."""
    breach: Floats
    """P_sec: chance of a leak a job."""
    region: Ints


def draw_sellers(scenario: Scenario, rng: np.random.Generator) -> Sellers:
    """One run's sellers. Kinds are dealt in exact shares, rounded, to random sellers."""
    count = scenario.contractors
    share = np.array([one.share for one in SELLER_TYPES])
    of_type = rng.choice(len(SELLER_TYPES), count, p=share / share.sum())
    low = np.array([one.success_low for one in SELLER_TYPES])[of_type]
    high = np.array([one.success_high for one in SELLER_TYPES])[of_type]
    reliability = rng.uniform(low, high)
    price = np.array([one.price_usd for one in SELLER_TYPES])[of_type]
    latency = np.array([one.latency_min for one in SELLER_TYPES])[of_type]
    price = np.maximum(1.0, price * rng.normal(1.0, PRICE_NOISE, count))
    latency = np.maximum(1.0, latency * rng.normal(1.0, LATENCY_NOISE, count))
    demand = rng.uniform(*DEMAND, count)
    availability = rng.uniform(*AVAILABILITY, count)
    region = rng.integers(scenario.regions, size=count)
    kind = _deal_kinds(scenario, rng)

    success = reliability * (1.0 - quality_risk(reliability))
    success = np.where(np.isin(kind, (Kind.SPOOFER, Kind.WHITEWASHER)), SPOOFED_SUCCESS, success)
    success = np.where(kind == Kind.FABRICATOR, FABRICATED_SUCCESS, success)
    success = np.where(kind == Kind.FEEDER, FEEDER_SUCCESS, success)
    lies = np.isin(kind, (Kind.SPOOFER, Kind.FABRICATOR, Kind.BAITER, Kind.WHITEWASHER, Kind.FEEDER))
    acceptance = np.where(kind == Kind.HOARDER, ADVERTISED_ACCEPTANCE, availability)
    availability = np.where(kind == Kind.HOARDER, HOARDED_ACCEPTANCE, availability)
    detection = np.where((kind == Kind.FABRICATOR)[:, None], FABRICATION_DETECTION, DETECTION)
    breach = np.where(kind == Kind.LEECHER, LEAK_PROBABILITY, breach_probability(reliability))
    return Sellers(
        kind=kind,
        type=of_type,
        success=success,
        claimed=np.where(lies, CLAIM, reliability + scenario.exaggeration * (1.0 - reliability)),
        advertised=np.where(lies, CERTIFICATE, 1.0),
        base_usd=price * PRICE_FACTOR[kind],
        latency_min=latency * LATENCY_FACTOR[kind],
        demand=demand,
        availability=availability,
        acceptance=acceptance,
        detection=np.asarray(detection, float),
        breach=breach,
        region=region,
    )


def _deal_kinds(scenario: Scenario, rng: np.random.Generator) -> Ints:
    """(sellers,): each kind's share of the sellers, to the nearest whole number, cumulated so that they add up."""
    shares = [getattr(scenario, name) for name in (*DECEITS, *STRATEGIES)]
    ends = np.rint(np.cumsum(shares) * scenario.contractors).astype(np.int64)
    kind = np.zeros(scenario.contractors, np.int64)
    start = 0
    for code, end in enumerate(ends, start=1):
        kind[start:end] = code
        start = int(end)
    # A permutation is drawn whatever the shares are: the same seed gives the same market but for who is dishonest.
    return kind[np.argsort(rng.random(scenario.contractors), kind="stable")]
