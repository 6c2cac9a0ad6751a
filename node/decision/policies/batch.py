"""One decision, or a batch of them, by a policy; and the exploration that is forced where a policy is stuck."""

from typing import NamedTuple

import numpy as np

from node.decision.policies.interface import LOCAL, Draw, Experience, Floats, Menu, Pick, Policy, Priced
from node.decision.policies.pricing import ceiling_micro, hire, optimistic, posterior, price
from node.decision.policies.settings import PolicyConfig


class Chosen(NamedTuple):
    """A pick and what it was made from."""

    pick: Pick
    priced: Priced


def choose(policy: Policy, menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw = None) -> Chosen:
    """The policy's choice in every row. Raises ValueError when it needs a draw and none is given."""
    if policy.draws and draw is None:
        raise ValueError(f"the policy {policy.name} draws at random: give it a numpy Generator")
    belief = policy.believe(menu, experience, settings, draw)
    priced = price(menu, belief, ceiling_micro(menu, experience, settings))
    pick = policy.choose(menu, priced, experience, settings, draw)
    if settings.stuck_after and (experience.local_run >= settings.stuck_after).any():
        pick = unstick(pick, menu, priced, experience, settings)
    return Chosen(pick, priced)


def unstick(pick: Pick, menu: Menu, priced: Priced, experience: Experience, settings: PolicyConfig) -> Pick:
    """Where a policy has chosen LOCAL for too long, the seller most worth a try instead, if there is one.

    Only unproven sellers, only within their caps, only where what hiring saved so far can bear it, and only those who
    would be worth it if they were as good as can be hoped: where local work is cheaper than any seller, nothing is
    tried. Of those, the least of eq. (20) with its
    sign turned round: C - lambda * I (a value of information added to a cost would favour knowing less).
    """
    stuck = (experience.local_run >= settings.stuck_after) & (pick.seller == LOCAL)
    hoped = price(menu, optimistic(menu, experience, settings)).cost_micro
    unproven = experience.jobs < settings.proven_jobs
    open_ = menu.explorable & unproven & (hoped < menu.limit_micro)
    if priced.safe is not None:
        open_ &= priced.safe
    value = np.where(
        open_, priced.cost_micro - settings.learning_value * information_micro(menu, experience, settings), np.inf
    )
    if not value.shape[-1]:
        return pick
    forced = stuck & open_.any(-1)
    tried = hire(priced, np.where(forced, value.argmin(-1), pick.seller), pick.explored | forced)
    return Pick(tried.seller, np.where(forced, tried.level, pick.level), tried.explored)


def information_micro(menu: Menu, experience: Experience, settings: PolicyConfig) -> Floats:
    """(..., sellers): I of eq. (20), in money: the standard deviation of the success times what hangs on it."""
    _, deviation = posterior(menu.prior, experience.successes, experience.failures, settings.prior_jobs)
    return deviation * (menu.value_micro + menu.price_micro)
