"""Running a plan: each step as soon as what it needs is there, independent ones at the same time.

Budget and deadline are split over the graph (node/tasks/purse.py, `chain_lengths`): neither is exceeded in sum. Only so
many steps run at once: more would only wait, and each that runs looks at the whole market. A step that fails is tried
again within its share; then, unless it is optional, it ends the plan: the others are cancelled, and the error names the
step. What an optional one would have led to is left out. A step on input that nobody verified is verified itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from node.errors import DeadlineError, NodeError, NoOfferError, RefusedError, UsageError
from node.outsource.client.outcome import Done
from node.outsource.client.running import StepCancelledError
from node.tasks.content import Content, File, assemble
from node.tasks.plan import Origin, Part, Plan, Step, chain_lengths, merge, resting_on
from node.tasks.purse import Purse
from node.tasks.spec import Wishes, digest
from protocol.specification import Level

PPM = 1_000_000
LEAST_TIME_S: Final = 0.001
FINAL: Final = (UsageError, RefusedError, NoOfferError, StepCancelledError)
"""What a second attempt would end in as well, or what its owner wanted."""
LEVELS: Final[tuple[Level, ...]] = ("none", "cheap", "full", "redundant")
UNVERIFIED_LEVEL: Final[Level] = "cheap"
"""The least that is checked of what was made of something that nobody checked."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one step may use: its part of the budget and of the time, and how much of it is verified at least."""

    budget_micro: int
    deadline_s: float
    least_level: Level


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step's result, and who made it."""

    done: Done
    origin: Origin


@dataclass(frozen=True, slots=True)
class StepLost:
    """A step that gave nothing, which its plan does without."""

    text: str


Ended = StepDone | StepLost
RunStep = Callable[[Step, Content, Share], Awaitable[StepDone]]
Report = Callable[[str, int], Awaitable[None]]
"""What happened, and how far the plan is."""
NOBODY: Final = Origin("")


def plan_content(plan: Plan, files: tuple[File, ...]) -> Content:
    """A plan as the input of the task that it is: its steps, and the digests of the files that they read."""
    digests = {file.name: digest(file.data).hex() for file in files}
    return Content("application/json", msgspec.json.encode({"step": plan.step, "files": digests}))


async def run_plan(
    plan: Plan,
    files: tuple[File, ...],
    wishes: Wishes,
    *,
    max_input_bytes: int,
    max_steps_at_once: int,
    run_step: RunStep,
    report: Report,
) -> Done:
    """Run every step; the result of the steps that no other needs, merged when there are several."""
    run = _Run(plan, files, wishes, max_input_bytes, max_steps_at_once, run_step, report)
    return await run.to_its_end()


