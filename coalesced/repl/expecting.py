"""Waits until an expectation about the node holds."""

import asyncio
from collections.abc import Callable
from typing import Final

from coalesced.control.client import ControlClient
from coalesced.control.shapes import Status
from coalesced.repl.expect import Expectation

POLL_S: Final = 0.1

QUANTITIES: Final[dict[str, Callable[[Status], float]]] = {
    "peers": lambda status: max(status["peers"], status["contacts"]),
    "sessions": lambda status: status["peers"],
    "problems": lambda status: len(status["problems"]),
    "skills": lambda status: len(status["skills_sold"]),
    "journal": lambda status: status["journal_height"],
    "tasks": lambda status: sum(status["tasks"].values()),
    "completed": lambda status: status["tasks"].get("completed", 0),
    "failed": lambda status: status["tasks"].get("failed", 0),
    "working": lambda status: status["tasks"].get("working", 0),
    "spent": lambda status: status["spent_today_micro"] / 1e6,
    "earned": lambda status: status["earned_today_micro"] / 1e6,
}
"""What `expect` can be about, each from the node's status; money in dollars."""


async def fulfilled(client: ControlClient, expectation: Expectation) -> tuple[bool, float]:
    """Whether it held within its time, and the last value seen. ControlError when the node cannot be asked."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + expectation.within_s
    while True:
        value = QUANTITIES[expectation.quantity](await client.status())
        if expectation.holds(value) or loop.time() >= deadline_s:
            return expectation.holds(value), value
        await asyncio.sleep(min(POLL_S, max(0.0, deadline_s - loop.time())))
