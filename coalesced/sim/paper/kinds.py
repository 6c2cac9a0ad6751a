"""The default against every kind of dishonest and strategic seller, and what shared reputation is worth."""

from coalesced.sim.market.scenario import scenario
from coalesced.sim.paper.section import Plan, Results, Section, group, mean, table, text

DISHONEST = ("spoofers", "fabricators", "baiters", "whitewashers", "leechers", "all-five")
STRATEGIC = ("collusion", "hoarding", "predation", "feeding", "regions", "price-shock", "supply-shock")
RULES = ("oracle", "expected-cost", "thompson", "paper")
CROWDS = ("alone-15", "shared-15", "lying-15")


KINDS = """## Kinds of sellers

At parity, 40 % of the sellers of the named kind (all-five: 10 % of each; collusion 30 %, hoarding and feeding 20 %,
predation 10 %). Cost reduction in percent."""
SHARED = """## Shared reputation

15 clients with 100 tasks each, 40 % dishonest. `market-maker` is the default with the others' reports as a discounted,
bounded prior; in lying-15 a fifth of the clients report the opposite. (Prototype: 24.1 alone, 36.5 shared.)"""


def plan(runs: int) -> Plan:
    """Each kind by itself; then 15 clients alone, sharing, and sharing with liars."""
    groups = {
        f"{name}/{rule}": group(scenario(name), rule, runs) for name in (*DISHONEST, *STRATEGIC) for rule in RULES
    }
    for name in CROWDS:
        for rule in ("oracle", "expected-cost", "market-maker"):
            groups[f"{name}/{rule}"] = group(scenario(name), rule, runs)
    return groups


def write(results: Results) -> str:
    """The page."""
    header = ("market", *(f"{rule}" for rule in RULES), "default, first 100", "default: hires of dishonest, %")
    rows = [
        (
            name,
            *(text(results[f"{name}/{rule}"], "cost_reduction") for rule in RULES),
            text(results[f"{name}/expected-cost"], "first_100"),
            f"{mean(results[f'{name}/expected-cost'], 'to_dishonest'):.1f}",
        )
        for name in (*DISHONEST, *STRATEGIC)
    ]
    crowd = [
        (
            name,
            *(
                text(results[f"{name}/{rule}"], "cost_reduction")
                for rule in ("expected-cost", "market-maker", "oracle")
            ),
        )
        for name in CROWDS
    ]
    return "\n\n".join(
        (
            KINDS,
            table(header, rows),
            SHARED,
            table(("market", "default", "market-maker", "oracle"), crowd),
        )
    )


SECTION = Section("Kinds", plan, write)
