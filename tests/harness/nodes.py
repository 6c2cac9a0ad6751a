"""Whole nodes in this process: the composition root's own wiring over loopback WebSocket and UDP.

Each node lives in a task of its own, as a daemon does, so it can be stopped, cut off as by a crash, and started again
on the same directory, key and port. What tasks cost and take is told beforehand (`speeds`), so that no start measures.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from coalesced.compose.buying import ORDER_LABEL
from coalesced.compose.ground import Ground
from coalesced.compose.node import Built, build
from coalesced.config import Config, Source
from coalesced.gateway.a2a.extra import announcing, buying, serving
from coalesced.gateway.checks import outside_checks
from coalesced.gateway.registry.serving import serving_registry
from coalesced.paths import find_paths
from crypto.identity import Identity
from dht.config import DhtConfig
from node.daemon import Daemon, Parts
from node.decision.calibrate import Calibration, Prior, observe, start
from node.decision.internal_cost import MachineRates
from node.env import Env
from node.execute.config import ExecuteConfig
from node.execute.executor import Executor
from node.execute.inline import BuiltinWork, InlineExecutor
from node.execute.processes import ProcessExecutor
from node.net.addresses import Addresses
from node.net.config import NetConfig
from node.net.endpoint import Endpoint
from node.net.ports import free_port
from node.net.websocket import WebSocketTransport
from node.outsource.client.agents import Agents
from node.outsource.client.offers import order_id
from node.outsource.config import ClientConfig, ContractorConfig
from node.owner.doctor import Doctor
from node.owner.network import Network
from node.owner.owner import Owner
from node.owner.status import StatusDesk
from node.store.store import Store
from node.views import AskRequest, EventView, SellRequest, TaskView

NETWORK = "test"
LIMIT_S = 60.0
"""Nothing that a test waits for may take longer."""
BUILTIN = ("document-analysis", "portfolio", "risk", "sentiment")
DEAR = MachineRates(hourly_rate_usd=60.0)
"""A machine whose owner had better buy."""
CHEAP = MachineRates(hourly_rate_usd=0.05)
WORK = BuiltinWork()
"""Results of builtin skills, made once for all nodes of this process."""


def calibrated(seconds_per_unit: float) -> Calibration:
    """A calibration as after some runs that all took so long a unit."""
    state = start(Prior(seconds_per_unit=seconds_per_unit))
    for units in (1, 10, 100, 10, 1, 100):
        state = observe(state, units, seconds_per_unit * units)
    return state


@dataclass(kw_only=True)
class Plan:
    """What a node is like. `speeds`: seconds a work unit that it believes in; `pace`: seconds a run really takes."""

    seed: bytes
    directory: Path | None = None
    bootstrap: Sequence[Endpoint] = ()
    port: int = 0
    speeds: Mapping[str, float] = field(default_factory=dict)
    pace_s: float = 0.0
    functions: bool = False
    """Run skills in worker processes, users' functions too."""
    by_meaning: bool = False
    """Post what it sells by meaning too: most of the work of a node's start."""
    sections: Mapping[str, Any] = field(default_factory=dict)
    a2a: Mapping[str, Any] = field(default_factory=dict)
    """What the A2A server does otherwise, where the section serves it."""


