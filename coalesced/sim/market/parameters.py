"""The paper's market in numbers, as its authors' code has them (github.com/mbhatt1/COALESCE, read in 2026-11).

Money is dollars as floats: nothing here is signed or stored as money. Times are minutes where a seller or a task is
described and hours where the market's clock runs, as in the source.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SellerType:
    """One of the six specialisations of section V.A.2."""

    name: str
    price_usd: float
    latency_min: float
    success_low: float
    success_high: float
    share: float
    skills: frozenset[str]
    embedding: tuple[float, float, float, float]
    """The authors' stand-in for the cosine similarity with each type of task."""
    history: tuple[float, float, float, float]
    """Their stand-in for past performance on each type of task."""


@dataclass(frozen=True, slots=True)
class TaskType:
    """One of the four types of task in the authors' code (the paper's table names six)."""

    name: str
    share: float
    flop: float
    """At 8.2 GB of input and complexity 1."""
    documents: float
    max_latency_min: float
    local_min: float
    """Local duration at complexity 1, for time savings only: costs follow from the FLOP."""
    skills: frozenset[str]


def _skills(text: str) -> frozenset[str]:
    return frozenset(text.split(", "))


SELLER_TYPES: Final = (
    SellerType(
        "gpu",
        18.50,
        8.2,
        0.98,
        0.99,
        0.152,
        _skills("FinBERT, RAG, Financial Analysis, GPU Computing"),
        (0.95, 0.8, 0.6, 0.6),
        (0.95, 0.90, 0.85, 0.80),
    ),
    SellerType(
        "cpu",
        9.60,
        52.3,
        0.90,
        0.93,
        0.228,
        _skills("Risk Modeling, Statistics, Parallel Processing, CPU Optimization"),
        (0.7, 0.9, 0.6, 0.6),
        (0.75, 0.80, 0.85, 0.80),
    ),
    SellerType(
        "budget",
        6.20,
        38.7,
        0.70,
        0.80,
        0.315,
        _skills("FinBERT, RAG, Financial Analysis, Cost Optimization"),
        (0.6, 0.7, 0.6, 0.6),
        (0.95, 0.90, 0.85, 0.80),
    ),
    SellerType(
        "edge",
        4.80,
        95.1,
        0.82,
        0.89,
        0.087,
        _skills("NLP, Text Processing, Edge Computing, Low Latency"),
        (0.4, 0.5, 0.6, 0.6),
        (0.75, 0.80, 0.85, 0.80),
    ),
    SellerType(
        "cloud",
        22.40,
        12.8,
        0.93,
        0.96,
        0.183,
        _skills("FinBERT, RAG, Risk Modeling, Cloud Native"),
        (0.9, 0.85, 0.6, 0.6),
        (0.95, 0.90, 0.85, 0.80),
    ),
    SellerType(
        "quantum",
        45.00,
        25.6,
        0.87,
        0.91,
        0.035,
        _skills("Risk Modeling, Monte Carlo, Statistics, Advanced Analytics"),
        (0.8, 0.95, 0.6, 0.6),
        (0.75, 0.80, 0.85, 0.80),
    ),
)

_DOCUMENTS = _skills("FinBERT, Financial Analysis, RAG")
TASK_TYPES: Final = (
    TaskType("document-analysis", 0.4, 2.8e15, 50_000, 90.0, 125.4, _DOCUMENTS),
    TaskType("risk", 0.3, 1.5e15, 25_000, 120.0, 90.0, _skills("Risk Modeling, Monte Carlo, Statistics")),
    TaskType("sentiment", 0.2, 8.2e14, 100_000, 45.0, 45.0, _skills("NLP, Sentiment Analysis, Text Processing")),
    # The code has no specification of its own for portfolios and takes that of document analysis.
    TaskType("portfolio", 0.1, 3.1e15, 50_000, 90.0, 180.0, _DOCUMENTS),
)

COMPLEXITY: Final = (0.5, 2.0)
VALUE_USD: Final = (50.0, 500.0)
SIZE_GB: Final = (1.0, 20.0)
BUDGET_SHARE: Final = (0.3, 0.8)
OUTPUT_GB: Final = 0.2
PRICE_NOISE: Final = 0.10
LATENCY_NOISE: Final = 0.15
DEMAND: Final = (0.2, 0.9)
AVAILABILITY: Final = (0.6, 1.0)
PRICE_SENSITIVITY: Final = 0.5
"""alpha of eq. (7)."""
COMPLEXITY_PRICE: Final = 0.3
"""beta of eq. (7) = 1 + .3 (complexity - 1)."""

