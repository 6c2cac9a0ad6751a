"""Hire or run from Python, through the node on this machine. Imports none of the node's own packages.

import coalesced

async with coalesced.connect() as node:
    answer = await node.ask("sentiment", "Margins held up well.", budget=0.01)
    print(answer.text, answer.cost, answer.why)

with coalesced.connect() as node:
    answer = node.ask("sentiment", "Margins held up well.", budget=0.01)
"""

import asyncio
import inspect
import os
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from json import dumps, loads
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from coalesced.cli.escape import escaped_block
from coalesced.cli.explain import headline, sentences
from coalesced.cli.units import MICRO
from coalesced.control import shapes
from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError, LostDaemonError, NoDaemonError
from coalesced.control.inputs import kept_environment
from coalesced.options import Dollars, PlanStep, TaskOptions, micro_or_none, request_of
from coalesced.paths import find_paths
from coalesced.skill import allowance

__all__ = [
    "Answer",
    "ControlError",
    "LostDaemonError",
    "NoDaemonError",
    "Node",
    "PlanStep",
    "SyncNode",
    "TaskFailedError",
    "TaskOptions",
    "connect",
]

LEAST_TIME_S = 0.001
ENDINGS = frozenset({"completed", "failed", "cancelled", "rejected"})


class TaskFailedError(ControlError):
    """The task ended without an answer; `task` says how."""

    def __init__(self, task: shapes.Task) -> None:
        error = task["error"] or {"code": task["state"], "text": f"the task was {task['state']}", "exit_code": 1}
        super().__init__(error["code"], error["text"], error["exit_code"])
        # It may quote a seller, and an exception that nobody catches is printed on a terminal.
        self.args = (escaped_block(error["text"]),)
        self.task = task


@dataclass(frozen=True, slots=True)
class Answer:
    """A completed task's result, and what it took."""

    data: bytes
    media_type: str
    task: shapes.Task
    decision: shapes.Decision | None
    """None for a plan: each of its subtasks was decided by itself."""
    receipt: shapes.Receipt | None
    """None for work that was done here: nobody else signs it."""
    plan: shapes.Plan | None = None
    """Who planned it, how and at which cost; None for what was no plan."""
    steps: Sequence[shapes.Step] = ()
    """A plan's graph: what ran where, at which cost."""

    @property
    def text(self) -> str:
        """The result as UTF-8; UnicodeDecodeError when it is not text."""
        return self.data.decode()

    def json(self) -> Any:
        """The result as the JSON value that it is; ValueError when it is none."""
        return loads(self.data)

    @property
    def cost(self) -> Decimal:
        """What it cost, in dollars."""
        return Decimal(self.task["cost_micro"] or 0) / MICRO

    @property
    def saving(self) -> Decimal:
        """What was saved against doing it here, in dollars; negative when it would have been cheaper here."""
        return Decimal(self.task["saving_micro"] or 0) / MICRO

    @property
    def why(self) -> str:
        """The decision and its reasons, in sentences."""
        return "" if self.decision is None else f"{headline(self.decision)} {sentences(self.decision)}"


class Node:
    """The node on this machine. Everything that it can do beyond this class is on `control`.

    Open it with `async with`; in a program without an event loop with `with`, which gives a `SyncNode`.
    """

    def __init__(self, control: ControlClient) -> None:
        self.control = control
        self._sync: SyncNode | None = None

    def __enter__(self) -> "SyncNode":
        self._sync = SyncNode(self)
        return self._sync

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sync is not None:
            self._sync.close()

    async def __aenter__(self) -> Self:
        await self.control.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.control.__aexit__(kind, error, trace)

    async def ask(self, skill: str, text: str = "", **options: Unpack[TaskOptions]) -> Answer:
        """Have a task done and wait for it; TaskFailedError when it ends without an answer.

        Cancelling this coroutine leaves the task running: give it `deadline_s`, or cancel it by id.
        """
        task_id = ""
        async with aclosing(self.stream(skill, text, **options)) as events:
            async for event in events:
                task_id = event["task_id"]
        if not task_id:
            raise LostDaemonError("the daemon sent no events")
        task = await self.control.task(task_id)
        if task["state"] != "completed":
            raise TaskFailedError(task)
        data, media_type = await self.control.result(task["id"])
        why = await self.control.why(task["id"])
        return Answer(data, media_type, task, why["decision"], why["receipt"], why["plan"], why["steps"])

    def stream(self, skill: str, text: str = "", **options: Unpack[TaskOptions]) -> AsyncGenerator[shapes.Event]:
        """The events of a task, the last with its outcome. Leaving early does not cancel it."""
        return _handed_on(self.control, request_of(skill, text, options))

    async def decide(self, skill: str, text: str = "", **options: Unpack[TaskOptions]) -> shapes.Decision:
        """What `ask` would decide now; nothing is done."""
        return await self.control.decide(request_of(skill, text, options))

    async def find(self, skill: str, *, max_price: Dollars | None = None) -> list[shapes.SellerRow]:
        """Who sells `skill`, asked of the network now."""
        return (await self.control.find_skill(skill, max_price_micro=micro_or_none(max_price)))["sellers"]

    async def plan(self, goal: str | Sequence[PlanStep], **options: Unpack[TaskOptions]) -> Answer:
        """Have a goal done in steps, each decided by itself within one budget; the result of the last.

        A goal in words is divided as the option `by` says: "model", "rule", or "auto", which takes the model where the
        node has one. Steps are done as they stand: what a step `needs` becomes files of its input; `files` of the
        options are read here and named in its `files`.
        """
        if isinstance(goal, str):
            wanted: TaskOptions = {"by": "auto", **options}
            return await self.ask(goal, **wanted)
        asked: TaskOptions = {**options, "plan": dumps({"step": list(goal)})}
        return await self.ask("plan", **asked)

    async def sell(
        self, function: Callable[..., Any], *, label: str | None = None, price: Dollars | None = None
    ) -> shapes.Offer:
        """Sell a typed function, best marked with `@skill`: it runs in processes of its own, also after this one ends.

        It must stand in a module, where it is found by name; ValueError otherwise. `price` is dollars per work unit.
        """
        directory, target = located(function)
        request: shapes.SellRequest = {
            "target": target,
            "label": label,
            "price_micro": micro_or_none(price),
            "directory": str(directory),
            "environment": kept_environment(os.environ),
        }
        return await self.control.sell(request)


