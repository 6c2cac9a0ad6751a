"""Members and observers of a community chain in this process: real sockets, real SQLite, the node's own shell."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from crypto.identity import Identity, did_key
from dht.config import DhtConfig
from dht.service import KademliaDiscovery
from node.community.community import Community
from node.community.config import LedgerConfig
from node.community.facts import Facts
from node.community.genesis_file import make_genesis, render_genesis
from node.community.shell import MakeShell, Shell
from node.community.waiters import Done
from node.env import Env
from node.ledger.chain.state import State
from node.ledger.pbft.config import PbftConfig
from node.net.config import NetConfig
from node.net.endpoint import Endpoint
from node.net.errors import Refusal
from node.net.peers import Peers
from node.net.ports import free_port
from node.net.session import Call
from node.net.websocket import WebSocketTransport
from node.store.errors import StorageError
from node.store.journal_store import Journal
from node.store.ledger_store import LedgerStore
from node.store.memory_disk import MemoryDisk
from protocol.messages import GenesisRequest, LedgerBatch, Message
from protocol.transactions import CommitRating

NETWORK = "test"
LIMIT_S = 60.0
QUICK = PbftConfig(view_timeout_ms=400, resend_ms=200, status_ms=300, sync_timeout_ms=400)
"""Timers for a machine on which nothing is far away."""
PEOPLE = tuple(Identity(bytes([100 + number]) * 32) for number in range(12))


def chain_of(members: int, people: int = 12) -> bytes:
    """A packed genesis of the first `members` of PEOPLE; the first `people` have accounts."""
    keys = [one.public_key for one in PEOPLE]
    unix_ms = Env().unix_ms() - 1000
    return make_genesis(
        name="a test", network=NETWORK, time_unix_ms=unix_ms, members=keys[:members], others=keys[:people]
    )


class Neighbour:
    """One node's part in the chain, with its network layer; may be stopped and started again."""

    def __init__(self, number: int, where: Path | MemoryDisk) -> None:
        self.identity = PEOPLE[number]
        self.where = where
        self.endpoint = Endpoint("127.0.0.1", free_port(["127.0.0.1"]))
        self._stack = AsyncExitStack()
        self._parts: tuple[Community, LedgerStore | StorageError] | None = None
        self.peers: Peers | None = None
        self._discovery: KademliaDiscovery | None = None
        self.make_shell: MakeShell = Shell
        self.clock_ahead_ms = 0

    @property
    def key(self) -> bytes:
        return self.identity.public_key

    @property
    def community(self) -> Community:
        assert self._parts is not None
        return self._parts[0]

    @property
    def store(self) -> LedgerStore:
        assert self._parts is not None
        store = self._parts[1]
        assert isinstance(store, LedgerStore)
        return store

    @property
    def discovery(self) -> KademliaDiscovery:
        assert self._discovery is not None
        return self._discovery

    @property
    def facts(self) -> Facts | None:
        standing = self.community.standing
        return standing.facts if standing else None

    @property
    def height(self) -> int:
        return self.facts.height if self.facts else -1

    @property
    def state(self) -> State:
        return self.community.following.state

    async def start(
        self,
        *,
        genesis: str = "",
        others: Sequence["Neighbour"] = (),
        bootstrap: Sequence[Endpoint] = (),
        **config: Any,
    ) -> "Neighbour":
        """Bring it up."""
        async with AsyncExitStack() as stack:
            file = self.where / "ledger.db" if isinstance(self.where, Path) else self.where.open("ledger.db")
            store: LedgerStore | StorageError
            try:
                store = await LedgerStore.open(file, inline=isinstance(self.where, MemoryDisk))
                stack.push_async_callback(store.close)
            except StorageError as error:
                store = error
            journal = await Journal.open(None, self.identity)
            stack.push_async_callback(journal.close)
            env = Env(unix_ms=lambda: Env().unix_ms() + self.clock_ahead_ms)
            net = NetConfig(drain_s=0.2)
            peers = Peers(
                self.identity, NETWORK, WebSocketTransport(net.max_message_bytes), self._handle, os.urandom, net
            )
            await peers.start([self.endpoint])
            stack.push_async_callback(peers.stop)
            discovery = KademliaDiscovery(
                self.identity,
                NETWORK,
                DhtConfig(bootstrap_backoff_s=0.05),
                unix_ms=env.unix_ms,
                rng=env.rng,
                entropy=env.entropy,
            )
            await discovery.start([(self.endpoint.host, self.endpoint.port)])
            stack.push_async_callback(discovery.stop)
            discovery.add_bootstrap((one.host, one.port) for one in bootstrap)
            endpoints = tuple(f"{did_key(one.key)}@{one.endpoint}" for one in others)
            community = Community(
                identity=self.identity,
                network=NETWORK,
                env=env,
                store=store,
                peers=peers,
                discovery=discovery,
                advertised=self.endpoint,
                bootstrap=bootstrap,
                journal=journal,
                make_shell=self.make_shell,
                config=LedgerConfig(genesis=genesis, endpoints=endpoints, agreement=QUICK, **config),
            )
            self.peers, self._parts, self._discovery = peers, (community, store), discovery
            await community.open()
            running = asyncio.create_task(community.run())
            stack.push_async_callback(_ended, running)
            self._stack = stack.pop_all()
        return self

    async def stop(self) -> None:
        """Bring it down."""
        await self._stack.aclose()

    async def commit(self) -> Done:
        """Have one small transaction of this node's own committed."""
        following = self.community.following
        tx = following.author.sign(following.state, CommitRating, commitment=os.urandom(32))
        return await self.community.submit(tx)

    async def _handle(self, call: Call) -> Message:
        match call.body:
            case LedgerBatch() as batch:
                return self.community.take(call.peer_key, batch)
            case GenesisRequest():
                return self.community.genesis()
            case other:
                raise Refusal("unexpected", type(other).__name__)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def until(condition: Callable[[], bool], what: str) -> None:
    """Return when the condition holds."""
    try:
        async with asyncio.timeout(LIMIT_S):
            while not condition():  # noqa: ASYNC110  # what it waits for has no event of its own
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {LIMIT_S:g} s: {what}") from None


