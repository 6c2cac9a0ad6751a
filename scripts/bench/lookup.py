"""Discovery against the stock kademlia package: what look-ups find, how fast, for how many messages and bytes.

Every run grows a network: one node after the other, each joining through a random earlier one, 2 % of all datagrams
lost. Then names are published, the network is left alone, some of its nodes die without a word, and random living
nodes look random names up, one look-up after the other. Both packages do the same, in the same order.

In virtual time a datagram takes 5 to 50 ms and computing takes none. A grown network is forked, so that each share of
dead nodes meets the same one. Messages are datagrams sent by anyone: those of a look-up divide all that were sent while
look-ups ran; those of joining all that were sent until the network was quiet, per node. Memory is what Python has
allocated for nodes that have joined, their sockets and tasks included, per node. Over real UDP the nodes share one
process and loopback, so times are mostly computing and timers.
"""

import argparse
import asyncio
import gc
import itertools
import multiprocessing
import os
import pickle
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from coalesced.sim.loop import SimLoop, run
from coalesced.sim.network import Link
from coalesced.testnet.ports import free_ports
from scripts.bench.lossyudp import LossyLoop
from scripts.bench.report import heading, percentile, table
from scripts.bench.swarms import Ours, Stock, Swarm, set_stock_clock

LOSS = 0.02
PACKAGES = ("ours", "stock")
JOIN_PAUSE_S = 0.2
REAL_LOOKUPS_AT_ONCE = 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Grown:
    """What a network costs before anything dies."""

    join_messages: float
    """Per node."""
    idle_messages_per_s: float
    """Of the whole network."""
    bytes_per_node: float | None
    """None where it was not measured."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What look-ups brought."""

    found: int
    asked: int
    seconds: tuple[float, ...]
    messages: float
    """Per look-up."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a run."""

    nodes: int
    names: int
    lookups: int
    seed: int


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds of waiting: until the joined are quiet, until what was published is out, while nobody does anything."""

    settled_s: float
    published_s: float
    idle_s: float


VIRTUAL = Pauses(30.0, 20.0, 300.0)
REAL = Pauses(12.0, 12.0, 20.0)


async def set_up(swarm: Swarm, plan: Plan, pauses: Pauses, sent: Callable[[], int], *, with_memory: bool) -> Grown:
    """Grow a network, publish in it, leave it alone. Measuring memory halves the speed."""
    if with_memory:
        tracemalloc.start(1)
    await grow(swarm, plan, JOIN_PAUSE_S)
    await asyncio.sleep(pauses.settled_s)
    joined = sent()
    gc.collect()
    node_bytes = tracemalloc.get_traced_memory()[0] / plan.nodes if with_memory else None
    tracemalloc.stop()
    await publish(swarm, plan)
    await asyncio.sleep(pauses.published_s)
    before = sent()
    await asyncio.sleep(pauses.idle_s)
    return Grown(joined / plan.nodes, (sent() - before) / pauses.idle_s, node_bytes)


async def grow(swarm: Swarm, plan: Plan, pause_s: float) -> None:
    """Start all nodes, each through a random earlier one."""
    rng = random.Random(f"{plan.seed}/join")
    for number in range(plan.nodes):
        await swarm.start(number, rng.randrange(number) if number else None)
        await asyncio.sleep(pause_s)


async def publish(swarm: Swarm, plan: Plan) -> None:
    """Publish all names, each at a random node."""
    rng = random.Random(f"{plan.seed}/publish")
    for name in range(plan.names):
        await swarm.publish(rng.randrange(plan.nodes), f"name-{name}")


async def look_up(
    swarm: Swarm, plan: Plan, living: list[int], at_once: int, sent: Callable[[], int], now: Callable[[], float]
) -> Looked:
    """Random living nodes look random names up."""
    rng = random.Random(f"{plan.seed}/look-up")
    seconds: list[float] = []
    found = 0
    before = sent()

    async def one(asker: int, name: int) -> None:
        nonlocal found
        start_s = now()
        is_found = await swarm.find(asker, f"name-{name}")
        found += is_found
        seconds.append(now() - start_s)

    questions = [(rng.choice(living), rng.randrange(plan.names)) for _ in range(plan.lookups)]
    for at in range(0, len(questions), at_once):
        await asyncio.gather(*(one(*question) for question in questions[at : at + at_once]))
    return Looked(found, plan.lookups, tuple(seconds), (sent() - before) / plan.lookups)


def unix_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def dying(plan: Plan, dead_ppc: int) -> list[int]:
    """Who dies, when so many in a hundred do."""
    return random.Random(f"{plan.seed}/die").sample(range(plan.nodes), plan.nodes * dead_ppc // 100)


# --- Virtual time


def virtual(package: str, plan: Plan, dead_shares: list[int]) -> tuple[Grown, dict[int, Looked]]:
    """One network in virtual time, and look-ups in a fork of it for each share of dead nodes."""

    async def main(loop: SimLoop) -> tuple[Grown, dict[int, Looked]]:
        addresses = [(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 4_000) for number in range(plan.nodes)]
        if package == "stock":
            set_stock_clock(loop.time)
        swarm = Ours(addresses, plan.seed, loop.unix_ms) if package == "ours" else Stock(addresses, plan.seed)
        grown = await set_up(swarm, plan, VIRTUAL, lambda: loop.network.sent, with_memory=True)
        looked: dict[int, Looked] = {}
        for share in dead_shares:
            dead = set(dying(plan, share))
            loop.network.unplugged = {addresses[number][0] for number in dead}
            living = [number for number in range(plan.nodes) if number not in dead]
            looked[share] = await in_fork(
                partial(look_up, swarm, plan, living, 1, lambda: loop.network.sent, loop.time)
            )
        return grown, looked

    return run(plan.seed, main, Link(loss=LOSS), on_failure=lambda context: None)


async def in_fork(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What `work` gives in a fork of this process, whose own state stays as it is. RuntimeError when it fails there."""
    loop = asyncio.get_running_loop()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        asyncio._set_running_loop(loop)  # asyncio forgets the loop in a fork.
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(await work(), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        result = pipe.read()
    # Nothing else runs in this process meanwhile, so waiting harms nobody.
    if os.waitpid(child, 0)[1] != 0 or not result:  # noqa: ASYNC222
        raise RuntimeError("the fork that looked names up failed; its message is above")
    return cast(T, pickle.loads(result))


# --- Real UDP


def real(package: str, plan: Plan, dead_share: int) -> tuple[Grown, Looked]:
    """One network over UDP sockets on loopback, and look-ups in it."""

    async def main() -> tuple[Grown, Looked]:
        addresses = [("127.0.0.1", port) for port in free_ports(plan.nodes)]
        swarm = Ours(addresses, plan.seed, unix_ms) if package == "ours" else Stock(addresses, plan.seed)
        grown = await set_up(swarm, plan, REAL, lambda: loop.sent, with_memory=False)
        dead = set(dying(plan, dead_share))
        loop.unplugged = {addresses[number][1] for number in dead}
        living = [number for number in range(plan.nodes) if number not in dead]
        looked = await look_up(swarm, plan, living, REAL_LOOKUPS_AT_ONCE, lambda: loop.sent, loop.time)
        await swarm.stop()
        return grown, looked

    loop = LossyLoop(LOSS, plan.seed)
    loop.set_exception_handler(lambda loop, context: None)
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(main())


# --- The tables


def grown_row(package: str, nodes: int, grown: Grown) -> list[str]:
    """One line about a network."""
    return [
        f"{nodes:,}",
        package,
        f"{grown.join_messages:,.0f}",
        "" if grown.bytes_per_node is None else f"{grown.bytes_per_node / 1024:.0f} KiB",
        f"{grown.idle_messages_per_s:.2f}",
    ]


def looked_row(package: str, nodes: int, dead_share: int, looked: Looked) -> list[str]:
    """One line about look-ups."""
    return [
        f"{nodes:,}",
        f"{dead_share} %",
        package,
        f"{100 * looked.found / looked.asked:.1f} %",
        f"{percentile(looked.seconds, 0.5):.3f}",
        f"{percentile(looked.seconds, 0.95):.3f}",
        f"{max(looked.seconds):.2f}",
        f"{looked.messages:.1f}",
    ]


TITLES = {"virtual": "In virtual time:", "real": "Over real UDP on loopback:"}
GROWN_HEAD = ["nodes", "package", "messages to join, a node", "memory a node", "idle messages a second, all nodes"]
LOOKED_HEAD = ["nodes", "dead", "package", "found", "p50 s", "p95 s", "longest s", "messages a look-up"]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="scripts/bench_lookup", description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="*", default=[100, 300, 1_000], help="in virtual time")
    parser.add_argument("--real-nodes", type=int, nargs="*", default=[60], help="over real UDP")
    parser.add_argument("--dead", type=int, nargs="*", default=[0, 20, 40], help="per cent of the nodes")
    parser.add_argument("--lookups", type=int, default=300)
    parser.add_argument("--real-lookups", type=int, default=80)
    parser.add_argument("--packages", nargs="*", choices=PACKAGES, default=PACKAGES)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(heading("scripts/bench_lookup " + " ".join(sys.argv[1:])))
    for kind, sizes in (("virtual", given.nodes), ("real", given.real_nodes)):
        grown_rows, looked_rows = [], []
        for nodes, package in itertools.product(sizes, given.packages):
            lookups = given.lookups if kind == "virtual" else given.real_lookups
            plan = Plan(nodes, min(nodes // 4, 60), lookups, given.seed)
            if kind == "virtual":
                grown, looked = in_process(virtual, package, plan, given.dead)
            else:
                runs = {share: in_process(real, package, plan, share) for share in given.dead}
                grown, looked = next(iter(runs.values()))[0], {share: run[1] for share, run in runs.items()}
            grown_rows.append(grown_row(package, nodes, grown))
            looked_rows += [looked_row(package, nodes, share, result) for share, result in looked.items()]
        if sizes:
            print(
                f"\n{TITLES[kind]}\n\n{table(GROWN_HEAD, grown_rows)}\n\n{table(LOOKED_HEAD, looked_rows)}", flush=True
            )


def in_process(work: Callable[..., T], *args: Any) -> T:
    """What `work` gives in a process of its own, whose memory is its alone."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, args)


if __name__ == "__main__":
    main()
