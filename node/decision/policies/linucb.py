"""LinUCB (Li, Chu, Langford & Schapire 2010), one linear model of the reward over the four criteria."""

import numpy as np

from node.decision.policies.interface import Draw, Experience, Floats, Menu, Pick, Policy, Priced
from node.decision.policies.pricing import best_of, features, hire, pessimistic
from node.decision.policies.settings import PolicyConfig


def ridge(experience: Experience) -> tuple[Floats, Floats]:
    """Mean (..., FEATURES) and inverse gram (..., FEATURES, FEATURES) of the reward model."""
    inverse: Floats = np.linalg.inv(experience.gram).astype(float)
    mean: Floats = (inverse @ experience.moment[..., None])[..., 0]
    return mean, inverse


def choose(menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig, draw: Draw) -> Pick:
    """The highest upper bound of the reward, if above that of LOCAL, which is 0."""
    mean, inverse = ridge(experience)
    x = features(menu, priced)
    width = np.sqrt(np.maximum(0.0, ((x @ inverse) * x).sum(-1)))
    expected = (x @ mean[..., None])[..., 0]
    seller = best_of(menu, expected + settings.linear_bonus * width, 0.0, menu.usable)
    return hire(priced, seller)


POLICY = Policy(
    name="linucb",
    summary="highest upper bound of a linear model of the saving",
    believe=pessimistic,
    choose=choose,
    is_gated=False,
)