class Node:
    """One running node."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.identity = Identity(plan.seed)
        self.endpoint = Endpoint("127.0.0.1", plan.port or free_port(["127.0.0.1"]))
        self._started = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._built: Built | None = None
        self._owner: Owner | None = None

    @property
    def key(self) -> bytes:
        return self.identity.public_key

    @property
    def daemon(self) -> Daemon:
        assert self._built is not None
        return self._built.daemon

    @property
    def parts(self) -> Parts:
        return self.daemon.parts

    @property
    def owner(self) -> Owner:
        assert self._owner is not None
        return self._owner

    async def start(self) -> "Node":
        """Bring it up; when this returns, it serves and its offers are out."""
        self._started.clear()
        self._life = asyncio.create_task(self._live())
        started = asyncio.create_task(self._started.wait())
        await asyncio.wait([self._life, started], return_when=asyncio.FIRST_COMPLETED, timeout=LIMIT_S)
        started.cancel()
        if self._life.done():
            await self._life
        assert self._started.is_set(), "the node did not start in time"
        return self

    async def stop(self, *, drain: bool = False) -> None:
        """End it in order."""
        if self._life is not None and not self._life.done():
            self.daemon.ask_to_stop(drain=drain)
            async with asyncio.timeout(LIMIT_S):
                await self._life

    async def crash(self) -> None:
        """End it at once, without a word to anybody."""
        parts = self.parts
        parts.discovery._endpoint.close()
        await parts.peers._transport.close()
        ended = [task for task in (parts.discovery._main, parts.peers._keeper, self._life) if task is not None]
        for task in ended:
            task.cancel()
        await asyncio.wait(ended, timeout=LIMIT_S)

    async def restart(self) -> "Node":
        """Stop, and start on the same directory, key and port."""
        await self.stop()
        return await self.start()

    async def _live(self) -> None:
        async with AsyncExitStack() as stack:
            config = self._config()
            store = await Store.open(self.plan.directory, self.identity, caps=config.caps, retention=config.retention)
            stack.push_async_callback(store.close)
            for label in BUILTIN:
                state = msgspec.json.encode(calibrated(self.plan.speeds.get(label, 1e-4))).decode()
                await store.calibrations.save(f"{label}/full", state, 0)
            group = await stack.enter_async_context(asyncio.TaskGroup())
            env = Env()
            transport = WebSocketTransport(config.net.max_message_bytes)
            executor = self._executor(config.execute, env)
            agents = buying(config.a2a, self.identity, env, executor, config.node.network)
            ground = Ground(
                identity=self.identity,
                env=env,
                store=store,
                addresses=Addresses((self.endpoint,), self.endpoint, "for a test"),
                bootstrap=tuple(self.plan.bootstrap),
                transport=transport,
                executor=executor,
                agents=await stack.enter_async_context(agents),
                group=group,
            )
            self._built = build(config, ground)
            self._owner = _owner(config, self._built, ground.agents, self.plan.directory)
            if config.a2a.enabled:
                served = serving(config.a2a, self.daemon, self._owner, transport.app, **self.plan.a2a)
                await stack.enter_async_context(served)
            await stack.enter_async_context(serving_registry(config.registry, self.daemon, transport.app))
            await self.daemon.start()
            async with announcing(config.a2a, self.daemon):
                await self._offers_out()
                self._started.set()
                await self.daemon.until_stopped()
            await self.daemon.stop()

    async def _offers_out(self) -> None:
        parts = self.parts
        wanted = set(parts.contractor_config.skills) if parts.contractor_config.sell else set()
        wanted |= {sold.label for sold in await parts.store.sold_functions.load()}
        async with asyncio.timeout(LIMIT_S):
            while wanted - {ware.label for ware in parts.shop.wares} - set(parts.sales.problems):  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def _executor(self, config: ExecuteConfig, env: Env) -> Executor:
        if self.plan.functions:
            return ProcessExecutor(config, env)
        return InlineExecutor(config, WORK, lambda label, units: self.plan.pace_s, probes={})

    def _config(self) -> Config:
        home = self.plan.directory or Path("/nonexistent")
        sections: dict[str, Any] = {
            "net": NetConfig(drain_s=0.2),
            "dht": DhtConfig(bootstrap_backoff_s=0.05),
            "execute": ExecuteConfig(max_workers=2),
            "machine": CHEAP,
            "client": ClientConfig(receipt_timeout_s=2.0),
            **self.plan.sections,
        }
        config = Config(source=Source(find_paths(home, environ={})), **sections)
        return msgspec.structs.replace(
            config,
            node=msgspec.structs.replace(config.node, network=NETWORK),
            contractor=msgspec.structs.replace(config.contractor, by_meaning=self.plan.by_meaning),
        )

    # --- what its owner does

    async def submit(self, skill: str, text: str = "", **fields: Any) -> bytes:
        """Take on a task; its id. Public unless said otherwise, so that no leak weighs in."""
        return await self.parts.client.submit(AskRequest(skill=skill, text=text, **{"privacy": "public", **fields}))

    async def ended(self, task_id: bytes) -> TaskView:
        """The task, once it has ended."""
        async with asyncio.timeout(LIMIT_S):
            async for _ in self.parts.tasks.watch(task_id):
                pass
        return await self.parts.tasks.view(task_id)

    async def ask(self, skill: str, text: str = "", **fields: Any) -> TaskView:
        """Take on a task and see it to its end."""
        return await self.ended(await self.submit(skill, text, **fields))

    async def reached(self, task_id: bytes, name: str) -> EventView:
        """The first event of that name in a task's log, once it is there."""
        async with asyncio.timeout(LIMIT_S):
            async for event in self.parts.tasks.watch(task_id):
                if event.name == name:
                    return event
        events = [event.name for event in await self.parts.tasks.events(task_id)]
        raise AssertionError(f"the task ended without {name!r}: {events}")

    def order_of(self, task: bytes | str, contractor: bytes) -> bytes:
        """What this buyer and that contractor call a task of this buyer's."""
        task_id = bytes.fromhex(task) if isinstance(task, str) else task
        return order_id(self.identity.sign(ORDER_LABEL, NETWORK.encode()), task_id, contractor)

    async def journal(self, kind: str = "") -> list[str]:
        """The kinds of all journal entries, or of those of one kind."""
        kinds = [entry.kind for entry in await self.parts.store.journal.tail(500)]
        return [one for one in kinds if one == kind or not kind]

    async def written(self, kind: str, count: int = 1) -> None:
        """Return once the journal has so many entries of that kind."""
        async with asyncio.timeout(LIMIT_S):
            while len(await self.journal(kind)) < count:  # noqa: ASYNC110  # the journal has no event for it
                await asyncio.sleep(0.01)

    async def sell(self, directory: Path, code: str, **fields: Any) -> str:
        """Put the function `work` of a new module on sale; its label."""
        module = f"sold_{os.urandom(4).hex()}"
        (directory / f"{module}.py").write_text(code)
        request = SellRequest(target=f"{module}:work", directory=str(directory), environment=dict(os.environ), **fields)
        return (await self.owner.sell(request)).label


