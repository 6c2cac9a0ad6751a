"""Plans: who made one, how, at which cost, and what it says."""

from typing import Any, TypedDict


class DraftRow(TypedDict):
    outcome: str
    text: str
    cost_micro: int
    spent_s: float


class PlannedStep(TypedDict):
    name: str
    skill: str | None
    merge: bool
    text: str
    files: list[str]
    needs: list[str]
    budget_usd: str | None
    verify: str | list[str] | None
    result_schema: dict[str, Any] | None
    retries: int
    optional: bool


class Plan(TypedDict):
    schema: str
    made_by: str
    why: str
    model: str
    drafts: list[DraftRow]
    cost_micro: int
    spent_s: float
    step: list[PlannedStep]
