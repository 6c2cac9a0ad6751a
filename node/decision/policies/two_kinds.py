"""What the default rules believe of a seller: it means what it claims, or it does not, and every job says which.

With chance 1 - s a seller delivers good work as often as it claims, c; with chance s it is of the other kind and
delivers a share p, whatever it claims. After g good and b bad jobs the odds of the other kind are those of Bayes:

    s' / (1 - s') = s / (1 - s) * (p / c)^g * ((1 - p) / (1 - c))^b

and its success is q = (n m + g) / (n + g + b) with m = (1 - s') c + s' p: the jobs seen, and n more of the mean kind.
One failure of a seller that claims 95 % then says much, one of a seller that claims 75 % says little, and a few good
jobs make a partner; one Beta prior can do only one of these. q rises with g and falls with b, since both terms do.

The same with a larger s is the careful belief: as if nearly everybody were of the other kind. It chooses how closely
to check, and a seller that would cost more than LOCAL by it is hired only where what hiring has saved so far can bear
the difference (`pricing.ceiling_micro`): LOCAL is a safe choice of known cost, and rules that are to learn without
ever being much worse than such a choice pay for their trials out of what they have won (conservative bandits: Wu,
Shariff, Lattimore & Szepesvari 2016).
"""

import numpy as np

from node.decision.policies.interface import Belief, Draw, Experience, Floats, Menu
from node.decision.policies.settings import PolicyConfig

LEAST = 1e-300
"""In place of a discount of 0, so that a quotient is defined: no claim counts then."""
CLAIM_LEAST = 0.02
"""Nobody is certain to fail, whatever is claimed."""
SURE = 50.0
"""Odds of e^50 are certainty."""


def believe(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw = None) -> Belief:
    """The success of every seller, from own receipts."""
    return belief(menu.prior, experience.successes, experience.failures, settings)


def belief(prior: Floats, successes: Floats, failures: Floats, settings: PolicyConfig) -> Belief:
    """The expected and the careful belief, any shape. `prior` is the claim times `prior_factor`."""
    claim = prior / max(settings.prior_factor, LEAST)
    claim = np.minimum(np.maximum(claim, CLAIM_LEAST, out=claim), settings.claim_most, out=claim)
    # The other kind does not do better than it claims: below p, both kinds are one, and receipts tell nothing of them.
    other = np.minimum(claim, settings.dishonest_success)
    evidence = np.log(claim / other)
    evidence *= successes
    against = np.log((1.0 - other) / (1.0 - claim))
    against *= failures
    evidence -= against
    # (1 - s') / s' but for the share s that one starts from.
    odds = np.exp(np.minimum(np.maximum(evidence, -SURE, out=evidence), SURE, out=evidence), out=evidence)
    total = settings.claim_jobs + successes
    total += failures
    gap = claim
    gap -= other
    gap *= settings.claim_jobs
    least = settings.claim_jobs * other
    least += successes
    return Belief(
        _mean(odds, gap, least, total, settings.dishonest_share),
        _mean(odds, gap, least, total, settings.doubted_share),
    )


def _mean(odds: Floats, gap: Floats, least: Floats, total: Floats, share: float) -> Floats:
    """q: what the other kind would come to, and of what the claim adds to that the part that is believed."""
    q = odds * ((1.0 - share) / share)
    believed = q + 1.0
    np.divide(q, believed, out=q)
    q *= gap
    q += least
    q /= total
    return q