def _owner(config: Config, built: Built, agents: Agents, home: Path | None) -> Owner:
    daemon = built.daemon

    async def reload() -> str:
        return "nothing has changed"

    return Owner(
        daemon,
        status=StatusDesk(daemon, version="test", home=str(home or "")),
        network=Network(daemon.parts, built.listings, config.decision),
        doctor=Doctor(daemon, home, outside_checks(config, daemon.parts, agents)),
        reload=reload,
    )


class World:
    """Some nodes that know each other; all stopped at the end."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._made = 0
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "World":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        for node in reversed(self.nodes):
            await node.stop()

    @property
    def bootstrap(self) -> tuple[Endpoint, ...]:
        """Where a newcomer joins."""
        return tuple(node.endpoint for node in self.nodes[:1])

    async def node(self, **plan: Any) -> Node:
        """A started node that has joined the others."""
        self._made += 1
        seed = self._made.to_bytes(32, "big")
        node = Node(Plan(**{"seed": seed, "bootstrap": self.bootstrap, **plan}))
        await node.start()
        if node.plan.bootstrap:
            await joined(node.parts)
        self.nodes.append(node)
        return node

    async def seller(self, **plan: Any) -> Node:
        """A cheap, idle node that sells the builtin skills."""
        return await self.node(**plan)

    async def buyer(self, **plan: Any) -> Node:
        """A node on a dear machine, slow at everything: it would rather buy. It sells nothing."""
        sections = {"machine": DEAR, "contractor": ContractorConfig(sell=False), **plan.pop("sections", {})}
        speeds = dict.fromkeys(BUILTIN, 0.05)
        return await self.node(**{"speeds": speeds, **plan, "sections": sections})

    async def trade(self, directory: Path, code: str, *, by_meaning: bool = False, **sell: Any) -> tuple[Node, Node]:
        """A seller of a user's function, and a buyer without it."""
        sections = {"contractor": ContractorConfig(skills=())}
        seller = await self.seller(functions=True, by_meaning=by_meaning, sections=sections)
        await seller.sell(directory, code, **sell)
        return seller, await self.buyer()


async def joined(parts: Parts) -> None:
    """Return once the node knows another."""
    async with asyncio.timeout(LIMIT_S):
        while not parts.discovery.contacts():  # noqa: ASYNC110  # discovery has no event for it
            await asyncio.sleep(0.002)


def snapshot(directory: Path, to: Path) -> Path:
    """The files of a node as a crash at this moment would leave them; the node must be waiting for something."""
    shutil.copytree(directory, to)
    return to


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """An empty world."""
    async with World() as made:
        yield made
