"""A plan's graph as it stands: what of it ran where, at which cost, and on what that rests. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from node.outsource.taskview import plan_in, planned, step_view
from node.store.tasks import TaskRow
from node.tasks.plan import Plan, Step, order
from node.views import PlanView, StepView, TaskView

LEFT_OUT = "left out"


def steps_of(plan: PlanView | None, children: Sequence[tuple[TaskRow, TaskView]]) -> tuple[StepView, ...]:
    """Every step of a plan, those first that others need; without the plan only those that have begun.

    A step that was tried again stands once, as its last attempt stands.
    """
    last = {row.node_name: (view, row.price_micro) for row, view in children if row.node_name is not None}
    if plan is None:
        return tuple(step_view(Step(name=name, skill=view.skill), view, price) for name, (view, price) in last.items())
    made: dict[str, StepView] = {}
    for step in (step for wave in order(plan_in(plan)) for step in wave):
        shown = step_view(step, *last[step.name]) if step.name in last else _untaken(step, made)
        made[step.name] = msgspec.structs.replace(shown, rests_on=_rests_on(step, made))
    return tuple(made.values())


def record_of(kept: bytes | None) -> PlanView | None:
    """The record that was kept when a plan was made of a goal."""
    try:
        return None if kept is None else msgspec.json.decode(kept, type=PlanView)
    except msgspec.MsgspecError:
        return None


def given(plan_input: bytes | None, *, by_rule: bool) -> PlanView | None:
    """The record of a plan that was handed over whole, or of one task a document (planrun.plan_content)."""
    if plan_input is None:
        return None
    try:
        steps = msgspec.convert({"step": msgspec.json.decode(plan_input)["step"]}, Plan)
    except (msgspec.MsgspecError, KeyError, TypeError):
        return None
    return PlanView(made_by="rule" if by_rule else "file", step=planned(steps))


def _untaken(step: Step, above: Mapping[str, StepView]) -> StepView:
    """How a step stands that is no task: a merge never is one; another has not begun, or never will."""
    ended = {above[need].state for need in step.needs}
    if step.merge and "completed" in ended and ended <= {"completed", "failed", LEFT_OUT}:
        state = "completed"
    else:
        state = LEFT_OUT if ended & {"failed", LEFT_OUT} and not step.merge else "waiting"
    return StepView(name=step.name, needs=step.needs, skill=step.skill or "", state=state)


def _rests_on(step: Step, above: Mapping[str, StepView]) -> tuple[str, ...]:
    """The steps on whose unverified results this one's rests, as node/tasks/plan.py carries them along the edges."""
    found: list[str] = []
    for name in step.needs:
        need = above[name]
        found += need.rests_on
        is_hired = bool(need.skill) and need.by not in ("", "this node")
        if is_hired and need.state == "completed" and (need.level in ("", "none") or need.verdict != "accepted"):
            found.append(name)
    return tuple(dict.fromkeys(found))
