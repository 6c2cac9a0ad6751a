"""An honest buyer's tasks while others flood its seller with requests for quotes, or with jobs that they never settle.

Three kinds of processes: a daemon that sells a function of 20 ms, a daemon that buys it, one task after the other, and
the flood, whose buyers keep as many requests under way as their sessions take. Rounds take turns: alone, under each
flood. Every task is timed, those that failed included. The flood runs under `nice`, since its own CPU is on the same
machine: what is measured is the seller's fairness more than the competition for its cores.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from coalesced.control.client import ControlClient
from coalesced.control.shapes import AskRequest
from scripts.bench.daemons import BenchDaemon
from scripts.bench.flooding import LABEL
from scripts.bench.report import heading, percentile, table

SELLER = """
[contractor]
skills = []
[execute]
max_workers = 1
"""
BUYER = """
[contractor]
sell = false
[caps]
day_micro = 1000000000000
peer_micro = 1000000000000
[machine]
hourly_rate_usd = 60.0
"""
FUNCTION = """
import time
from coalesced.skill import skill

@skill("bench/busy", price="0.00001")
def busy(text: str) -> str:
    ends = time.thread_time() + 0.02
    while time.thread_time() < ends:
        pass
    return text
"""
FLOODING = Path(__file__).with_name("flooding.py")
WARM_UP = 20
RISING_S = 2.0
"""What a flood gets to reach its height before anything is measured."""
FOUND_TIMEOUT_S = 30.0
GOAL = 3.0


@dataclass(slots=True)
class Times:
    """What the honest buyer saw in one circumstance."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    """What the flood was answered, by kind."""
    flooded_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Scene:
    """The two daemons, and the buyer's control client."""

    seller: BenchDaemon
    seller_key: str
    client: ControlClient


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    """A seller and an honest buyer that have met."""
    module = Path(tempfile.mkdtemp(prefix="cb-"))
    (module / "bench_busy.py").write_text(FUNCTION)
    daemons: list[BenchDaemon] = []
    try:
        seller = BenchDaemon(SELLER)
        daemons.append(seller)
        await seller.until_ready()
        async with seller.client() as client:
            await client.sell({"target": "bench_busy:busy", "directory": str(module), "environment": dict(os.environ)})
        buyer = BenchDaemon(BUYER, bootstrap=seller.endpoint)
        daemons.append(buyer)
        await buyer.until_ready()
        async with buyer.client() as client:
            async with asyncio.timeout(FOUND_TIMEOUT_S):
                while not (sellers := (await client.find_skill(LABEL))["sellers"]):
                    await asyncio.sleep(0.1)
            yield Scene(seller, key_of(sellers[0]["did"]), client)
    finally:
        for daemon in daemons:
            daemon.remove()
        shutil.rmtree(module, ignore_errors=True)


def key_of(did: str) -> str:
    """The public key in a did:key, as hexadecimal digits."""
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    number = 0
    for digit in did.removeprefix("did:key:z"):
        number = number * 58 + alphabet.index(digit)
    return number.to_bytes(34, "big")[2:].hex()


async def ask(client: ControlClient) -> bool:
    """Have one task done; whether it was completed by the seller."""
    request: AskRequest = {"skill": LABEL, "text": "x", "privacy": "public", "deadline_s": 30.0}
    outcome = ""
    async for event in client.ask(request):
        outcome = event["name"]
    return outcome == "completed"


@contextmanager
def flood(what: str, scene: Scene, buyers: int, times: Times) -> Iterator[None]:
    """Flood the seller while the block runs."""
    program = [sys.executable, str(FLOODING), what, scene.seller.endpoint, scene.seller_key, str(buyers)]
    began_s = time.perf_counter()
    process = subprocess.Popen(["nice", *program], stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=30)
        times.answered.update(json.loads(said))
        times.flooded_s += time.perf_counter() - began_s


async def measure(rounds: int, tasks: int, buyers: int) -> dict[str, Times]:
    """Every circumstance, in turn."""
    found: dict[str, Times] = defaultdict(Times)
    async with scene() as made:
        for _ in range(WARM_UP):
            await ask(made.client)
        for _ in range(rounds):
            await run(made, found["alone"], tasks)
            for what in ("quotes", "jobs"):
                with flood(what, made, buyers, found[what]):
                    await asyncio.sleep(RISING_S)
                    await run(made, found[what], tasks)
    return found


async def run(scene: Scene, times: Times, tasks: int) -> None:
    """So many tasks, one after the other."""
    for _ in range(tasks):
        start_s = time.perf_counter()
        times.failed += not await ask(scene.client)
        times.seconds.append(time.perf_counter() - start_s)


def rows(found: dict[str, Times]) -> Iterator[list[str]]:
    """The table, ratios against the buyer alone."""
    alone_s = percentile(found["alone"].seconds, 0.95)
    for what, times in found.items():
        p95_s = percentile(times.seconds, 0.95)
        per_s = [f"{kind} {count / times.flooded_s:,.0f}" for kind, count in times.answered.most_common(3)]
        yield [
            what if what == "alone" else f"flood of {what}",
            f"{1e3 * percentile(times.seconds, 0.5):,.0f}",
            f"{1e3 * p95_s:,.0f}",
            f"{p95_s / alone_s:.1f}",
            f"{times.failed} of {len(times.seconds)}",
            ", ".join(per_s),
        ]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench_hostile", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=40, help="tasks of each circumstance and round")
    parser.add_argument("--buyers", type=int, default=8, help="buyers of a flood")
    given = parser.parse_args()
    print(heading("scripts/bench_hostile " + " ".join(sys.argv[1:])) + f"; goal: a ratio of {GOAL:g}\n")
    found = asyncio.run(measure(given.rounds, given.tasks, given.buyers))
    head = ["honest buyer", "p50 ms", "p95 ms", "p95 : alone", "failed", "the flood is answered, a second"]
    print(table(head, rows(found)))


if __name__ == "__main__":
    main()
