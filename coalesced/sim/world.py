"""A world of whole daemons in virtual time: grown, used by their owners, harmed, healed, and watched all the while."""

import asyncio
import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, assert_never

from coalesced.sim.checkers.watch import Watch
from coalesced.sim.faults import (
    CALM,
    KINDS,
    ClockJump,
    Crash,
    CutConnections,
    DiskFull,
    Due,
    Fault,
    Partition,
    Restart,
    Weather,
    schedule,
)
from coalesced.sim.frames import FrameNetwork
from coalesced.sim.loop import SimLoop
from coalesced.sim.node import START_LIMIT_S, STOP_LIMIT_S, Life, SimNode
from coalesced.sim.profile import profile_of
from coalesced.sim.workload import LONGEST_S, Wish, inputs, next_wish
from node.errors import NodeError
from node.execute.inline import BuiltinWork
from node.views import EventView

BOOT_PAUSE_S: Final = 0.2
SETTLE_S: Final = 30.0
"""After the last node's start: it has joined, measured itself, and is advertised."""
CHECK_S: Final = 2.0
"""Between two looks at the whole world."""
REST_S: Final = 60.0
"""After the last deadline: what was broken off notices it (keep-alive 40 s) and ends."""
RETRY_S: Final = 5.0
"""A node that cannot start (its disk is full) is started again after this long, as a service manager would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run. `minutes` is the virtual time in which owners ask and faults happen."""

    seed: int
    nodes: int = 30
    minutes: float = 3.0
    faults: tuple[str, ...] = tuple(KINDS)
    asks_share: float = 1.0
    """Share of the nodes whose owners ask for anything."""


