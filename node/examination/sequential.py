"""Wald's sequential probability ratio test (1945): as few test items as the answer needs.

After r right and w wrong answers the log of the likelihood ratio of "right with probability `claimed`" to "right with
probability `too_low`" is r ln(claimed / too_low) + w ln((1 - claimed) / (1 - too_low)). Above ln((1 - beta) / alpha)
the claim stands, below ln(beta / (1 - alpha)) it falls, between them one more item is asked.
"""

import math
from typing import Annotated, Literal

from msgspec import Meta

from node.decision.checked import Checked

Open = Annotated[float, Meta(gt=0, lt=1)]
Verdict = Literal["stands", "falls", "open"]


class SequentialTest(Checked, frozen=True, kw_only=True):
    """What is tested, and how often the test may be wrong."""

    claimed: Open = 0.8
    """Share of right answers that the seller claims."""
    too_low: Open = 0.6
    """The share that is told apart from it: the nearer, the more items it takes."""
    alpha: Open = 0.05
    """How often a claim stands although the truth is `too_low`."""
    beta: Open = 0.05
    """How often a claim falls although it is true."""

    def __post_init__(self) -> None:
        Checked.__post_init__(self)
        for name in ("claimed", "too_low", "alpha", "beta"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"SequentialTest.{name} is {getattr(self, name)!r}: write a share between 0 and 1")
        if self.too_low >= self.claimed:
            raise ValueError(f"SequentialTest.too_low is {self.too_low!r}: write less than claimed, {self.claimed!r}")

    def verdict(self, right: int, wrong: int) -> Verdict:
        """What follows from so many answers; `open` asks for another item."""
        ratio = right * math.log(self.claimed / self.too_low)
        ratio += wrong * math.log((1.0 - self.claimed) / (1.0 - self.too_low))
        if ratio >= math.log((1.0 - self.beta) / self.alpha):
            return "stands"
        return "falls" if ratio <= math.log(self.beta / (1.0 - self.alpha)) else "open"
