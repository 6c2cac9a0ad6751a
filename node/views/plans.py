"""Plans: who made one, how, at which cost, and what it says."""

from typing import Any, Literal

from node.views.base import Part, View

PlanBy = Literal["", "auto", "model", "rule"]
"""Who is asked to make a plan out of a goal; "" where there is none to be made."""


class DraftRow(Part, frozen=True, kw_only=True):
    """One call of the model that drafted a plan."""

    outcome: Literal["a plan", "refused", "failed"]
    """`refused`: it answered, and that was no plan; `failed`: it gave no answer."""
    text: str = ""
    """Why, in words of this node."""
    cost_micro: int
    """Of a call that failed: the most that it can have cost."""
    spent_s: float


class PlannedStep(Part, frozen=True, kw_only=True):
    """One step as it was planned; the fields are those of a plan file."""

    name: str
    skill: str | None = None
    merge: bool = False
    text: str = ""
    files: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    budget_usd: str | None = None
    verify: str | tuple[str, ...] | None = None
    result_schema: dict[str, Any] | None = None
    retries: int = 1
    optional: bool = False


class PlanView(View, frozen=True, kw_only=True, tag="coalesced.plan/1"):
    """A plan's record. `step` may be written to a file and run again with --plan."""

    made_by: Literal["model", "repaired", "rule", "file"]
    """`repaired`: by the model, at its second attempt."""
    why: str = ""
    model: str = ""
    """The label of the model that was asked, whether or not its plan was taken."""
    drafts: tuple[DraftRow, ...] = ()
    cost_micro: int = 0
    """Of all drafts: it counts against the plan's budget."""
    spent_s: float = 0.0
    step: tuple[PlannedStep, ...] = ()
