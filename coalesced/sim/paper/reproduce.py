"""Regenerates docs/reproduction.md: plans every section, simulates all of it at once, writes the page.

Run as `python -m coalesced.sim.paper.reproduce [--runs N] [--workers N] [--only SECTION,...] PATH`; scripts/reproduce
does. Each section of the page begins with a comment that names it, and `--only` leaves the others as they are.
"""

import argparse
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Collection, Mapping
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
from coalesced.sim.paper.section import SEED, Results, Section

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
NAMES: Final = tuple(section.name for section in SECTIONS)
FOOT: Final = "Spent"
MARK: Final = "<!-- section: "
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


def reproduce(
    runs: int = RUNS, workers: int | None = None, *, only: Collection[str] = NAMES, quiet: bool = False
) -> dict[str, str]:
    """Markdown by section, `FOOT` last. Equal for equal `runs`, but for the foot, which says how long it took."""
    began = time.monotonic()
    # The findings are read off the rows of Table I.
    wanted = {*only, *((table_one.SECTION.name,) if findings.SECTION.name in only else ())}
    keyed = [
        (section, key, jobs)
        for section in SECTIONS
        if section.name in wanted
        for key, jobs in section.plan(runs).items()
    ]

    def progress(done: int, total: int) -> None:
        if not quiet and (done % 50 == 0 or done == total):
            print(f"{done} of {total} simulations", file=sys.stderr, flush=True)

    summaries = run_grouped([jobs for _, _, jobs in keyed], workers=workers, progress=progress)
    results = {
        section.name: {key: found for (one, key, _), found in zip(keyed, summaries, strict=True) if one is section}
        for section in SECTIONS
    }
    results[findings.SECTION.name] = results[table_one.SECTION.name]
    tasks = [(name, results[name]) for name in NAMES if name in only]
    count = min(len(tasks), workers or os.cpu_count() or 1)
    # Some sections simulate what they write of. The dearest stand last, and are begun first.
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        pages = dict(pool.imap_unordered(_written, reversed(tasks)))
    took, cpu = time.monotonic() - began, os.times()
    spent = f"{took:.0f} s, {cpu.user + cpu.children_user:.0f} CPU-seconds"
    foot = f"{runs} runs a row, seed {SEED}; {spent} on {platform.machine()}, Python {platform.python_version()}."
    return {name: pages[name] for name, _ in tasks} | {FOOT: foot}


def _written(task: tuple[str, Results]) -> tuple[str, str]:
    name, results = task
    section = next(one for one in SECTIONS if one.name == name)
    return name, section.write(results)


def page_of(sections: Mapping[str, str]) -> str:
    """The whole page, in the order of `SECTIONS`."""
    return "\n\n".join((HEAD, *(f"{MARK}{name} -->\n{sections[name]}" for name in (*NAMES, FOOT)))) + "\n"


def sections_of(page: str) -> dict[str, str]:
    """The sections of a page that `page_of` made."""
    parts = (part.split(" -->\n", 1) for part in page.split(MARK)[1:])
    return {name: text.strip("\n") for name, text in parts}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Regenerate docs/reproduction.md.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--runs", type=int, default=RUNS, help="runs a row (default: the paper's 20)")
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.add_argument("--only", help=f"these sections alone, separated by commas: {', '.join(NAMES)}")
    given = parser.parse_args()
    if given.runs < 2:
        parser.error(f"--runs is {given.runs}: write at least 2, an interval needs that many")
    only = NAMES if given.only is None else tuple(given.only.split(","))
    if unknown := [name for name in only if name not in NAMES]:
        parser.error(f"--only: there is no section {unknown[0]!r}; write some of {', '.join(NAMES)}")
    kept = {} if given.only is None else sections_of(given.path.read_text(encoding="utf-8"))
    if given.only is not None and (missing := [name for name in (*NAMES, FOOT) if name not in kept]):
        parser.error(f"{given.path} has no section {missing[0]!r} to keep: make the whole page once, without --only")
    made = reproduce(given.runs, given.workers, only=only)
    if kept:
        made[FOOT] = f"{kept[FOOT]}\n{', '.join(only)} made again: {made[FOOT]}"
    given.path.write_text(page_of(kept | made), encoding="utf-8")


if __name__ == "__main__":
    main()
