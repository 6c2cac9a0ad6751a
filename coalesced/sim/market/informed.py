"""What the default rule would do if it knew all about the kinds of sellers but not which seller is of which.

It takes the default's every step with the beliefs of an exact Bayesian: the true shares of spoofers, fabricators and
baiters in the market, how often each delivers, that baiters begin well, and that honest sellers claim what is true.
What it loses against the oracle is the price of finding out; what a rule loses more than that is its own.
"""

from typing import Final

import numpy as np

from coalesced.sim.market.binding import SIMULATED, Choice, Chooser, Rule, View, by_policy
from coalesced.sim.market.parameters import Floats
from coalesced.sim.market.sellers import BAIT_JOBS, BAIT_SUCCESS, FABRICATED_SUCCESS, SPOOFED_SUCCESS, SWITCH_SUCCESS
from node.decision.policies.interface import Belief, Draw, Experience, Menu
from node.decision.policies.registry import POLICIES
from node.decision.policies.settings import PolicyConfig

NAME: Final = "informed"
NEVER: Final = 0.001
"""In place of a chance of 0: who bills more than it quoted is never seen to do well."""
CLAIM_RANGE: Final = (0.02, 0.985)


def rule(settings: PolicyConfig = SIMULATED) -> Rule:
    """The rule; for one client, since it remembers by row."""
    return Rule(NAME, lambda _: _Mind(settings).chooser(), settings)


class _Mind:
    """The order of a seller's outcomes, which counts leave out: the log-likelihood of a baiter."""

    def __init__(self, settings: PolicyConfig) -> None:
        self._settings = settings
        self._baiter: Floats = np.zeros(())
        self._before: Experience | None = None

    def chooser(self) -> Chooser:
        """What chooses, step by step."""

        def choose(view: View, draw: np.random.Generator) -> Choice:
            self._see(view)

            def believe(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw = None) -> Belief:
                return self._believe(view, settings)

            found = POLICIES["expected-cost"]._replace(believe=believe)
            return by_policy(found, view, self._settings, draw)

        return choose

    def _see(self, view: View) -> None:
        """Take in what happened since the last step."""
        now, before = view.experience, self._before
        if before is not None:
            chance = np.where(before.jobs < BAIT_JOBS, BAIT_SUCCESS, _switched(view))
            good, bad = now.successes - before.successes, now.failures - before.failures
            self._baiter = self._baiter + good * np.log(chance) + bad * np.log(1.0 - chance)
        self._before = now

    def _believe(self, view: View, settings: PolicyConfig) -> Belief:
        seen, scenario = view.experience, view.scenario
        claim = np.clip(view.world.sellers.claimed * view.world.sellers.advertised, *CLAIM_RANGE)
        shares = np.array((scenario.spoofers, scenario.fabricators, scenario.baiters))
        chances: list[Floats | float] = [SPOOFED_SUCCESS, FABRICATED_SUCCESS]
        weights = [seen.successes * np.log(p) + seen.failures * np.log(1.0 - np.asarray(p)) for p in (claim, *chances)]
        weights.append(self._baiter + np.zeros_like(claim))
        chances.append(np.where(seen.jobs < BAIT_JOBS, BAIT_SUCCESS, _switched(view)))
        delivers = np.stack([np.broadcast_to(p, claim.shape) for p in (claim, *chances)])

        def mean(dishonest: float) -> Floats:
            priors = np.maximum(NEVER, (1.0 - dishonest, *(dishonest * shares / max(NEVER, shares.sum()))))
            log = np.stack(weights) + np.log(priors)[:, None, None]
            part = np.exp(log - log.max(0))
            return np.asarray((part * delivers).sum(0) / part.sum(0))

        return Belief(mean(float(shares.sum())), mean(settings.doubted_share))


def _switched(view: View) -> float:
    """How often a baiter is seen to do well once it has switched."""
    return NEVER if view.scenario.overbilling in ("seen", "refused") else SWITCH_SUCCESS
