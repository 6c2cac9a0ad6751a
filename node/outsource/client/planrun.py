"""Running a plan: each step as soon as what it needs is there, independent ones at the same time.

The budget is split evenly over the steps that are work, so that their sum never exceeds it; the deadline is
one for all. Only so many steps run at once: more would only wait, and each that runs looks at the whole market. The
first step that fails ends the plan: the others are cancelled, and the error names the step.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from node.errors import DeadlineError, NodeError
from node.outsource.client.outcome import Done
from node.tasks.content import Content, File, assemble
from node.tasks.plan import Plan, Step, merge
from node.tasks.spec import Wishes, digest

PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Share:
    """What one step may use: its part of the budget, and the time that is left."""

    budget_micro: int
    deadline_s: float


RunStep = Callable[[Step, Content, Share], Awaitable[Done]]
Report = Callable[[str, int], Awaitable[None]]


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
    loop = asyncio.get_running_loop()
    ends = loop.time() + wishes.deadline_s
    by_name = {file.name: file for file in files}
    finished: dict[str, asyncio.Future[Done]] = {step.name: loop.create_future() for step in plan.step}
    budget_micro = wishes.budget_micro // max(1, plan.paid_steps)
    places = asyncio.Semaphore(max_steps_at_once)

    async def one(step: Step) -> None:
        needed = {name: await finished[name] for name in step.needs}
        if step.merge:
            parts = tuple((name, done.content) for name, done in needed.items())
            done = Done(merge(parts), cost_micro=0, paid_micro=0)
        else:
            handed = tuple(by_name[name] for name in step.files)
            earlier = tuple(File(name, done.content.media_type, done.content.data) for name, done in needed.items())
            content = assemble(step.text, handed + earlier, max_input_bytes)
            async with places:
                done = await run_step(step, content, Share(budget_micro, max(0.001, ends - loop.time())))
        finished[step.name].set_result(done)
        await report(step.name, PPM * sum(future.done() for future in finished.values()) // len(finished))

    try:
        async with asyncio.timeout_at(ends), asyncio.TaskGroup() as group:
            for step in plan.step:
                group.create_task(_named(step, one))
    except TimeoutError as error:
        late = ", ".join(name for name, future in finished.items() if not future.done())
        raise DeadlineError(f"the plan's deadline of {wishes.deadline_s:g} s has passed before: {late}") from error
    except BaseExceptionGroup as failures:
        raise _first(failures) from failures
    return _outcome(plan, {name: future.result() for name, future in finished.items()})


async def _named(step: Step, work: Callable[[Step], Awaitable[None]]) -> None:
    """Say in the error which step it was."""
    try:
        await work(step)
    except NodeError as error:
        error.args = (f"step {step.name!r}: {error}",)
        raise


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first step's own error: the others were cancelled because of it."""
    inner = failures.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _outcome(plan: Plan, done: dict[str, Done]) -> Done:
    needed = {name for step in plan.step for name in step.needs}
    last = [step.name for step in plan.step if step.name not in needed]
    content = done[last[0]].content if len(last) == 1 else merge(tuple((name, done[name].content) for name in last))
    return Done(
        content,
        cost_micro=sum(one.cost_micro for one in done.values()),
        paid_micro=sum(one.paid_micro for one in done.values()),
    )
