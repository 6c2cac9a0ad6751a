"""The default rule: least expected total cost by a pessimistic belief, and only below the gate."""

from node.decision.policies.interface import Draw, Experience, Menu, Pick, Policy, Priced
from node.decision.policies.pricing import hire, least_cost, pessimistic
from node.decision.policies.settings import PolicyConfig


def choose(menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig, draw: Draw) -> Pick:
    """The seller of least expected total cost; TOPSIS settles near-equals."""
    return hire(menu, priced, least_cost(menu, priced, settings))


POLICY = Policy(
    name="expected-cost",
    summary="least expected total cost, pessimistic, with a verification level",
    believe=pessimistic,
    choose=choose,
)
