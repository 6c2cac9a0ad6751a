"""Tasks: how they stand, what happened to them, what was signed, and why."""

from typing import Literal

from node.tasks.lifecycle import TaskState
from node.views.base import EventName, Part, Side, View
from node.views.checks import CheckMadeView
from node.views.decisions import DecisionView
from node.views.plans import PlanView


class ResultInfo(Part, frozen=True, kw_only=True):
    """A stored result by type, size and digest (hex); its bytes are fetched apart."""

    media_type: str
    size_bytes: int
    sha256: str


class TaskError(Part, frozen=True, kw_only=True):
    """Why a task did not end well."""

    code: str
    text: str
    exit_code: int = 1


class TaskView(View, frozen=True, kw_only=True, tag="coalesced.task/1"):
    """One task as it stands."""

    id: str
    state: TaskState
    side: Side = "client"
    skill: str
    effort: str = "full"
    parent: str = ""
    """The plan's task, when this is a step of one; or the task whose function handed this on."""
    subtasks: tuple[str, ...] = ()
    input_bytes: int = 0
    created_unix_ms: int
    finished_unix_ms: int | None = None
    deadline_unix_ms: int | None = None
    done_ppm: int = 0
    question: str = ""
    """What it waits for, while input-required."""
    choice: Literal["local", "outsource", ""] = ""
    """Where it is (or was, in the end) done."""
    peer: str = ""
    """The other side: the contractor of our task, or the client of a task that we do."""
    cost_micro: int | None = None
    """What it cost in the end: the price paid, or the internal cost; of what gave nothing, and of our work for others,
    what was spent on it, if anything was."""
    local_micro: int | None = None
    saving_micro: int | None = None
    level: str = ""
    verdict: str = ""
    """`accepted`, `refused`, or empty when nothing was checked."""
    score_ppm: int | None = None
    checks: tuple[CheckMadeView, ...] = ()
    """What the verification looked at, where it was made up of single checks."""
    tried: tuple[str, ...] = ()
    """What was tried before, in words, in order."""
    result: ResultInfo | None = None
    receipt: str = ""
    journal_height: int | None = None
    error: TaskError | None = None
    explored: bool = False


class TasksView(View, frozen=True, kw_only=True, tag="coalesced.tasks/1"):
    """The latest tasks first."""

    tasks: tuple[TaskView, ...]


class ReceiptView(View, frozen=True, kw_only=True, tag="coalesced.receipt/1"):
    """A receipt that both sides signed, or a one-sided fault report (`countersigned` false)."""

    id: str
    task_id: str
    skill: str
    client: str
    client_did: str
    contractor: str
    contractor_did: str
    price_micro: int
    started_unix_ms: int
    finished_unix_ms: int
    level: str
    verdict: str
    score_ppm: int | None = None
    explored: bool = False
    countersigned: bool
    fault: str = ""
    journal_height: int | None = None
    digest: str
    """SHA-256 of the signed bytes, hex."""


class StepView(Part, frozen=True, kw_only=True):
    """One step of a plan, as it stands."""

    name: str
    needs: tuple[str, ...] = ()
    skill: str = ""
    """Empty for a merge."""
    state: str
    """Of its last attempt; `waiting` for one that has not begun, `left out` for one whose needs failed."""
    task: str = ""
    by: str = ""
    """`this node`, or the contractor."""
    level: str = ""
    verdict: str = ""
    receipt: str = ""
    rests_on: tuple[str, ...] = ()
    """Steps above it whose results nobody verified."""
    price_micro: int | None = None
    """What was agreed with the contractor."""
    cost_micro: int | None = None
    spent_s: float | None = None


class EventView(View, frozen=True, kw_only=True, tag="coalesced.event/1"):
    """Something that happened. `text` is one line for a person; what else is set depends on `name`."""

    name: EventName
    at_unix_ms: int
    task_id: str = ""
    text: str = ""
    peer: str = ""
    done_ppm: int | None = None
    question: str = ""
    level: str = ""
    verdict: str = ""
    score_ppm: int | None = None
    checks: tuple[CheckMadeView, ...] = ()
    """Set on `verified`."""
    cost_micro: int | None = None
    result_bytes: int | None = None
    """Set on `completed`: what it cost in the end, and the size of its result."""
    decision: DecisionView | None = None
    receipt: ReceiptView | None = None
    step: StepView | None = None
    """Set on `step`: how a step of this plan stands now."""
    task: TaskView | None = None
    """Set on `submitted` and on every ending event."""


class TimelineRow(Part, frozen=True, kw_only=True):
    """One moment of a task, counted from its submission."""

    after_s: float
    name: str
    text: str


class WhyView(View, frozen=True, kw_only=True, tag="coalesced.why/1"):
    """Everything about one task on one screen. For a plan, `subtasks` are explained by `why` one by one."""

    task: TaskView
    decision: DecisionView | None
    timeline: tuple[TimelineRow, ...] = ()
    tried: tuple[str, ...] = ()
    receipt: ReceiptView | None = None
    subtasks: tuple[TaskView, ...] = ()
    steps: tuple[StepView, ...] = ()
    """A plan's graph: what ran where, at which cost."""
    plan: PlanView | None = None
    """Who made it, and what it says."""
