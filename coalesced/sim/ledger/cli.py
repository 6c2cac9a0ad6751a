"""`scripts/sim --ledger`: committees in virtual time; the exit code is 1 when a rule was broken or a bug not caught."""

import argparse
import time
from collections.abc import Callable

from coalesced.sim.ledger.hunt import failing_scripts, hunt
from coalesced.sim.ledger.mutants import MUTANTS
from coalesced.sim.ledger.scenarios import SCENARIOS
from coalesced.sim.ledger.world import simulate

MAX_SHOWN = 5
DEFAULT_HUNT_RUNS = 600


def main(arguments: list[str], to_range: Callable[[str], range]) -> int:
    """Play the scripts and run scenarios, or with --mutants hunt the planted bugs."""
    parser = argparse.ArgumentParser(prog="scripts/sim --ledger", description=__doc__)
    parser.add_argument("--scenario", action="append", choices=sorted(SCENARIOS), help="repeatable; default: all")
    parser.add_argument("--seed", type=int, default=1, help="the world to run of each scenario (default 1)")
    parser.add_argument("--seeds", type=to_range, help="a range of worlds, such as 1-40, in place of --seed")
    parser.add_argument("--mutants", action="store_true", help="plant every known bug and print what catches it")
    parser.add_argument("--only", default="", metavar="TEXT", help="of the bugs, those whose name has this in it")
    parser.add_argument(
        "--runs", type=int, default=DEFAULT_HUNT_RUNS, help=f"most runs a bug (default {DEFAULT_HUNT_RUNS})"
    )
    options = parser.parse_args(arguments)
    if options.mutants:
        return _hunt_all(options.only, options.runs)
    return _run_all(options.scenario or list(SCENARIOS), options.seeds or range(options.seed, options.seed + 1))


def _run_all(names: list[str], seeds: range) -> int:
    failed = 0
    if scripts := failing_scripts():
        failed += 1
        print(f"scripts that fail: {', '.join(scripts)}")
    began_s = time.process_time()
    for name in names:
        outcomes = [simulate(SCENARIOS[name], seed) for seed in seeds]
        bad = [outcome for outcome in outcomes if outcome.violations]
        failed += len(bad)
        print(
            f"{name:16} {len(outcomes)} runs, {sum(o.height for o in outcomes) / len(outcomes):.1f} blocks and "
            f"{sum(o.events for o in outcomes) / len(outcomes):.0f} events a run, {len(bad)} failed",
            flush=True,
        )
        for outcome in bad if len(outcomes) > 1 else outcomes:
            print(f"  {outcome}")
            for violation in outcome.violations[:MAX_SHOWN]:
                print(f"    {violation}")
            if outcome.violations:
                print(f"    repeat it: {outcome.command}")
    print(f"{len(names) * len(seeds)} runs, {failed} failed, {time.process_time() - began_s:.0f} s of processor time")
    return 1 if failed else 0


def _hunt_all(text: str, max_runs: int) -> int:
    print("| bug | scripts that fail | first simulated run that fails | after runs |\n|-|-|-|-|")
    missed = 0
    for mutant in MUTANTS:
        if text in mutant.name:
            caught = hunt(mutant, max_runs)
            missed += not caught.scripts and caught.outcome is None
            print(caught.row, flush=True)
    print(f"\n{missed} not caught")
    return 1 if missed else 0
