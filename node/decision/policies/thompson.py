"""Thompson sampling (Thompson 1933) of each seller's success, then the least expected cost."""

import numpy as np

from node.decision.policies.expected_cost import choose
from node.decision.policies.interface import Belief, Draw, Experience, Menu, Policy
from node.decision.policies.settings import PolicyConfig

LEAST_COUNT = 1e-3
"""A Beta distribution needs both counts above 0: a claim of certainty is not certain."""


def believe(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw) -> Belief:
    """One draw from each posterior."""
    assert draw is not None
    good = settings.prior_jobs * menu.prior + experience.successes
    bad = settings.prior_jobs * (1.0 - menu.prior) + experience.failures
    return Belief(draw.beta(np.maximum(LEAST_COUNT, good), np.maximum(LEAST_COUNT, bad)))


POLICY = Policy(
    name="thompson",
    summary="least expected cost by a success drawn from each posterior",
    believe=believe,
    choose=choose,
    draws=True,
)
