"""Regenerates docs/reproduction.md: plans every section, simulates all of it at once, writes the page.

Run as `python -m coalesced.sim.paper.reproduce [--runs N] [--workers N] PATH`; scripts/reproduce does.
"""

import argparse
import os
import platform
import sys
import time
from pathlib import Path
from typing import Final

from coalesced.sim.market.jobs import run_grouped
from coalesced.sim.paper import (
    exploration,
    exposure,
    findings,
    kinds,
    local_cost,
    market_screens,
    regret,
    robustness,
    sensitivity,
    table_one,
    theorem,
)
from coalesced.sim.paper.section import SEED, Section

SECTIONS: Final[tuple[Section, ...]] = (
    table_one.SECTION,
    findings.SECTION,
    sensitivity.SECTION,
    local_cost.SECTION,
    regret.SECTION,
    robustness.SECTION,
    exploration.SECTION,
    exposure.SECTION,
    kinds.SECTION,
    market_screens.SECTION,
    theorem.SECTION,
)
RUNS: Final = 20
"""The paper's number of runs a row."""
HEAD: Final = """# Reproduction

The experiments of the COALESCE paper (arXiv 2506.01900v2) run again, with what the paper prints, what its authors'
code measures, and what is honestly saved side by side. Regenerate with `scripts/reproduce`; the market is described in
[simulation.md](simulation.md). Everything here is simulated: no model was called and no money moved. Table II, which
the paper calls real, is done as real work in [real-tasks.md](real-tasks.md).

The honest cost reduction is 1 - (all that was spent or lost) / (what the same tasks cost done locally). The paper's
metric divides the savings of the tasks that were hired out, losses left out, by the cost of the tasks that were not:
it has no upper bound and is no cost reduction."""


def reproduce(runs: int = RUNS, workers: int | None = None, *, quiet: bool = False) -> str:
    """The whole page as Markdown. Equal for equal `runs`, but for the line that says how long it took."""
    began = time.monotonic()
    keyed = [(section, key, jobs) for section in SECTIONS for key, jobs in section.plan(runs).items()]

    def progress(done: int, total: int) -> None:
        if not quiet and (done % 50 == 0 or done == total):
            print(f"{done} of {total} simulations", file=sys.stderr, flush=True)

    summaries = run_grouped([jobs for _, _, jobs in keyed], workers=workers, progress=progress)
    results = {
        section.name: {key: found for (one, key, _), found in zip(keyed, summaries, strict=True) if one is section}
        for section in SECTIONS
    }
    results[findings.SECTION.name] = results[table_one.SECTION.name]
    pages = [section.write(results[section.name]) for section in SECTIONS]
    took, cpu = time.monotonic() - began, os.times()
    spent = f"{took:.0f} s, {cpu.user + cpu.children_user:.0f} CPU-seconds"
    foot = f"{runs} runs a row, seed {SEED}; {spent} on {platform.machine()}, Python {platform.python_version()}."
    return "\n\n".join((HEAD, *pages, foot)) + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Regenerate docs/reproduction.md.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--runs", type=int, default=RUNS, help="runs a row (default: the paper's 20)")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    given = parser.parse_args()
    if given.runs < 2:
        parser.error(f"--runs is {given.runs}: write at least 2, an interval needs that many")
    given.path.write_text(reproduce(given.runs, given.workers), encoding="utf-8")


if __name__ == "__main__":
    main()
