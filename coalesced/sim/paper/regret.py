"""The regret of every policy: what it saves less than the oracle in the same worlds."""

from typing import get_args

import msgspec

from coalesced.sim.market.metrics import Summary
from coalesced.sim.market.scenario import Overbilling, scenario
from coalesced.sim.market.statistics import Estimate, estimate
from coalesced.sim.paper.section import SEED, Plan, Results, Section, group, table, text
from node.decision.policies.registry import POLICIES

MARKETS = ("parity", "parity-20", "parity-40")
RULES = ("oracle", "authors", *POLICIES)
RUNS = 40
"""Twice the paper's: the goals are a few points apart."""
INTRODUCTION = """## Regret of every policy

Parity regime (local work about $28), 1 client, 30 contractors, 500 tasks, 40 runs; 0, 20 and 40 % of the sellers
dishonest (spoofers, fabricators, bait-and-switch in equal parts). The first figure of a cell is the cost reduction over
the whole run, the second over the first 100 tasks, in percent. Regret is the oracle's cost reduction less the policy's,
paired by run, in points, with its 95 % bootstrap interval. The oracle knows every true parameter and takes, task by
task, the seller and the check of least true expected cost. `authors` ignores budgets and its market is not this one."""
BILLS = """### Bills above the quote

Bait-and-switch sellers bill half as much again as they quoted. Above, the client is made to pay and takes it for a
fault (`seen`). This node pays nothing, keeps the two signatures as proof, and does the work again (`refused`). A seller
that knows it bills what it quoted, and only its work is worse (`none`). In the prototype that the goals were taken from
the bill is paid and counts for nothing (`unseen`). 160 runs each at 40 %. `informed` is the default with the beliefs of
an exact Bayesian who knows the share of each kind, how often each delivers, that baiters begin well, and that all
others claim what is true (`coalesced/sim/market/informed.py`): what it loses is the price of finding out who is who."""
GUARD = """### Where local work is cheap, and against every newcomer

The default once more, 160 runs: it must not lose where local work is cheaper than nearly every seller ($7 a task on
average), cold start included, nor against whitewashers. `beta` is what the default was before: one Beta prior a seller,
half a standard deviation off its mean, no account of what hiring has saved, and a seller tried after 25 tasks in a row
done here. `exaggerating`: honest sellers, too, claim half the failures that they have. Percent, with 95 % intervals."""
GUARD_MARKETS = (
    "parity",
    "parity-20",
    "parity-40",
    "whitewashers",
    "leechers",
    "cheap-local",
    "cheap-local-20",
    "cheap-local-40",
    "exaggerating",
    "exaggerating-40",
)
GUARD_RULES = ("expected-cost", "beta", "oracle")
BILLED_RULES = ("expected-cost", "beta", "informed", "oracle")


def plan(runs: int) -> Plan:
    """Every rule in the three markets, and the default where overbilling goes unnoticed."""
    count = min(RUNS, 2 * runs)
    groups = {f"{market}/{rule}": group(scenario(market), rule, count) for market in MARKETS for rule in RULES}
    for market in GUARD_MARKETS:
        for rule in GUARD_RULES:
            groups[f"guard/{market}/{rule}"] = group(scenario(market), rule, 8 * runs, seed=SEED + 1)
    for how in get_args(Overbilling):
        billed = msgspec.structs.replace(scenario("parity-40"), overbilling=how)
        for rule in BILLED_RULES:
            groups[f"{how}/{rule}"] = group(billed, rule, 8 * runs, seed=SEED + 1)
    return groups


def regret(policy: Summary, oracle: Summary, field: str = "cost_reduction") -> Estimate:
    """In points, paired by run."""
    return estimate(getattr(oracle, field) - getattr(policy, field))


def write(results: Results) -> str:
    """The page."""
    header = ("policy", *(f"{share} % dishonest | regret" for share in (0, 20, 40)), "regret, first 100 at 40 %")
    rows = []
    for rule in RULES:
        cells: list[str] = []
        for market in MARKETS:
            mine, oracle = results[f"{market}/{rule}"], results[f"{market}/oracle"]
            cells.append(f"{_saved(mine)} | {regret(mine, oracle).text()}")
        early = regret(results[f"parity-40/{rule}"], results["parity-40/oracle"], "first_100").text()
        rows.append((f"**{rule}**" if rule == "expected-cost" else rule, *cells, early))
    flat = tuple(part for title in header for part in title.split(" | "))
    body = [tuple(part for cell in row for part in cell.split(" | ")) for row in rows]
    return "\n\n".join((INTRODUCTION, table(flat, body), BILLS, _billed(results), GUARD, _guard(results)))


def _billed(results: Results) -> str:
    rows = []
    for how in get_args(Overbilling):
        mine, before, informed, oracle = (results[f"{how}/{rule}"] for rule in BILLED_RULES)
        regrets = (regret(one, oracle).text(2) for one in (mine, before, informed))
        rows.append((how, text(mine, "cost_reduction", 2), text(mine, "first_100", 2), *regrets))
    return table(("bills above the quote", "default", "first 100", "regret", "regret, beta", "regret, informed"), rows)


def _guard(results: Results) -> str:
    rows = []
    for market in GUARD_MARKETS:
        mine, before, oracle = (results[f"guard/{market}/{rule}"] for rule in GUARD_RULES)
        rows.append(
            (
                market,
                text(mine, "cost_reduction", 2),
                regret(mine, oracle).text(2),
                text(mine, "first_100", 2),
                text(before, "cost_reduction", 2),
                text(before, "first_100", 2),
            )
        )
    return table(("market", "default", "regret", "first 100", "beta", "beta, first 100"), rows)


def _saved(summary: Summary) -> str:
    return f"{estimate(summary.cost_reduction).mean:.1f} / {estimate(summary.first_100).mean:.1f}"


SECTION = Section("Regret", plan, write)
