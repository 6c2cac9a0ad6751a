"""The work of the risk skill: all blocks of paths, then the tail."""

import math

import msgspec
import numpy as np

from node.execute.builtin.risk.simulate import Array, Model, model_of, simulate_block
from node.execute.builtin.risk.task import BLOCK_PATHS, RiskResult, RiskTask, block_paths, parse, seed_of
from node.execute.skill import Progress
from protocol.specification import Effort

SHARE: dict[Effort, float] = {"full": 1.0, "cheap": 0.25, "cheapest": 1 / 64}
"""Of the paths asked for; the standard error grows with one over its root."""
MIN_CANDIDATES = 32


def run(input: bytes, media_type: str, effort: Effort, progress: Progress) -> bytes:  # noqa: A002
    """Simulate and summarise; JSON of a RiskResult."""
    task = parse(input, media_type)
    model = model_of(task)
    per_block = block_paths(task.paths)
    blocks = max(1, math.ceil(task.paths * SHARE[effort] / per_block))
    seed = seed_of(task, input)
    losses = np.empty((blocks, per_block))
    drawdowns = np.empty(blocks)
    # Paths that may lie beyond VaR keep their profit by asset: in each block twice the expected number.
    keep = min(per_block, math.ceil(2 * (1 - task.confidence) * per_block) + MIN_CANDIDATES)
    tails: list[tuple[Array, Array]] = []
    for number in range(blocks):
        block = simulate_block(model, seed, number, per_block)
        losses[number] = block.losses
        drawdowns[number] = block.drawdowns.sum()
        worst = np.argpartition(block.losses, per_block - keep)[per_block - keep :]
        tails.append((block.losses[worst], block.profits[worst]))
        progress((number + 1) * 990_000 // blocks, f"{(number + 1) * per_block} of {blocks * per_block} paths")
    return msgspec.json.encode(_summarise(task, model, losses, drawdowns, tails))


def _summarise(
    task: RiskTask, model: Model, losses: Array, drawdowns: Array, tails: list[tuple[Array, Array]]
) -> RiskResult:
    paths = losses.size
    beyond = max(1, round((1 - task.confidence) * paths))
    ordered = np.partition(losses.ravel(), [paths - beyond - 1, paths - beyond])
    # Halfway between two losses, so that rounding can never move a path across it.
    var = float(ordered[paths - beyond - 1] + ordered[paths - beyond]) / 2
    is_tail = losses > var
    counts = is_tail.sum(axis=1)
    sums = np.where(is_tail, losses, 0.0).sum(axis=1)
    shortfall = float(sums.sum() / counts.sum())
    profits = np.concatenate([by_asset[loss > var] for loss, by_asset in tails])
    components = -profits.mean(axis=0)
    tail_losses = losses[is_tail]
    density = _density_at(losses, var)
    error = math.sqrt(task.confidence * (1 - task.confidence) / paths) / density if density > 0 else 0.0
    spread = float(tail_losses.var()) + task.confidence * (shortfall - var) ** 2
    shortfall_error = math.sqrt(spread / (paths * (1 - task.confidence)))
    drawdown = float(drawdowns.sum() / paths)
    return RiskResult(
        summary=(
            f"Over {task.horizon} periods the loss stays under {var:,.2f} with {task.confidence:.2%} confidence; "
            f"beyond that it averages {shortfall:,.2f}. Expected greatest drawdown {drawdown:,.2f}. "
            f"{paths:,} paths, standard errors {error:,.2f} and {shortfall_error:,.2f}."
        ),
        value_at_risk=var,
        expected_shortfall=shortfall,
        value_at_risk_error=error,
        expected_shortfall_error=shortfall_error,
        expected_drawdown=drawdown,
        components=dict(zip(task.names, components.tolist(), strict=True)),
        confidence=task.confidence,
        horizon=task.horizon,
        paths=paths,
        block_paths=losses.shape[1],
        blocks=list(zip(counts.tolist(), sums.tolist(), drawdowns.tolist(), strict=True)),
    )


def _density_at(losses: Array, var: float) -> float:
    """Density of the loss at `var`, from the share of paths in a window of a fifth of a standard deviation."""
    half = 0.1 * float(losses.std())
    if half == 0:
        return 0.0
    return float(np.count_nonzero(np.abs(losses - var) < half)) / (losses.size * 2 * half)


assert BLOCK_PATHS >= 2 * MIN_CANDIDATES
