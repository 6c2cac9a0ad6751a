"""Runs the paper's 240 tasks through real testnets, market by market, and reports them in the form of Table II.

    scripts/run_240                                    # all regimes, 240 tasks each; half an hour on two cores
    scripts/run_240 --tasks 24 --regimes paper         # a small one
    scripts/run_240 --json run.json --page docs/real-tasks.md

Work is the builtin skills' own on generated inputs: no language model takes part. Every node is a process with its own
key, store and calibration. One task is under way at a time, and the node that does everything itself is given each one
too, in a random place of the order, so that the load of this machine falls on all alike. ^C ends it and reports what
was measured until then; nothing is left behind, and every run starts afresh.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from coalesced.cli.escape import escaped
from coalesced.control.errors import ControlError
from coalesced.testnet import runner
from coalesced.testnet.manifest import TestnetError
from coalesced.testnet.real_tasks import record
from coalesced.testnet.real_tasks.course import play
from coalesced.testnet.real_tasks.market import meet, open_market, warm_up
from coalesced.testnet.real_tasks.page import page
from coalesced.testnet.real_tasks.regimes import REGIMES, Cast, Regime
from node.decision.policies.settings import PolicyName
from node.execute.mix import MixedTask, mixed

SCALE = 1.0
"""Size of the middle task: a tenth of a second of work or more, long beside the processor clock's tick of 10 ms."""


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line (sys.argv by default), checked."""
    parser = argparse.ArgumentParser(
        prog="scripts/run_240", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [regime.name for regime in REGIMES]
    parser.add_argument("--tasks", type=int, default=240, help="a multiple of 12 (default: 240)")
    parser.add_argument("--scale", type=float, default=SCALE, help=f"size of the middle task (default: {SCALE})")
    parser.add_argument("--seed", type=int, default=1, help="of inputs, sizes and orders (default: 1)")
    parser.add_argument("--regimes", default=",".join(names), help=f"of {', '.join(names)}")
    parser.add_argument("--policies", default=",".join(Cast().policies), help="one buyer for each")
    parser.add_argument("--sellers", type=int, default=Cast().honest, help="honest ones (default: 5)")
    parser.add_argument("--cheats", type=int, default=Cast().cheats, help="dishonest ones, 0 to 3 (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, task by task")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page there; stdout otherwise")
    given = parser.parse_args(words)
    given.policies = tuple(name.strip() for name in given.policies.split(",") if name.strip())
    given.regimes = [name.strip() for name in given.regimes.split(",") if name.strip()]
    for name in given.policies:
        if name not in get_args(PolicyName):
            parser.error(f"--policies: no policy {name!r}: write some of {', '.join(get_args(PolicyName))}")
    for name in given.regimes:
        if name not in names:
            parser.error(f"--regimes: no regime {name!r}: write some of {', '.join(names)}")
    if not given.policies or not given.regimes:
        parser.error("--policies and --regimes need one name at least")
    if not 1 <= given.sellers <= 40 or not 0 <= given.cheats <= 3:
        parser.error("--sellers goes from 1 to 40, --cheats from 0 to 3")
    for path in (given.json, given.page):
        if path is not None and not path.parent.is_dir():
            parser.error(f"{path} cannot be written: its directory is missing")
    try:
        mixed(given.seed, scale=given.scale, count=given.tasks)
    except ValueError as error:
        parser.error(f"--tasks, --scale: {error}")
    return given


async def run_all(regimes: Sequence[Regime], cast: Cast, tasks: Sequence[MixedTask], run: record.Run) -> None:
    """Play every regime; what is measured is in `run` at once."""
    runner.end_like_interrupt()
    for regime in regimes:
        # Short, because a control socket's path has at most 104 bytes and some temporary directories are long.
        with tempfile.TemporaryDirectory(prefix="coalesced-") as temporary:
            await run_one(regime, cast, tasks, run, Path(temporary) / "net")
    run.is_complete = True


async def run_one(regime: Regime, cast: Cast, tasks: Sequence[MixedTask], run: record.Run, directory: Path) -> None:
    """Play one regime on a testnet in `directory`, which is taken down however it ends."""
    say(f"market {regime.name}: {regime.text}")
    began_s = time.monotonic()
    async with open_market(regime, cast, run.middle_task_s, directory, say) as market:
        await meet(market)
        await warm_up(market, run.scale)
        played = record.market_of(regime, market.manifest)
        run.markets.append(played)
        try:
            await play(market, tasks, run.seed, played.outcomes, say)
        finally:
            played.took_s = time.monotonic() - began_s


def say(text: str) -> None:
    """Progress, for the person who waits."""
    print(f"  {escaped(text)}", file=sys.stderr, flush=True)


def write(run: record.Run, given: argparse.Namespace) -> None:
    """Everything to where it was asked for; the page to stdout otherwise."""
    if given.json is not None:
        given.json.write_bytes(record.encode(run))
    if given.page is not None:
        given.page.write_text(page(run), encoding="utf-8")
    else:
        print(page(run))


def main() -> int:
    """Run and report; 130 when interrupted, after everything was taken down."""
    given = arguments()
    # One thread in the harness's own checks, as in the nodes' workers.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    tasks = mixed(given.seed, scale=given.scale, count=given.tasks)
    regimes = [regime for regime in REGIMES if regime.name in given.regimes]
    run = record.begin(given.seed, given.scale, given.tasks)
    began_s, code = time.monotonic(), 0
    try:
        asyncio.run(run_all(regimes, Cast(given.sellers, given.cheats, given.policies), tasks, run))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\ninterrupted; everything was taken down", file=sys.stderr)
        code = 130
    except (TestnetError, ControlError, TimeoutError) as error:
        print(f"scripts/run_240: {escaped(str(error)) or type(error).__name__}", file=sys.stderr)
        code = 1
    run.took_s, run.load_after = time.monotonic() - began_s, os.getloadavg()[0]
    if run.is_complete or any(market.outcomes for market in run.markets):
        write(run, given)
    return code


if __name__ == "__main__":
    sys.exit(main())
