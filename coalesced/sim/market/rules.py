"""Every rule that can be simulated, by its name."""

from typing import Final

from coalesced.sim.market import authors, informed
from coalesced.sim.market.binding import (
    ALL_LOCAL,
    BETA,
    GUARDED,
    ORACLE,
    SIMULATED,
    Rule,
    beta_rule,
    guarded_rule,
    policy_rule,
)
from node.decision.policies.registry import POLICIES
from node.decision.policies.settings import PolicyConfig

YARDSTICKS: Final = (ORACLE.name, ALL_LOCAL.name, authors.NAME, BETA, informed.NAME)
NAMES: Final = (*POLICIES, *YARDSTICKS)
"""What `sim run --policy` takes; each policy also with `+guarded`."""


def rule(name: str, settings: PolicyConfig = SIMULATED) -> Rule:
    """The rule of that name; UsageError with the nearest policies for any other.

    `oracle` knows the true parameters, `local` never hires, `authors` is the rule behind the paper's Table I, `beta` is
    the default with a plainer belief, `informed` with an exact one. A policy followed by `+guarded` runs under a
    security budget.
    """
    for fixed in (ORACLE, ALL_LOCAL):
        if fixed.name == name:
            return fixed
    if name == authors.NAME:
        return authors.rule(settings)
    if name == informed.NAME:
        return informed.rule(settings)
    if name == BETA:
        return beta_rule(settings)
    if name.endswith(GUARDED):
        return guarded_rule(name.removesuffix(GUARDED), settings)
    return policy_rule(name, settings)
