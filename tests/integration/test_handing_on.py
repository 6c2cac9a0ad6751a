"""Functions that hire further, in real workers, over the control socket: counted, bounded and ended with their task."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from coalesced.cli.explain import why_lines
from coalesced.control.client import ControlClient
from coalesced.control.config import ControlConfig
from coalesced.control.server import ControlServer
from coalesced.paths import find_paths
from node.errors import RefusedError
from node.net.session import Call
from node.outsource.config import ContractorConfig
from node.views import InputFile, TaskView
from protocol.messages import Award, Message
from tests.harness.dealing import Seller, on_sale
from tests.harness.nodes import DEAR, LIMIT_S, Node, world

PRICE_MICRO = 40
MIDDLE = {"machine": DEAR, "contractor": ContractorConfig(skills=())}
"""Sells only what it is told to, and would rather buy what that needs."""
FUNCTION = """
import asyncio, os, sys, time
import coalesced

async def one(node, number, budget_micro, then):
    # By the control API itself: what bounds it is the daemon alone.
    asked = {"skill": "sentiment", "text": "It was good. " * number, "privacy": "public", "budget_micro": budget_micro}
    async for event in node.control.ask(asked):
        if then == "crashes" and event["name"] == "awarded":
            os._exit(3)
        last = event
    return last["name"]

async def work(home: str, then: str, count: int = 1, budget_micro: int = 45) -> str:
    async with coalesced.connect(home) as node:
        names = await asyncio.gather(*(one(node, number + 1, budget_micro, then) for number in range(count)))
    match then:
        case "fails":
            raise RuntimeError("not today")
        case "exits":
            os._exit(3)
        case "eats":
            eaten = bytearray(2**42)
        case "sleeps":
            time.sleep(60)
    return os.environ["COALESCED_TASK"]
"""


class Slow(Seller):
    """Works until it is cancelled."""

    duration_ms, p95_ms = 500, 60_000

    async def work(self, call: Call, award: Award) -> Message:
        await asyncio.sleep(LIMIT_S)
        raise AssertionError("nobody cancelled it")


@asynccontextmanager
async def served(node: Node, home: Path) -> AsyncIterator[Path]:
    """Its control socket in `home`, where the node's functions find it."""
    server = ControlServer(node.owner, ControlConfig(close_timeout_s=0.1), find_paths(home, environ={}).socket)
    await server.start()
    try:
        yield home
    finally:
        await server.stop()


@asynccontextmanager
async def handing_on(home: Path, seller: Seller) -> AsyncIterator[tuple[Node, str]]:
    """A node whose function hires `seller`; and the function's label."""
    async with world() as made:
        buyer = await made.buyer(functions=True)
        async with on_sale(seller, [buyer.endpoint]), served(buyer, home):
            yield buyer, await buyer.sell(home, FUNCTION)


def told(home: Path, then: str, **arguments: int) -> str:
    return json.dumps({"home": str(home), "then": then, **arguments})


def ordered(home: Path, then: str, **arguments: int) -> tuple[InputFile, ...]:
    """For a buyer without the skill, which does not know that it takes JSON."""
    return (InputFile(name="in.json", media_type="application/json", data=told(home, then, **arguments).encode()),)


def step(label: str, text: str, **fields: Any) -> dict[str, Any]:
    return {"name": "only", "skill": label, "text": text, **fields}


async def spent(node: Node, task: TaskView) -> int:
    """In the book of promises, for a task and all below it."""
    below = [await spent(node, await node.parts.tasks.view(bytes.fromhex(child))) for child in task.subtasks]
    return await node.parts.store.spending.of_task_micro(bytes.fromhex(task.id)) + sum(below)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize("then", ["fails", "exits", "eats"])
async def test_what_a_function_paid_before_it_failed_is_its_tasks_and_its_plans(home: Path, then: str) -> None:
    seller = Seller(price_micro=PRICE_MICRO)
    async with handing_on(home, seller) as (node, label):
        steps = json.dumps({"step": [step(label, told(home, then, count=2))]})
        plan = await node.ask("plan", plan=steps, budget_micro=200)
        assert plan.state == "failed"
        attempts = [await node.parts.tasks.view(bytes.fromhex(one)) for one in plan.subtasks]
        assert [one.state for one in attempts] == ["failed", "failed"], "tried again, for what was left"
        assert [one.cost_micro for one in attempts] == [2 * PRICE_MICRO, 2 * PRICE_MICRO]
        assert plan.cost_micro == 4 * PRICE_MICRO == await spent(node, plan)
        assert len(seller.awards) == 4


async def test_the_next_attempt_has_what_the_failed_one_left(home: Path) -> None:
    seller = Seller(price_micro=PRICE_MICRO)
    async with handing_on(home, seller) as (node, label):
        steps = json.dumps({"step": [step(label, told(home, "fails", count=2), retries=2)]})
        plan = await node.ask("plan", plan=steps, budget_micro=3 * PRICE_MICRO)
        assert len(plan.subtasks) == 3
        assert len(seller.awards) <= 3
        assert plan.cost_micro == await spent(node, plan) <= 3 * PRICE_MICRO


