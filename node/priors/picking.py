"""Which seller is probed next: whose next probe tells most for its price, within the budgets.

What a seller's next probe tells is by how much it is expected to narrow the Beta posterior of its success: of the
variance v after n jobs (two of them assumed) it takes v / (n + 1). That is weighed with how often buyers asked about
the skill, and divided by what the probe costs, though no seller draws all probes to itself by asking next to nothing,
or by leaving no trace of them. The choice is drawn in proportion: a seller cannot work out its turn.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.decision.reliability import posterior
from node.priors.belief import UNTOLD, UNTOLD_JOBS

CHEAPEST_SHARE = 0.25
"""Of the usual price: what costs less is taken to cost so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A seller of a skill that could be probed."""

    seller: bytes
    skill: str
    good: float = 0.0
    bad: float = 0.0
    """Probes so far of which it is known how they ended."""
    tries: int = 0
    """All probes so far, whether or not a record of them has come, or ever will."""
    price_micro: int | None = None
    """What the last probe was quoted at; None before the first."""
    asked: int = 0
    """Documents about the skill that were sold lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """What may still be spent: in all, and by seller (whoever is not named: `each_micro`)."""

    left_micro: int
    each_micro: int
    spent_micro: dict[bytes, int]
    """On each seller, of `each_micro`."""

    def for_seller(self, seller: bytes) -> int:
        """The most that a probe of this seller may cost now."""
        return max(0, min(self.left_micro, self.each_micro - self.spent_micro.get(seller, 0)))


def worth(target: Target, usual_micro: int) -> float:
    """What the next probe tells for its price, which is taken for the usual one where it is not known; above 0."""
    _, deviation = posterior(target.good, target.bad, prior_mean=UNTOLD, prior_jobs=UNTOLD_JOBS)
    known = UNTOLD_JOBS + target.good + target.bad + 1.0
    tried = max(known, UNTOLD_JOBS + target.tries + 1.0)
    told = deviation**2 * known / tried**2
    price = max(CHEAPEST_SHARE * usual_micro, float(usual_micro if target.price_micro is None else target.price_micro))
    return (1.0 + target.asked) * told / price


def pick(targets: Sequence[Target], purse: Purse, drawn: float) -> Target | None:
    """One of the targets, by a draw from [0, 1); None where none can be paid for."""
    usual = _usual_price(targets)
    payable = [
        (target, worth(target, usual))
        for target in targets
        if purse.for_seller(target.seller) > 0 and (target.price_micro or 0) <= purse.for_seller(target.seller)
    ]
    at = drawn * sum(value for _, value in payable)
    for target, value in payable:
        at -= value
        if at < 0.0:
            return target
    return payable[-1][0] if payable else None


def _usual_price(targets: Iterable[Target]) -> int:
    """The middle one of the known prices: what an unknown one is taken for."""
    known = sorted(target.price_micro for target in targets if target.price_micro is not None)
    return max(1, known[len(known) // 2]) if known else 1
