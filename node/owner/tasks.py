"""The owner's view of tasks: what runs, what ran, and why it ran where it did."""

from collections.abc import AsyncIterator, Sequence

from node.daemon import Parts
from node.errors import NodeError, NoOfferError
from node.outsource.client.plancourse import PLAN_SKILL
from node.outsource.taskview import task_view
from node.owner.names import find_task
from node.owner.plangraph import given, record_of, steps_of
from node.owner.records import Records
from node.skills.labels import nearest
from node.store.blobs import BlobUse
from node.store.tasks import TaskRow
from node.tasks.lifecycle import TaskState
from node.views import (
    AskRequest,
    DecisionView,
    EventView,
    PlanView,
    ReplayView,
    TasksView,
    TaskView,
    TimelineRow,
    WhyView,
)

QUIET = frozenset({"progress"})
"""Events that a timeline leaves out: there may be hundreds."""


class TaskDesk:
    """Tasks of both roles."""

    def __init__(self, parts: Parts, records: Records) -> None:
        self._parts = parts
        self._records = records

    async def ask(self, request: AskRequest) -> AsyncIterator[EventView]:
        """Take on a task and tell its course to the end; leaving does not cancel it."""
        task_id = await self._parts.client.submit(request)
        async for event in self._parts.tasks.watch(task_id):
            yield event

    async def decide(self, request: AskRequest) -> DecisionView:
        """What `ask` would decide now; for a label that nobody knows, the NoOfferError that `ask` ends with."""
        decision = await self._parts.client.decide(request)
        known = [skill.label for skill in self._parts.executor.skills]
        has_sellers = any(option.name != "local" for option in decision.options) or decision.no_offers
        if decision.choice == "none" and not has_sellers and decision.skill not in known:
            near = nearest(decision.skill, known)
            text = decision.reasons[0].rstrip(".")
            raise NoOfferError(f"{text}; did you mean {' or '.join(near)}?" if near else text)
        return decision

    async def listed(self, *, limit: int, state: TaskState | None) -> TasksView:
        """The latest tasks first."""
        states = (state,) if state else ()
        rows = await self._parts.store.tasks.select(states=states, limit=limit)
        return TasksView(tasks=tuple([await self._view(row) for row in rows]))

    async def _view(self, row: TaskRow) -> TaskView:
        return task_view(row, await self._parts.tasks.events(row.task_id))

    async def one(self, text: str) -> TaskView:
        """One task as it stands."""
        return await self._parts.tasks.view((await self._row(text)).task_id)

    async def watch(self, text: str) -> AsyncIterator[EventView]:
        """A task's log, from its beginning to its end."""
        async for event in self._parts.tasks.watch((await self._row(text)).task_id):
            yield event

    async def cancel(self, text: str) -> TaskView:
        """End a task now."""
        return await self._parts.client.cancel((await self._row(text)).task_id)

    async def answer(self, text: str, answer: str) -> TaskView:
        """Answer the question that a task waits with."""
        return await self._parts.client.answer((await self._row(text)).task_id, answer)

    async def result(self, text: str) -> tuple[bytes, str]:
        """The stored result and its media type."""
        content = await self._parts.client.result((await self._row(text)).task_id)
        return content.data, content.media_type

    async def why(self, text: str) -> WhyView:
        """Everything about one task on one screen: its last decision, what was tried, what happened when."""
        row = await self._row(text)
        events = await self._parts.tasks.events(row.task_id)
        view = await self._parts.tasks.view(row.task_id)
        rows = await self._parts.store.tasks.select(parent_id=row.task_id, limit=1000)
        children = [(child, await self._view(child)) for child in reversed(rows)]
        plan = await self._plan(row, has_steps=any(child.node_name is not None for child, _ in children))
        return WhyView(
            task=view,
            decision=_last_decision(events),
            timeline=tuple(
                TimelineRow(after_s=(event.at_unix_ms - row.created_unix_ms) / 1000, name=event.name, text=event.text)
                for event in events
                if event.name not in QUIET
            ),
            tried=view.tried,
            receipt=await self._records.receipt_of(row),
            subtasks=tuple(view for _, view in children),
            steps=steps_of(plan, children) if children or plan is not None else (),
            plan=plan,
        )

    async def replay(self, text: str, *, number: int | None, what_if: Sequence[str]) -> ReplayView:
        """A stored decision of a task, made again."""
        return await self._parts.client.replay((await self._row(text)).task_id, number, what_if)

    async def _plan(self, row: TaskRow, *, has_steps: bool) -> PlanView | None:
        """The record of a task that is a plan; None for any other, and for one that is not kept any more."""
        uses = {use.part: use for use in await self._parts.store.blobs.of_task(row.task_id)}
        if "plan" in uses:
            return record_of(await self._kept(uses["plan"]))
        if not has_steps and row.skill != PLAN_SKILL:
            return None
        return given(await self._kept(uses.get("input")), by_rule=row.skill != PLAN_SKILL)

    async def _kept(self, use: BlobUse | None) -> bytes | None:
        """A stored content; None when it is not kept any more."""
        try:
            return None if use is None else await self._parts.store.blobs.get(use.sha256)
        except NodeError:
            return None

    async def _row(self, text: str) -> TaskRow:
        return await find_task(self._parts.store.tasks, text)


def _last_decision(events: tuple[EventView, ...]) -> DecisionView | None:
    """The decision that the outcome rests on; earlier ones are in the timeline."""
    made = [event.decision for event in events if event.decision is not None]
    return made[-1] if made else None
