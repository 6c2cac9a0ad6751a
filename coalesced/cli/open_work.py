"""What a node has open when its key is to be passed on: deals in escrow, and tasks."""

import asyncio

from coalesced.cli.units import counted
from coalesced.control.client import ControlClient

LOOK_S = 1.0
ENDED = frozenset({"completed", "failed", "cancelled", "rejected"})
"""States that a task does not leave."""


async def still_open(client: ControlClient, wait_s: float) -> str:
    """What is open after at most `wait_s` of waiting for its end; empty when nothing is."""
    loop = asyncio.get_running_loop()
    ends_s = loop.time() + wait_s
    while (found := await _open_work(client)) and loop.time() < ends_s:  # noqa: ASYNC110  # the node pushes no such news
        await asyncio.sleep(min(LOOK_S, max(0.0, ends_s - loop.time())))
    return found


async def _open_work(client: ControlClient) -> str:
    """Deals that this node is a party to: those that it is the arbiter of wait for it as well as for its successor."""
    deals = sum(row["role"] != "arbiter" for row in (await client.ledger_account())["deals"])
    tasks = sum(count for state, count in (await client.status())["tasks"].items() if state not in ENDED)
    return " and ".join(counted(number, what) for number, what in ((deals, "deal"), (tasks, "task")) if number)
