"""V.E.4: epsilon, theta, beta and alpha, with the two-way interaction of epsilon and theta."""

import itertools

import msgspec
import numpy as np

from coalesced.sim.market.binding import SIMULATED
from coalesced.sim.market.statistics import Anova, two_way
from coalesced.sim.paper.rows import ROWS
from coalesced.sim.paper.section import Plan, Results, Section, estimated, group, table, text
from node.decision.policies.settings import PolicyConfig

EPSILONS = (0.05, 0.10, 0.15, 0.20, 0.25)
THETAS = (0.5, 0.6, 0.7, 0.8, 0.9)
BETAS = (0.5, 0.6, 0.7, 0.8, 0.9)
ALPHAS = (0.2, 0.25, 0.3, 0.35, 0.4)
ROW = ROWS[3]
"""7 days, 15 clients, 30 contractors: the one configuration that is in both of the paper's series."""
FIELDS = ("paper_metric", "booked_reduction", "cost_reduction")


def _settings(**changes: object) -> PolicyConfig:
    return msgspec.structs.replace(SIMULATED, **changes)


def plan(runs: int) -> Plan:
    """The whole grid of epsilon and theta under both rules; beta and alpha under the printed one, which has them."""
    groups = {
        f"{rule} epsilon={epsilon} theta={theta}": group(
            ROW.scenario, rule, runs, settings=_settings(epsilon=epsilon, theta=theta)
        )
        for rule, epsilon, theta in itertools.product(("authors", "paper"), EPSILONS, THETAS)
    }
    for beta in BETAS:
        groups[f"paper beta={beta}"] = group(ROW.scenario, "paper", runs, settings=_settings(market_response=beta))
    for alpha in ALPHAS:
        groups[f"paper alpha={alpha}"] = group(
            ROW.scenario, "paper", runs, settings=_settings(correlation_penalty=alpha)
        )
    return groups


def write(results: Results) -> str:
    """The page."""
    parts = [
        f"## Sensitivity\n\nRow {ROW.name}: {ROW.days} days, {ROW.clients} clients. Percent, with 95 % intervals; "
        "what is not varied has the paper's value."
    ]
    for rule in ("authors", "paper"):
        parts += [f"### Under the rule `{rule}`", _epsilon_theta(results, rule)]
    parts.append(_market(results))
    return "\n\n".join(parts)


def _epsilon_theta(results: Results, rule: str) -> str:
    base = estimated(results[f"{rule} epsilon=0.1 theta=0.7"], "paper_metric").mean
    rows = []
    for name, values, printed in (
        ("epsilon", EPSILONS, {0.05: -15.3, 0.25: -22.7}),
        ("theta", THETAS, {0.5: -12.4, 0.9: -8.9}),
    ):
        for value in values:
            found = results[
                f"{rule} epsilon={value} theta=0.7" if name == "epsilon" else f"{rule} epsilon=0.1 theta={value}"
            ]
            change = 100.0 * (estimated(found, "paper_metric").mean / base - 1.0)
            said = "0 (best)" if value in (0.1, 0.7) else printed.get(value, "-")
            rows.append((f"{name} = {value}", said, f"{change:+.1f}", *(text(found, field) for field in FIELDS)))
    header = (
        "",
        "change of the metric, printed, %",
        "change, here, %",
        "metric",
        "honest, as it books",
        "honest, as it happened",
    )
    return table(header, rows) + "\n\n" + _interaction(results, rule)


def analysis(results: Results, rule: str, field: str) -> Anova:
    """Two-way analysis over epsilon and theta."""
    cells = [
        [getattr(results[f"{rule} epsilon={epsilon} theta={theta}"], field) for theta in THETAS] for epsilon in EPSILONS
    ]
    return two_way(np.array(cells))


def _interaction(results: Results, rule: str) -> str:
    metric, honest = (analysis(results, rule, field) for field in ("paper_metric", "cost_reduction"))
    return (
        "Two-way analysis of variance; the paper has p < .001 for the interaction. By the metric: "
        f"{_said(metric)}. Honestly, as it happened: {_said(honest)}."
    )


def _said(found: Anova) -> str:
    names = ("epsilon", "theta", "interaction")
    return ", ".join(f"{name} F = {f:.1f}, p = {p:.2g}" for name, f, p in zip(names, found.f, found.p, strict=True))


def _market(results: Results) -> str:
    rows = []
    spreads = []
    for name, values in (("beta", BETAS), ("alpha", ALPHAS)):
        means = []
        for value in values:
            found = results[f"paper {name}={value}"]
            means.append(estimated(found, "cost_reduction").mean)
            rows.append((f"{name} = {value}", *(text(found, field) for field in FIELDS)))
        spreads.append(f"{name}: {np.std(means, ddof=1) / abs(np.mean(means)):.3f}")
    return (
        "### Market responsiveness and correlation penalty\n\n"
        + table(("", "metric", "honest, as it books", "honest, as it happened"), rows)
        + f"\n\nCoefficient of variation of the honest value (the paper: below .15 for beta): {', '.join(spreads)}. "
        "The authors' code has neither parameter."
    )


SECTION = Section("Sensitivity", plan, write)
