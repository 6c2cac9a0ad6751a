"""Savings against security exposure: a claim that readers of the paper draw from it, with and without budgets."""

import msgspec
import numpy as np

from coalesced.sim.market.binding import BUDGET_BREACH_SHARE, BUDGET_STRANGER_USD, SIMULATED
from coalesced.sim.market.scenario import Scenario, scenario
from coalesced.sim.market.statistics import pearson
from coalesced.sim.paper.section import Plan, Results, Section, group, mean, passed, table, text

THETAS = (0.5, 0.6, 0.7, 0.8)
RULES = ("paper", "expected-cost", "expected-cost+guarded")
INTRODUCTION = f"""## Savings against security exposure

The claim: agents that optimise cost expose themselves, theta >= .7 is needed, "security budgets" help. The paper's
skill sets in the printed regime, with 10 % each of spoofers, fabricators and leechers. Exposure is the expected loss by
leaks in percent of the all-local cost. `+guarded` is a security budget: no seller whose expected leak costs more than
{BUDGET_BREACH_SHARE:.1%} of the task's value, none above ${BUDGET_STRANGER_USD:.0f} for one with under three jobs."""


def market() -> Scenario:
    """With those who only want to see the data."""
    rogues = {"spoofers": 0.1, "fabricators": 0.1, "leechers": 0.1}
    return msgspec.structs.replace(scenario("parity"), name="rogues", skills="paper", local_scale=1.0, **rogues)


def plan(runs: int) -> Plan:
    """Every theta under the printed rule and the default, with and without a budget."""
    return {
        f"{rule}/{theta}": group(market(), rule, 2 * runs, settings=msgspec.structs.replace(SIMULATED, theta=theta))
        for rule in RULES
        for theta in THETAS
    }


def write(results: Results) -> str:
    """The page."""
    header = ("rule", "theta", "cost reduction", "hired", "exposure", "hires of dishonest sellers", "bad work accepted")
    fields = ("cost_reduction", "hired", "exposure", "to_dishonest", "missed")
    rows = [
        (rule, theta, *(text(results[f"{rule}/{theta}"], field, 2 if field == "exposure" else 1) for field in fields))
        for rule in RULES
        for theta in THETAS
    ]
    return "\n\n".join((INTRODUCTION, table(header, rows), _verdict(results)))


def _verdict(results: Results) -> str:
    lines = []
    for rule in ("paper", "expected-cost"):
        saved = np.concatenate([results[f"{rule}/{theta}"].cost_reduction for theta in THETAS])
        exposed = np.concatenate([results[f"{rule}/{theta}"].exposure for theta in THETAS])
        lines.append(f"`{rule}` r = {pearson(saved, exposed):.2f}")
    strict = all(
        mean(results[f"{rule}/0.8"], "exposure") < mean(results[f"{rule}/0.5"], "exposure")
        for rule in ("paper", "expected-cost")
    )
    cut = [
        1.0
        - mean(results[f"expected-cost+guarded/{theta}"], "exposure")
        / mean(results[f"expected-cost/{theta}"], "exposure")
        for theta in THETAS
    ]
    price = [
        mean(results[f"expected-cost/{theta}"], "cost_reduction")
        - mean(results[f"expected-cost+guarded/{theta}"], "cost_reduction")
        for theta in THETAS
    ]
    return (
        f"- More saving goes with more exposure, over runs and theta: {'; '.join(lines)}.\n"
        f"- A stricter theta lowers exposure, .8 against .5: {passed(strict)}. It does so by hiring less: a leak is no "
        "matter of skill, and a leecher's match is as good as anybody's.\n"
        f"- A security budget cuts the exposure of the default by {100 * min(cut):.0f} to {100 * max(cut):.0f} % and "
        f"costs {min(price):.1f} to {max(price):.1f} points of saving."
    )


SECTION = Section("Exposure", plan, write)