class _Run:
    """One plan under way."""

    def __init__(
        self,
        plan: Plan,
        files: tuple[File, ...],
        wishes: Wishes,
        max_input_bytes: int,
        max_steps_at_once: int,
        run_step: RunStep,
        report: Report,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._plan = plan
        self._wishes = wishes
        self._max_input_bytes = max_input_bytes
        self._run_step = run_step
        self._report = report
        self._ends = loop.time() + wishes.deadline_s
        self._files = {file.name: file for file in files}
        self._chains = chain_lengths(plan)
        self._purse = purse_of(plan, wishes.budget_micro)
        self._places = asyncio.Semaphore(max_steps_at_once)
        self._ended: dict[str, asyncio.Future[Ended]] = {step.name: loop.create_future() for step in plan.step}

    async def to_its_end(self) -> Done:
        try:
            async with asyncio.timeout_at(self._ends), asyncio.TaskGroup() as group:
                for step in self._plan.step:
                    group.create_task(self._step(step))
        except TimeoutError as error:
            late = ", ".join(name for name, future in self._ended.items() if not future.done())
            said = f"the plan's deadline of {self._wishes.deadline_s:g} s has passed before: {late}"
            raise DeadlineError(said) from error
        except BaseExceptionGroup as failures:
            raise _first(failures) from failures
        done = _outcome(self._plan, {name: future.result() for name, future in self._ended.items()})
        # What attempts cost that gave nothing is the plan's all the same.
        return replace(done, cost_micro=done.cost_micro + self._purse.spent_micro - done.spent_micro)

    async def _step(self, step: Step) -> None:
        """One step from its needs to its end; the first error of one that is not optional ends the plan."""
        needed = {name: await self._ended[name] for name in step.needs}
        try:
            ended = await self._carried_out(step, needed)
        except NodeError as error:
            if not step.optional:
                error.args = (f"step {step.name!r}: {error}",)
                raise
            ended = StepLost(str(error))
        self._ended[step.name].set_result(ended)
        count = sum(future.done() for future in self._ended.values())
        said = f"{step.name} is done" if isinstance(ended, StepDone) else f"{step.name} is left out: {ended.text}"
        await self._report(said, PPM * count // len(self._ended))

    async def _carried_out(self, step: Step, needed: dict[str, Ended]) -> Ended:
        there = {name: one for name, one in needed.items() if isinstance(one, StepDone)}
        lost = [name for name in needed if name not in there]
        if step.merge:
            return _merged(step.needs, needed) if there else StepLost(f"nothing of {', '.join(lost)} is there")
        if lost:
            self._purse.skip(step.name)
            return StepLost(f"it needs {lost[0]}")
        earlier = tuple(File(name, one.done.content.media_type, one.done.content.data) for name, one in there.items())
        handed = tuple(self._files[name] for name in step.files)
        content = assemble(step.text, handed + earlier, self._max_input_bytes)
        above = {name: one.origin for name, one in there.items()}
        async with self._places:
            # Its needs are there: what it may take now leaves as much to each of those that wait for it.
            until = self._loop.time() + max(0.0, self._ends - self._loop.time()) / self._chains[step.name]
            made = await self._tried(step, content, self._least_level(step, above), until)
        return StepDone(made.done, resting_on(replace(made.origin, files=step.files), above))

    def _least_level(self, step: Step, above: dict[str, Origin]) -> Level:
        """The highest of what the plan asks for, what the step asks for, and what its input makes necessary."""
        is_shaky = any(not one.is_verified or one.rests_on for one in above.values())
        asked = (self._wishes.least_level, step.least_level, UNVERIFIED_LEVEL if is_shaky else "none")
        return max(asked, key=LEVELS.index)

    async def _tried(self, step: Step, content: Content, level: Level, until: float) -> StepDone:
        """The step's work, again where that may help, for what failed attempts have left of its share."""
        for attempt in range(step.retries + 1):
            budget_micro = self._purse.take(step.name)
            spent_micro, is_over = 0, True
            try:
                share = Share(budget_micro, max(LEAST_TIME_S, until - self._loop.time()), level)
                made = await self._run_step(step, content, share)
                spent_micro = made.done.spent_micro
            except NodeError as error:
                spent_micro = error.spent_micro
                is_over = attempt == step.retries or isinstance(error, FINAL) or self._loop.time() >= until
                if is_over:
                    raise
                await self._report(f"{step.name} is tried again: {error}", self._done_ppm())
            else:
                return made
            finally:
                self._purse.give_back(step.name, spent_micro, is_over=is_over)
        raise AssertionError("the last attempt ends in a result or an error")

    def _done_ppm(self) -> int:
        return PPM * sum(future.done() for future in self._ended.values()) // len(self._ended)


def purse_of(plan: Plan, budget_micro: int) -> Purse:
    """The plan's budget, split; UsageError when its steps' own budgets come to more."""
    return Purse(budget_micro, {step.name: step.budget_micro for step in plan.step if not step.merge})


def _merged(names: tuple[str, ...], needed: dict[str, Ended]) -> StepDone:
    """A merge: no work, no cost; as good as the worst of its parts."""
    parts, origins = list[Part](), dict[str, Origin]()
    for name in names:
        match needed[name]:
            case StepDone() as one:
                parts.append(Part(name, one.done.content, one.origin))
                origins[name] = one.origin
            case StepLost(text):
                parts.append(Part(name, None, NOBODY, text))
    inherited = resting_on(Origin("merge"), origins)
    least_ppm = min(one.success_ppm for one in origins.values())
    # Its parts stand beside each other: one that is wrong does not make the others so.
    return StepDone(Done(merge(parts), cost_micro=0, paid_micro=0), replace(inherited, success_ppm=least_ppm))


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first step's own error: the others were cancelled because of it."""
    inner = failures.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _outcome(plan: Plan, ended: dict[str, Ended]) -> Done:
    needed = {name for step in plan.step for name in step.needs}
    last = tuple(step.name for step in plan.step if step.name not in needed)
    done = {name: one.done for name, one in ended.items() if isinstance(one, StepDone)}
    if not any(name in done for name in last):
        why = "; ".join(f"{name}: {one.text}" for name in last if isinstance(one := ended[name], StepLost))
        raise NodeError(f"the plan has no result: {why}")
    content = done[last[0]].content if len(last) == 1 else _merged(last, ended).done.content
    return Done(
        content,
        cost_micro=sum(one.cost_micro for one in done.values()),
        paid_micro=sum(one.paid_micro for one in done.values()),
        charged_micro=sum(one.charged_micro for one in done.values()),
    )
