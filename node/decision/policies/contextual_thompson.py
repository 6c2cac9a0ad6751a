"""Linear Thompson sampling (Agrawal & Goyal 2013): the reward model drawn from its posterior."""

import numpy as np

from node.decision.policies.interface import Draw, Experience, Menu, Pick, Policy, Priced
from node.decision.policies.linucb import ridge
from node.decision.policies.pricing import best_of, features, hire, pessimistic
from node.decision.policies.settings import PolicyConfig


def choose(menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig, draw: Draw) -> Pick:
    """The seller of the highest reward by one drawn model, if above that of LOCAL, which is 0."""
    assert draw is not None
    mean, inverse = ridge(experience)
    noise = draw.standard_normal(mean.shape)
    model = mean + settings.linear_bonus * (np.linalg.cholesky(inverse) @ noise[..., None])[..., 0]
    score = (features(menu, priced) @ model[..., None])[..., 0]
    return hire(priced, best_of(menu, score, 0.0, menu.usable))


POLICY = Policy(
    name="contextual-thompson",
    summary="highest saving by a linear model drawn from its posterior",
    believe=pessimistic,
    choose=choose,
    is_gated=False,
    draws=True,
)
