"""One simulated machine: its disk stays, its processes come and go.

A process is a `Life`: a whole daemon, wired by the composition root, in a context of its own, so that everything it
ever starts can be found and ended at once. What is ended so must not be able to do anything any more: its disk is
detached, its sockets are closed, and only then its tasks are cancelled.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context, copy_context
from typing import Any

from coalesced.compose.ground import Ground
from coalesced.compose.node import build
from coalesced.sim.frames import FrameNetwork, SimFrames
from coalesced.sim.loop import SimLoop, owner
from coalesced.sim.profile import Fabricating, Profile, config_of
from node.daemon import Parts
from node.env import Env
from node.execute.inline import BuiltinWork, InlineExecutor, Probe
from node.net.addresses import Addresses
from node.net.endpoint import Endpoint
from node.store.memory_disk import MemoryDisk
from node.store.store import Store
from node.views import EventView

START_LIMIT_S = 30.0
STOP_LIMIT_S = 60.0
"""A daemon may drain for half a minute; twice that is a hang."""
REAP_ROUNDS = 100
"""Cancelled tasks may start others (to write down what can no longer be written); not for ever."""

OnEvent = Callable[["SimNode", EventView], None]


class Life:
    """One process of a node, from its start to its end."""

    def __init__(self, node: "SimNode", number: int) -> None:
        self.node = node
        self.name = f"{node.profile.number}/{number}"
        self.is_dead = False
        self.failure: BaseException | None = None
        """What ended it, when nobody had asked for its end."""
        self.ready = asyncio.Event()
        self.parts: Parts | None = None
        self.context: Context = copy_context()
        self.context.run(owner.set, self.name)
        self.transport = SimFrames(node.frames, node.profile.host)
        self._ask_to_stop: Callable[[], None] | None = None
        rng = random.Random(f"{node.loop.seed}/{self.name}")
        self._env = Env(unix_ms=node.unix_ms, rng=rng, entropy=rng.randbytes, offload=asyncio.to_thread)
        self.task = self.start_soon(self._run())

    def start_soon(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run something as this process."""
        return self.node.loop.create_task(work, context=self.context)

    def ask_to_stop(self) -> None:
        """As SIGTERM does."""
        if self._ask_to_stop is not None:
            self._ask_to_stop()

    async def _run(self) -> None:
        try:
            await self._live()
        except asyncio.CancelledError:
            raise
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001  judged by the watch: the dead may fail
            self.failure = error
        finally:
            self.node.loop.network.close_sockets(self.node.profile.host)
            self.ready.set()

    async def _live(self) -> None:
        node = self.node
        config = config_of(node.profile)
        store = await Store.open(
            node.disk, node.profile.identity, caps=config.caps, retention=config.retention, inline=True
        )
        try:
            async with asyncio.TaskGroup() as group:
                ground = Ground(
                    identity=node.profile.identity,
                    env=self._env,
                    store=store,
                    addresses=Addresses((node.profile.endpoint,), node.profile.endpoint, "simulated"),
                    bootstrap=node.bootstrap,
                    transport=self.transport,
                    executor=InlineExecutor(config.execute, node.work, node.profile.pace, node.probes),
                    group=group,
                )
                daemon = build(config, ground).daemon
                self._ask_to_stop = lambda: daemon.ask_to_stop(drain=True)
                tap = group.create_task(self._listen(daemon.parts))
                async with asyncio.timeout(START_LIMIT_S):
                    await daemon.start()
                self.parts = daemon.parts
                self.ready.set()
                await daemon.until_stopped()
                async with asyncio.timeout(STOP_LIMIT_S):
                    await daemon.stop()
                tap.cancel()
        finally:
            await store.close()

    async def _listen(self, parts: Parts) -> None:
        async for event in parts.hub.stream():
            self.node.on_event(self.node, event)


class SimNode:
    """A machine with its disk and clock, and the process that it runs, if it runs one."""

    def __init__(
        self,
        loop: SimLoop,
        frames: FrameNetwork,
        profile: Profile,
        *,
        bootstrap: tuple[Endpoint, ...],
        work: BuiltinWork,
        probes: Mapping[str, Probe],
        on_event: OnEvent,
    ) -> None:
        self.loop = loop
        self.frames = frames
        self.profile = profile
        self.bootstrap = bootstrap
        rng = random.Random(f"{loop.seed}/{profile.number}/fabrication")
        self.work = Fabricating(work, rng) if profile.fabricates else work
        self.probes = probes
        self.on_event = on_event
        self.disk = MemoryDisk()
        self.clock_jumps_ms = 0
        self.is_changing = False
        """A crash or restart is under way: another one waits for its own turn, which is another day."""
        self.lives = 0
        self.life: Life | None = None

    def unix_ms(self) -> int:
        """This machine's wall clock."""
        return self.loop.unix_ms() + self.profile.clock_error_ms + self.clock_jumps_ms

    @property
    def parts(self) -> Parts | None:
        """The running daemon's parts; None while it is down or starting."""
        return self.life.parts if self.life is not None else None

    async def boot(self) -> BaseException | None:
        """Start a process; why it could not start, if so."""
        assert self.life is None, "a node runs one daemon"
        self.loop.network.unplugged.discard(self.profile.host)
        self.lives += 1
        life = self.life = Life(self, self.lives)
        await life.ready.wait()
        if life.parts is None:
            self.life = None
            return _first(life.failure or AssertionError("it ended before it had started"))
        return None

    async def stop(self) -> BaseException | None:
        """Ask for the end, and wait for it; what went wrong."""
        life = self.life
        if life is None:
            return None
        life.ask_to_stop()
        await asyncio.wait([life.task])
        self.life = None
        return life.failure

    async def crash(self, *, power: bool) -> int:
        """End the process at once, or with `power` the machine; how many tasks could not be ended (0, always)."""
        life, self.life = self.life, None
        if life is None:
            return 0
        life.is_dead = True
        self.disk.crash(power=power)
        life.transport.die(told=not power)
        self.loop.network.close_sockets(self.profile.host)
        if power:
            self.loop.network.unplugged.add(self.profile.host)
        for _ in range(REAP_ROUNDS):
            tasks = self.loop.tasks_of(life.name)
            if not tasks:
                return 0
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=0.1)
        return len(self.loop.tasks_of(life.name))


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
