"""Optimism in the cost model: each seller priced as if it were as good as can be hoped, then the least cost."""

from node.decision.policies.expected_cost import choose
from node.decision.policies.interface import Policy
from node.decision.policies.pricing import optimistic

POLICY = Policy(
    name="ucb-structured",
    summary="least expected cost by an optimistic belief",
    believe=optimistic,
    choose=choose,
)
