"""A real committee with liars in it, under load, kill -9, partitions and bad links; then everything is looked at.

The testnet is the one of `testnet up --validators N --byzantine F`: processes, sockets, SQLite, the proxy.
"""

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from coalesced.cli.ledger_files import found_testnet
from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError
from coalesced.testnet import lying, processes, runner
from coalesced.testnet.agreement import blocks
from coalesced.testnet.manifest import Lie, Manifest, NodePlan, Role
from coalesced.testnet.proxy import orders
from coalesced.testnet.proxy.weather import Link, ordered
from crypto.identity import Identity, did_key, short_id
from node.community.genesis_file import parse_genesis
from node.ledger.chain.genesis import chain_id
from node.store import keyfile
from protocol.consensus import block_hash
from protocol.transactions import CommitRating, sign_transaction, transaction_id
from tests.harness.votesaid import VotesSaid

AUTHORS = 6
"""Accounts that write, each one transaction at a time."""
PAUSE_S = 0.05
"""Between two transactions of an author: the machine is shared."""
RESUME_S = 30.0
"""Within so long after healing, something new is committed: a view's first time-out, doubled up to three times."""
CATCH_UP_S = 60.0
DISTURBANCES = ("kill", "kill", "kill many", "partition", "partition", "slow")
FLYING_S = 1.0
"""What had passed the proxy before a cut has arrived by then, and what follows from it."""
LOOK_S = 0.4
"""How often the logs of votes are read."""


@dataclass
class Figures:
    """What a run came to."""

    seed: int
    members: int
    lies: list[str]
    seconds: float = 0.0
    acknowledged: int = 0
    height: int = 0
    view: int = 0
    kills: int = 0
    partitions: int = 0
    halts: int = 0
    """Partitions in which nobody had a quorum, and nobody committed anything."""
    slowdowns: int = 0
    resumed_s: list[float] = field(default_factory=list)
    votes: str = ""
    members_left: int = 0

    def __str__(self) -> str:
        resumed = sorted(self.resumed_s) or [0.0]
        return (
            f"n={self.members} seed {self.seed}, {self.seconds:.0f} s, liars {', '.join(self.lies)}: "
            f"{self.acknowledged} acknowledged, {self.height} blocks, view {self.view}, {self.kills} kills, "
            f"{self.partitions} partitions ({self.halts} without a quorum), {self.slowdowns} slow links, resumed after "
            f"{statistics.median(resumed):.1f} s (median), {resumed[-1]:.1f} s (longest); {self.votes}; "
            f"{self.members_left} members at the end"
        )


