"""Budgets down a tree of tasks that hand on to each other: never exceeded in sum, whatever fails or is cancelled."""

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from node.background import completed
from node.errors import RefusedError
from node.outsource.client.running import Running
from node.outsource.delegations import Delegations, Part, Reach
from node.outsource.expenses import Expenses
from node.store.database import Database
from node.store.migrations import NODE
from node.store.spending import Caps, Spending
from node.tasks.mandate import Mandate

BUDGET = 1_000
PEER = b"\x02" * 32


@dataclass(frozen=True)
class Work:
    """What one task does: pays so much of its part, is charged so much of the rest, hands on, then ends as told."""

    wants_micro: int
    pays_percent: int
    charged_percent: int
    handed_on: tuple["Work", ...] = ()
    ends: str = "well"
    """`badly`: with an error; `early`: while what it handed on still runs; `stuck`: only by being cancelled."""
    steps: int = 0
    task_id: bytes = field(default_factory=lambda: os.urandom(16))


def works(below: st.SearchStrategy[tuple[Work, ...]]) -> st.SearchStrategy[Work]:
    percent = st.integers(0, 100)
    ends = st.sampled_from(["well", "badly", "early", "stuck"])
    return st.builds(Work, st.integers(0, BUDGET * 2), percent, percent, below, ends, st.integers(0, 3))


TREES = st.recursive(works(st.just(())), lambda below: works(st.lists(below, max_size=4).map(tuple)), max_leaves=12)


class World:
    """Tasks on the real parts: who is running, what is handed on, what is spent."""

    def __init__(self, spending: Spending, group: asyncio.TaskGroup) -> None:
        self.running = Running(group, 10_000)
        self.spending = spending
        self.expenses = Expenses(spending)
        self.delegations = Delegations("me", os.urandom, self.running.end)
        self.totals: dict[bytes, int] = {}

    def begin(self, work: Work, token: str) -> None:
        """As Client.submit does: a part of its parent's budget, for which it then runs."""
        part = self.delegations.part(token, work.wants_micro)
        assert part is not None
        self.running.start(work.task_id, self.see_through(work, part))
        assert part.begin(work.task_id)

    async def see_through(self, work: Work, part: Part) -> None:
        with self.expenses.kept(work.task_id, part.parent_id) as account:
            try:
                await self.do(work, part.budget_micro)
            except (ValueError, asyncio.CancelledError):
                pass
            finally:
                with suppress(asyncio.CancelledError):
                    await completed(self.expenses.spent_micro(work.task_id))
                self.totals[work.task_id] = account.total_micro
                assert account.total_micro <= part.budget_micro
                part.end(account.total_micro)

    async def do(self, work: Work, budget_micro: int) -> None:
        paid_micro = budget_micro * work.pays_percent // 100
        await asyncio.shield(self.spending.reserve(work.task_id, PEER, paid_micro, 0))
        left_micro = budget_micro - await self.expenses.spent_micro(work.task_id)
        charged_micro = left_micro * work.charged_percent // 100
        self.expenses.add(work.task_id, charged_micro)
        left_micro -= charged_micro
        delegation = self.delegations.make(work.task_id, budget_micro=left_micro, left_s=60, reach=Reach())
        will_stick = any(one.ends == "stuck" for one in work.handed_on)
        async with delegation:
            for one in work.handed_on:
                self.begin(one, delegation.token)
                await asyncio.sleep(0)
            for _ in range(work.steps):
                await asyncio.sleep(0)
            if work.ends == "stuck":
                await asyncio.Event().wait()
            if work.ends == "badly":
                raise ValueError("it failed")
            while work.ends == "well" and delegation.children and not will_stick:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert not delegation.children
        assert delegation.spent_micro == sum(self.totals[one.task_id] for one in work.handed_on)


async def run(root: Work) -> None:
    database = await Database.open(None, NODE, inline=True)
    try:
        spending = Spending(database, Caps(day_micro=10**9, peer_micro=10**9))
        async with asyncio.TaskGroup() as group:
            world = World(spending, group)
            with world.expenses.kept(root.task_id) as account:
                running = asyncio.create_task(world.do(root, BUDGET))
                for _ in range(20):
                    await asyncio.sleep(0)
                if root.ends == "stuck":
                    running.cancel()
                await asyncio.wait([running])
                if not running.cancelled() and (error := running.exception()) is not None:
                    assert isinstance(error, ValueError)
                total_micro = await world.expenses.spent_micro(root.task_id)
        assert account.total_micro == total_micro <= BUDGET
        assert await spending.day_used_micro(0) <= total_micro
        assert not world.delegations.open
        assert len(world.running) == 0
    finally:
        await database.close()


@given(TREES)
@settings(max_examples=60)
def test_a_tree_of_tasks_never_spends_more_than_its_root_may_whatever_fails_and_all_ends_with_its_parent(
    root: Work,
) -> None:
    asyncio.run(run(root))


@given(st.integers(0, BUDGET), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 100)), max_size=30), st.data())
def test_what_is_held_and_spent_of_a_mandate_never_comes_to_more_than_it(
    budget_micro: int, asked: list[tuple[int, int]], data: st.DataObject
) -> None:
    mandate, held = Mandate(budget_micro), list[tuple[int, int]]()
    for wanted_micro, percent in asked:
        taken_micro = mandate.take(wanted_micro)
        assert taken_micro <= wanted_micro
        held.append((taken_micro, taken_micro * percent // 100))
        if data.draw(st.booleans()):
            mandate.give_back(*held.pop(data.draw(st.integers(0, len(held) - 1))))
        assert mandate.spent_micro + sum(one for one, _ in held) + mandate.left_micro == budget_micro


def test_a_token_is_good_for_its_node_and_its_task_alone() -> None:
    async def main() -> None:
        async def nobody(task_ids: object) -> None:
            raise AssertionError(task_ids)

        delegations = Delegations("me", os.urandom, nobody)
        async with delegations.make(b"a", budget_micro=10, left_s=1, reach=Reach()) as open_one:
            part = delegations.part(open_one.token, 7)
            assert part is not None
            assert (part.parent_id, part.budget_micro) == (b"a", 7)
            part.end(0)
            assert delegations.part("", 7) is None
            assert delegations.part("other.00", 7) is None
        for token in (open_one.token, "me.", "me"):
            try:
                delegations.part(token, 7)
            except RefusedError:
                continue
            raise AssertionError("a token outlived its task")

    asyncio.run(main())
