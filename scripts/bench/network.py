"""One network of our nodes in virtual time: what joining, idling, publishing and each kind of look-up costs.

Every node joins through a random earlier one; datagrams take 5 to 50 ms, 2 % are lost. A seller publishes 60 keys (its
skills and their captions) and goes on renewing them. Then random nodes look up by label (three holders that agree end
it), by label before money is committed (all of the key's region), and by meaning (six, or twelve, keys at once).
Nothing is signed, which saves half of the work and none of the virtual time. Messages are datagrams, both ways.
"""

import argparse
import asyncio
import gc
import os
import random
import sys
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from coalesced.sim.loop import SimLoop, run
from coalesced.sim.network import Link
from dht.config import DhtConfig
from dht.ids import skill_key
from scripts.bench.report import heading, percentile, table
from scripts.bench.swarms import FIND_TIMEOUT_S, NETWORK, Ours, leave_signatures_out

KEYS = 60
SETTLED_S = 30.0
IDLE_S = 600.0
ROUND_S = DhtConfig().republish_s
"""Between two renewals of a key, on average. Three in four go to the holders, one begins with a look-up: with jitter,
half of the fourth ones fall behind the end of four rounds; forty rounds give what renewing comes to in the long run."""
NO_REFRESH_S = 86_400.0
"""Buckets are not refreshed while single things are measured."""
JOIN_PAUSE_S = 0.2
FREEZE_EVERY = 500
"""Nodes. What has joined is left out of later collections of garbage, which otherwise take most of a large run."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A way of looking up: so many keys at once."""

    name: str
    keys: int
    thorough: bool = False


KINDS = (
    Kind("label", 1),
    Kind("label, before money is committed", 1, thorough=True),
    Kind("meaning, 6 captions", 6),
    Kind("meaning, widened to 12", 12),
)


async def measure(loop: SimLoop, nodes: int, lookups: int, renewed_s: float, *, with_memory: bool) -> None:
    """Grow the network, measure, print."""
    addresses = [(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 4_000) for number in range(nodes)]
    swarm = Ours(addresses, loop.seed, loop.unix_ms, DhtConfig(refresh_s=NO_REFRESH_S))
    rng, network = random.Random(f"{loop.seed}/network"), loop.network
    if with_memory:
        tracemalloc.start(1)
    resident_kib = _resident_kib()
    for number in range(nodes):
        await swarm.start(number, rng.randrange(number) if number else None)
        await asyncio.sleep(JOIN_PAUSE_S)
        if number % FREEZE_EVERY == 0:
            gc.collect()
            gc.freeze()
    await asyncio.sleep(SETTLED_S)
    joined = network.sent
    gc.collect()
    kib = (_resident_kib() - resident_kib) / nodes
    state = f"{kib:,.0f} KiB, resident"
    if with_memory:
        state = f"{tracemalloc.get_traced_memory()[0] / nodes / 1024:,.0f} KiB"
    tracemalloc.stop()
    gc.freeze()
    await asyncio.sleep(IDLE_S)
    idle = network.sent - joined
    sizes = sorted(node.estimated_nodes() for node in swarm.nodes.values())
    keys = [skill_key(NETWORK, f"name-{number}") for number in range(KEYS)]
    before = network.sent
    for key in keys:
        await swarm.nodes[0].publish(key, bytes(120))
    published = network.sent - before
    before, sent = network.sent, swarm.nodes[0].stats.sent
    await asyncio.sleep(renewed_s)
    renewed = (network.sent - before) / renewed_s
    rows = [
        ("messages to join, a node", f"{joined / nodes:,.0f}", "200"),
        ("state of a node", state, "64 KiB"),
        ("idle, all nodes, messages a second", f"{idle / IDLE_S:.2f}", "0"),
        ("size that nodes estimate, 5th, 50th, 95th in 100", ", ".join(_cuts(sizes)), f"{nodes:,}"),
        (f"to publish {KEYS} keys, messages", f"{published:,}", ""),
        (f"to keep {KEYS} keys published, messages a second", f"{renewed:.2f}", "2"),
        ("of them sent by the publisher", f"{(swarm.nodes[0].stats.sent - sent) / renewed_s:.2f}", ""),
    ]
    print("\n" + table(["what", "measured", "goal"], rows), flush=True)
    found = [await look(loop, swarm, kind, keys, lookups) for kind in KINDS]
    print("\n" + table(["look-up by", "found", "p50 s", "p95 s", "messages"], found), flush=True)


async def look(loop: SimLoop, swarm: Ours, kind: Kind, keys: Sequence[bytes], count: int) -> list[str]:
    """Random nodes look random keys up, one look-up after the other: a row."""
    rng = random.Random(f"{loop.seed}/{kind.name}")
    messages, hits, seconds = 0, 0, list[float]()
    for _ in range(count):
        asker, wanted = rng.randrange(1, len(swarm.nodes)), rng.sample(keys, kind.keys)
        node = swarm.nodes[asker]
        if kind.thorough:  # Its first one since the network grew also measures how large that is.
            await node.find(rng.randbytes(20), timeout_s=FIND_TIMEOUT_S, thorough=True)
            await asyncio.sleep(3)
        before, start_s = loop.network.sent, loop.time()
        found = await asyncio.gather(
            *(node.find(key, timeout_s=FIND_TIMEOUT_S, thorough=kind.thorough) for key in wanted)
        )
        seconds.append(loop.time() - start_s)
        hits += sum(bool(records) for records in found)
        await asyncio.sleep(3)  # What the look-up left behind, pings of new contacts, is its own.
        messages += loop.network.sent - before
    return [
        kind.name,
        f"{100 * hits / (count * kind.keys):.1f} %",
        f"{percentile(seconds, 0.5):.3f}",
        f"{percentile(seconds, 0.95):.3f}",
        f"{messages / count:.0f}",
    ]


def _resident_kib() -> float:
    """Memory of this process that is in use, as the system counts it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def _cuts(ranked: Sequence[int]) -> list[str]:
    return [f"{percentile(ranked, share):,}" for share in (0.05, 0.5, 0.95)]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="scripts/bench_lookup network", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--lookups", type=int, default=200, help="of each kind")
    parser.add_argument("--rounds", type=int, default=4, help="of renewing what is published")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--no-memory",
        action="store_true",
        help="take the state of a node from the process's resident memory, which is coarser and twice as fast",
    )
    given = parser.parse_args()
    leave_signatures_out()
    print(heading("scripts/bench_lookup network " + " ".join(sys.argv[1:])), flush=True)
    began = time.process_time()
    run(
        given.seed,
        lambda loop: measure(loop, given.nodes, given.lookups, given.rounds * ROUND_S, with_memory=not given.no_memory),
        Link(loss=0.02),
    )
    print(f"\n{time.process_time() - began:.0f} s of processor time")


if __name__ == "__main__":
    main()