class SyncNode:
    """The same node for programs without an event loop: every call waits for its answer. ^C cancels the call."""

    def __init__(self, node: Node) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("an event loop runs here: open the node with `async with`, and await its calls")
        self._node = node
        self._runner = asyncio.Runner()
        self._runner.run(node.__aenter__())

    def close(self) -> None:
        """Close the connection."""
        try:
            self._runner.run(self._node.__aexit__(None, None, None))
        finally:
            self._runner.close()

    def ask(self, skill: str, text: str = "", **options: Unpack[TaskOptions]) -> Answer:
        """See Node.ask."""
        return self._runner.run(self._node.ask(skill, text, **options))

    def stream(self, skill: str, text: str = "", **options: Unpack[TaskOptions]) -> Generator[shapes.Event]:
        """See Node.stream."""
        events = self._node.stream(skill, text, **options)

        async def following() -> shapes.Event | None:
            return await anext(events, None)

        try:
            while (event := self._runner.run(following())) is not None:
                yield event
        finally:
            self._runner.run(events.aclose())

    def decide(self, skill: str, text: str = "", **options: Unpack[TaskOptions]) -> shapes.Decision:
        """See Node.decide."""
        return self._runner.run(self._node.decide(skill, text, **options))

    def find(self, skill: str, *, max_price: Dollars | None = None) -> list[shapes.SellerRow]:
        """See Node.find."""
        return self._runner.run(self._node.find(skill, max_price=max_price))

    def plan(self, goal: str | Sequence[PlanStep], **options: Unpack[TaskOptions]) -> Answer:
        """See Node.plan."""
        return self._runner.run(self._node.plan(goal, **options))

    def sell(
        self, function: Callable[..., Any], *, label: str | None = None, price: Dollars | None = None
    ) -> shapes.Offer:
        """See Node.sell."""
        return self._runner.run(self._node.sell(function, label=label, price=price))


def connect(home: str | Path | None = None) -> Node:
    """The node whose directory is `home` (COALESCED_HOME, else the user's own), for `async with` or `with`."""
    paths = find_paths(Path(home) if home is not None else None, environ=os.environ)
    return Node(ControlClient(paths.socket))


def located(function: Callable[..., Any]) -> tuple[Path, str]:
    """The directory and the `module:name` by which a function is imported; ValueError when it cannot be."""
    name = getattr(function, "__qualname__", "")
    module = inspect.getmodule(function)
    file = getattr(module, "__file__", None)
    if module is None or file is None or not name.isidentifier():
        raise ValueError(f"{name or function!r} cannot be sold: it must be a function at the top of a module's file")
    if module.__name__ == "__main__":
        return Path(file).resolve().parent, f"{Path(file).stem}:{name}"
    above = module.__name__.count(".") + (Path(file).name == "__init__.py")
    return Path(file).resolve().parents[above], f"{module.__name__}:{name}"


async def _handed_on(control: ControlClient, request: shapes.AskRequest) -> AsyncGenerator[shapes.Event]:
    """A task's events. Inside a running skill it gets no more than that has left of its time and money."""
    allowed = allowance()
    if allowed is None:
        async with aclosing(control.ask(request)) as events:
            async for event in events:
                yield event
        return
    held = paid = allowed.take(request.get("budget_micro"))
    try:
        left_s = max(LEAST_TIME_S, allowed.left_s)
        deadline_s = min(request.get("deadline_s") or left_s, left_s)
        async with aclosing(control.ask({**request, "budget_micro": held, "deadline_s": deadline_s})) as events:
            async for event in events:
                if event["name"] in ENDINGS and event["task"] is not None:
                    paid = min(held, _paid_micro(event["task"]))
                yield event
    finally:
        # Of one that was left early nothing is known: it may still spend all that it was given.
        allowed.give_back(held, paid)


def _paid_micro(task: shapes.Task) -> int:
    """What an ended task spent at most; work of this node's own is nobody's pay."""
    is_own = task["state"] == "completed" and task["choice"] == "local" and not task["subtasks"]
    return 0 if is_own else task["cost_micro"] or 0
