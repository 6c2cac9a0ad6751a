"""The default rule with a cap on one seller's share of recent awards, so that no market of one seller forms."""

import numpy as np

from node.decision.policies.interface import LOCAL, Draw, Experience, Menu, Pick, Policy, Priced
from node.decision.policies.pricing import hire, least_cost
from node.decision.policies.settings import PolicyConfig
from node.decision.policies.two_kinds import believe


def choose(menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig, draw: Draw) -> Pick:
    """The least expected cost among sellers below the cap; where nobody else is worth it, the cap gives way."""
    awards = experience.awards
    # Where few awards were made, each is a large share of them: everybody may have one.
    total = np.maximum(awards.sum(-1, keepdims=True), 1.0 / settings.share_max)
    within = awards < settings.share_max * total
    capped = least_cost(menu, priced, settings, within)
    return hire(menu, priced, np.where(capped == LOCAL, least_cost(menu, priced, settings), capped))


POLICY = Policy(
    name="portfolio",
    summary="least expected cost, no seller above a share of recent awards",
    believe=believe,
    choose=choose,
)