class Neighbourhood:
    """Some members who know each other's addresses, of one genesis file."""

    def __init__(self, directory: Path, members: int) -> None:
        self.directory = directory
        self.genesis = chain_of(members)
        self.file = directory / "genesis.json"
        self.file.write_text(render_genesis(self.genesis))
        self.members: list[Neighbour] = []
        self._all: list[Neighbour] = []

    def neighbour(self, number: int, where: Path | MemoryDisk | None = None) -> Neighbour:
        """Node `number` of PEOPLE, not started."""
        directory = self.directory / f"node{number}"
        directory.mkdir(exist_ok=True)
        made = Neighbour(number, where or directory)
        self._all.append(made)
        return made

    async def start(self, neighbour: Neighbour, **config: Any) -> Neighbour:
        """Start one with the genesis file; it knows the members' addresses."""
        others = [one for one in self.members if one is not neighbour]
        return await neighbour.start(**{"genesis": str(self.file), "others": others, **config})

    async def agree(self, height: int, among: Sequence[Neighbour] | None = None) -> None:
        """Return once all of them are at `height` or beyond, with the same state there."""
        chosen = among or self.members
        await until(
            lambda: all(one.height >= height for one in chosen) and len({one.height for one in chosen}) == 1,
            f"height {height}; now {[one.height for one in chosen]}",
        )
        assert len({one.state.trie.root() for one in chosen}) == 1

    async def end(self) -> None:
        for one in self._all:
            await one.stop()


@asynccontextmanager
async def community(
    directory: Path, members: int = 4, *, disk: MemoryDisk | None = None, last_shell: MakeShell = Shell
) -> AsyncIterator[Neighbourhood]:
    """That many started members; the last one on `disk`, if one is given, and with another shell."""
    made = Neighbourhood(directory, members)
    try:
        for number in range(members):
            made.members.append(made.neighbour(number, disk if number == members - 1 else None))
        made.members[-1].make_shell = last_shell
        for one in made.members:
            await made.start(one)
        await until(lambda: all(one.facts is not None for one in made.members), "all have read their files")
        yield made
    finally:
        await made.end()
