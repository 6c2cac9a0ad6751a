"""Checking a risk result for a small part of what it cost to make.

The blocks to repeat are drawn after delivery, so a contractor who made up a share f of the blocks passes k draws
with probability (1-f)^k. Fewer paths than asked, honestly stated, lower the score to the precision bought.
"""

import math
from statistics import NormalDist

import msgspec
import numpy as np

from node.execute.builtin.risk.simulate import Array, Model, closed_form, model_of, simulate_block
from node.execute.builtin.risk.task import RiskResult, RiskTask, block_paths, parse, seed_of
from node.tasks.verify import FULL_SCORE_PPM, Finding
from protocol.specification import Level

SHARE: dict[Level, float] = {"cheap": 0.02, "full": 0.15}
MIN_BLOCKS: dict[Level, int] = {"cheap": 2, "full": 4}
SIGMAS = 6.0
"""An honest result fails the comparison with the closed form once in 10^9."""
MIN_TAIL_PATHS = 30
"""Fewer say nothing of how far a mean may be off."""
REPEAT_TOLERANCE = 1e-6
"""Relative; another processor's rounding moves sums by about 1e-12."""


def check(input: bytes, media_type: str, output: bytes, *, level: Level, seed: bytes) -> Finding:  # noqa: A002
    """Score a delivered result; `seed` chooses the blocks to repeat."""
    task = parse(input, media_type)
    try:
        result = msgspec.json.decode(output, type=RiskResult)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Finding(0, (f"the result is not a risk result: {error}",))
    model = model_of(task)
    reason = (
        _totals(task, result)
        or (_closed_form(task, model, result) if task.distribution == "gaussian" else "")
        or _repeat(task, model, result, seed_of(task, input), level, seed)
    )
    if reason:
        return Finding(0, (reason,))
    precision = math.sqrt(min(1.0, result.paths / task.paths))
    note = () if result.paths >= task.paths else (f"{result.paths} of {task.paths} paths were simulated",)
    return Finding(round(precision * FULL_SCORE_PPM), note)


def _totals(task: RiskTask, result: RiskResult) -> str:
    """What is wrong between the result, its own blocks and the task; empty when nothing is."""
    numbers = [result.value_at_risk, result.expected_shortfall, result.expected_drawdown, *result.components.values()]
    if not all(math.isfinite(number) for number in numbers):
        return "a number of the result is not finite"
    if (result.confidence, result.horizon) != (task.confidence, task.horizon):
        return "the result is for another confidence or horizon"
    if result.block_paths != block_paths(task.paths) or not result.blocks:
        return f"blocks of {result.block_paths} paths are not this task's"
    if result.paths != result.block_paths * len(result.blocks):
        return "the number of paths does not follow from the blocks"
    if list(result.components) != task.names:
        return "the components are not those of the positions"
    if not all(0 <= count <= result.block_paths for count, _, _ in result.blocks):
        return "a block has more losses beyond VaR than paths, or fewer than none"
    counts, sums, drawdowns = (sum(column) for column in zip(*result.blocks, strict=True))
    expected = max(1, round((1 - task.confidence) * result.paths))
    if counts == 0 or abs(counts - expected) > 1 + 1e-3 * expected:
        return f"{counts} losses beyond VaR where {expected} belong"
    scale = abs(result.value_at_risk) + abs(result.expected_shortfall) + sum(map(abs, task.amounts)) * 1e-9
    if not math.isfinite(scale):
        return "the numbers of the result are too large to be money"
    if not math.isclose(result.expected_shortfall, sums / counts, rel_tol=1e-9, abs_tol=1e-9 * scale):
        return "the expected shortfall is not the mean of the tail"
    if not math.isclose(result.expected_drawdown, drawdowns / result.paths, rel_tol=1e-9, abs_tol=1e-9 * scale):
        return "the expected drawdown is not the mean of the blocks"
    components = sum(result.components.values())  # not fsum, which raises where this overflows to infinity
    if not math.isclose(components, result.expected_shortfall, rel_tol=1e-6, abs_tol=1e-6 * scale):
        return "the components do not add up to the expected shortfall"
    return ""


