"""Plans: who made one, how, at which cost, and what it says."""

from typing import TypedDict


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
    verify: str | None
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
