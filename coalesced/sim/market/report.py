"""What a comparison of rules looks like: rows for tables and JSON, and pictures where matplotlib is installed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from coalesced.sim.market.metrics import Summary
from coalesced.sim.market.statistics import Estimate, estimate

FIELDS: Final = (
    "cost_reduction",
    "first_100",
    "paper_metric",
    "time_saving",
    "hired",
    "explored",
    "missed",
    "to_dishonest",
    "exposure",
    "per_hour",
)
"""What is reported of each rule, in percent but for `per_hour` (tasks)."""
ORACLE: Final = "oracle"


class PlotError(Exception):
    """Pictures were asked for and cannot be drawn."""


def estimates(summaries: Mapping[str, Summary]) -> dict[str, dict[str, Estimate]]:
    """Rule -> figure -> mean and 95 % interval over runs; `regret` in points, paired by run, where the oracle ran."""
    oracle = summaries.get(ORACLE)
    found = {}
    for name, summary in summaries.items():
        figures = {field: estimate(getattr(summary, field)) for field in FIELDS}
        if oracle is not None:
            figures["regret"] = estimate(oracle.cost_reduction - summary.cost_reduction)
        found[name] = figures
    return found


def as_json(found: Mapping[str, Mapping[str, Estimate]], **facts: object) -> dict[str, Any]:
    """One JSON value: the facts of the comparison, then the figures of each rule; a figure without a value is null."""
    rules = {
        name: {field: None if one.mean != one.mean else asdict(one) for field, one in figures.items()}
        for name, figures in found.items()
    }
    return {"schema": "coalesced.simulation/1", **facts, "rules": rules}


def draw(summaries: Mapping[str, Mapping[str, Summary]], directory: Path) -> Sequence[Path]:
    """One PNG a scenario: the cost reduction of each rule with its interval, and its runs as dots.

    `summaries`: scenario -> rule -> summary. Raises PlotError without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlotError("pictures need matplotlib: pip install 'coalesced[sim]'") from error
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for scenario, rules in summaries.items():
        figure = Figure(figsize=(8, 0.5 * len(rules) + 2.0), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for place, summary in enumerate(rules.values()):
            found = estimate(summary.cost_reduction)
            axes.plot(summary.cost_reduction, [place] * len(summary.cost_reduction), "o", alpha=0.25, color="tab:blue")
            axes.errorbar(
                found.mean, place, xerr=[[found.mean - found.low], [found.high - found.mean]], fmt="kd", capsize=4
            )
        axes.axvline(0.0, color="grey", linewidth=0.8)
        axes.set_yticks(range(len(rules)), list(rules))
        axes.set_ylim(len(rules) - 0.5, -0.5)
        axes.set_xlabel("cost reduction, % (dots: runs; diamond: mean with 95 % interval)")
        axes.set_title(scenario)
        path = directory / f"{scenario}.png"
        figure.savefig(path, dpi=120)
        paths.append(path)
    return paths
