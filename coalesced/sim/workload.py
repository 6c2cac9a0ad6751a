"""What the owners of a simulated world ask for: small inputs, seeded moments, now and then a change of mind.

The inputs are few, so that each result is computed once for the whole world.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass

from node.views import AskRequest, InputFile, Preference

MEAN_PAUSE_S = 12.0
"""Between two asks of one owner."""
TWICE = 0.1
"""Share of asks that are made again with the same idempotency key."""
CANCELLED = 0.05
SPLIT = 0.05
DEADLINES_S = (8.0, 20.0, 45.0)
LONGEST_S = max(DEADLINES_S)
BUDGETS_MICRO = (10, 50, 2_000)
JSON = "application/json"
VARIANTS = 3

_SENTENCES = (
    "The service was excellent and the room very clean.",
    "Nobody answered, and the food arrived cold.",
    "It opens at nine.",
    "I would not recommend this place to anybody.",
    "A wonderful evening with friendly people!",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One ask, what comes after it, and the pause before the next one."""

    request: AskRequest
    again_after_s: float | None
    cancel_after_s: float | None
    pause_s: float


def inputs() -> Mapping[str, tuple[tuple[bytes, str], ...]]:
    """Every input that anybody asks about, with its media type, by label."""
    return {label: tuple(make(variant) for variant in range(VARIANTS)) for label, make in _MAKERS.items()}


def next_wish(rng: random.Random, number: int) -> Wish:
    """The next thing that an owner wants; `number` counts its asks."""
    label = rng.choice(sorted(_MAKERS))
    key = f"ask-{number}" if rng.random() < TWICE else ""
    prefer: Preference = rng.choice(("auto", "auto", "cheap", "fast"))
    if rng.random() < SPLIT:
        label = "document-analysis"
        files = tuple(
            InputFile(name=f"{name}.txt", media_type="text/plain", data=_document(name).encode()) for name in range(2)
        )
        request = AskRequest(
            skill=label, text="Who audits it?", files=files, split=True, deadline_s=LONGEST_S, idempotency_key=key
        )
    else:
        data, media_type = _MAKERS[label](rng.randrange(VARIANTS))
        request = AskRequest(
            skill=label,
            files=(InputFile(name="input", media_type=media_type, data=data),),
            budget_micro=rng.choice(BUDGETS_MICRO),
            deadline_s=rng.choice(DEADLINES_S),
            prefer=prefer,
            least_level=rng.choice((None, None, "cheap", "full")),
            idempotency_key=key,
        )
    return Wish(
        request=request,
        again_after_s=rng.uniform(0, 20) if key else None,
        cancel_after_s=rng.uniform(0, 6) if rng.random() < CANCELLED else None,
        pause_s=rng.expovariate(1 / MEAN_PAUSE_S),
    )


def _document(variant: int) -> str:
    lines = [f"Paragraph {line} of report {variant} speaks of matters of no great interest." for line in range(10)]
    lines.insert(3 + variant, f"The auditor of company {variant} is Hale & Co.")
    return "\n\n".join(lines)


def _analysis(variant: int) -> tuple[bytes, str]:
    documents = [{"name": "report.txt", "text": _document(variant)}]
    return json.dumps({"questions": ["Who is the auditor?"], "documents": documents}).encode(), JSON


def _portfolio(variant: int) -> tuple[bytes, str]:
    means = [0.02 + 0.01 * ((asset + variant) % 4) for asset in range(4)]
    covariance = [[0.04 if row == column else 0.004 for column in range(4)] for row in range(4)]
    return json.dumps({"means": means, "covariance": covariance, "risk_aversions": [2, 8]}).encode(), JSON


def _risk(variant: int) -> tuple[bytes, str]:
    task = {
        "positions": {"A": 100_000, "B": 50_000},
        "means": [0.0003, 0.0002],
        "covariance": [[0.0001, 0.00002], [0.00002, 0.0004]],
        "paths": 4096,
        "horizon": 2 + variant,
    }
    return json.dumps(task).encode(), JSON


def _sentiment(variant: int) -> tuple[bytes, str]:
    return " ".join(_SENTENCES[variant:] + _SENTENCES[:variant]).encode(), "text/plain"


_MAKERS = {"document-analysis": _analysis, "portfolio": _portfolio, "risk": _risk, "sentiment": _sentiment}
