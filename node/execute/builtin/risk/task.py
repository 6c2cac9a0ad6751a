"""The risk skill: its input, its size, what it offers. No numpy: the daemon reads this, the worker computes."""

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from node.execute.envelope import decode_own
from node.execute.errors import InputError
from node.execute.skill import JSON, Skill

MAX_ASSETS = 2_000
MAX_RETURNS = 4_000_000
MAX_PATH_ASSETS = 200_000_000
"""Bounds paths x assets, and with it memory (about 320 MB for the tail at 90 % confidence)."""
BLOCK_PATHS = 1_024
MAX_BLOCKS = 1_024
"""The result commits to every block of paths, so their number bounds its size (about 60 kB)."""

EXAMPLE = (
    b'{"positions": {"A": 100000, "B": 50000}, "means": [0.0003, 0.0002], '
    b'"covariance": [[0.0001, 0.00002], [0.00002, 0.0004]], "confidence": 0.99, "horizon": 10, "paths": 200000}'
)

Row = Annotated[tuple[float, ...], Meta(max_length=MAX_ASSETS)]
Positions = dict[str, float] | list[float]


class RiskTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A portfolio and the question about it.

    `positions` in money per asset; `means` and `covariance` of the assets' returns per period, or `returns`, their
    history (rows = periods). `horizon` in periods. Without a `seed` the input itself is the seed, so that nobody
    can choose a favourable one.
    """

    positions: Positions
    means: Row | None = None
    covariance: Annotated[tuple[Row, ...], Meta(max_length=MAX_ASSETS)] | None = None
    returns: Annotated[tuple[Row, ...], Meta(max_length=1_000_000)] | None = None
    confidence: Annotated[float, Meta(ge=0.9, le=0.9999)] = 0.99
    horizon: Annotated[int, Meta(ge=1, le=2_520)] = 10
    paths: Annotated[int, Meta(ge=1_000, le=20_000_000)] = 200_000
    distribution: Literal["gaussian", "student"] = "gaussian"
    degrees_of_freedom: Annotated[float, Meta(gt=2, le=200)] = 5.0
    seed: Annotated[int, Meta(ge=0, le=2**53)] | None = None

    @property
    def names(self) -> list[str]:
        """Asset names, in order."""
        return [str(name) for name in self.positions] if isinstance(self.positions, dict) else self._numbers()

    def _numbers(self) -> list[str]:
        return [str(number) for number in range(len(self.positions))]

    @property
    def amounts(self) -> list[float]:
        """Money per asset, in the order of `names`."""
        return list(self.positions.values()) if isinstance(self.positions, dict) else list(self.positions)


class RiskResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Losses are positive money. `blocks` commit to each block of paths: (losses beyond VaR, their sum, sum of the
    greatest drawdowns); `components` split the expected shortfall over the assets."""

    summary: str
    value_at_risk: float
    expected_shortfall: float
    value_at_risk_error: float
    expected_shortfall_error: float
    expected_drawdown: float
    components: dict[str, float]
    confidence: float
    horizon: int
    paths: int
    block_paths: int
    blocks: Annotated[list[tuple[int, float, float]], Meta(max_length=MAX_BLOCKS + 1)]


def parse(input: bytes, media_type: str) -> RiskTask:  # noqa: A002
    """The task in an input; InputError says what does not fit."""
    task = decode_own(RiskTask, input, media_type, example=EXAMPLE)
    assets = len(task.positions)
    if not 1 <= assets <= MAX_ASSETS:
        raise InputError(f"positions has {assets} assets; 1 to {MAX_ASSETS} are possible")
    has_moments = task.means is not None and task.covariance is not None
    if has_moments == (task.returns is not None):
        raise InputError(f"give either means and covariance, or returns; for example {EXAMPLE.decode()}")
    if task.returns is not None:
        _check_rows("returns", task.returns, assets)
        if len(task.returns) < 2 or len(task.returns) * assets > MAX_RETURNS:
            raise InputError(f"returns has {len(task.returns)} rows; 2 to {MAX_RETURNS // assets} are possible here")
    else:
        assert task.means is not None
        assert task.covariance is not None
        _check_rows("means", (task.means,), assets)
        _check_rows("covariance", task.covariance, assets)
        if len(task.covariance) != assets:
            raise InputError(f"covariance has {len(task.covariance)} rows for {assets} assets")
    if task.paths * assets > MAX_PATH_ASSETS:
        raise InputError(f"paths x assets is {task.paths * assets}, over {MAX_PATH_ASSETS}: ask for fewer paths")
    return task


def _check_rows(name: str, rows: tuple[tuple[float, ...], ...], assets: int) -> None:
    for number, row in enumerate(rows):
        if len(row) != assets:
            raise InputError(f"{name} row {number} has {len(row)} numbers for {assets} assets")


def size(input: bytes, media_type: str) -> int:  # noqa: A002
    """Random draws: paths x periods x assets."""
    task = parse(input, media_type)
    return task.paths * task.horizon * len(task.positions)


def seed_of(task: RiskTask, input: bytes) -> int:  # noqa: A002
    """The seed that client and contractor both know: the task's own, or the digest of the input."""
    return task.seed if task.seed is not None else int.from_bytes(hashlib.sha256(input).digest()[:8], "big")


def block_paths(paths: int) -> int:
    """Paths in each block of a task that asks for `paths`."""
    return max(BLOCK_PATHS, -(-paths // MAX_BLOCKS))


SKILL = Skill(
    label="risk",
    caption="Value at risk and expected shortfall of a portfolio by Monte-Carlo simulation",
    description=(
        "Simulates a portfolio of constant positions over a horizon, with normal or Student returns. Gives value at "
        "risk, expected shortfall with its split over the assets, expected greatest drawdown, and standard errors. "
        "The random streams follow from a committed seed and the result commits to every block of paths, so that "
        "any block can be repeated."
    ),
    input_media_types=(JSON,),
    output_media_type=JSON,
    size=size,
    unit="random draws",
    example=EXAMPLE,
    verification={
        "cheap": "totals agree, closed form for normal returns, 2 % of the path blocks repeated",
        "full": "the same with 15 % of the path blocks repeated",
        "redundant": "a second run agrees",
    },
    min_score_ppm={"full": 950_000, "cheap": 450_000, "cheapest": 100_000},
)
