"""What waits for one of a database's threads, and how its callers hear what came of it."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Work = Callable[[sqlite3.Connection], Any]


@dataclass(frozen=True, slots=True)
class Done:
    """What a piece of work gave."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """What a piece of work raised."""

    error: Exception


Outcome = Done | Failed


@dataclass(frozen=True, slots=True, eq=False)
class Queued:
    """One read or write, and who waits for it. `durable`: it has to be on the disk platter."""

    work: Work
    future: asyncio.Future[Any]
    durable: bool = False


def queued(work: Work, *, durable: bool = False) -> Queued:
    """Work that the caller's event loop waits for."""
    return Queued(work, asyncio.get_running_loop().create_future(), durable)


def settle(group: Sequence[Queued], outcomes: Sequence[Outcome]) -> None:
    """Tell everybody who still waits what came of theirs, in order."""
    for one, outcome in zip(group, outcomes, strict=True):
        if one.future.done():  # its caller was cancelled
            continue
        match outcome:
            case Done(value):
                one.future.set_result(value)
            case Failed(error):
                one.future.set_exception(error)
