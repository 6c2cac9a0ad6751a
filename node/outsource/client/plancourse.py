"""The course of a plan's task: the plan made, if there is only a goal; carried out; each change of a step told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from node.background import background
from node.errors import DeadlineError, NodeError, UsageError
from node.outsource.client.finder import Finder
from node.outsource.client.outcome import Done
from node.outsource.client.planrun import Share, StepDone, run_plan
from node.outsource.client.request import files_of, wishes_of
from node.outsource.config import ClientConfig
from node.outsource.expenses import Expenses
from node.outsource.localwork import LocalWork
from node.outsource.tasklog import TaskLog
from node.outsource.taskview import plan_in, step_view
from node.store.blobs import Blobs
from node.tasks.content import Content
from node.tasks.plan import Plan, Step
from node.tasks.spec import Wishes, digest
from node.views import ENDING_EVENTS, AskRequest
from node.views.plans import PlanView
from node.wording import duration, usd

if TYPE_CHECKING:
    from node.outsource.client.planner import Planner

RunStep = Callable[[Step, Content, Share], Awaitable[StepDone]]
PLAN_SKILL: Final = "plan"
"""The label under which a plan itself is listed; its subtasks have skills."""
TOLD_WITHIN_S: Final = 10.0
"""Longer than a watcher takes to look again (tasklog.RECHECK_S): a step's end is told before its plan goes on."""
CHANGES: Final = frozenset({"submitted", "decided", "fell_back", "input_required", *ENDING_EVENTS})
"""Events of a step that change what its plan's graph shows."""


def goal_content(request: AskRequest) -> Content:
    """A goal as the input of the task that it is: its words, and the digests of its files."""
    digests = {file.name: digest(file.data).hex() for file in files_of(request)}
    said = {"goal": request.skill, "text": request.text, "by": request.by, "skills": request.skills, "files": digests}
    return Content("application/json", msgspec.json.encode(said))


class PlanCourse:
    """Takes one plan from its goal or its steps to its end. Holds nothing of a plan: one instance serves all."""

    def __init__(
        self,
        *,
        config: ClientConfig,
        work: LocalWork,
        finder: Finder,
        log_: TaskLog,
        blobs: Blobs,
        expenses: Expenses,
    ) -> None:
        self._config = config
        self._work = work
        self._planner: Planner | None = None
        self._finder = finder
        self._log = log_
        self._blobs = blobs
        self._expenses = expenses

    def check(self, request: AskRequest) -> None:
        """UsageError when a model is asked for and none is named."""
        if request.by == "model" and not self._config.planner:
            raise UsageError(
                "no model makes plans here: put one on sale (coalesced sell --openai URL --model M) and name its label "
                'in the configuration, planner = "llm/M" below [client]; or plan by rule'
            )

    async def run(self, task_id: bytes, request: AskRequest, plan: Plan | None, run_step: RunStep) -> Done:
        """Carry out `plan`, or the one that is made first for the request's goal."""
        await self._log.move(task_id, "working")
        wishes, cost_micro = wishes_of(request, self._config), 0
        if plan is None:
            plan, wishes, cost_micro = await self._planned(task_id, request, wishes)

        async def report(text: str, done_ppm: int) -> None:
            await self._log.note(task_id, "progress", text, done_ppm=done_ppm)

        done = await run_plan(
            plan,
            files_of(request),
            wishes,
            max_input_bytes=self._config.max_input_bytes,
            max_steps_at_once=self._config.max_plan_steps_at_once,
            run_step=run_step,
            report=report,
        )
        return replace(done, cost_micro=done.cost_micro + cost_micro)

    async def _planned(self, task_id: bytes, request: AskRequest, wishes: Wishes) -> tuple[Plan, Wishes, int]:
        """The plan for a goal; what is left for its steps of budget and time; and what making it cost."""
        assert request.by, "a request without a plan asks for one"
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + wishes.deadline_s

        async def report(text: str) -> None:
            await self._log.note(task_id, "progress", text, done_ppm=0)

        # Most nodes only carry out plans that they are given: they need not have it in memory.
        from node.outsource.client.planner import Goal, Planner

        self._planner = self._planner or Planner(self._work, self._config.planner)
        goal = Goal(
            words=request.skill,
            text=request.text,
            files=files_of(request),
            skills=request.skills,
            budget_micro=wishes.budget_micro,
            deadline_s=wishes.deadline_s,
            is_secret=wishes.privacy == "secret",
            max_input_bytes=self._config.max_input_bytes,
        )
        try:
            async with asyncio.timeout_at(ends_s):
                find_label = partial(self._finder.label, is_secret=goal.is_secret)
                made = await self._planner.plan(goal, request.by, find_label=find_label, report=report)
        except TimeoutError as error:
            late = f"the deadline of {wishes.deadline_s:g} s has passed before there was a plan"
            raise DeadlineError(late) from error
        self._expenses.add(task_id, made.cost_micro)
        await self._blobs.put(task_id, "plan", msgspec.json.encode(made), "application/json")
        await self._log.note(task_id, "planned", said(made))
        left_micro = max(0, wishes.budget_micro - made.cost_micro)
        left = replace(wishes, budget_micro=left_micro, deadline_s=max(0.001, ends_s - loop.time()))
        return plan_in(made), left, made.cost_micro

    @asynccontextmanager
    async def told(self, plan_id: bytes, step: Step, task_id: bytes) -> AsyncIterator[None]:
        """Tell in the plan's log how this step, which is that task, changes: until it has ended and that is told.

        Where it is cancelled, its plan is, or fails: nobody waits for more.
        """
        async with background(self._tell(plan_id, step, task_id)) as telling:
            try:
                yield
            except NodeError:
                await asyncio.wait([telling], timeout=TOLD_WITHIN_S)
                raise
            await asyncio.wait([telling], timeout=TOLD_WITHIN_S)

    async def _tell(self, plan_id: bytes, step: Step, task_id: bytes) -> None:
        price_micro = None
        async for event in self._log.watch(task_id):
            if event.decision is not None:
                price_micro = next((one.quoted_micro for one in event.decision.options if one.chosen), None)
            if event.name in CHANGES:
                shown = step_view(step, await self._log.view(task_id), price_micro)
                self._log.tell(plan_id, "step", f"{step.name}: {shown.state}", step=shown)


def said(made: PlanView) -> str:
    """How a plan was made, in one line."""
    spent = f", {usd(made.cost_micro)} in {duration(made.spent_s)}" if made.drafts else ""
    because = f" ({made.why})" if made.why else ""
    match made.made_by:
        case "model":
            how = f"by {made.model}"
        case "repaired":
            how = f"by {made.model}, repaired once{because}"
        case "rule":
            how = f"by rule{because}"
        case "file":
            how = "as given"
    return f"{len(made.step)} steps {how}{spent}"
