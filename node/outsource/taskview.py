"""A task as its owner sees it, folded from its row and its log. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from crypto.identity import short_id
from node.errors import exit_code_of
from node.store.tasks import TaskRow
from node.tasks.plan import Origin, Plan, Step
from node.views import EventView, PlannedStep, PlanView, ResultInfo, StepView, TaskError, TaskView
from protocol.errors import RemoteProtocolError
from protocol.packing import unpack
from protocol.specification import Specification


def task_view(row: TaskRow, events: Sequence[EventView], subtasks: tuple[str, ...] = ()) -> TaskView:
    """The view of one task."""
    specification = specification_of(row)
    folded: dict[str, Any] = {"tried": ()}
    for event in events:
        _fold(folded, event)
    if row.state != "input-required":
        folded.pop("question", None)
    if row.state == "completed":
        folded["done_ppm"] = 1_000_000
    # A contractor that failed is in `tried`; work that was done here in the end has no other side.
    peer = row.peer if row.role == "contractor" or folded.get("choice") != "local" else None
    error = None
    if row.error_code is not None:
        error = TaskError(code=row.error_code, text=row.error_text or "", exit_code=exit_code_of(row.error_code))
    return TaskView(
        id=row.task_id.hex(),
        state=row.state,
        side=row.role,
        skill=row.skill,
        effort=specification.effort if specification else "",
        parent=row.parent_id.hex() if row.parent_id else "",
        subtasks=subtasks,
        input_bytes=specification.input.size_bytes if specification else 0,
        created_unix_ms=row.created_unix_ms,
        finished_unix_ms=row.finished_unix_ms,
        deadline_unix_ms=row.deadline_unix_ms,
        peer=short_id(peer) if peer else "",
        result=_result(row, events),
        error=error,
        **folded,
    )


def specification_of(row: TaskRow) -> Specification | None:
    """What was asked for; None where the stored bytes say nothing: one damaged row must not hide all others."""
    try:
        return unpack(Specification, row.specification)
    except RemoteProtocolError:
        return None


def origin_of(view: TaskView, events: Sequence[EventView]) -> Origin:
    """Who made a completed task's result, and how far it may be relied on."""
    decided = [event.decision for event in events if event.decision is not None]
    chosen = [option for option in decided[-1].options if option.chosen] if decided else []
    success_ppm = chosen[0].success_ppm if chosen else 1_000_000
    made = Origin("this node", success_ppm=success_ppm, skill=view.skill, task=view.id, cost_micro=view.cost_micro)
    if view.choice != "outsource":
        return made
    is_verified = view.level not in ("", "none") and view.verdict == "accepted"
    return replace(made, by=view.peer, level=view.level, is_verified=is_verified, receipt=view.receipt)


def step_view(step: Step, task: TaskView, price_micro: int | None = None) -> StepView:
    """A step of a plan as the task that it is stands; `price_micro` is what its contractor is to get."""
    spent_s = None if task.finished_unix_ms is None else (task.finished_unix_ms - task.created_unix_ms) / 1000
    return StepView(
        name=step.name,
        needs=step.needs,
        skill=task.skill,
        state=task.state,
        task=task.id,
        by=task.peer or ("this node" if task.choice == "local" else ""),
        level=task.level,
        verdict=task.verdict,
        receipt=task.receipt,
        price_micro=price_micro if task.peer else None,
        cost_micro=task.cost_micro,
        spent_s=spent_s,
    )


def planned(plan: Plan) -> tuple[PlannedStep, ...]:
    """A plan's steps for its record."""
    return tuple(PlannedStep(**msgspec.structs.asdict(step)) for step in plan.step)


def plan_in(view: PlanView) -> Plan:
    """The plan of a record."""
    return Plan(step=tuple(Step(**msgspec.structs.asdict(step)) for step in view.step))


def _result(row: TaskRow, events: Sequence[EventView]) -> ResultInfo | None:
    if row.result_sha256 is None:
        return None
    size = next((event.result_bytes for event in events if event.result_bytes is not None), 0)
    return ResultInfo(media_type=row.result_media_type or "", size_bytes=size, sha256=row.result_sha256.hex())


def _fold(folded: dict[str, Any], event: EventView) -> None:
    """Take into the view what one event says."""
    match event.name:
        case "decided" if event.decision is not None:
            decision = event.decision
            folded["choice"] = "" if decision.choice == "none" else decision.choice
            folded["local_micro"] = decision.local_micro
            folded["explored"] = decision.explored
            # What the attempt before it came to is no longer so.
            folded |= {"level": decision.level, "verdict": "", "score_ppm": None, "checks": (), "done_ppm": 0}
            # Of the decision, not of the price: waiting, risk and verification have their cost too.
            folded["saving_micro"] = decision.saving_micro if decision.choice == "outsource" else None
        case "progress":
            folded["done_ppm"] = event.done_ppm or 0
        case "input_required":
            folded["question"] = event.question
        case "fell_back":
            folded["tried"] = (*folded["tried"], event.text)
        case "verified":
            folded |= {"level": event.level, "verdict": event.verdict, "score_ppm": event.score_ppm}
            folded["checks"] = event.checks
        case "receipt" if event.receipt is not None and event.receipt.countersigned:
            folded["receipt"] = event.receipt.id
            folded["journal_height"] = event.receipt.journal_height
        case "completed" | "failed" | "cancelled" | "rejected":
            folded["cost_micro"] = event.cost_micro
        case _:
            pass
