"""The buying role, as its owner uses it: submit, decide, cancel, answer, fetch the result."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import structlog

from node.env import Env
from node.errors import NodeError, UsageError
from node.outsource.checking import Checking
from node.outsource.client.canaries import Canaries
from node.outsource.client.course import Course
from node.outsource.client.finder import Finder
from node.outsource.client.honeytokens import Honeytokens
from node.outsource.client.lives import Lives
from node.outsource.client.outcome import Done
from node.outsource.client.plancourse import PLAN_SKILL, PlanCourse, RunStep, goal_content
from node.outsource.client.planrun import Share, StepDone, plan_content, purse_of
from node.outsource.client.replaying import chosen, replayed
from node.outsource.client.request import (
    NOTHING_KEPT,
    Ask,
    Undisclosed,
    ask_of,
    bounded,
    demand_of,
    files_of,
    of_step,
    only_of,
    plan_of,
    single_content,
    told_of,
    wanted_for,
    wishes_of,
)
from node.outsource.client.running import Running, StepCancelledError
from node.outsource.config import ClientConfig
from node.outsource.delegations import Delegations, Part
from node.outsource.expenses import Expenses
from node.outsource.localwork import LocalWork
from node.outsource.tasklog import TaskLog
from node.outsource.taskview import origin_of
from node.skills.labels import is_label, unknown_label
from node.store.blobs import Blobs
from node.store.tasks import TaskRow, Tasks
from node.tasks.content import Content
from node.tasks.lifecycle import ENDED
from node.tasks.plan import Plan, Step
from node.views import AskRequest, DecisionView, ReplayView, TaskView
from protocol.messages import MAX_ANSWER_CHARS

log = structlog.get_logger()

NO_CONTENT = Content("text/plain", b"")


class Client:
    """Tasks of this node's owner. One instance a node."""

    def __init__(
        self,
        *,
        env: Env,
        config: ClientConfig,
        work: LocalWork,
        checking: Checking,
        finder: Finder,
        course: Course,
        running: Running,
        lives: Lives,
        expenses: Expenses,
        delegations: Delegations,
        log_: TaskLog,
        tasks: Tasks,
        blobs: Blobs,
        canaries: Canaries,
        honeytokens: Honeytokens,
        plans: PlanCourse,
    ) -> None:
        self._env = env
        self._config = config
        self._work = work
        self._checking = checking
        self._finder = finder
        self._course = course
        self._running = running
        self._lives = lives
        self._expenses = expenses
        self._delegations = delegations
        self._log = log_
        self._tasks = tasks
        self._blobs = blobs
        self._canaries = canaries
        self._honeytokens = honeytokens
        self._plans = plans

    # --- what the owner asks

    async def submit(self, request: AskRequest, undisclosed: Undisclosed = NOTHING_KEPT) -> bytes:
        """Take on a task, or find the one with its idempotency key; the task id. UsageError for a bad request."""
        if request.what_if:
            raise UsageError("what-if changes only a dry run: use `decide`")
        if request.dry_run:
            raise UsageError("a dry run decides and does nothing: use `decide`")
        wanted_micro = wishes_of(request, self._config).budget_micro
        part = self._delegations.part(request.parent, wanted_micro)
        is_begun = False
        try:
            request = request if part is None else bounded(request, part, self._config)
            task_id, is_begun = await self._taken_on(request, undisclosed, part)
        finally:
            if part is not None and not is_begun:
                part.end(0)
        return task_id

    async def _taken_on(self, request: AskRequest, undisclosed: Undisclosed, part: Part | None) -> tuple[bytes, bool]:
        """The task's id; and whether it has been begun, rather than found. `part`: what it has of a parent's budget."""
        with self._running.room():
            plan = plan_of(request)
            if plan is not None or request.by:
                ask = await self._plan_ask(request, plan)
                course = self._plans.run(ask.task_id, request, plan, self._steps_of(ask.task_id, request))
            else:
                ask = await self._ask(request, request.skill, single_content(request, self._config), plant=True)
                ask = replace(ask, undisclosed=undisclosed)
                course = self._course.run(ask, question=self._lives.question(ask.task_id))
            try:
                parent_id = None if part is None else part.parent_id
                row, is_new = await self._lives.open(ask, request.idempotency_key, parent_id=parent_id)
            except BaseException:
                course.close()
                raise
            if is_new:
                self._running.start(ask.task_id, self._see_through(ask, course, part))
                if part is not None and not part.begin(ask.task_id):
                    self._running.cancel(ask.task_id)
            else:
                course.close()
            return row.task_id, is_new

    async def decide(self, request: AskRequest) -> DecisionView:
        """What would be done, and why: quotes are asked for, nothing is awarded."""
        if request.by or plan_of(request) is not None:
            raise UsageError("a plan is decided subtask by subtask: decide one of its tasks")
        ask = await self._ask(request, request.skill, single_content(request, self._config))
        remaining_s = ask.specification.constraints.deadline_ms / 1000
        surveyed = await self._course.look(ask, remaining_s=remaining_s, is_dry=True)
        return await self._course.explained(surveyed, is_dry=True)

    async def replay(self, task_id: bytes, number: int | None, what_if: Sequence[str]) -> ReplayView:
        """A stored decision, the last or of that number, made again; with something otherwise if asked for."""
        stored = chosen(await self._course.decisions_of(task_id), number, task_id.hex())
        return await self._env.offload(replayed, stored, task_id.hex(), what_if, self._work.rates)

    async def cancel(self, task_id: bytes) -> TaskView:
        """End a task now; its contractor is told. UsageError when it has ended already."""
        # An ended one may still be taking leave of its contractor.
        if (await self._log.view(task_id)).state in ENDED or not self._running.cancel(task_id):
            view = await self._log.view(task_id)
            if view.side == "contractor":
                raise UsageError(f"task {view.id[:8]} is done here for {view.peer}: only its client can cancel it")
            raise UsageError(f"task {view.id[:8]} is {view.state} already")
        async for _ in self._log.watch(task_id):
            pass
        return await self._log.view(task_id)

    async def answer(self, task_id: bytes, text: str) -> TaskView:
        """Answer the question that a task waits with. UsageError when it waits for none, or the answer is too long."""
        if len(text) > MAX_ANSWER_CHARS:
            raise UsageError(f"the answer has {len(text)} characters, over the limit of {MAX_ANSWER_CHARS}: shorten it")
        self._running.answer(task_id, text)
        return await self._log.view(task_id)

    async def result(self, task_id: bytes) -> Content:
        """The stored result; UsageError when there is none, or none any more."""
        row = await self._tasks.get(task_id)
        if row.result_sha256 is None:
            raise UsageError(f"task {task_id.hex()[:8]} is {row.state} and has no result")
        return Content(row.result_media_type or "", await self._blobs.get(row.result_sha256))

    # --- one task

    async def _ask(self, request: AskRequest, skill: str, content: Content, *, plant: bool = False) -> Ask:
        """One task of the request. What is no label is looked for by what it means; UsageError when nothing fits."""
        task_id, wishes = self._env.entropy(16), wishes_of(request, self._config)
        is_secret = wishes.privacy == "secret"
        label, reading = (skill, "") if is_label(skill) else await self._finder.label(skill, is_secret=is_secret)
        content = self._work.as_taken(label, content)
        if plant:
            content = await self._honeytokens.plant(task_id, content, wishes.privacy)
        wanted = wanted_for(request, content)
        self._checking.admit(wanted, wishes.privacy)
        return await ask_of(
            task_id,
            label,
            told_of(label, content, wanted),
            wishes,
            value_micro=request.value_micro,
            prefer=request.prefer,
            policy=request.policy,
            what_if=request.what_if,
            demand=demand_of(request),
            words=skill if reading else "",
            reading=reading,
            only=only_of(request),
            wanted=wanted,
            work=self._work,
        )

    async def _see_through(self, ask: Ask, course: Coroutine[Any, Any, Done], part: Part | None) -> None:
        """A task that nobody waits for: however it ends stands in its row, and the daemon goes on."""
        task_id = ask.task_id
        with self._expenses.kept(task_id, None if part is None else part.parent_id) as account:
            try:
                await self._followed(ask, course)
            finally:
                if part is not None:
                    part.end(account.total_micro)

    async def _followed(self, ask: Ask, course: Coroutine[Any, Any, Done]) -> None:
        task_id = ask.task_id
        try:
            done = await self._lives.settled(task_id, course)
            if done.paid_micro and ask.only is None and (seller := (await self._tasks.get(task_id)).peer) is not None:
                self._canaries.follow(task_id, ask.skill, seller, len(ask.content.data), self._ordered)
        except NodeError as error:
            log.info("task.ended_without_result", task=task_id.hex()[:8], code=error.code)
        except asyncio.CancelledError:
            log.info("task.cancelled", task=task_id.hex()[:8])

    async def _ordered(self, request: AskRequest) -> Content | None:
        """A task of the node's own, seen through; None where it came to no result."""
        row = await self.order(request, NOTHING_KEPT)
        return await self.result(row.task_id) if row.result_sha256 is not None else None

    async def order(self, request: AskRequest, undisclosed: Undisclosed) -> TaskRow:
        """A task of the node's own, seen through to its end, whichever that is."""
        task_id = await self.submit(request, undisclosed)
        async for _ in self._log.watch(task_id):
            pass
        return await self._tasks.get(task_id)

    # --- plans

    def _check_label(self, skill: str) -> None:
        """UsageError, with the nearest labels, for anything that is not a well-formed label."""
        if not is_label(skill):
            raise unknown_label(skill, (known.label for known in self._work.executor.skills))

    def _check_wanted(self, request: AskRequest, step: Step) -> None:
        """UsageError for what a step wants checked and cannot have checked."""
        try:
            privacy = wishes_of(request, self._config).privacy
            self._checking.admit(wanted_for(of_step(request, step), NO_CONTENT), privacy)
        except UsageError as error:
            raise UsageError(f"step {step.name!r}: {error}") from error

    async def _plan_ask(self, request: AskRequest, plan: Plan | None) -> Ask:
        """A plan, or the goal of one, as a task of its own, whose subtasks are decided one by one."""
        wishes = wishes_of(request, self._config)
        if plan is None:
            self._plans.check(request)
            content = goal_content(request)
        else:
            for step in plan.step:
                if step.skill is not None:
                    self._check_label(step.skill)
                    self._check_wanted(request, step)
            purse_of(plan, wishes.budget_micro)
            content = plan_content(plan, files_of(request))
        return await ask_of(
            self._env.entropy(16),
            request.skill if request.split else PLAN_SKILL,
            content,
            wishes,
            value_micro=None,
            prefer=request.prefer,
            work=None,
        )

    def _steps_of(self, parent_id: bytes, request: AskRequest) -> RunStep:
        """How a step of that plan is done: as a task of its own, within its share."""

        async def run_step(step: Step, content: Content, share: Share) -> StepDone:
            assert step.skill is not None
            wishes = replace(
                wishes_of(request, self._config),
                budget_micro=share.budget_micro,
                deadline_s=share.deadline_s,
                least_level=share.least_level,
            )
            content = self._work.as_taken(step.skill, content)
            wanted = wanted_for(of_step(request, step), content)
            self._checking.admit(wanted, wishes.privacy)
            ask = await ask_of(
                self._env.entropy(16),
                step.skill,
                told_of(step.skill, content, wanted),
                wishes,
                value_micro=None,
                prefer=request.prefer,
                policy=request.policy,
                demand=demand_of(request),
                wanted=wanted,
                work=self._work,
            )
            await self._lives.open(ask, parent_id=parent_id, node_name=step.name)
            course = self._course.run(ask, question=self._lives.question(ask.task_id))
            with self._expenses.kept(ask.task_id, parent_id) as account:
                try:
                    with self._running.adopted(ask.task_id):
                        async with self._plans.told(parent_id, step, ask.task_id):
                            done = await self._lives.settled(ask.task_id, course)
                except StepCancelledError as error:
                    error.spent_micro = account.total_micro
                    raise
            return StepDone(done, origin_of(await self._log.view(ask.task_id), await self._log.events(ask.task_id)))

        return run_step
