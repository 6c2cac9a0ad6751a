"""Exploration rates from .05 to .25 over 500 tasks, by the number of contractors: what exploring is worth."""

import msgspec

from coalesced.sim.market.binding import SIMULATED
from coalesced.sim.market.scenario import Scenario, scenario
from coalesced.sim.paper.section import Plan, Results, Section, group, mean, table, text

EPSILONS = (0.0, 0.05, 0.10, 0.15, 0.20, 0.25)
POOLS = (10, 30, 60)
SCALE = 1.0
INTRODUCTION = """## Exploration rate and pool size

600 tasks, 1 client, 20 % dishonest sellers. `paper`: the printed rule in the printed regime ($139 a task), where it
saves anything. `graduated-epsilon`: the default plus random trials at that rate, falling with knowledge, at parity
($28). Cost reduction in percent, with 95 % intervals; in brackets behind it the share of tasks that explored."""


def _market(pool: int, scale: float) -> Scenario:
    return msgspec.structs.replace(scenario("parity-20"), contractors=pool, tasks=600, local_scale=scale)


def plan(runs: int) -> Plan:
    """Both rules, all rates, all pools."""
    groups = {}
    for pool in POOLS:
        for epsilon in EPSILONS:
            settings = msgspec.structs.replace(SIMULATED, epsilon=epsilon, epsilon_least=min(0.01, epsilon))
            for rule, scale in (("paper", SCALE), ("graduated-epsilon", 0.2)):
                groups[f"{rule}/{pool}/{epsilon}"] = group(_market(pool, scale), rule, runs, settings=settings)
    return groups


def write(results: Results) -> str:
    """The page."""
    parts = [INTRODUCTION]
    for rule in ("paper", "graduated-epsilon"):
        rows = [(epsilon, *(_cell(results, rule, pool, epsilon) for pool in POOLS)) for epsilon in EPSILONS]
        best = {
            pool: max(EPSILONS, key=lambda e, pool=pool: mean(results[f"{rule}/{pool}/{e}"], "cost_reduction"))  # type: ignore[misc]
            for pool in POOLS
        }
        said = ", ".join(f"{epsilon} with {pool}" for pool, epsilon in best.items())
        parts += [
            f"### `{rule}`",
            table(("epsilon", *(f"{pool} contractors" for pool in POOLS)), rows),
            f"The best rate is {said} contractors.",
        ]
    return "\n\n".join(parts)


def _cell(results: Results, rule: str, pool: int, epsilon: float) -> str:
    found = results[f"{rule}/{pool}/{epsilon}"]
    return f"{text(found, 'cost_reduction')} [{mean(found, 'explored'):.1f} %]"


SECTION = Section("Exploration", plan, write)
