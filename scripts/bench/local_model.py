"""A model on this machine: what the roofline and the calibrated prediction said, against what it took.

Each answer is predicted before it is asked for: its tokens by what was learnt of the model, its time by the roofline of
the named GPU, and by the calibration of the runs so far. Energy is predicted as the card's rated power over the
predicted time, and measured by the card's own counter, where there is one (pip install 'coalesced[gpu]').
"""

import argparse
import asyncio
import importlib
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.decision.calibrate import Prior, observe, predict, start
from node.decision.hardware import gpu, model
from node.decision.roofline import LlmWork, estimate
from node.decision.tokens import TokenBelief, expected_usage, observe_usage, work_units
from node.execute import corpus
from node.execute.job import Job
from node.execute.openai.model import OpenAiModel
from node.execute.openai.offer import skill_of
from node.execute.skill import TEXT
from node.views import ModelSource

TIMEOUT_S = 600.0
LEARNING_RUNS = 5
"""Left out of the calibrated column: before them it knows nothing."""
Meter = Callable[[], float]
"""Joules that the card has used since its driver was loaded."""


@dataclass(frozen=True, slots=True)
class Row:
    """One answer: seconds predicted and measured; joules, where there is a meter."""

    roofline_s: float
    calibrated_s: float
    measured_s: float
    predicted_j: float
    measured_j: float | None


@contextmanager
def meter(index: int) -> Iterator[Meter | None]:
    """The energy counter of an NVIDIA card; None without driver, library or counter."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        yield None
        return
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        print(f"no energy counter: {error}", file=sys.stderr)
        yield None
        return
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        yield lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
    finally:
        nvml.nvmlShutdown()


async def measured(source: ModelSource, card: str, runs: int, joules: Meter | None) -> list[Row]:
    """So many answers, one after the other."""
    skill = skill_of(source, "bench", "", None)
    tariff = skill.tariff
    assert tariff is not None
    served = OpenAiModel(source, skill)
    shape, device, belief, rows = model(source.figures), gpu(card), TokenBelief(), list[Row]()
    state = None
    for seed in range(runs):
        text = corpus.filing(random.Random(seed), 1 + seed % 4, 3)[0]
        data = f"Sum up this filing: {text}".encode()
        units = work_units(tariff, len(data))
        found = estimate(shape, device, LlmWork(*expected_usage(tariff, belief, units)))
        if found.why_not:
            sys.exit(f"{source.figures} does not run on {card}: {found.why_not}")
        state = state or start(Prior(seconds_per_unit=found.time_s / units))
        expected_s = predict(state, units).expected_s
        before_j = joules() if joules else None
        done = await served.run(Job(served.skill.label, data, TEXT, timeout_s=TIMEOUT_S))
        used_j = joules() - before_j if joules and before_j is not None else None
        rows.append(Row(found.time_s, expected_s, done.wall_s, device.power_watts * expected_s, used_j))
        state = observe(state, units, done.wall_s)
        if done.usage is not None:
            belief = observe_usage(belief, len(data), done.usage)
    return rows


def off(rows: list[Row], predicted: Callable[[Row], float], actual: Callable[[Row], float]) -> str:
    """The mean of |predicted - measured| / measured, and the median of predicted over measured."""
    shares = [predicted(row) / actual(row) for row in rows]
    error = statistics.fmean(abs(share - 1) for share in shares)
    return f"{error:7.1%} off on average, median {statistics.median(shares):.3g} of the measured"


def report(rows: list[Row]) -> list[str]:
    """What is said of so many answers."""
    later = rows[LEARNING_RUNS:] or rows
    lines = [
        f"{len(rows)} answers, {statistics.fmean(row.measured_s for row in rows):.3f} s each",
        f"time, roofline:   {off(rows, lambda row: row.roofline_s, lambda row: row.measured_s)}",
        f"time, calibrated: {off(later, lambda row: row.calibrated_s, lambda row: row.measured_s)}",
    ]
    counted = [row for row in later if row.measured_j]
    if not counted:
        return [*lines, "energy: not measured, no card here counts it"]
    return [*lines, f"energy:           {off(counted, lambda row: row.predicted_j, lambda row: row.measured_j or 1.0)}"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the endpoint, most often ending in /v1")
    parser.add_argument("--model", required=True, help="as the endpoint calls it")
    parser.add_argument("--figures", required=True, help="the model's row in the table of models")
    parser.add_argument("--gpu", required=True, help="the card's row in the table of GPUs")
    parser.add_argument("--device", type=int, default=0, help="which card counts the energy (0)")
    parser.add_argument("--runs", type=int, default=50, help="answers (50)")
    options = parser.parse_args()
    source = ModelSource(url=options.url, model=options.model, figures=options.figures)
    with meter(options.device) as joules:
        print("\n".join(report(asyncio.run(measured(source, options.gpu, options.runs, joules)))))


if __name__ == "__main__":
    main()
