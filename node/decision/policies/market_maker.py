"""The default rule with shared reputation (the paper's VI.G.2): reports of others as a discounted, bounded prior.

What the community chain says is in every rule's evidence (`reliability.told`); this one also takes reports that clients
pass on to each other beside it, as the paper's market maker does; in a node, what market makers sell (node/priors).
"""

import numpy as np

from node.decision.policies.expected_cost import choose
from node.decision.policies.interface import Belief, Draw, Experience, Menu, Policy
from node.decision.policies.settings import PolicyConfig
from node.decision.policies.two_kinds import belief


def believe(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw) -> Belief:
    """From own receipts and from reports, which weigh less and at most `shared_jobs_max`."""
    reported = experience.shared_successes + experience.shared_failures
    most = settings.shared_jobs_max / np.maximum(reported, 1e-9)
    weight = np.minimum(settings.shared_discount, most)
    return belief(
        menu.prior,
        experience.successes + weight * experience.shared_successes,
        experience.failures + weight * experience.shared_failures,
        settings,
    )


POLICY = Policy(
    name="market-maker",
    summary="least expected cost, with others' reports as a discounted prior",
    believe=believe,
    choose=choose,
)
