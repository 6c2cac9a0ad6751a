"""`scripts/sim`: simulated worlds from the command line; the exit code is 1 when anything was violated."""

import argparse
import sys

from coalesced.sim.faults import KINDS
from coalesced.sim.ledger.cli import main as ledger_main
from coalesced.sim.runner import simulate
from coalesced.sim.world import Plan

MAX_SHOWN = 20


def _kinds(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name and name != "none")
    if unknown := sorted(set(names) - set(KINDS)):
        raise argparse.ArgumentTypeError(
            f"no fault is called {', '.join(unknown)}; there are: {', '.join(KINDS)}, none"
        )
    return names


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        return range(int(first), int(last or first) + 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of seeds such as 1-100") from None


def main(arguments: list[str]) -> int:
    """Run every seed; print a line each, and for a failed one what was violated and how to repeat it."""
    if "--ledger" in arguments:
        return ledger_main([argument for argument in arguments if argument != "--ledger"], _range)
    parser = argparse.ArgumentParser(prog="scripts/sim", description=__doc__)
    parser.add_argument("--ledger", action="store_true", help="simulate the ledger's agreement: see --ledger --help")
    parser.add_argument("--seed", type=int, default=1, help="the world to run (default 1)")
    parser.add_argument("--seeds", type=_range, help="a range of worlds, such as 1-100, in place of --seed")
    parser.add_argument("--nodes", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=3.0, help="virtual time with asks and faults (default 3)")
    parser.add_argument("--faults", type=_kinds, default=tuple(KINDS), help=f"of: {','.join(KINDS)}; or none")
    parser.add_argument("--asking", type=float, default=1.0, help="share of nodes whose owners ask (default 1)")
    options = parser.parse_args(arguments)
    failed = 0
    for seed in options.seeds or (options.seed,):
        plan = Plan(
            seed=seed,
            nodes=options.nodes,
            minutes=options.minutes,
            faults=options.faults,
            asks_share=options.asking,
        )
        outcome = simulate(plan)
        print(outcome, flush=True)
        if outcome.violations:
            failed += 1
            for violation in outcome.violations[:MAX_SHOWN]:
                print(f"  {violation}")
            if len(outcome.violations) > MAX_SHOWN:
                print(f"  and {len(outcome.violations) - MAX_SHOWN} more")
            print(f"  repeat it: {outcome.command}", flush=True)
        elif options.seeds is None:
            print(f"trace {outcome.trace_hash}")
    if options.seeds is not None:
        print(f"{len(options.seeds)} seeds, {failed} with violations")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
