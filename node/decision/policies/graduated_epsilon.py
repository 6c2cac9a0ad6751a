"""Random choices that grow rarer with knowledge (the paper's VI.G.2), beside the default rule."""

import numpy as np

from node.decision.policies.interface import Draw, Experience, Floats, Menu, Pick, Policy, Priced
from node.decision.policies.pricing import hire, least_cost, optimistic, price, random_of
from node.decision.policies.settings import PolicyConfig
from node.decision.policies.two_kinds import believe


def rate(experience: Experience, settings: PolicyConfig) -> Floats:
    """(...,): epsilon / (1 + decisions / epsilon_half), not below epsilon_least."""
    wanted = settings.epsilon / (1.0 + experience.decisions / settings.epsilon_half)
    return np.maximum(min(settings.epsilon_least, settings.epsilon), wanted)


def choose(menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig, draw: Draw) -> Pick:
    """Now and then one that could be worth it if it is as good as can be hoped, else the least expected cost."""
    assert draw is not None
    hoped = price(menu, optimistic(menu, experience, settings))
    open_ = menu.explorable & (hoped.cost_micro < menu.limit_micro)
    tried = random_of(open_ if priced.safe is None else open_ & priced.safe, draw)
    explores = draw.random(tried.shape) < rate(experience, settings)
    explores = explores & (tried >= 0)
    return hire(priced, np.where(explores, tried, least_cost(menu, priced, settings)), explores)


POLICY = Policy(
    name="graduated-epsilon",
    summary="least expected cost, with random trials that grow rarer",
    believe=believe,
    choose=choose,
    draws=True,
    explores=rate,
)
