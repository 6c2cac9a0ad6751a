"""A belief that might replace the pessimistic one: sellers are of two kinds, those who mean what they claim and those
who do not, and each job says which.

The posterior of a mixture: with chance 1 - LIARS the success is Beta with the claim as mean, worth HONEST_JOBS jobs;
with chance LIARS it is Beta with mean LIAR_SUCCESS, worth LIAR_JOBS jobs, whatever is claimed. One failure of a seller
that claims 98 % then says much, one of a seller that claims 75 % says little, and three good jobs make a partner; a
single Beta prior can do only one of these. The rest is the default rule without pessimism: the liars are the pessimism.
"""

from typing import Final

import numpy as np

from coalesced.sim.market.binding import SIMULATED, Rule, by_policy
from coalesced.sim.market.parameters import Floats
from node.decision.policies.expected_cost import choose
from node.decision.policies.interface import Draw, Experience, Menu, Policy
from node.decision.policies.settings import PolicyConfig

NAME: Final = "two-kinds"
LIARS: Final = 0.2
HONEST_JOBS: Final = 20.0
LIAR_SUCCESS: Final = 0.4
LIAR_JOBS: Final = 2.5
CLAIM_RANGE: Final = (0.02, 0.985)
"""Nobody is certain to fail or to succeed, whatever is claimed."""


def believe(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw) -> Floats:
    """(..., sellers): the posterior mean of the mixture."""
    claim = np.clip(menu.prior / settings.prior_factor, *CLAIM_RANGE)
    good, bad = experience.successes, experience.failures
    honest = _log_beta(HONEST_JOBS * claim + good, HONEST_JOBS * (1.0 - claim) + bad)
    honest = honest - _log_beta(HONEST_JOBS * claim, HONEST_JOBS * (1.0 - claim))
    a, b = np.array(LIAR_JOBS * LIAR_SUCCESS), np.array(LIAR_JOBS * (1.0 - LIAR_SUCCESS))
    lying = _log_beta(a + good, b + bad) - _log_beta(a, b)
    odds = LIARS / (1.0 - LIARS) * np.exp(np.clip(lying - honest, -50.0, 50.0))
    share = odds / (1.0 + odds)
    total = good + bad
    as_honest = (HONEST_JOBS * claim + good) / (HONEST_JOBS + total)
    as_liar = (a + good) / (LIAR_JOBS + total)
    mean: Floats = (1.0 - share) * as_honest + share * as_liar
    return mean


def rule(settings: PolicyConfig = SIMULATED) -> Rule:
    """The default rule with this belief."""
    found = Policy("expected-cost", "least expected cost by the belief in two kinds of sellers", believe, choose)
    return Rule(NAME, lambda _: lambda view, draw: by_policy(found, view, settings, draw), settings)


def _log_beta(a: Floats, b: Floats) -> Floats:
    return _log_gamma(a) + _log_gamma(b) - _log_gamma(a + b)


def _log_gamma(x: Floats) -> Floats:
    """ln Gamma for x > 0, to about 1e-9: Stirling's series, six steps up (Abramowitz & Stegun 6.1.41)."""
    y = x + 6.0
    series = (y - 0.5) * np.log(y) - y + 0.5 * np.log(2.0 * np.pi) + 1.0 / (12.0 * y) - 1.0 / (360.0 * y**3)
    found: Floats = series - np.log(x * (x + 1.0) * (x + 2.0) * (x + 3.0) * (x + 4.0) * (x + 5.0))
    return found