class World:
    """All of it. `run` is its whole history."""

    def __init__(self, loop: SimLoop, plan: Plan) -> None:
        self.loop = loop
        self.plan = plan
        self.frames = FrameNetwork(loop.network)
        self.work = BuiltinWork()
        self.nodes: list[SimNode] = []
        self.watch = Watch(loop, self.nodes, self.work)
        self.asked = 0
        self.harmed = 0
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Grow, live, heal, rest, end."""
        plan = self.plan
        async with asyncio.TaskGroup() as group:
            self._group = group
            watching = [group.create_task(self._watch()), group.create_task(self.watch.look_into_events())]
            await self.grow()
            lasts_s = plan.minutes * 60
            due = schedule(plan.seed, nodes=plan.nodes, for_s=lasts_s, kinds=plan.faults)
            try:
                async with asyncio.timeout(lasts_s), asyncio.TaskGroup() as living:
                    living.create_task(self._harm(due))
                    for node in self.nodes:
                        if node.profile.number < max(2, round(plan.nodes * plan.asks_share)):
                            living.create_task(self._want(node))
            except TimeoutError:
                pass
            await self._heal()
            await asyncio.sleep(LONGEST_S + REST_S)
            await self.watch.look_at_all(at_rest=True)
            await asyncio.gather(*(self._end(node) for node in self.nodes))
            for task in watching:
                task.cancel()

    async def grow(self) -> None:
        """Start all nodes, each through an earlier one, and let them settle."""
        rng = random.Random(f"{self.plan.seed}/grow")
        probes = {label: made[0] for label, made in inputs().items()}
        for number in range(self.plan.nodes):
            bootstrap = () if not number else (profile_of(self.plan.seed, rng.randrange(number)).endpoint,)
            node = SimNode(
                self.loop,
                self.frames,
                profile_of(self.plan.seed, number),
                bootstrap=bootstrap,
                work=self.work,
                probes=probes,
                on_event=self._happened,
            )
            self.nodes.append(node)
            self.watch.add(node)
            await self._boot(node)
            await asyncio.sleep(BOOT_PAUSE_S)
        await asyncio.sleep(SETTLE_S)

    async def _heal(self) -> None:
        """End every fault that lasts, and start whoever is down."""
        network = self.loop.network
        network.link, network.sides = CALM, {}
        for node in self.nodes:
            node.disk.is_full = False
        try:
            async with asyncio.timeout(STOP_LIMIT_S + START_LIMIT_S + LONGEST_S):
                # Each is being started by whoever ended it.
                while any(node.parts is None or node.is_changing for node in self.nodes):  # noqa: ASYNC110
                    await asyncio.sleep(1)
        except TimeoutError:
            for node in self.nodes:
                if node.parts is None:
                    self.watch.report(node.profile.number, "it did not come back")

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            await self.watch.look_at_all()

    def failed(self, name: str, text: str) -> None:
        """Something failed in the process of that name: a violation, unless the process was dead by then."""
        number = int(name.partition("/")[0]) if name else -1
        life = self.nodes[number].life if 0 <= number < len(self.nodes) else None
        if not name or (life is not None and life.name == name):
            self.watch.report(number, text)

    # --- owners

    async def _want(self, node: SimNode) -> None:
        """An owner's wishes, one after the other, for ever."""
        rng = random.Random(f"{self.plan.seed}/{node.profile.number}/wishes")
        for number in range(10**6):
            wish = next_wish(rng, number)
            await asyncio.sleep(wish.pause_s)
            if node.life is not None and node.parts is not None:
                node.life.start_soon(self._ask(node, node.life, wish))

    async def _ask(self, node: SimNode, life: Life, wish: Wish) -> None:
        """One wish, as the control server would pass it on: what the node refuses, its owner reads."""
        assert node.parts is not None
        client = node.parts.client
        self.asked += 1
        try:
            task_id = await client.submit(wish.request)
            if wish.cancel_after_s is not None:
                await asyncio.sleep(wish.cancel_after_s)
                await client.cancel(task_id)
            if wish.again_after_s is not None:
                await asyncio.sleep(wish.again_after_s)
                self.watch.same_task(node, task_id, await client.submit(wish.request))
        except NodeError:
            pass  # A full disk, too many tasks, an ended task: what an owner is told, and checkers judge elsewhere.

    # --- faults

    async def _harm(self, due: Collection[Due]) -> None:
        began_s = self.loop.time()
        for one in due:
            await asyncio.sleep(began_s + one.at_s - self.loop.time())
            self.harmed += 1
            self.loop.network.trace.note(self.loop.time(), f"fault {one.fault}")
            self._start(one.fault)

    def _start(self, fault: Fault) -> None:
        assert self._group is not None
        self._group.create_task(self._perform(fault))

    async def _perform(self, fault: Fault) -> None:
        network = self.loop.network
        match fault:
            case Weather(link, for_s):
                network.link = link
                await asyncio.sleep(for_s)
                if network.link is link:
                    network.link = CALM
            case Partition(numbers, for_s):
                sides = network.sides = {self.nodes[number].profile.host: 1 for number in sorted(numbers)}
                await asyncio.sleep(for_s)
                if network.sides is sides:
                    network.sides = {}
            case CutConnections(share):
                for stream in self.frames.open_streams:
                    if stream.is_open and network.rng.random() < share:
                        self.frames.cut(stream)
            case ClockJump(number, by_ms):
                self.nodes[number].clock_jumps_ms += by_ms
            case DiskFull(number, for_s):
                self.nodes[number].disk.is_full = True
                await asyncio.sleep(for_s)
                await self.watch.look_at_all()
                self.nodes[number].disk.is_full = False
            case Crash(number, power, down_s):
                await self._crash(self.nodes[number], power=power, down_s=down_s)
            case Restart(number, down_s):
                await self._restart(self.nodes[number], down_s)
            case _:
                assert_never(fault)

    async def _crash(self, node: SimNode, *, power: bool, down_s: float) -> None:
        if node.parts is None or node.is_changing:
            return
        node.is_changing = True
        await self.watch.look_at(node)
        self.watch.excuse(node)
        if left := await node.crash(power=power):
            self.watch.report(node.profile.number, f"{left} asyncio tasks could not be cancelled")
        await asyncio.sleep(down_s)
        await self._boot(node)
        node.is_changing = False

    async def _restart(self, node: SimNode, down_s: float) -> None:
        if node.parts is None or node.is_changing:
            return
        node.is_changing = True
        await self.watch.look_at(node)
        self.watch.excuse(node)
        await self._end(node)
        await asyncio.sleep(down_s)
        await self._boot(node)
        node.is_changing = False

    async def _boot(self, node: SimNode) -> None:
        """Start the node, again and again while it says why it cannot."""
        while (error := await node.boot()) is not None:
            if not isinstance(error, NodeError):
                self.watch.report(node.profile.number, f"it could not start: {error!r}")
                return
            await asyncio.sleep(RETRY_S)
        await self.watch.started(node)

    async def _end(self, node: SimNode) -> None:
        if (failure := await node.stop()) is not None:
            self.watch.report(node.profile.number, f"its daemon did not end well: {failure!r}")

    def _happened(self, node: SimNode, event: EventView) -> None:
        self.watch.happened(node, event)
