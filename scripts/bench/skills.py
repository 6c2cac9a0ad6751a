"""Work and verification of the builtin skills, by effort, on generated tasks. CPU seconds of this process.

Acceptance is by the score that full effort should reach: a contractor who was paid for full effort and delivered
less should be refused. "good" is the share of planted facts, labels or exact answers that the result has.
"""

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import msgspec

from node.execute import corpus
from node.execute.catalogue import PACKAGES, SKILLS
from node.execute.skill import Skill
from protocol.specification import EFFORTS

CASES: dict[str, Callable[[int, float], corpus.Case]] = {
    "document-analysis": lambda seed, scale: corpus.analysis_case(seed, pages=max(2, round(60 * scale)), questions=12),
    "portfolio": lambda seed, scale: corpus.portfolio_case(seed, assets=max(20, round(600 * scale**0.5)), points=50),
    "risk": lambda seed, scale: corpus.risk_case(seed, paths=max(2_000, round(200_000 * scale))),
    "sentiment": lambda seed, scale: corpus.sentiment_case(seed, texts=max(2, round(200 * scale))),
}


@dataclass(slots=True)
class Row:
    """Sums over the tasks of one skill at one effort."""

    work_s: float = 0.0
    check_s: dict[str, float] = field(default_factory=lambda: {"cheap": 0.0, "full": 0.0})
    accepted: dict[str, int] = field(default_factory=lambda: {"cheap": 0, "full": 0})
    score_ppm: int = 0
    quality: list[float] = field(default_factory=list)


def measure(skill: Skill, case: corpus.Case, row: Row, effort: str, seed: int) -> None:
    """Do one task and verify it at both levels."""
    work = importlib.import_module(f"{PACKAGES[skill.label]}.work")
    check = importlib.import_module(f"{PACKAGES[skill.label]}.check")
    began = time.process_time()
    output = work.run(case.input, case.media_type, effort, lambda done_ppm, text: None)
    row.work_s += time.process_time() - began
    for level in ("cheap", "full"):
        began = time.process_time()
        finding = check.check(case.input, case.media_type, output, level=level, seed=seed.to_bytes(32, "big"))
        row.check_s[level] += time.process_time() - began
        row.accepted[level] += finding.score_ppm >= skill.min_score_ppm["full"]
    row.score_ppm += finding.score_ppm
    if case.expected:
        row.quality.append(quality(case, msgspec.json.decode(output)))


def quality(case: corpus.Case, result: dict[str, list[dict[str, object]]]) -> float:
    """Share of the expected answers or labels that the result has."""
    if case.label == "document-analysis":
        answers = [str(answer["answer"]) for answer in result["answers"]]
        hits = sum(str(expected) in answer for expected, answer in zip(case.expected, answers, strict=True))
    else:
        scores = [sentence[2] for text in result["texts"] for sentence in text["sentences"]]  # type: ignore[attr-defined]
        signs = [(score > 0) - (score < 0) for score in scores]
        hits = sum(sign == label for sign, label in zip(signs, case.expected, strict=True))
    return hits / len(case.expected)


def main() -> None:
    """Print one line a skill and effort."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=24, help="tasks a skill (24)")
    parser.add_argument("--scale", type=float, default=0.5, help="size of a task (0.5)")
    options = parser.parse_args()
    print(f"{options.tasks} tasks a skill, scale {options.scale}, CPU seconds in all; verify = share of the work")
    heads = ("work s", "verify cheap", "full", "accepted cheap", "full", "score", "good")
    widths = (8, 14, 8, 16, 6, 7, 7)
    columns = "".join(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True))
    print(f"{'skill':18}{'effort':10}{columns}")
    for skill in SKILLS:
        full_s = 0.0
        for effort in EFFORTS:
            row = Row()
            for seed in range(options.tasks):
                measure(skill, CASES[skill.label](seed, options.scale), row, effort, seed)
            full_s = full_s or row.work_s
            share = {level: row.check_s[level] / row.work_s for level in row.check_s}
            good = f"{sum(row.quality) / len(row.quality):.3f}" if row.quality else "-"
            print(
                f"{skill.label:18}{effort:10}{row.work_s:8.2f}{share['cheap']:14.1%}{share['full']:8.1%}"
                f"{row.accepted['cheap'] / options.tasks:16.2f}{row.accepted['full'] / options.tasks:6.2f}"
                f"{row.score_ppm / options.tasks / 1e6:7.3f}{good:>7}"
            )


if __name__ == "__main__":
    main()
