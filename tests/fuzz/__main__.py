"""The command line of the fuzzer; scripts/fuzz calls it."""

import argparse
import gc
import logging
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import corpus
from tests.fuzz.campaign import ROUNDS, WARM_ROUNDS, Campaign, Case, Report, draw, mutator_of
from tests.fuzz.limits import MIB, attempt, watching
from tests.fuzz.target import Target
from tests.fuzz.targets import ALL, BY_NAME

FOUND = Path(tempfile.gettempdir()) / "coalesced-fuzz"
DEFAULT_RUNS = 20_000
MIN_ROUND = 200
"""Inputs: a round ends with a collection of garbage, which costs as much."""


def main(arguments: Sequence[str]) -> int:
    """0 when nothing was found and memory stayed flat."""
    options = _options(arguments)
    targets = [BY_NAME[name] for name in options.target] or list(ALL)
    if options.list:
        print("\n".join(f"{target.name:26} {target.form}" for target in targets))
        return 0
    if options.make_corpus:
        sizes = {target.name: corpus.make(target) for target in targets}
        print(f"{sum(sizes.values())} bytes of seeds for {len(sizes)} targets below {corpus.ROOT}")
        return 0
    if options.only is not None or options.input is not None:
        return _repeat(targets[0], options.seed, options.only, options.input)
    deadline_s = time.monotonic() + options.seconds if options.seconds else float("inf")
    runs = options.runs if options.runs is not None else sys.maxsize if options.seconds else DEFAULT_RUNS
    report = Campaign(targets, options.seed, deadline_s, rounds=min(ROUNDS, 1 + runs // MIN_ROUND)).run(runs)
    _print(report, options.seed)
    return 0 if not report.cases and report.is_flat else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description="Feeds mutated inputs to every parser.")
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        choices=sorted(BY_NAME),
        metavar="NAME",
        help="repeatable; default: all",
    )
    parser.add_argument(
        "--runs", type=int, help=f"inputs in all (default {DEFAULT_RUNS}, or as many as --seconds allows)"
    )
    parser.add_argument("--seed", type=int, default=1, help="equal seeds draw equal inputs (default 1)")
    parser.add_argument("--seconds", type=float, help="stop after this long")
    parser.add_argument("--only", type=int, metavar="INDEX", help="run one input of the one target, with its error")
    parser.add_argument("--input", type=Path, metavar="FILE", help="run this file on the one target, with its error")
    parser.add_argument("--list", action="store_true", help="name the targets")
    parser.add_argument("--make-corpus", action="store_true", help="write the seeds of the corpus afresh")
    options = parser.parse_args(arguments)
    if (options.only is not None or options.input is not None) and len(options.target) != 1:
        parser.error("--only and --input need exactly one --target")
    return options


def _repeat(target: Target, seed: int, index: int | None, file: Path | None) -> int:
    data = file.read_bytes() if file else draw(target, mutator_of(target), seed, index or 0)
    print(f"{len(data)} bytes: {data[:400]!r}")
    with target.opened() as parse, watching(wall=True) as watch:
        finding = attempt(target, parse, data, watch)
    if finding is None:
        print("handled")
        return 0
    print(f"{finding.details}\n{finding.what}")
    return 1


def _print(report: Report, seed: int) -> None:
    print(f"{'target':26} {'inputs':>9} {'inputs/s':>9}")
    for name, tally in report.tallies.items():
        print(f"{name:26} {tally.inputs:>9,} {tally.inputs / max(tally.wall_s, 1e-9):>9,.0f}")
    rate = report.inputs / max(report.wall_s, 1e-9)
    print(f"{report.inputs:,} inputs, seed {seed}, {report.wall_s:.0f} s, {rate:,.0f}/s, {os.cpu_count()} cores")
    warm = min(WARM_ROUNDS, len(report.memory_bytes) - 1)
    sizes = [size // MIB for size in report.memory_bytes]
    print(
        f"memory: {sizes[0]} MiB at the start, {sizes[warm]} once warm, {sizes[-1]} at the end, "
        f"{report.peak_bytes // MIB} at most: {'flat' if report.is_flat else 'NOT FLAT'}"
    )
    for case in report.cases:
        _print_case(case)
    print(f"{len(report.cases)} findings")


def _print_case(case: Case) -> None:
    folder = FOUND / case.finding.target
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{corpus.digest(case.finding.data)}.bin"
    kept.write_bytes(case.finding.data)
    print(f"\nFOUND in {case.finding.target}: {case.finding.what}\n{case.finding.details}")
    print(f"  input kept: {kept} ({len(case.finding.data)} bytes)\n  repeat: {case.command}")


if __name__ == "__main__":
    logging.disable()
    gc.freeze()  # What was imported stays: the collections after each round need not look at it again.
    sys.exit(main(sys.argv[1:]))
