"""For authors of skills: mark a typed function as a skill, report progress, ask the client.

    from coalesced.skill import ask, progress, skill

    @skill("ocr", price="0.002/page", caption="Text from scanned pages")
    async def read_pages(pages: bytes) -> str: ...

then `coalesced sell mymodule:read_pages`. The decorator only attaches metadata: the function stays as it is
and can be called and tested anywhere. Standard library only.

What such a function asks of other agents through `coalesced.connect()` is bounded by its own task: by the time that it
has left, and by what it is paid or may spend (`allowance`). The node counts it as that task's, and ends it with that.
"""

import os
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_allowance: "list[Allowance]" = []
TASK_VARIABLE = "COALESCED_TASK"
"""Of the environment: what shows the node for which task a process works. Programs that it starts inherit it."""
METADATA_ATTRIBUTE = "__coalesced_skill__"
UNIT_BYTES = {"task": 0, "byte": 1, "kilobyte": 1_000, "page": 3_000, "megabyte": 1_000_000}
"""Input bytes in one unit of a price; a page is about 3,000 characters; a task is one whatever its size."""
MAX_LABEL_CHARS = 64
LABEL_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._/-")


class SkillMetadata(NamedTuple):
    """What `@skill` attaches to a function. `price_micro` is in micro-dollars per `unit`."""

    label: str
    price_micro: int
    unit: str
    caption: str
    description: str


class RunningTask(Protocol):
    """What a running skill can reach: the worker process provides it. `allowance` is what it may hand on."""

    @property
    def token(self) -> str:
        """What it shows the node when it hands something on; empty where it may not."""

    @property
    def allowance(self) -> "Allowance":
        """Of this task."""

    def progress(self, done_ppm: int, text: str) -> None:
        """Report how far the work is."""

    def ask(self, question: str) -> Awaitable[str]:
        """Put a question to the client and await the answer."""


class Allowance:
    """What a running task may hand on to tasks of its own: its time, and its pay or budget, which they share."""

    def __init__(self, left_s: float, budget_micro: int) -> None:
        self._ends_s = time.monotonic() + left_s
        self._left_micro = budget_micro
        self.paid_micro = 0
        """What they have cost so far, in micro-dollars."""

    @property
    def left_s(self) -> float:
        """Seconds until this task must have ended."""
        return max(0.0, self._ends_s - time.monotonic())

    def take(self, wanted_micro: int | None) -> int:
        """Set aside what one task may spend: as much as is wanted, at most what is left; all of it for None."""
        held = self._left_micro if wanted_micro is None else min(wanted_micro, self._left_micro)
        self._left_micro -= held
        return held

    def give_back(self, held_micro: int, paid_micro: int) -> None:
        """That task has ended: what it did not spend is there for others."""
        self.paid_micro += paid_micro
        self._left_micro += held_micro - paid_micro


_running: ContextVar[RunningTask | None] = ContextVar("coalesced_running_task", default=None)


def skill(label: str, *, price: str = "0/task", caption: str = "", description: str = "") -> Callable[[F], F]:
    """Mark a function as the skill `label`; `price` is dollars per unit, such as "0.002/page" or "0.05".

    ValueError when the label or the price cannot be used.
    """
    if not isinstance(label, str):
        raise TypeError('write @skill("label"), with the label that buyers search for')
    metadata_label = check_label(label)
    price_micro, unit = parse_price(price)

    def mark(function: F) -> F:
        text = description or (function.__doc__ or "").strip()
        first_line = text.splitlines()[0] if text else metadata_label
        metadata = SkillMetadata(metadata_label, price_micro, unit, caption or first_line, text)
        setattr(function, METADATA_ATTRIBUTE, metadata)
        return function

    return mark


def progress(done_ppm: int, text: str = "") -> None:
    """Tell the client how far the work is, in parts per million; does nothing outside a running task."""
    task = _running.get()
    if task is not None:
        task.progress(done_ppm, text)


async def ask(question: str) -> str:
    """Ask the client and await the answer. RuntimeError outside a running task, or when nobody can answer."""
    task = _running.get()
    if task is None:
        raise RuntimeError("ask() works only while the function runs as a skill of a node")
    return await task.ask(question)


def allowance() -> Allowance | None:
    """What the running task may hand on; None outside one. `coalesced.connect()` keeps to it by itself."""
    return _allowance[-1] if _allowance else None


def bind(task: RunningTask | None) -> None:
    """Make `task` the one that `progress` and `ask` reach (the worker process calls this)."""
    _running.set(task)
    # Not of a context: a thread that the skill starts is bound by it as well. A worker runs one task at a time.
    _allowance[:] = [] if task is None else [task.allowance]
    # It stays when the task has ended: what still runs then and hands something on is refused by the node.
    if task is not None and task.token:
        os.environ[TASK_VARIABLE] = task.token
    else:
        os.environ.pop(TASK_VARIABLE, None)


def check_label(label: str) -> str:
    """`label` if it can be published: 1-64 of a-z 0-9 . _ / -, starting and ending with a letter or digit."""
    ends_well = label[:1].isalnum() and label[-1:].isalnum()
    if not ends_well or len(label) > MAX_LABEL_CHARS or not LABEL_CHARS.issuperset(label):
        raise ValueError(
            f"skill label {label!r} is not usable: write 1 to {MAX_LABEL_CHARS} characters of a-z 0-9 . _ / -, "
            "with a letter or digit at both ends"
        )
    return label


def parse_price(price: str) -> tuple[int, str]:
    """Micro-dollars and unit of "0.002/page", "0.05" (per task) or "$1/megabyte", exactly; ValueError otherwise."""
    amount, _, unit = price.strip().removeprefix("$").partition("/")
    unit = unit.strip() or "task"
    whole, _, fraction = amount.strip().partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()) or len(fraction) > 6 or len(whole) > 9:
        raise ValueError(f'price {price!r} is not usable: write dollars, at most 6 decimals, such as "0.002/page"')
    if unit not in UNIT_BYTES:
        raise ValueError(f"price {price!r} has the unknown unit {unit!r}: use one of {', '.join(UNIT_BYTES)}")
    return int(whole or "0") * 1_000_000 + int(fraction.ljust(6, "0") or "0"), unit