class Soak:
    """One run. Make it with `soaking`."""

    def __init__(self, manifest: Manifest, authors: list[Identity], seed: int) -> None:
        self.manifest = manifest
        self.rng = Random(seed)
        genesis = parse_genesis(manifest.genesis.read_bytes(), str(manifest.genesis))
        self.chain = chain_id(genesis)
        self.keys = {
            node.name: keyfile.load(manifest.home(node) / "identity.key").public_key for node in manifest.nodes
        }
        self.honest = list(manifest.honest)
        self.votes = VotesSaid(self.keys[node.name] for node in self.honest)
        self.figures = Figures(seed, len(manifest.nodes), [node.lie for node in manifest.nodes if node.lie])
        self.acknowledged: dict[bytes, int] = {}
        self.is_over = False
        self._authors = authors
        self._clients: dict[str, ControlClient] = {}
        self._down: set[str] = set()

    # --- a run

    async def run(self, seconds: float, *, lies: tuple[Lie, ...] = (), turn_s: float = 40.0) -> Figures:
        """Load and chaos for `seconds`, then peace, then the checks. `lies` are what the liars do next, in turn."""
        began = time.monotonic()
        async with AsyncExitStack() as stack:
            for node in self.honest:
                client = ControlClient(runner.socket_of(self.manifest, node))
                self._clients[node.name] = await stack.enter_async_context(client)
            async with asyncio.TaskGroup() as group:
                writing = [group.create_task(self._write(author)) for author in self._authors]
                watching = group.create_task(self._watch())
                turning = group.create_task(self._turn(lies, turn_s))
                await self._first_commit()
                for what in ("kill", "partition"):  # however short the run is
                    await self._disturb(what)
                while time.monotonic() < began + seconds:
                    await self._disturb(self.rng.choice(DISTURBANCES))
                turning.cancel()
                self.is_over = True
                async with asyncio.timeout(CATCH_UP_S):
                    await asyncio.gather(*writing)
                watching.cancel()
            self.figures.seconds = time.monotonic() - began
            await self._check()
        return self.figures

    async def _write(self, author: Identity) -> None:
        """Have transactions committed one after the other; one that was not acknowledged is given to another node."""
        for sequence in itertools.count(1):
            if self.is_over:
                return
            terms = CommitRating(
                chain=self.chain, signer=author.public_key, sequence=sequence, commitment=os.urandom(32)
            )
            tx = sign_transaction(terms, author)
            while transaction_id(tx) not in self.acknowledged:
                node = self.rng.choice(self.honest)
                try:
                    done = await self._clients[node.name].ledger_submit(tx)
                    self.acknowledged[transaction_id(tx)] = done["height"]
                except ControlError:
                    await asyncio.sleep(PAUSE_S)
            await asyncio.sleep(PAUSE_S)

    async def _watch(self) -> None:
        while True:
            for node in self.honest:
                if node.name not in self._down:
                    self.votes.read_log(self.keys[node.name], self.manifest.home(node), is_dead=False)
            await asyncio.sleep(LOOK_S)

    async def _turn(self, lies: tuple[Lie, ...], turn_s: float) -> None:
        """Let the liars do something else from time to time."""
        liars = itertools.cycle([node.name for node in self.manifest.nodes if node.lie])
        for kind in lies:
            await asyncio.sleep(turn_s)
            self.manifest = await lying.make_liar(self.manifest, next(liars), kind, allow_unsafe=False)
            self.figures.lies.append(kind)

    # --- chaos

    async def _disturb(self, what: str) -> None:
        """One thing happens, ends, and commits have to go on."""
        match what:
            case "kill":
                await self._kill(self.rng.choice(self.honest))
            case "kill many":
                some = self.rng.sample(self.honest, self.rng.randrange(2, len(self.honest) + 1))
                await asyncio.gather(*(self._kill(node) for node in some))
            case "partition":
                await self._partition()
            case _:
                await self._slow()
        await self._resumed()
        await asyncio.sleep(self.rng.uniform(0.2, 2.0))

    async def _kill(self, node: NodePlan) -> None:
        """kill -9, a look at the votes that it left, a start on the same files."""
        await asyncio.sleep(self.rng.uniform(0.0, 0.5))
        self._down.add(node.name)
        home = self.manifest.home(node)
        await asyncio.to_thread(processes.kill, home)
        self.figures.kills += 1
        self.votes.read_log(self.keys[node.name], home, is_dead=True)
        await asyncio.sleep(self.rng.uniform(0.0, 2.0))
        await runner.wait_ready(self.manifest, node, runner.start_node(self.manifest, node))
        self._down.discard(node.name)

    async def _partition(self) -> None:
        names = [node.name for node in self.manifest.nodes]
        self.rng.shuffle(names)
        at = self.rng.randrange(1, len(names))
        sides = names[:at], names[at:]
        committee = await self._clients[self.honest[0].name].ledger_members()
        voting = {row["did"] for row in committee["members"]}
        most = max(sum(did_key(self.keys[name]) in voting for name in side) for side in sides)
        await orders.cut(self.manifest, *sides)
        self.figures.partitions += 1
        await asyncio.sleep(FLYING_S)
        before = await self._height()
        await asyncio.sleep(self.rng.uniform(0.5, 7.0))
        if most < committee["quorum"]:
            assert await self._height() == before, f"a block without a quorum, between {sides}"
            self.figures.halts += 1
        await orders.heal(self.manifest)

    async def _height(self) -> int:
        """Of the honest member that has come furthest."""
        return max([(await client.ledger_head())["height"] for client in self._clients.values()])

    async def _slow(self) -> None:
        name = self.rng.choice(self.manifest.nodes).name
        others = [node.name for node in self.manifest.nodes if node.name != name]
        link = Link(delay_ms=self.rng.randrange(300), jitter_ms=100, loss_percent=self.rng.randrange(6))
        await orders.slow(self.manifest, [ordered(name, other) for other in others], link)
        self.figures.slowdowns += 1
        await asyncio.sleep(self.rng.uniform(1.0, 6.0))
        await orders.heal(self.manifest)

    async def _first_commit(self) -> None:
        await until(lambda: bool(self.acknowledged), RESUME_S, "a first commit")

    async def _resumed(self) -> None:
        """Something that was not committed at this moment is, in time."""
        began, height = time.monotonic(), max(self.acknowledged.values(), default=0)
        await until(lambda: max(self.acknowledged.values(), default=0) > height, RESUME_S, f"commits beyond {height}")
        self.figures.resumed_s.append(time.monotonic() - began)

    # --- checks

    async def _check(self) -> None:
        """Everybody has everything, in the same order, and it verifies; nobody honest said two things."""
        clients = list(self._clients.values())
        await until_async(self._level, CATCH_UP_S, "all honest members at one height")
        chains = [await _chain(client) for client in clients]
        assert all(chain == chains[0] for chain in chains[1:]), "the honest members' chains differ"
        places = {tx_id: height for height, (_, tx_ids) in enumerate(chains[0], 1) for tx_id in tx_ids}
        lost = [tx_id.hex() for tx_id, height in self.acknowledged.items() if places.get(tx_id) != height]
        assert not lost, f"{len(lost)} acknowledged transactions are not where they were said to be: {lost[:3]}"
        verified = [await client.ledger_verify() for client in clients]
        assert all(one["ok"] for one in verified), verified
        assert len({(one["height"], one["block"], one["state_root"]) for one in verified}) == 1, verified
        await self._check_votes()
        heads = [await client.ledger_head() for client in clients]
        assert [head["problem"] for head in heads] == [""] * len(heads)
        self.figures.acknowledged = len(self.acknowledged)
        self.figures.height = verified[0]["height"]
        self.figures.view = max(head["view"] for head in heads)
        self.figures.members_left = heads[0]["members"]

    async def _level(self) -> bool:
        heads = [await client.ledger_head() for client in self._clients.values()]
        return len({head["height"] for head in heads}) == 1

    async def _check_votes(self) -> None:
        for node in self.manifest.nodes:
            if node.lie is not None:
                self.votes.read_heard(self.manifest.home(node))
        for client in self._clients.values():
            async for committed in blocks(client):
                self.votes.read_certificate(committed.certificate)
        votes = self.votes
        assert votes.contradictions == []
        homes = [self.manifest.home(node) for node in self.manifest.nodes]
        failed = [(home.name, line) for home in homes for line in _logged(home, "ledger.failed")]
        assert not failed, failed
        honest_homes = [self.manifest.home(node) for node in self.honest]
        accused = {line["member"] for home in honest_homes for line in _logged(home, "ledger.equivocation")}
        innocent = {short_id(self.keys[node.name]) for node in self.honest}
        assert not accused & innocent, f"honest members were seen to vote twice: {accused & innocent}"
        self.figures.votes = (
            f"{len(votes)} votes of honest members seen ({votes.logged} times in logs, {votes.heard} by liars, "
            f"{votes.certified} in certificates), none against another"
        )


