"""The default rule against markets of one seller: a cap on a seller's share of recent awards, a window for newcomers.

The cap keeps a second seller in business. The window gives a bounded share of the decisions to sellers without a
record: of those the one of least expected cost, below the gate, and within a twentieth of the cost of who would be
hired otherwise. Who holds prices up cannot count on being the only one known. Nothing is drawn at random; a trial is
marked as exploration.
"""

import numpy as np

from node.decision.policies.interface import LOCAL, Draw, Experience, Menu, Pick, Policy, Priced
from node.decision.policies.pricing import column, hire, least_cost
from node.decision.policies.settings import PolicyConfig
from node.decision.policies.two_kinds import believe

NEWCOMER_PREMIUM = 0.05
"""A newcomer may be expected to cost so much more: to know one more seller is worth little more than that."""


def choose(menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig, draw: Draw) -> Pick:
    """The least expected cost below the cap, among newcomers where the window is open.

    Where nobody else is worth it, the cap gives way.
    """
    awards = experience.awards
    # Where few awards were made, each is a large share of them: everybody may have one.
    total = np.maximum(awards.sum(-1, keepdims=True), 1.0 / settings.share_max)
    within = awards < settings.share_max * total
    capped = least_cost(menu, priced, settings, within)
    chosen = np.where(capped == LOCAL, least_cost(menu, priced, settings), capped)
    newcomers = menu.explorable & (experience.jobs < settings.proven_jobs)
    tried = least_cost(menu, priced, settings, newcomers)
    cost = priced.cost_micro
    is_near = column(cost, tried) <= (1.0 + NEWCOMER_PREMIUM) * column(cost, chosen)
    is_open = (experience.recent_explorations < settings.newcomer_share) & (chosen != LOCAL) & (tried != LOCAL)
    is_open &= is_near & (tried != chosen)
    return hire(priced, np.where(is_open, tried, chosen), is_open)


POLICY = Policy(
    name="portfolio",
    summary="least expected cost, no seller above a share of recent awards, some for newcomers",
    believe=believe,
    choose=choose,
)
