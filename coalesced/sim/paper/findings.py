"""Sections V.E to V.G: each published finding beside its figure here. It uses the rows of Table I."""

from collections.abc import Mapping

import numpy as np

from coalesced.sim.market.metrics import Summary
from coalesced.sim.market.statistics import pearson
from coalesced.sim.paper.rows import ROWS
from coalesced.sim.paper.section import Plan, Results, Section, mean, table, text

PROSE = {"dur_01": ("1 day", "0 %"), "dur_02": ("3 days", "55.4 %"), "dur_07": ("20 days", "98.0 %")}
PROSE |= {"dur_09": ("30 days", "17.3 %")}
"""V.E.2; Table I itself prints 27.1 and 35.2 for the first two."""
WHY_A_THIRD = """The outsourcing rate of a third is no property of the market. Their code's confidence is
1 - 2 min(p, 1-p) 1.96/sqrt(n), with p the share of its last 50 decisions that were good hires; decisions for LOCAL
count as bad ones. It refuses to hire while p lies between about .36 and .64, so p never gets past .36."""


def plan(runs: int) -> Plan:
    """Nothing of its own."""
    return {}


def write(results: Results) -> str:
    """The page."""
    theirs = {row.name: results[f"{row.name}/authors"] for row in ROWS}
    rows = [*_correlations(theirs), *_rates(theirs)]
    for name, (days, printed) in PROSE.items():
        one = theirs[name]
        figures = f"{text(one, 'paper_metric')} by their metric, {text(one, 'booked_reduction')} honestly"
        rows.append((f"prose, {days}", printed, figures))
    header = ("finding", "printed", "here")
    return "\n\n".join(("## Published findings, recomputed", table(header, rows), WHY_A_THIRD))


def _all(theirs: Mapping[str, Summary], field: str) -> np.typing.NDArray[np.float64]:
    return np.concatenate([getattr(one, field) for one in theirs.values()])


def _correlations(theirs: Mapping[str, Summary]) -> list[tuple[str, str, str]]:
    """r = .833 and r = -.428, over runs."""
    hired, honest, metric = (_all(theirs, field) for field in ("hired", "booked_reduction", "paper_metric"))
    scale = {row.name: theirs[row.name] for row in ROWS if row.name.startswith("agt")}
    clients = np.concatenate([np.full(len(scale[r.name].hired), float(r.clients)) for r in ROWS if r.name in scale])
    scale_metric, scale_honest = _all(scale, "paper_metric"), _all(scale, "booked_reduction")
    large = clients >= 15
    of_large = pearson(clients[large], scale_honest[large])
    return [
        (
            "outsourcing rate and cost reduction, r over runs",
            ".833",
            f"{pearson(hired, metric):.3f} by their metric, {pearson(hired, honest):.3f} honestly",
        ),
        (
            "number of agents and cost reduction, r over runs",
            "-.428",
            f"{pearson(clients, scale_metric):.3f} by their metric, {pearson(clients, scale_honest):.3f} honestly, "
            f"{of_large:.3f} from 15 clients on, where eq. (5) hardly counts",
        ),
    ]


def _rates(theirs: Mapping[str, Summary]) -> list[tuple[str, str, str]]:
    honest = _all(theirs, "booked_reduction")
    explored, hires = _all(theirs, "explored"), np.mean([mean(one, "explored_hires") for one in theirs.values()])
    return [
        ("over 30 % saved", "in 100 % of the scenarios", f"in {100.0 * (honest > 30.0).mean():.0f} % of the runs"),
        ("outsourcing rate", "33.0 %, 33.8 %", f"{_all(theirs, 'hired').mean():.1f} %"),
        ("TOPSIS score", ".800, .565 and .79", f"{np.nanmean(_all(theirs, 'score')):.3f}"),
        (
            "exploration",
            "10 % of the outsourcing",
            f"{explored.mean():.1f} % of the tasks, {hires:.0f} % of the outsourcing",
        ),
    ]


SECTION = Section("Findings", plan, write)