TRANSFER_USD_PER_GB: Final = 0.12
PROTOCOL_USD: Final = 0.50
INTEGRATION_USD: Final = 1.20
LATENESS_USD_PER_MIN: Final = 0.25

VERIFICATION_USD: Final = (0.0, 2.50, 3.80)
"""No check, the automated one, the manual one."""
DETECTION: Final = (0.0, 0.90, 0.98)
"""Share of ordinary bad work that each finds: assumed."""
FABRICATION_DETECTION: Final = (0.0, 0.70, 0.95)
"""Share of fabricated work: it is made to pass."""

CLIENT_FLOP_PER_S: Final = 29.77e12 * 0.75
CLIENT_KW: Final = 0.320 * 0.75
CLIENT_MEMORY_GB: Final = 74.0
COMPUTE_USD_PER_H: Final = 0.45
MEMORY_USD_PER_H: Final = 0.15
ENERGY_USD_PER_KWH: Final = 0.08
DEPRECIATION_USD_PER_H: Final = 12_000 / (3 * 365 * 24)

TASKS_PER_H: Final = 2.5
"""The paper's Poisson rate; its authors' code has 4.2 times a demand that doubles in business hours."""


def breach_probability(success: Floats) -> Floats:
    """P_sec of the authors' sellers: .02 + .1 (1 - reliability)."""
    return 0.02 + 0.1 * (1.0 - success)


def quality_risk(success: Floats) -> Floats:
    """P_qual of the authors' sellers: .01 + .05 (1 - reliability)."""
    return 0.01 + 0.05 * (1.0 - success)


def local_hours(kind: Ints, size_gb: Floats, complexity: Floats) -> Floats:
    """t of eq. (2), as the authors' code has it: FLOP/(FLOP/s) are seconds, and it takes them for hours.

    That factor of 3,600 is the printed regime of about $139 a task; scenarios scale it down from there.
    """
    flop = np.array([one.flop for one in TASK_TYPES])[kind]
    hours: Floats = flop * (size_gb / 8.2) * complexity / CLIENT_FLOP_PER_S
    return hours


def local_cost_usd(kind: Ints, size_gb: Floats, complexity: Floats) -> Floats:
    """Eq. (1) to (4) as the authors' code computes them, without opportunity: any shape, all alike."""
    documents = np.array([one.documents for one in TASK_TYPES])[kind]
    memory_gb = 1.3 + documents / 50_000 * 4.2 + 2.8 * complexity
    rate = (
        COMPUTE_USD_PER_H
        + memory_gb / CLIENT_MEMORY_GB * MEMORY_USD_PER_H
        + CLIENT_KW * ENERGY_USD_PER_KWH
        + DEPRECIATION_USD_PER_H
    )
    cost: Floats = local_hours(kind, size_gb, complexity) * rate
    return cost


QUEUED_TASK_H: Final = 2.0
"""What the authors' code takes for the duration of every waiting task in eq. (5)."""


def printed_opportunity_usd(hour: Ints, client: Ints, value_usd: Floats, hours: Floats) -> Floats:
    """Eq. (5) as printed, uncapped: the best value per hour among the client's tasks still waiting, times our hours.

    All arguments (tasks,), in order of time. A task waits when it came in the same hour after this one.
    """
    opportunity = np.zeros(len(hour))
    best: dict[tuple[int, int], float] = {}
    for at in range(len(hour) - 1, -1, -1):
        queue = (int(hour[at]), int(client[at]))
        opportunity[at] = best.get(queue, 0.0) / QUEUED_TASK_H * hours[at]
        best[queue] = max(best.get(queue, 0.0), float(value_usd[at]))
    return opportunity


def skill_matches() -> Floats:
    """Eq. (12) with weights .3/.5/.2, shape (seller types, task types).

    Nobody reaches .7 for sentiment or portfolios: in the paper's market those are never hired out but by exploration.
    """
    return np.array(
        [
            [
                0.3 * len(seller.skills & task.skills) / len(seller.skills | task.skills)
                + 0.5 * seller.embedding[index]
                + 0.2 * seller.history[index]
                for index, task in enumerate(TASK_TYPES)
            ]
            for seller in SELLER_TYPES
        ]
    )
