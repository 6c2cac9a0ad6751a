"""A section of the reproduction: which simulations it needs, and the page that it makes of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from coalesced.sim.market.binding import SIMULATED
from coalesced.sim.market.jobs import Job, split
from coalesced.sim.market.metrics import Summary
from coalesced.sim.market.scenario import Scenario
from coalesced.sim.market.statistics import Estimate, estimate
from node.decision.policies.settings import PolicyConfig

Plan = dict[str, list[Job]]
Results = Mapping[str, Summary]
"""The summary of each key of the plan."""
SEED = 20_250_602
"""The day the paper came out. Rows add their number, so that no two are the same runs."""


@dataclass(frozen=True, slots=True)
class Section:
    """`plan(runs)` names groups of jobs, by keys of its own; `write(results)` is its Markdown."""

    name: str
    plan: Callable[[int], Plan]
    write: Callable[[Results], str]


def group(
    scenario: Scenario, rule: str, runs: int, *, seed: int = SEED, settings: PolicyConfig = SIMULATED
) -> list[Job]:
    """`runs` runs of a scenario under a rule. The same seed means the same world, whatever the rule."""
    return split(scenario, rule, seed, runs, settings)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "-|" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def mean(summary: Summary, field: str) -> float:
    """The mean over runs of one figure."""
    return estimated(summary, field).mean


def estimated(summary: Summary, field: str) -> Estimate:
    """One figure with its interval."""
    return estimate(getattr(summary, field))


def text(summary: Summary, field: str, digits: int = 1) -> str:
    """One figure with its interval, as text."""
    return estimated(summary, field).text(digits)


def passed(holds: bool) -> str:
    """How a gate reads."""
    return "holds" if holds else "**does not hold**"
