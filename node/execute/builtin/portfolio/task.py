"""The portfolio skill: its input, its result, its size. No numpy: the daemon reads this, the worker computes."""

from typing import Annotated

import msgspec
from msgspec import Meta

from node.execute.envelope import decode_own
from node.execute.errors import InputError
from node.execute.skill import JSON, Skill

MAX_ASSETS = 2_000
MAX_RETURNS = 4_000_000
MAX_POINTS = 100

EXAMPLE = (
    b'{"means": [0.08, 0.05, 0.03], "covariance": [[0.04, 0.006, 0], [0.006, 0.0225, 0.001], [0, 0.001, 0.0025]], '
    b'"risk_aversions": [1, 4, 16]}'
)

Row = Annotated[tuple[float, ...], Meta(max_length=MAX_ASSETS)]
RiskAversion = Annotated[float, Meta(gt=0, le=1e9)]


class PortfolioTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Assets, and how averse to risk the investor is.

    For each risk aversion g: minimise g/2 w'Cw - m'w over weights w >= 0 that sum to 1, with means m and covariance
    C of the assets' returns, given or estimated from `returns` (rows = periods).
    """

    means: Row | None = None
    covariance: Annotated[tuple[Row, ...], Meta(max_length=MAX_ASSETS)] | None = None
    returns: Annotated[tuple[Row, ...], Meta(max_length=1_000_000)] | None = None
    assets: tuple[str, ...] | None = None
    risk_aversions: Annotated[tuple[RiskAversion, ...], Meta(min_length=1, max_length=MAX_POINTS)] = (4.0,)

    @property
    def count(self) -> int:
        """Number of assets."""
        return len(self.means) if self.means is not None else len((self.returns or ((),))[0])

    @property
    def names(self) -> tuple[str, ...]:
        """Asset names, in order."""
        return self.assets if self.assets is not None else tuple(str(number) for number in range(self.count))


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One optimal portfolio: weights that are not zero, and the certificate.

    `gap` is the duality gap: no portfolio has an objective lower by more than that. `relative_gap` is the share
    of the attainable improvement over equal weights that may be missing.
    """

    risk_aversion: float
    weights: dict[str, float]
    expected_return: float
    variance: float
    gap: float
    relative_gap: float


class PortfolioResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One point for each risk aversion asked for, in their order."""

    summary: str
    points: Annotated[tuple[Point, ...], Meta(max_length=MAX_POINTS)]


def parse(input: bytes, media_type: str) -> PortfolioTask:  # noqa: A002
    """The task in an input; InputError says what does not fit."""
    task = decode_own(PortfolioTask, input, media_type, example=EXAMPLE)
    has_moments = task.means is not None and task.covariance is not None
    if has_moments == (task.returns is not None):
        raise InputError(f"give either means and covariance, or returns; for example {EXAMPLE.decode()}")
    count = task.count
    if not 1 <= count <= MAX_ASSETS:
        raise InputError(f"there are {count} assets; 1 to {MAX_ASSETS} are possible")
    rows, name = (task.returns, "returns") if task.returns is not None else (task.covariance, "covariance")
    assert rows is not None
    for number, row in enumerate(rows):
        if len(row) != count:
            raise InputError(f"{name} row {number} has {len(row)} numbers for {count} assets")
    if name == "covariance" and len(rows) != count:
        raise InputError(f"covariance has {len(rows)} rows for {count} assets")
    if name == "returns" and not 2 <= len(rows) <= MAX_RETURNS // count:
        raise InputError(f"returns has {len(rows)} rows; 2 to {MAX_RETURNS // count} are possible here")
    if task.assets is not None and len(set(task.assets)) != count:
        raise InputError(f"assets has {len(set(task.assets))} different names for {count} assets")
    return task


def size(input: bytes, media_type: str) -> int:  # noqa: A002
    """Matrix entries that are looked at: the covariance for each point, and its estimation."""
    task = parse(input, media_type)
    periods = len(task.returns or ())
    return task.count**2 * len(task.risk_aversions) + periods * task.count


SKILL = Skill(
    label="portfolio",
    caption="Long-only mean-variance portfolios with a certificate of optimality",
    description=(
        "Finds the best long-only portfolio for each risk aversion (an efficient frontier), from means and covariance "
        "or from a history of returns. Each portfolio carries its duality gap, which anybody can recompute from the "
        "input with one matrix-vector product."
    ),
    input_media_types=(JSON,),
    output_media_type=JSON,
    size=size,
    unit="matrix entries",
    example=EXAMPLE,
    verification={
        "cheap": "feasibility and duality gap of a quarter of the points, recomputed",
        "full": "feasibility and duality gap of every point, recomputed",
        "redundant": "a second run agrees",
    },
    min_score_ppm={"full": 950_000, "cheap": 100_000, "cheapest": 10_000},
)
