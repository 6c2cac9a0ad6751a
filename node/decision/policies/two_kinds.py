"""What the default rules believe of a seller: it means what it claims, or it does not, and every job says which.

With chance 1 - s a seller delivers good work as often as it claims, c. With chance s it is of another kind and delivers
a share p whatever it claims; p is .15 above or below `dishonest_success`, either with the same chance, since some cheat
at every job and some only now and then. After g good and b bad jobs the odds of each such kind are those of Bayes:

    s'_p / s'_c = (s / 2) / (1 - s) * (p / c)^g * ((1 - p) / (1 - c))^b

and its success is q = (n m + g) / (n + g + b) with m the mean of c and the two p, as likely as they are now: the jobs
seen, and n more of the mean kind. One failure of a seller that claims 95 % then says much, one of a seller that claims
75 % says little, and a few good jobs make a partner; one Beta prior can do only one of these. q rises with g and falls
with b, since the odds and the counts do.

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
APART = 0.15
"""The kinds that do not mean what they claim deliver so much more or less than `dishonest_success`. One kind between
the two takes twice as long to tell who fails a little too often from who is honest."""
RARELY = 0.01
"""No kind delivers less."""
SURE = 50.0
"""Odds of e^50 are certainty."""


def believe(menu: Menu, experience: Experience, settings: PolicyConfig, draw: Draw = None) -> Belief:
    """The success of every seller, from own receipts."""
    return belief(menu.prior, experience.successes, experience.failures, settings)


def belief(prior: Floats, successes: Floats, failures: Floats, settings: PolicyConfig) -> Belief:
    """The expected and the careful belief, any shape. `prior` is the claim times `prior_factor`."""
    claim = prior / max(settings.prior_factor, LEAST)
    claim = np.minimum(np.maximum(claim, CLAIM_LEAST, out=claim), settings.claim_most, out=claim)
    # No other kind does better than it claims: below p, both kinds are one, and receipts tell nothing of them.
    rare = np.minimum(claim, max(RARELY, settings.dishonest_success - APART))
    often = np.minimum(claim, settings.dishonest_success + APART)
    for_rare = _evidence(rare, claim, successes, failures)
    for_often = _evidence(often, claim, successes, failures)
    share = _exp(for_often - for_rare)
    share += 1.0
    gap = claim - often
    often -= rare
    often /= share
    gap += often
    # What a seller of the other kinds delivers: the mean of the two, by what speaks for each.
    other = claim - gap
    odds = _exp(for_rare)
    odds += _exp(for_often)
    total = settings.claim_jobs + successes
    total += failures
    gap *= settings.claim_jobs
    other *= settings.claim_jobs
    other += successes
    return Belief(
        _mean(odds, gap, other, total, settings.dishonest_share),
        _mean(odds, gap, other, total, settings.doubted_share),
    )


def _evidence(kind: Floats, claim: Floats, successes: Floats, failures: Floats) -> Floats:
    """log of (p/c)^g ((1-p)/(1-c))^b."""
    evidence = np.log(kind / claim)
    evidence *= successes
    against = np.log((1.0 - kind) / (1.0 - claim))
    against *= failures
    evidence += against
    return np.asarray(evidence)


def _exp(evidence: Floats) -> Floats:
    return np.asarray(np.exp(np.minimum(np.maximum(evidence, -SURE), SURE)))


def _mean(odds: Floats, gap: Floats, other: Floats, total: Floats, share: float) -> Floats:
    """q: what the other kinds would come to, and of what the claim adds to that the part that is believed.

    `odds` is the sum over both kinds, each of half the share.
    """
    believed = odds * (0.5 * share / (1.0 - share))
    believed += 1.0
    q = gap / believed
    q += other
    q /= total
    return q
