"""The default rule: least expected total cost, and only below the gate; doubtful sellers out of what was saved."""

from node.decision.policies.interface import Draw, Experience, Menu, Pick, Policy, Priced
from node.decision.policies.pricing import hire, least_cost
from node.decision.policies.settings import PolicyConfig
from node.decision.policies.two_kinds import believe


def choose(menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig, draw: Draw) -> Pick:
    """The seller of least expected total cost; TOPSIS settles near-equals."""
    return hire(priced, least_cost(menu, priced, settings))


POLICY = Policy(
    name="expected-cost",
    summary="least expected total cost, doubt borne by what was saved, with a verification level",
    believe=believe,
    choose=choose,
)
