"""What market makers say of a seller, as a decision takes it: counted probes, by how far their maker is believed."""

from collections.abc import Iterable

from node.decision.checked import Checked, Count, Probability, Seconds
from node.decision.reliability import Told


class MakerWord(Checked, frozen=True, kw_only=True):
    """One maker's counts of one seller in one skill, as much as is left of them by now."""

    maker: str
    """Its short id."""
    good: Count = 0.0
    bad: Count = 0.0
    weight: Probability = 0.0
    """How far it is believed, by what came of its words before."""
    age_s: Seconds = 0.0
    latency: Count | None = None
    """How long its probes took over what was promised."""


def reports(words: Iterable[MakerWord]) -> Told:
    """What all makers together report: each count times how far its maker is believed."""
    listed = tuple(words)
    return Told(
        sum(word.weight * word.good for word in listed),
        sum(word.weight * word.bad for word in listed),
    )


def counted_for(reported: Told, *, discount: float, most_jobs: float) -> Told:
    """What reports come to in jobs of one's own, by the rule `market-maker` (policies/market_maker.py, for arrays)."""
    jobs = reported.successes + reported.failures
    scale = min(discount, most_jobs / jobs) if jobs > 0.0 else 0.0
    return Told(scale * reported.successes, scale * reported.failures)
