"""What the checks of the builtin skills find of six kinds of dishonest work, and refuse of honest work.

`--write` keeps it in node/decision/data/skill_checks.py, which decisions read. Work and checks are timed in CPU time of
this process. Redundant is the full check and a comparison with the result of an honest second contractor.
"""

import argparse
import importlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.decision.reliability import wilson
from node.execute.catalogue import PACKAGES, SKILLS
from node.execute.skill import Skill
from node.tasks.verify import FULL_SCORE_PPM, check_agreement
from protocol.specification import Effort, Level
from scripts.bench.forgers import KINDS, Stock, forge
from scripts.bench.report import heading, table
from scripts.bench.skills import CASES

CHECKS: tuple[Level, ...] = ("cheap", "full", "redundant")
HONEST = "honest"
DATA = Path(__file__).resolve().parents[2] / "node/decision/data/skill_checks.py"


@dataclass(slots=True)
class Powers:
    """Counts of one skill, by level and kind, and CPU seconds."""

    refused: Counter[tuple[Level, str]] = field(default_factory=Counter)
    work_s: float = 0.0
    check_s: dict[Level, float] = field(default_factory=lambda: dict.fromkeys(CHECKS, 0.0))
    tried: int = 0


def measure(skill: Skill, tasks: int, scale: float) -> Powers:
    """So many tasks, each with an honest contractor and one of each other kind."""
    work = importlib.import_module(f"{PACKAGES[skill.label]}.work")
    found, last = Powers(tried=tasks), b""

    def run(seed: int, effort: Effort) -> bytes:
        case = CASES[skill.label](seed, scale)
        return bytes(work.run(case.input, case.media_type, effort, lambda done_ppm, text: None))

    last = run(tasks, "full")
    for seed in range(tasks):
        case = CASES[skill.label](seed, scale)
        began = time.process_time()
        full = run(seed, "full")
        found.work_s += time.process_time() - began
        stock = Stock(case.input, case.media_type, full, run(seed, ("cheap", "cheapest")[seed % 2]), last)
        last = full
        for kind in (HONEST, *KINDS):
            rng = random.Random(f"{skill.label}/{seed}/{kind}")
            output = full if kind == HONEST else forge(skill.label, kind, stock, rng)
            for level, is_refused, seconds in judged(skill, stock, output, rng.randbytes(32)):
                found.refused[level, kind] += is_refused
                if kind == HONEST:
                    found.check_s[level] += seconds
    return found


def judged(skill: Skill, stock: Stock, output: bytes, seed: bytes) -> Iterator[tuple[Level, bool, float]]:
    """For each level, whether it refuses the output, and in how many CPU seconds."""
    check = importlib.import_module(f"{PACKAGES[skill.label]}.check").check
    is_refused, seconds = False, 0.0
    for level in ("cheap", "full"):
        began = time.process_time()
        finding = check(stock.input, stock.media_type, output, level=level, seed=seed)
        seconds = time.process_time() - began
        is_refused = finding.score_ppm < skill.min_score_ppm["full"]
        yield level, is_refused, seconds
    began = time.process_time()
    differs = check_agreement(output, stock.full, skill.output_media_type).score_ppm < FULL_SCORE_PPM
    yield "redundant", is_refused or differs, seconds + time.process_time() - began


def cell(found: int, tried: int) -> str:
    """A share and its interval."""
    low, high = wilson(found, tried - found)
    return f"{found / tried:.2f} ({low:.2f} to {high:.2f})"


def written(measured: dict[str, Powers], tasks: int, command: str) -> str:
    """The data file."""

    def nested(name: str, kind: str, rows: dict[str, dict[Level, object]]) -> str:
        lines = [f"{name}: dict[str, {kind}] = {{"]
        for label, levels in rows.items():
            lines += [f'    "{label}": {{', *(f'        "{level}": {one},' for level, one in levels.items()), "    },"]
        return "\n".join([*lines, "}"]).replace("'", '"') + "\n"

    found: dict[str, dict[Level, object]] = {}
    refused: dict[str, dict[Level, object]] = {}
    shares: dict[str, dict[Level, object]] = {}
    for label, one in measured.items():
        found[label] = {level: {kind: one.refused[level, kind] for kind in KINDS} for level in CHECKS}
        refused[label] = {level: one.refused[level, HONEST] for level in CHECKS}
        shares[label] = {level: round(one.check_s[level] / one.work_s, 3) for level in CHECKS}
    return (
        '"""What the checks of the builtin skills find: written by `scripts/bench_skills powers --write`.\n\n'
        'scripts/bench/forgers.py says what the kinds of dishonest work are.\n"""\n\n'
        "from protocol.specification import Level\n\n"
        f'AS_OF = "{datetime.now(UTC):%Y-%m-%d}"\nSOURCE = "{command}"\n\n'
        f'TRIED = {tasks}\n"""Results of each kind, and honest ones."""\n'
        + nested("FOUND", "dict[Level, dict[str, int]]", found)
        + nested("REFUSED", "dict[Level, int]", refused)
        + '"""Honest ones that were refused."""\n'
        + nested("WORK_SHARE", "dict[Level, float]", shares)
        + '"""CPU time of the check, as a share of the work at full effort."""\n'
    )


def main() -> None:
    """Measure, print, and keep."""
    parser = argparse.ArgumentParser(prog="scripts/bench_skills powers", description=__doc__)
    parser.add_argument("--tasks", type=int, default=60, help="tasks a skill and kind (60)")
    parser.add_argument("--scale", type=float, default=0.25, help="size of a task (0.25)")
    parser.add_argument("--write", action="store_true", help="keep the figures for decisions")
    given = parser.parse_args()
    command = f"scripts/bench_skills powers --tasks {given.tasks} --scale {given.scale:g}"
    print(heading(command), flush=True)
    measured, rows = dict[str, Powers](), list[list[str]]()
    for skill in SKILLS:
        one = measured[skill.label] = measure(skill, given.tasks, given.scale)
        for level in CHECKS:
            cells = [cell(one.refused[level, kind], one.tried) for kind in (*KINDS, HONEST)]
            rows.append([skill.label, level, *cells, f"{one.check_s[level] / one.work_s:.3f}"])
            print(rows[-1], flush=True)
    print("\n" + table(["skill", "level", *KINDS, "honest work refused", "CPU : work"], rows))
    if given.write:
        DATA.write_text(written(measured, given.tasks, command))


if __name__ == "__main__":
    main()