def _closed_form(task: RiskTask, model: Model, result: RiskResult) -> str:
    """Compare with the exact answer for normal returns, within what this number of paths can give."""
    normal, confidence = NormalDist(), task.confidence
    quantile = normal.inv_cdf(confidence)
    density = normal.pdf(quantile)
    var, shortfall, deviation, components = closed_form(model, quantile, density, confidence)
    tail_paths = result.paths * (1 - confidence)
    floor = 1e-9 * (deviation + abs(var))
    error = SIGMAS * deviation * math.sqrt(confidence * (1 - confidence) / result.paths) / density + floor
    if abs(result.value_at_risk - var) > error:
        return f"VaR {result.value_at_risk:.6g} is off the closed form {var:.6g} by more than {error:.3g}"
    tail_mean = density / (1 - confidence)
    tail_variance = 1 + quantile * tail_mean - tail_mean**2 + confidence * (tail_mean - quantile) ** 2
    error = SIGMAS * deviation * math.sqrt(tail_variance / tail_paths) + floor
    if abs(result.expected_shortfall - shortfall) > error:
        return f"ES {result.expected_shortfall:.6g} is off the closed form {shortfall:.6g} by more than {error:.3g}"
    # A component's spread in the tail is at most its own deviation; a loose bound that no honest result misses.
    own = np.abs(model.positions) * np.sqrt(model.horizon * np.diag(model.covariance))
    off = np.abs(np.array(list(result.components.values())) - components)
    allowed = (SIGMAS + 2) * own * math.sqrt(max(1.0, tail_variance) / max(tail_paths, 1.0)) + error + floor
    if bool(np.any(off > allowed)):
        return f"the component of asset {task.names[int(np.argmax(off - allowed))]!r} is off the closed form"
    return ""


def _repeat(task: RiskTask, model: Model, result: RiskResult, task_seed: int, level: Level, seed: bytes) -> str:
    """Simulate randomly drawn blocks again and compare their statistics."""
    rng = np.random.default_rng(int.from_bytes(seed[:32], "big"))
    wanted = max(MIN_BLOCKS[level], math.ceil(SHARE[level] * len(result.blocks)))
    numbers = rng.choice(len(result.blocks), size=min(wanted, len(result.blocks)), replace=False)
    scale = float(np.abs(model.positions).sum())
    tails = []
    for number in numbers.tolist():
        block = simulate_block(model, task_seed, number, result.block_paths)
        is_tail = block.losses > result.value_at_risk
        again = (int(is_tail.sum()), float(block.losses[is_tail].sum()), float(block.drawdowns.sum()))
        for claimed, found in zip(result.blocks[number], again, strict=True):
            if not math.isclose(claimed, found, rel_tol=REPEAT_TOLERANCE, abs_tol=1e-9 * scale):
                return f"block {number} repeated gives {found:.9g}, not {claimed:.9g}"
        tails.append(-block.profits[is_tail])
    return _split(task, result, np.concatenate(tails), scale)


def _split(task: RiskTask, result: RiskResult, tail: Array, scale: float) -> str:
    """Compare the components with the losses by asset (paths, assets) of the repeated tail, within its precision."""
    count = len(tail)
    if count < MIN_TAIL_PATHS:
        return ""
    off = np.abs(np.array(list(result.components.values())) - tail.mean(axis=0))
    allowed = SIGMAS * tail.std(axis=0, ddof=1) / math.sqrt(count) + 1e-9 * scale
    if bool(np.any(off > allowed)):
        worst = int(np.argmax(off - allowed))
        return f"the component of asset {task.names[worst]!r} is off the repeated blocks by {off[worst]:.6g}"
    return ""
