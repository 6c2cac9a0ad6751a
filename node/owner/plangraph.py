"""A plan's graph as it stands: what of it ran where, at which cost. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from node.errors import UsageError
from node.store.tasks import TaskRow
from node.tasks.plan import Plan, Step, order
from node.views import TaskView
from node.views.tasks import StepView

LEFT_OUT = "left out"


def steps_of(plan_input: bytes | None, children: Sequence[tuple[TaskRow, TaskView]]) -> tuple[StepView, ...]:
    """Every step of a plan, those first that others need; without its input only those that have begun.

    A step that was tried again stands once, as its last attempt stands.
    """
    last = {row.node_name: view for row, view in children if row.node_name is not None}
    plan = _plan(plan_input)
    if plan is None:
        return tuple(_step(Step(name=name, skill=view.skill), view, {}) for name, view in last.items())
    made: dict[str, StepView] = {}
    for step in (step for wave in order(plan) for step in wave):
        made[step.name] = _step(step, last.get(step.name), made)
    return tuple(made.values())


def _plan(plan_input: bytes | None) -> Plan | None:
    """The plan in a plan task's stored input (planrun.plan_content); None when it is not kept any more."""
    if plan_input is None:
        return None
    try:
        return msgspec.convert({"step": msgspec.json.decode(plan_input)["step"]}, Plan)
    except (msgspec.MsgspecError, UsageError, KeyError, TypeError):
        return None


def _untaken(step: Step, above: Mapping[str, StepView]) -> str:
    """How a step stands that is no task: a merge never is one; another has not begun, or never will."""
    ended = {above[need].state for need in step.needs}
    if step.merge and "completed" in ended and ended <= {"completed", "failed", LEFT_OUT}:
        return "completed"
    return LEFT_OUT if ended & {"failed", LEFT_OUT} and not step.merge else "waiting"


def _step(step: Step, task: TaskView | None, above: Mapping[str, StepView]) -> StepView:
    if task is None:
        return StepView(name=step.name, needs=step.needs, skill=step.skill or "", state=_untaken(step, above))
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
        cost_micro=task.cost_micro,
        spent_s=spent_s,
    )
