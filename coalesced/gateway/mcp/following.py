"""A task followed for as long as a tool call may take, with its progress told on the way."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

import anyio

from coalesced.cli.progress import STAGES
from coalesced.control import shapes
from coalesced.control.client import ControlClient
from coalesced.control.errors import LostDaemonError

Report = Callable[[float, str], Awaitable[None]]
"""Percent done, never less than before; what is being done, in this node's own words."""
CANCEL_TIMEOUT_S: Final = 5.0
STEP_PERCENT: Final = 1.0
"""By how much an event moves the bar that tells no figure of its own: each notice must be above the last."""


async def follow(
    client: ControlClient, events: AsyncGenerator[shapes.Event], *, within_s: float, report: Report, owned: bool
) -> str:
    """Wait until the task ends, asks something, or the time is over; its id.

    Whoever cancels the call gives up the task with it, where the call is what began it (`owned`).
    """
    task_id = ""
    percent = 0.0
    try:
        async with asyncio.timeout(within_s), aclosing(events):
            async for event in events:
                task_id = event["task_id"] or task_id
                if event["name"] == "input_required":
                    break
                told = (event["done_ppm"] or 0) / 10_000
                percent = told if told > percent else min(percent + STEP_PERCENT, 99.0 + percent / 100)
                await report(percent, stage(event))
    except TimeoutError:
        pass
    except asyncio.CancelledError:
        if task_id and owned:
            with anyio.CancelScope(shield=True), anyio.move_on_after(CANCEL_TIMEOUT_S):
                await client.cancel(task_id)
        raise
    if not task_id:
        raise LostDaemonError(f"the daemon did not take the task within {within_s:g} s")
    return task_id


def stage(event: shapes.Event) -> str:
    """What is being done: never an event's own text, which may be another node's."""
    words = STAGES.get(event["name"], event["name"].replace("_", " "))
    return f"{words} (peer {event['peer']})" if event["peer"] else words
