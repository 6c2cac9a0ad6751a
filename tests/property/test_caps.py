"""Spending caps hold whatever the order of reservations, payments, releases, crashes and restarts."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.errors import UsageError
from node.store.database import Database
from node.store.migrations import NODE
from node.store.spending import DAY_MS, CapRefusal, Caps, Reservation, Spending, day_of

CAPS = Caps(day_micro=1000, peer_micro=400, unverified_days=2)
PEERS = [bytes([number]) * 32 for number in range(4)]
TASKS = [bytes([number]) * 16 for number in range(12)]
peers, tasks = st.sampled_from(PEERS), st.sampled_from(TASKS)
amounts = st.integers(0, 500)


class Node(RuleBasedStateMachine):
    """One node's spending on a real file, next to what it must come to."""

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.now_unix_ms = 1000 * DAY_MS
        self.promised: dict[tuple[bytes, bytes], Reservation] = {}
        self.paid: dict[tuple[bytes, bytes], tuple[Reservation, int, int]] = {}
        self.generation = 0
        self.open(self.directory / "0" / "node.db")

    def open(self, path: Path) -> None:
        self.path = path
        self.database = self.loop.run_until_complete(Database.open(path, NODE, inline=True))
        self.spending = Spending(self.database, CAPS)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.run_until_complete(self.database.close())
            self.loop.close()
            shutil.rmtree(self.directory)

    @rule(task=tasks, peer=peers, amount=amounts, unverified=st.sampled_from([0, 0, 50, 300]))
    def reserve(self, task: bytes, peer: bytes, amount: int, unverified: int) -> None:
        key = (task, peer)
        asked = self.spending.reserve(task, peer, amount, self.now_unix_ms, unverified_micro=unverified)
        if key in self.promised or key in self.paid:
            self.expect_usage_error(asked)
            return
        day_used, exposure = self.day_used(), self.exposure(peer)
        made = self.loop.run_until_complete(asked)
        if isinstance(made, Reservation):
            assert day_used + amount <= CAPS.day_micro
            assert exposure + amount + unverified <= CAPS.peer_micro
            self.promised[key] = made
        elif made.cap == "day":
            assert (made.used_micro, made.asked_micro) == (day_used, amount)
            assert day_used + amount > CAPS.day_micro
        else:
            assert (made.used_micro, made.asked_micro) == (exposure, amount + unverified)
            assert exposure + amount + unverified > CAPS.peer_micro

    @rule(task=tasks, peer=peers, share=st.sampled_from([0, 50, 100, 150]))
    def settle(self, task: bytes, peer: bytes, share: int) -> None:
        key = (task, peer)
        held = self.promised.get(key)
        if held is None:
            already = self.paid.get(key)
            if already is None:
                self.expect_usage_error(self.spending.settle(task, peer, share))
            else:
                self.loop.run_until_complete(self.spending.settle(task, peer, already[1]))
                self.expect_usage_error(self.spending.settle(task, peer, already[1] + 1))
            return
        paid = held.amount_micro * share // 100
        if paid > held.amount_micro:
            self.expect_usage_error(self.spending.settle(task, peer, paid))
            return
        self.loop.run_until_complete(self.spending.settle(task, peer, paid))
        self.paid[key] = (self.promised.pop(key), paid, held.unverified_micro)

    @rule(task=tasks, peer=peers)
    def release(self, task: bytes, peer: bytes) -> None:
        gone = self.loop.run_until_complete(self.spending.release(task, peer))
        assert gone == (self.promised.pop((task, peer), None) is not None)

    @rule(task=tasks, peer=peers)
    def verify_after_all(self, task: bytes, peer: bytes) -> None:
        marked = self.loop.run_until_complete(self.spending.mark_verified(task, peer))
        assert marked == ((task, peer) in self.paid)
        if marked:
            made, paid, _ = self.paid[task, peer]
            self.paid[task, peer] = (made, paid, 0)

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours: int) -> None:
        self.now_unix_ms += hours * 3_600_000

    @rule()
    def crash_and_restart(self) -> None:
        """Go on from the files as they are at this moment, as after a SIGKILL; the old process is gone."""
        self.generation += 1
        left = self.directory / str(self.generation)
        shutil.copytree(self.path.parent, left)
        self.loop.run_until_complete(self.database.close())
        self.open(left / "node.db")
        held = self.loop.run_until_complete(self.spending.open_reservations())
        assert {(one.task_id, one.peer): one for one in held} == self.promised

    @rule()
    def sweep(self) -> None:
        self.loop.run_until_complete(self.spending.forget(self.now_unix_ms))

    @rule()
    def restart_in_order(self) -> None:
        self.loop.run_until_complete(self.database.close())
        self.open(self.path)

    @invariant()
    def caps_hold(self) -> None:
        if not hasattr(self, "spending"):
            return
        run = self.loop.run_until_complete
        assert run(self.spending.day_used_micro(self.now_unix_ms)) == self.day_used() <= CAPS.day_micro
        for peer in PEERS:
            assert (
                run(self.spending.peer_exposure_micro(peer, self.now_unix_ms)) == self.exposure(peer) <= CAPS.peer_micro
            )

    def day_used(self) -> int:
        today = day_of(self.now_unix_ms)
        promised = sum(one.amount_micro for one in self.promised.values() if one.day == today)
        return promised + sum(paid for one, paid, _ in self.paid.values() if one.day == today)

    def exposure(self, peer: bytes) -> int:
        since = day_of(self.now_unix_ms) - CAPS.unverified_days
        promised = sum(one.amount_micro + one.unverified_micro for one in self.promised.values() if one.peer == peer)
        return promised + sum(left for one, _, left in self.paid.values() if one.peer == peer and one.day > since)

    def expect_usage_error(self, attempt: Coroutine[Any, Any, object]) -> None:
        try:
            self.loop.run_until_complete(attempt)
        except UsageError:
            return
        raise AssertionError("it was not refused")


TestSpending = Node.TestCase
TestSpending.settings = settings(max_examples=25, stateful_step_count=40)


@settings(max_examples=15)
@given(st.lists(st.tuples(peers, amounts), min_size=1, max_size=40), st.booleans())
def test_caps_hold_when_many_tasks_reserve_at_once(wanted: list[tuple[bytes, int]], give_some_back: bool) -> None:
    async def all_at_once() -> None:
        with tempfile.TemporaryDirectory() as directory:
            database = await Database.open(Path(directory) / "node.db", NODE)
            spending = Spending(database, CAPS)

            async def one(number: int, peer: bytes, amount: int) -> Reservation | CapRefusal:
                task = number.to_bytes(16, "big")
                made = await spending.reserve(task, peer, amount, DAY_MS)
                if give_some_back and number % 3 == 0:
                    await spending.release(task, peer)
                return made

            made = await asyncio.gather(*(one(number, *ask) for number, ask in enumerate(wanted)))
            held = await spending.open_reservations()
            assert sum(one.amount_micro for one in held) <= CAPS.day_micro
            for peer in PEERS:
                assert sum(one.amount_micro for one in held if one.peer == peer) <= CAPS.peer_micro
            assert isinstance(made[0], Reservation) == (wanted[0][1] <= CAPS.peer_micro)
            await database.close()

    asyncio.run(all_at_once())
