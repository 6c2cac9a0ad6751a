"""A TOPSIS threshold that falls when too little is hired (the paper's VI.G.2), without random choices.

Scores are on fixed ranges and a seller must cost less than LOCAL, so that a low threshold buys nothing at a loss.
"""

import numpy as np

from node.decision.policies.interface import Draw, Experience, Floats, Menu, Pick, Policy, Priced
from node.decision.policies.pricing import best_of, closeness, goodness, hire, pessimistic
from node.decision.policies.settings import PolicyConfig


def threshold(experience: Experience, settings: PolicyConfig) -> Floats:
    """(...,): tau, lowered in proportion to how far recent hiring is below its target, not below `tau_least`."""
    target = settings.hire_rate_target
    short = np.maximum(0.0, target - experience.recent_hires) / target if target else np.zeros_like(experience.hires)
    least = min(settings.tau_least, settings.tau)
    return settings.tau - short * (settings.tau - least)


def choose(menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig, draw: Draw) -> Pick:
    """The best score above the threshold among sellers that cost less than LOCAL."""
    score = closeness(goodness(menu, priced), experience.weights)
    worth_it = (priced.cost_micro < menu.limit_micro) & (menu.match >= settings.theta)
    return hire(priced, best_of(menu, score, threshold(experience, settings)[..., None], worth_it))


POLICY = Policy(
    name="adaptive-threshold",
    summary="best TOPSIS score above a threshold that falls when little is hired",
    believe=pessimistic,
    choose=choose,
)
