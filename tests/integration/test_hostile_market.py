"""Many asks among sellers that break every rule, while strangers attack: all end, and nothing is left behind."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from node.execute.config import ExecuteConfig
from node.net.config import NetConfig
from node.store.spending import Caps
from node.views import TaskView
from tests.harness import hostile
from tests.harness.attacks import under_attack
from tests.harness.dealing import Seller, on_sale
from tests.harness.nodes import Node, world
from tests.harness.peering import until

GRACE_MS = 15_000
"""Beyond the deadline: an end is written down after it has come, by a process that a hundred others keep busy."""
KEPT_BLOCKS = 100_000
"""What Python may hold more of afterwards, at about 100 bytes each: caches that fill once, and compiled code."""
LARGE = "The room was not clean. " * 60_000
"""1.4 MiB, which travels in parts."""
ANSWER = b'{"text": "das Zimmer"}'


def sellers() -> Iterator[Seller]:
    """One of each kind; the cheaper, the sooner hired. Half sell what the buyer can do itself, half what it cannot.

    Each is made only when it is asked for: its port is free at that moment, and not for long.
    """
    elsewhere: dict[str, Any] = {"label": "translation", "answer": ANSWER}
    yield hostile.Silent()
    yield hostile.WrongQuote(change={"skill": "risk"})
    yield hostile.Refusing(price_micro=1)
    yield hostile.Overcharging(price_micro=3)
    yield hostile.Replaying(price_micro=5)
    yield hostile.Huge(price_micro=7)
    yield hostile.Slow(price_micro=9)
    yield hostile.Fabricating(price_micro=10)
    yield hostile.SlowReading(price_micro=11)
    yield hostile.Flooding(price_micro=12, count=200)
    yield hostile.LateReceipt(price_micro=16)
    yield hostile.Declining(**elsewhere)
    yield hostile.Forging(**elsewhere)
    yield hostile.Disconnecting(**elsewhere, price_micro=2)
    yield hostile.Garbage(**{**elsewhere, "answer": None}, price_micro=4)
    yield hostile.Misbinding(**elsewhere, price_micro=6, change={"session_hash": b"\x01" * 32})
    yield hostile.SlowReading(**elsewhere, price_micro=8)
    yield hostile.WrongMessage(**elsewhere, price_micro=11)
    yield hostile.Asking(**elsewhere, price_micro=13, count=9, waits=False)
    yield hostile.NoReceipt(**elsewhere, price_micro=14)
    yield hostile.ForgedReceipt(**elsewhere, price_micro=15)


@asynccontextmanager
async def hostile_market(buyer: Node) -> AsyncIterator[list[Seller]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(on_sale(seller, [buyer.endpoint])) for seller in sellers()]


def open_sockets() -> int:
    return len(psutil.Process().net_connections(kind="inet"))


def held_blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


async def asked(buyer: Node, number: int, deadline_s: float) -> TaskView:
    """One ask: of what this node could do itself, or of what it cannot; some inputs are large."""
    skill = ("sentiment", "translation")[number % 2]
    text = LARGE if number % 25 == 0 else f"The room was not clean, but the staff of floor {number} were wonderful."
    task_id = await buyer.submit(skill, text, deadline_s=deadline_s, budget_micro=10_000)
    async for _ in buyer.parts.tasks.watch(task_id):
        pass
    return await buyer.parts.tasks.view(task_id)


@pytest.mark.parametrize(("asks", "deadline_s"), [(30, 8.0), pytest.param(100, 20.0, marks=pytest.mark.long)])
async def test_all_asks_among_hostile_sellers_end_and_leave_nothing_behind(
    tmp_path: Path, asks: int, deadline_s: float
) -> None:
    sections = {
        "net": NetConfig(drain_s=0.2, handshake_timeout_s=1.0, send_timeout_s=2.0),
        "caps": Caps(day_micro=10**9, peer_micro=10**9),
        "execute": ExecuteConfig(max_workers=2, max_queued=asks),
    }
    async with world() as made:
        tmp_path.chmod(0o700)
        buyer = await made.buyer(directory=tmp_path, sections=sections)
        await asked(buyer, 2, deadline_s)
        tasks, sockets, blocks = len(asyncio.all_tasks()), open_sockets(), held_blocks()
        async with hostile_market(buyer), under_attack(buyer):
            await asyncio.gather(
                asked(buyer, 2, deadline_s), asked(buyer, 3, deadline_s)
            )  # The sessions are open from here on.
            ends = await asyncio.gather(*(asked(buyer, number, deadline_s) for number in range(asks)))
        check_ends(ends)
        await until(lambda: not buyer.parts.peers.open_sessions())
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await until(lambda: open_sockets() <= sockets)
        del ends
        assert held_blocks() - blocks < KEPT_BLOCKS
        assert len(buyer.parts.running) == 0
        assert await buyer.parts.store.spending.open_reservations() == []
        assert await buyer.parts.store.blobs.live_tasks() == []
        assert (await buyer.owner.journal_verify()).ok
        assert (await asked(buyer, 2, 60.0)).state == "completed", "it goes on as before"


def check_ends(ends: list[TaskView]) -> None:
    """Each by its deadline, with a result or with an error that says what was tried."""
    for task in ends:
        assert task.finished_unix_ms is not None
        assert task.deadline_unix_ms is not None
        assert task.finished_unix_ms <= task.deadline_unix_ms + GRACE_MS, task
        assert task.state in ("completed", "failed", "rejected")
        assert (task.state == "completed") == (task.result is not None) == (task.error is None), task
        assert task.error is None or task.error.text, task
    assert any(task.state == "completed" for task in ends)
