"""What a choice turned out to cost, and what the client got to see of it. Arrays are (runs,)."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from coalesced.sim.market.parameters import (
    VERIFICATION_USD,
    Flags,
    Floats,
    Ints,
    breach_probability,
    quality_risk,
)
from coalesced.sim.market.quotes import Step
from coalesced.sim.market.scenario import Scenario
from coalesced.sim.market.sellers import LEAK_NOTICED, Kind
from coalesced.sim.market.world import World

GAMMA: Final = 1.0
CHANNEL_STRENGTH: Final = 0.5
"""The engine's defaults for eq. (9) and (15)."""
AUTOMATED_ABOVE: Final = 0.95
"""The authors' code checks automatically who claims more, and by hand who claims less: always one of the two."""
_CHECK_USD = np.array(VERIFICATION_USD)


@dataclass(frozen=True, slots=True)
class Happened:
    """One task of every run."""

    spent_usd: Floats
    """All that the client lost on it; the local cost where nobody was hired."""
    good: Flags
    """The seller's work was good; True where nobody was hired."""
    missed: Flags
    """Bad work was accepted and paid."""
    noticed: Flags
    """A leak came to light."""
    seen_good: Flags
    """What the client believes of the work in the end."""
    breach_usd: Floats
    """Of that, the expected loss by leaks."""
    time_min: Floats


def breach_loss_usd(scenario: Scenario, breach: Floats, value_usd: Floats) -> Floats:
    """V gamma P_breach, eq. (9) with eq. (15) corrected; shapes broadcast."""
    loss: Floats = value_usd * GAMMA * breach * scenario.sensitivity * (1.0 - CHANNEL_STRENGTH)
    return loss


def happen(scenario: Scenario, world: World, at: int, now: Step, seller: Ints, level: Ints) -> Happened:
    """Let `seller` (-1 = local) do task `at`, checked at `level`.

    Leaks are booked at their expected loss: one leak of a $300 task would drown what is compared. Whether the client
    notices one is drawn.
    """
    runs = np.arange(world.runs)
    hired, column = seller >= 0, np.maximum(seller, 0)
    local, value = now.local_usd[:, 0], now.value_usd[:, 0]
    good = world.work[:, at] < now.success[runs, column]
    found = ~good & (world.check[:, at] < world.sellers.detection[runs, column, level])
    above = hired & (now.bill_usd[runs, column] > now.price_usd[runs, column])
    # Whose bill is refused is not paid, and what it delivered is neither used nor checked.
    refused = above & (scenario.overbilling == "refused")
    missed = hired & ~good & ~found & ~refused
    breach = world.sellers.breach[runs, column]
    breach_usd = np.where(hired, breach_loss_usd(scenario, breach, value), 0.0)
    bill = now.bill_usd[runs, column]
    work = np.where(good, bill, np.where(found, local, bill + value))
    spent = now.overhead_usd[runs, column] + breach_usd + np.where(refused, local, _CHECK_USD[level] + work)
    # Only the leechers' leaks are traced to them: an honest seller's leak has other causes.
    leeches = world.sellers.kind[runs, column] == Kind.LEECHER
    noticed = hired & leeches & (world.leak[:, at] < breach * LEAK_NOTICED)
    # A bill above a signed quote breaks the award, however good the work: its client does not take that for success.
    overbilled = above & (scenario.overbilling != "unseen")
    seen_good = (good | (missed & (world.surface[:, at] >= scenario.surfacing))) & ~noticed & ~overbilled
    return Happened(
        spent_usd=np.where(hired, spent, local),
        good=good | ~hired,
        missed=missed,
        noticed=noticed,
        seen_good=seen_good,
        breach_usd=breach_usd,
        time_min=now.time_min[runs, column] * world.latency_noise[:, at],
    )


def true_cost_usd(scenario: Scenario, world: World, now: Step) -> Floats:
    """(levels, runs, sellers): the expected cost of each seller at each check, by what is true of it."""
    q = now.success
    fixed = now.overhead_usd + breach_loss_usd(scenario, world.sellers.breach, now.value_usd)
    levels = []
    for index, check in enumerate(VERIFICATION_USD):
        d = world.sellers.detection[:, :, index]
        bad = d * now.local_usd + (1.0 - d) * (now.bill_usd + now.value_usd)
        levels.append(fixed + check + q * now.bill_usd + (1.0 - q) * bad)
    cost = np.stack(levels)
    if scenario.overbilling == "refused":
        return np.where(now.bill_usd > now.price_usd, fixed + now.local_usd, cost)
    return cost


def printed_check_usd(world: World) -> Floats:
    """(runs, sellers): what the authors' code adds for verification, whoever is hired."""
    usd: Floats = np.where(world.sellers.claimed > AUTOMATED_ABOVE, VERIFICATION_USD[1], VERIFICATION_USD[2])
    return usd


def printed_cost_usd(world: World, now: Step) -> Floats:
    """(runs, sellers): eq. (6) as the authors' code adds it up and as their savings are computed.

    Risk is V (P_fail + P_sec + P_qual), a sum where eq. (9) has a product; nothing is drawn, so no failure ever costs
    more or less than that.
    """
    reliability = world.sellers.claimed
    risk = (1.0 - reliability) + breach_probability(reliability) + quality_risk(reliability)
    return now.price_usd + now.overhead_usd + printed_check_usd(world) + now.value_usd * risk
