"""Waits until an expectation about the node holds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from coalesced.control.client import ControlClient
from coalesced.control.shapes import Status
from coalesced.repl.expect import Expectation

POLL_S: Final = 0.1
NO_CHAIN: Final = -1
"""What the chain's numbers are where a node follows none."""
T = TypeVar("T")

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
    "ledger.height": lambda status: status["ledger"]["height"] if status["ledger"] else NO_CHAIN,
    "ledger.lag": lambda status: status["ledger"]["lag"] if status["ledger"] else NO_CHAIN,
    "ledger.members": lambda status: status["ledger"]["members"] if status["ledger"] else NO_CHAIN,
    "ledger.view": lambda status: status["ledger"]["view"] if status["ledger"] else NO_CHAIN,
}
"""What `expect` can be about, each from the node's status; money in dollars."""


async def fulfilled(client: ControlClient, expectation: Expectation) -> tuple[bool, float]:
    """Whether it held within its time, and the last value seen. ControlError when the node cannot be asked."""

    async def look() -> float:
        return QUANTITIES[expectation.quantity](await client.status())

    return await waited(look, expectation.holds, expectation.within_s)


async def waited(look: Callable[[], Awaitable[T]], is_enough: Callable[[T], bool], within_s: float) -> tuple[bool, T]:
    """Look again and again; whether what was seen was enough in time, and what was seen last."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + within_s
    while True:
        seen = await look()
        if is_enough(seen) or loop.time() >= deadline_s:
            return is_enough(seen), seen
        await asyncio.sleep(min(POLL_S, max(0.0, deadline_s - loop.time())))