async def test_subtasks_at_the_same_time_share_one_budget_whatever_each_asks_for(home: Path) -> None:
    seller = Seller(price_micro=PRICE_MICRO)
    async with handing_on(home, seller) as (node, label):
        task = await node.ask(label, told(home, "returns", count=5, budget_micro=90), budget_micro=100)
        assert task.state == "completed", task.error
        children = [await node.parts.tasks.view(bytes.fromhex(one)) for one in task.subtasks]
        assert len(children) == 5
        assert {child.parent for child in children} == {task.id}
        assert 0 < await spent(node, task) <= 100
        assert (task.cost_micro or 0) >= await spent(node, task)


@pytest.mark.parametrize(("then", "state"), [("returns", "cancelled"), ("crashes", "failed")])
async def test_what_a_function_handed_on_ends_with_it(home: Path, then: str, state: str) -> None:
    seller = Slow(price_micro=PRICE_MICRO)
    async with handing_on(home, seller) as (node, label):
        task_id = await node.submit(label, told(home, then))
        async with asyncio.timeout(LIMIT_S):
            await seller.was_awarded.wait()
            if then == "returns":
                await node.parts.client.cancel(task_id)
            await seller.was_cancelled.wait()
        task = await node.ended(task_id)
        assert task.state == state
        (child,) = [await node.parts.tasks.view(bytes.fromhex(one)) for one in task.subtasks]
        assert child.state == "cancelled"
        assert child.finished_unix_ms is not None
        assert task.finished_unix_ms is not None
        assert child.finished_unix_ms <= task.finished_unix_ms
        assert (task.cost_micro or 0) == await spent(node, task) == 0, "nothing was delivered, so nothing is owed"


async def test_what_a_killed_function_paid_is_counted_though_it_said_nothing(home: Path) -> None:
    seller = Seller(price_micro=PRICE_MICRO)
    async with handing_on(home, seller) as (node, label):
        task_id = await node.submit(label, told(home, "sleeps"))
        async with asyncio.timeout(LIMIT_S):
            while not seller.receipts:  # noqa: ASYNC110  # a party has no event for it
                await asyncio.sleep(0.01)
        await node.parts.client.cancel(task_id)
        task = await node.ended(task_id)
        assert (task.state, task.cost_micro) == ("cancelled", PRICE_MICRO)


async def test_nobody_else_can_charge_a_task_and_nothing_is_handed_on_after_its_end(home: Path) -> None:
    async with handing_on(home, Seller(price_micro=PRICE_MICRO)) as (node, label):
        task = await node.ask(label, told(home, "returns"))
        token = (await node.owner.result(task.id))[0].decode()
        name = token.partition(".")[0]
        for forged in (token, f"{name}.{'0' * 32}", f"{name}."):
            with pytest.raises(RefusedError, match="has ended"):
                await node.submit("sentiment", "Well.", parent=forged)
        assert len((await node.owner.tasks(limit=10)).tasks) == 2
        other = await node.ask("sentiment", "Well.", parent="another.node")
        assert (other.state, other.parent) == ("completed", ""), "another node's token says nothing here"


async def test_parent_and_subtasks_name_each_other(home: Path) -> None:
    async with handing_on(home, Seller(price_micro=PRICE_MICRO)) as (node, label):
        task = await node.ask(label, told(home, "returns"))
        (child,) = task.subtasks
        async with ControlClient(find_paths(home, environ={}).socket) as client:
            above = "\n".join(why_lines(await client.why(task.id)))
            below = "\n".join(why_lines(await client.why(child)))
        assert "Handed on by its function" in above
        assert child[:8] in above
        assert f"Part of task {task.id[:8]}" in below


async def test_a_contractors_function_ends_what_it_handed_on_when_its_client_leaves(home: Path) -> None:
    slow = Slow(price_micro=PRICE_MICRO)
    async with world() as made:
        middle = await made.seller(functions=True, speeds={"sentiment": 0.05}, sections=MIDDLE)
        buyer = await made.buyer()
        async with on_sale(slow, [middle.endpoint]), served(middle, home):
            label = await middle.sell(home, FUNCTION, price_micro=500)
            task_id = await buyer.submit(label, files=ordered(home, "returns"), budget_micro=5000)
            async with asyncio.timeout(LIMIT_S):
                await slow.was_awarded.wait()
                await buyer.parts.client.cancel(task_id)
                await slow.was_cancelled.wait()
                while (await middle.owner.tasks(limit=10)).tasks[-1].finished_unix_ms is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            child, job = (await middle.owner.tasks(limit=10)).tasks
            assert (job.side, job.state) == ("contractor", "cancelled")
            assert (child.side, child.parent) == ("client", job.id)
            assert child.state == "cancelled"


async def test_a_subtask_of_a_contractors_function_spends_no_more_than_its_pay(home: Path) -> None:
    seller = Seller(price_micro=PRICE_MICRO)
    async with world() as made:
        middle = await made.seller(functions=True, speeds={"sentiment": 0.05}, sections=MIDDLE)
        buyer = await made.buyer()
        async with on_sale(seller, [middle.endpoint]), served(middle, home):
            label = await middle.sell(home, FUNCTION, price_micro=60)
            task = await buyer.ask(label, files=ordered(home, "fails", count=3), budget_micro=5000)
            assert task.state == "failed"
            job = (await middle.owner.tasks(limit=10)).tasks[-1]
            job = await middle.parts.tasks.view(bytes.fromhex(job.id))
            assert (job.side, len(job.subtasks)) == ("contractor", 3)
            assert job.cost_micro == await spent(middle, job) == PRICE_MICRO
