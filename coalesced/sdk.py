"""Hire or run from Python, through the node on this machine. Imports none of the node's own packages.

import coalesced

async with coalesced.connect() as node:
    answer = await node.ask("sentiment", "Margins held up well.", budget=0.01)
    print(answer.text, answer.cost, answer.why)
"""

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict, Unpack

from coalesced.cli.explain import headline, sentences
from coalesced.cli.units import MICRO, parse_money
from coalesced.control import shapes
from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError, LostDaemonError, NoDaemonError
from coalesced.control.inputs import read_files
from coalesced.paths import find_paths

__all__ = ["Answer", "ControlError", "LostDaemonError", "NoDaemonError", "Node", "TaskFailedError", "connect"]

Dollars = float | str | Decimal
"""An amount in dollars, at most to the micro-dollar; a float is taken as it prints."""


class TaskOptions(TypedDict, total=False):
    """What may be said about a task; what is left out is taken from the node's configuration."""

    files: Sequence[str | Path]
    budget: Dollars
    value: Dollars
    deadline_s: float
    prefer: str
    privacy: str
    regions: Sequence[str]
    effort: str
    least_level: str
    min_score: float
    idempotency_key: str
    plan: str
    split: bool


class TaskFailedError(ControlError):
    """The task ended without an answer; `task` says how."""

    def __init__(self, task: shapes.Task) -> None:
        error = task["error"] or {"code": task["state"], "text": f"the task was {task['state']}", "exit_code": 1}
        super().__init__(error["code"], error["text"], error["exit_code"])
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

    @property
    def text(self) -> str:
        """The result as UTF-8; UnicodeDecodeError when it is not text."""
        return self.data.decode()

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
    """The node on this machine. Everything that it can do beyond this class is on `control`."""

    def __init__(self, control: ControlClient) -> None:
        self.control = control

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
        return Answer(data, media_type, task, why["decision"], why["receipt"])

    def stream(self, skill: str, text: str = "", **options: Unpack[TaskOptions]) -> AsyncGenerator[shapes.Event]:
        """The events of a task, the last with its outcome. Leaving early does not cancel it."""
        return self.control.ask(_request(skill, text, options))

    async def decide(self, skill: str, text: str = "", **options: Unpack[TaskOptions]) -> shapes.Decision:
        """What `ask` would decide now; nothing is done."""
        return await self.control.decide(_request(skill, text, options))

    async def find(self, skill: str, *, max_price: Dollars | None = None) -> list[shapes.SellerRow]:
        """Who sells `skill`, asked of the network now."""
        limit = None if max_price is None else parse_money(str(max_price))
        return (await self.control.find_skill(skill, max_price_micro=limit))["sellers"]


def connect(home: str | Path | None = None) -> Node:
    """The node whose directory is `home` (COALESCED_HOME, else the user's own). Open it with `async with`."""
    paths = find_paths(Path(home) if home is not None else None, environ=os.environ)
    return Node(ControlClient(paths.socket))


def _request(skill: str, text: str, options: TaskOptions) -> shapes.AskRequest:
    least_score = options.get("min_score")
    request: shapes.AskRequest = {
        "skill": skill,
        "text": text,
        "files": read_files(options.get("files", ())),
        "budget_micro": _micro(options.get("budget")),
        "value_micro": _micro(options.get("value")),
        "deadline_s": options.get("deadline_s"),
        "prefer": options.get("prefer", "auto"),
        "privacy": options.get("privacy"),
        "regions": list(options.get("regions", ())),
        "effort": options.get("effort"),
        "least_level": options.get("least_level"),
        "min_score_ppm": None if least_score is None else round(least_score * 1_000_000),
        "idempotency_key": options.get("idempotency_key", ""),
        "plan": options.get("plan", ""),
        "split": options.get("split", False),
    }
    return request


def _micro(amount: Dollars | None) -> int | None:
    # Through text: 0.1 means a tenth, not the binary fraction next to it.
    return None if amount is None else parse_money(format(Decimal(str(amount)), "f"))
