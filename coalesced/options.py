"""What may be said about a task from Python, and the request that it becomes. Imports none of the node's packages."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from json import dumps
from pathlib import Path
from typing import Any, Required, TypedDict

from coalesced.cli.units import parse_money
from coalesced.control import shapes
from coalesced.control.inputs import read_files

Dollars = float | str | Decimal
"""An amount in dollars, at most to the micro-dollar; a float is taken as it prints."""


class TaskOptions(TypedDict, total=False):
    """What may be said about a task; what is left out is taken from the node's configuration."""

    files: Sequence[str | Path]
    budget: Dollars
    value: Dollars
    deadline_s: float
    prefer: str
    privacy: str
    regions: Sequence[str]
    effort: str
    least_level: str
    verify: str | Sequence[str]
    schema: str | Mapping[str, Any]
    min_score: float
    idempotency_key: str
    plan: str
    split: bool
    by: str
    skills: Sequence[str]


class PlanStep(TypedDict, total=False):
    """One subtask of a plan: `skill` does it, or `merge` puts the results of its `needs` together."""

    name: Required[str]
    skill: str
    merge: bool
    text: str
    files: Sequence[str]
    needs: Sequence[str]
    budget_usd: str
    verify: str | Sequence[str]
    result_schema: Mapping[str, Any]
    retries: int
    optional: bool


def request_of(skill: str, text: str, options: TaskOptions) -> shapes.AskRequest:
    """The request that a call with these options makes; ControlError (`usage`) for a file that cannot be read."""
    least_score = options.get("min_score")
    request: shapes.AskRequest = {
        "skill": skill,
        "text": text,
        "files": read_files(options.get("files", ())),
        "budget_micro": micro_or_none(options.get("budget")),
        "value_micro": micro_or_none(options.get("value")),
        "deadline_s": options.get("deadline_s"),
        "prefer": options.get("prefer", "auto"),
        "privacy": options.get("privacy"),
        "regions": list(options.get("regions", ())),
        "effort": options.get("effort"),
        "least_level": options.get("least_level"),
        "verify": [verify] if isinstance(verify := options.get("verify", ()), str) else list(verify),
        "result_schema": schema if isinstance(schema := options.get("schema", ""), str) else dumps(schema),
        "min_score_ppm": None if least_score is None else round(least_score * 1_000_000),
        "idempotency_key": options.get("idempotency_key", ""),
        "plan": options.get("plan", ""),
        "split": options.get("split", False),
        "by": options.get("by", ""),
        "skills": list(options.get("skills", ())),
    }
    return request


def micro_or_none(amount: Dollars | None) -> int | None:
    """An amount in micro-dollars; ValueError when it is not one."""
    # Through text: 0.1 means a tenth, not the binary fraction next to it.
    return None if amount is None else parse_money(str(amount))