@asynccontextmanager
async def soaking(directory: Path, members: int, lies: tuple[Lie, ...], seed: int) -> AsyncIterator[Soak]:
    """A committee of so many members that is up, the last of which lie; gone afterwards."""
    authors: list[Identity] = []

    def prepare(manifest: Manifest) -> None:
        pens = [directory / "authors" / f"a{number}" for number in range(AUTHORS)]
        homes = [*map(manifest.home, manifest.nodes), *pens]
        found_testnet(manifest.name, manifest.network, homes, members, manifest.genesis)
        authors.extend(keyfile.load(pen / "identity.key") for pen in pens)

    roles: tuple[Role, ...] = tuple("buyer" for _ in range(members))
    manifest = await runner.up(
        "soak", directory, roles, lambda _: None, prepare, validators=members, lies=lies, with_proxy=True
    )
    try:
        yield Soak(manifest, authors[-AUTHORS:], seed)
    finally:
        await asyncio.to_thread(runner.down, directory)


async def _chain(client: ControlClient) -> list[tuple[bytes, tuple[bytes, ...]]]:
    """Hash and transactions of every block."""
    return [(block_hash(one.block.header), tuple(map(transaction_id, one.block.txs))) async for one in blocks(client)]


def _logged(home: Path, event: str) -> list[dict[str, Any]]:
    """Every mention of an event in a node's log."""
    lines = processes.log_file(home).read_text(errors="replace").splitlines()
    return [msgspec.json.decode(line) for line in lines if f'"event":"{event}"' in line]


async def until(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Return when it holds."""

    async def look() -> bool:
        return condition()

    await until_async(look, limit_s, what)


async def until_async(condition: Callable[[], Awaitable[bool]], limit_s: float, what: str) -> None:
    """Return when it holds."""
    try:
        async with asyncio.timeout(limit_s):
            while not await condition():  # noqa: ASYNC110  # what it waits for has no event here
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {limit_s:g} s: {what}") from None
