"""Every policy by its name."""

import difflib
from typing import get_args

from node.decision.policies import (
    adaptive_threshold,
    contextual_thompson,
    expected_cost,
    graduated_epsilon,
    linucb,
    market_maker,
    paper,
    portfolio,
    thompson,
    ucb1,
    ucb_structured,
)
from node.decision.policies.interface import Policy
from node.decision.policies.settings import PolicyName
from node.errors import UsageError

MODULES = (
    expected_cost,
    paper,
    ucb1,
    ucb_structured,
    thompson,
    linucb,
    contextual_thompson,
    graduated_epsilon,
    adaptive_threshold,
    market_maker,
    portfolio,
)
POLICIES: dict[str, Policy] = {module.POLICY.name: module.POLICY for module in MODULES}
"""The default first."""
assert set(POLICIES) == set(get_args(PolicyName))


def policy(name: str) -> Policy:
    """The policy of that name; UsageError with the nearest names for any other."""
    found = POLICIES.get(name)
    if found is None:
        near = difflib.get_close_matches(name.lower(), POLICIES, 3, cutoff=0.4)
        advice = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(POLICIES)}"
        raise UsageError(f"no policy is called {name[:70]!r}: {advice}")
    return found
