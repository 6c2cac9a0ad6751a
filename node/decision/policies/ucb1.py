"""UCB1 (Auer, Cesa-Bianchi & Fischer 2002): each seller an arm, its reward the share of the local cost it saved.

LOCAL is an arm of known reward 0. The rule knows no prices or claims: it is here to be compared with.
"""

import numpy as np

from node.decision.policies.interface import Belief, Draw, Experience, Menu, Pick, Policy, Priced
from node.decision.policies.pricing import best_of, hire, posterior
from node.decision.policies.settings import PolicyConfig

RANGE = 2.0
"""Rewards lie in [-1, 1]; the bound is stated for rewards in [0, 1]."""


def believe(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw) -> Belief:
    """The posterior mean; it only serves to choose the level."""
    return Belief(posterior(menu.prior, experience.successes, experience.failures, settings.prior_jobs)[0])


def choose(menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig, draw: Draw) -> Pick:
    """The arm of the highest upper bound; one that was never tried comes first."""
    jobs = experience.jobs
    tries = np.maximum(jobs, 1.0)
    total = np.maximum(1.0, jobs.sum(-1, keepdims=True))
    bound = experience.reward / tries + RANGE * np.sqrt(2.0 * np.log(total) / tries)
    seller = best_of(menu, np.where(jobs > 0, bound, np.finfo(float).max), 0.0, menu.usable)
    untried = np.take_along_axis(jobs, np.maximum(seller, 0)[..., None], -1)[..., 0] == 0 if jobs.shape[-1] else False
    return hire(priced, seller, np.asarray(untried))


POLICY = Policy(
    name="ucb1",
    summary="highest upper confidence bound on the reward of each seller by itself",
    believe=believe,
    choose=choose,
    is_gated=False,
)
