"""How well the time of a task is predicted here: the paper's mix of 240 tasks on the builtin skills, of many sizes.

    scripts/bench_calibration [--scale 1.0] [--wall] [--json]

80 documents, 60 risk, 60 portfolio and 40 sentiment tasks (COALESCE V.I), their sizes log-uniform over a factor of 16,
in random order. Each is predicted from the runs before it, of all types, done, measured, and learnt from. The error of
a type is the mean of |predicted - measured| / measured after its first 20 runs; beside it, that of eq. (10) as printed,
which smooths the absolute time and ignores the size. CPU time by default, so that what else runs here does not count.
"""

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.decision.calibrate import Calibration, ewma, observe, predict, start
from node.decision.pace import USUAL, Pace, after_run, slowness
from node.execute.catalogue import PACKAGES
from node.execute.corpus import Case
from node.execute.mix import COUNTS, mixed
from node.outsource.localwork import FIRST_RUNS, UNKNOWN

LEARNING_RUNS = 20
GOAL = 0.15


class Track:
    """What is known of one type of task, and how its predictions turned out."""

    def __init__(self) -> None:
        self.state: Calibration = start(UNKNOWN)
        self.printed_s: float | None = None
        self.missed: list[float] = []
        self.missed_printed: list[float] = []
        self.within_p95: list[bool] = []

    def take(self, units: int, measured_s: float, pace: Pace) -> Pace:
        """One more run, and the pace after it; as `LocalWork` does it."""
        usual, now_s = predict(self.state, units), time.time()
        follows = self.state.runs >= FIRST_RUNS
        factor = slowness(pace, now_s) if follows else 1.0
        expected_s, p95_s = usual.expected_s * factor, usual.p95_s * factor
        if self.state.runs >= LEARNING_RUNS and self.printed_s is not None:
            self.missed.append(abs(expected_s / measured_s - 1.0))
            self.missed_printed.append(abs(self.printed_s / measured_s - 1.0))
            self.within_p95.append(measured_s <= p95_s)
        self.state = observe(self.state, units, measured_s / factor)
        self.printed_s = ewma(self.printed_s, measured_s)
        return after_run(pace, usual.expected_s, measured_s, now_s) if follows else pace


def run(label: str, case: Case, clock: Callable[[], float]) -> tuple[int, float]:
    """Work units and seconds of one task at full effort."""
    work = importlib.import_module(f"{PACKAGES[label]}.work")
    units = importlib.import_module(f"{PACKAGES[label]}.task").size(case.input, case.media_type)
    began = clock()
    work.run(case.input, case.media_type, "full", lambda done_ppm, text: None)
    return units, clock() - began


def mean(values: list[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


def main() -> None:
    """Run all tasks and print one line a type; exit 1 when all together miss the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the middle task (1.0)")
    parser.add_argument("--wall", action="store_true", help="measure wall time, as a node does, and not CPU time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    clock = time.perf_counter if options.wall else time.process_time
    tracks = {label: Track() for label in COUNTS}
    began = time.perf_counter()
    pace = USUAL
    for task in mixed(240, scale=options.scale):
        pace = tracks[task.label].take(*run(task.label, task.case(), clock), pace)
    rows = {
        label: {
            "runs": COUNTS[label],
            "mean_relative_error": mean(track.missed),
            "ewma_mean_relative_error": mean(track.missed_printed),
            "within_p95": mean([float(inside) for inside in track.within_p95]),
        }
        for label, track in tracks.items()
    }
    everything = mean([missed for track in tracks.values() for missed in track.missed])
    if options.json:
        print(json.dumps({"types": rows, "mean_relative_error": everything, "took_s": time.perf_counter() - began}))
    else:
        print(f"{'type':20}{'runs':>6}{'error':>9}{'eq. (10)':>10}{'below p95':>11}   after {LEARNING_RUNS} runs")
        for label, row in rows.items():
            print(
                f"{label:20}{row['runs']:6d}{row['mean_relative_error']:9.1%}"
                f"{row['ewma_mean_relative_error']:10.1%}{row['within_p95']:11.0%}"
            )
        took_s = time.perf_counter() - began
        print(f"all: {everything:.1%} (goal {GOAL:.0%}), {sum(COUNTS.values())} tasks in {took_s:.0f} s")
    sys.exit(everything > GOAL)


if __name__ == "__main__":
    main()
