"""Tasks, their events, and what both sides signed about them."""

from typing import TypedDict

from coalesced.control.shapes.decisions import Decision
from coalesced.control.shapes.plans import Plan


class ResultInfo(TypedDict):
    media_type: str
    size_bytes: int
    sha256: str


class TaskError(TypedDict):
    code: str
    text: str
    exit_code: int


class CheckMade(TypedDict):
    name: str
    passed: bool
    score_ppm: int
    text: str
    cost_micro: int


class Task(TypedDict):
    schema: str
    id: str
    state: str
    side: str
    skill: str
    effort: str
    parent: str
    subtasks: list[str]
    input_bytes: int
    created_unix_ms: int
    finished_unix_ms: int | None
    deadline_unix_ms: int | None
    done_ppm: int
    question: str
    choice: str
    peer: str
    cost_micro: int | None
    local_micro: int | None
    saving_micro: int | None
    level: str
    verdict: str
    score_ppm: int | None
    checks: list[CheckMade]
    tried: list[str]
    result: ResultInfo | None
    receipt: str
    journal_height: int | None
    error: TaskError | None
    explored: bool


class Tasks(TypedDict):
    schema: str
    tasks: list[Task]


class Receipt(TypedDict):
    schema: str
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
    score_ppm: int | None
    explored: bool
    countersigned: bool
    fault: str
    journal_height: int | None
    digest: str


class Step(TypedDict):
    name: str
    needs: list[str]
    skill: str
    state: str
    task: str
    by: str
    level: str
    verdict: str
    receipt: str
    rests_on: list[str]
    price_micro: int | None
    cost_micro: int | None
    spent_s: float | None


class Event(TypedDict):
    schema: str
    name: str
    at_unix_ms: int
    task_id: str
    text: str
    peer: str
    done_ppm: int | None
    question: str
    level: str
    verdict: str
    score_ppm: int | None
    checks: list[CheckMade]
    cost_micro: int | None
    result_bytes: int | None
    decision: Decision | None
    receipt: Receipt | None
    step: Step | None
    task: Task | None


class TimelineRow(TypedDict):
    after_s: float
    name: str
    text: str


class Why(TypedDict):
    schema: str
    task: Task
    decision: Decision | None
    timeline: list[TimelineRow]
    tried: list[str]
    receipt: Receipt | None
    subtasks: list[Task]
    steps: list[Step]
    plan: Plan | None
