"""Outsourced tasks from the owner's call to the result, between two daemons with real sockets, files and workers.

One daemon sells a function that returns what it is given, the other buys it, always: each task is stored, sellers are
looked up and asked for a quote, the decision is made and explained, the award signed, the result verified, the receipt
signed by both, all of it kept on disk. This process asks over the control API, with so many tasks in flight, and is not
counted. Everything is warm: the daemons have done such tasks before.

CPU is that of the processes, milliseconds a task: the buyer, the seller, the seller's workers. The profile is taken
of two more daemons, since profiling slows them: shares of the time that each daemon's event loop thread computed.
"""

import argparse
import asyncio
import os
import re
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from coalesced.control.client import ControlClient
from coalesced.control.shapes import AskRequest
from scripts.bench.daemons import BenchDaemon
from scripts.bench.report import heading, percentile, table

SELLER = """
[contractor]
skills = []
max_queued_jobs = 1024
max_quotes_per_peer = 4096
[execute]
max_workers = 1
max_queued = 1024
"""
BUYER = """
[contractor]
sell = false
[client]
max_running_tasks = 1024
[caps]
day_micro = 1000000000000
peer_micro = 1000000000000
[machine]
hourly_rate_usd = 60.0
"""
FUNCTION = """
from coalesced.skill import skill

@skill("bench/echo", price="0.00001")
async def echo(text: str) -> str:
    return text
"""
LABEL = "bench/echo"
INPUTS = {"no-op": "x", "64 KiB": "x" * 2**16}
IN_FLIGHT = {1: 60, 16: 320, 128: 512}
"""Tasks of a run, by how many are in flight."""
WARM_UP = 40
FOUND_TIMEOUT_S = 30.0
SHOWN_FUNCTIONS = 25


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of tasks took. CPU is milliseconds a task."""

    seconds: list[float]
    wall_s: float
    failed: int
    buyer_ms: float
    seller_ms: float
    workers_ms: float


@dataclass(frozen=True, slots=True)
class Pair:
    """A buyer and a seller that have met."""

    buyer: BenchDaemon
    seller: BenchDaemon
    client: ControlClient


@asynccontextmanager
async def pair(*, is_profiled: bool) -> AsyncIterator[Pair]:
    """Two running daemons; the second one buys from the first."""
    module = Path(tempfile.mkdtemp(prefix="cb-"))
    (module / "bench_echo.py").write_text(FUNCTION)
    daemons: list[BenchDaemon] = []
    try:
        seller = BenchDaemon(SELLER, is_profiled=is_profiled)
        daemons.append(seller)
        await seller.until_ready()
        async with seller.client() as client:
            await client.sell({"target": "bench_echo:echo", "directory": str(module), "environment": dict(os.environ)})
        buyer = BenchDaemon(BUYER, bootstrap=seller.endpoint, is_profiled=is_profiled)
        daemons.append(buyer)
        await buyer.until_ready()
        async with buyer.client() as client:
            async with asyncio.timeout(FOUND_TIMEOUT_S):
                while not (await client.find_skill(LABEL))["sellers"]:
                    await asyncio.sleep(0.1)
            yield Pair(buyer, seller, client)
    finally:
        for daemon in daemons:
            daemon.remove()
        shutil.rmtree(module, ignore_errors=True)


async def ask(client: ControlClient, text: str) -> bool:
    """Have one task done; whether it was completed, by the other daemon."""
    request: AskRequest = {"skill": LABEL, "text": text, "privacy": "public", "deadline_s": 120.0}
    outcome, outsourced = "", False
    async for event in client.ask(request):
        outcome = event["name"]
        outsourced = outsourced or event["name"] == "awarded"
    return outcome == "completed" and outsourced


async def run_tasks(pair: Pair, text: str, in_flight: int, count: int) -> Run:
    """So many tasks, so many at once."""
    places = asyncio.Semaphore(in_flight)
    seconds: list[float] = []
    failed = 0

    async def one() -> None:
        nonlocal failed
        async with places:
            start_s = time.perf_counter()
            is_done = await ask(pair.client, text)
            failed += not is_done
            seconds.append(time.perf_counter() - start_s)

    buyer_from, _ = pair.buyer.cpu_s()
    seller_from, workers_from = pair.seller.cpu_s()
    start_s = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(one())
    wall_s = time.perf_counter() - start_s
    buyer_s = pair.buyer.cpu_s()[0] - buyer_from
    seller_s, workers_s = (
        now - then for now, then in zip(pair.seller.cpu_s(), (seller_from, workers_from), strict=True)
    )
    return Run(seconds, wall_s, failed, *(1e3 * cpu_s / count for cpu_s in (buyer_s, seller_s, workers_s)))


async def measure(rounds: int) -> list[list[str]]:
    """The rows of the table."""
    results: dict[tuple[str, int], list[Run]] = defaultdict(list)
    async with pair(is_profiled=False) as daemons:
        await run_tasks(daemons, "x", 4, WARM_UP)
        for _ in range(rounds):
            for kind, text in INPUTS.items():
                for in_flight, count in IN_FLIGHT.items():
                    results[kind, in_flight].append(await run_tasks(daemons, text, in_flight, count))
    return [row(kind, in_flight, runs) for (kind, in_flight), runs in results.items()]


def row(kind: str, in_flight: int, runs: list[Run]) -> list[str]:
    """One line of the table, over all rounds."""
    seconds = [second for run in runs for second in run.seconds]
    count = len(seconds)
    cpu = [sum(getattr(run, who) for run in runs) / len(runs) for who in ("buyer_ms", "seller_ms", "workers_ms")]
    return [
        kind,
        str(in_flight),
        f"{sum(cpu):.1f}",
        " + ".join(f"{part:.1f}" for part in cpu),
        f"{1e3 * percentile(seconds, 0.5):,.0f}",
        f"{1e3 * percentile(seconds, 0.99):,.0f}",
        f"{count / sum(run.wall_s for run in runs):.1f}",
        f"{sum(run.failed for run in runs)} of {count}",
    ]


# --- Where the time goes

OTHERS = (
    (r"asyncio|selectors|_socket|concurrent/futures", "asyncio and sockets"),
    (r"aiohttp|multidict|yarl|propcache", "aiohttp"),
    (r"structlog|logging", "logs"),
    (r"msgspec", "msgspec"),
    (r"msgpack|_cmsgpack", "msgpack"),
    (r"numpy", "numpy"),
    (r"cryptography|_rust|openssl|_hashlib|_blake2", "cryptography and hashes"),
    (r"sqlite3", "sqlite3"),
)
OWN = re.compile(r"/((?:node|coalesced)(?:/\w+)?|protocol|crypto|dht)/\w+\.py$")
Function = tuple[str, int, str]
Profiled = dict[Function, tuple[int, int, float, float, object]]
"""As pstats has it: calls (two counts), seconds in the function itself, seconds with those that it called, callers."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A daemon's event loop thread while tasks were done: functions, and CPU milliseconds a task."""

    functions: Profiled
    tasks: int
    thread_ms: float
    process_ms: float


async def profile(tasks: int) -> dict[str, Profile]:
    """Profiles of a buyer and a seller while they do so many no-op tasks, warm."""
    async with pair(is_profiled=True) as daemons:
        await run_tasks(daemons, INPUTS["no-op"], 16, WARM_UP)
        both = {"buyer": daemons.buyer, "seller": daemons.seller}
        for daemon in both.values():
            daemon.start_profile()
        await run_tasks(daemons, INPUTS["no-op"], 16, tasks)
        profiles = {}
        for who, daemon in both.items():
            stats, thread_s, process_s = await daemon.end_profile()
            functions: Profiled = stats.stats  # type: ignore[attr-defined]
            profiles[who] = Profile(functions, tasks, 1e3 * thread_s / tasks, 1e3 * process_s / tasks)
        return profiles


def part_of(function: Function) -> str:
    """The part of the program that a function belongs to."""
    file, _, name = function
    own = OWN.search(file)
    if own is not None:
        return own.group(1)
    return next((part for pattern, part in OTHERS if re.search(pattern, f"{file} {name}")), "the rest of Python")


def part_rows(profiled: Profile) -> list[list[str]]:
    """The event loop's time by part, the largest first."""
    own_s: dict[str, float] = defaultdict(float)
    for function, (_, _, self_s, _, _) in profiled.functions.items():
        own_s[part_of(function)] += self_s
    total_s = sum(own_s.values())
    ranked = sorted(own_s.items(), key=lambda item: -item[1])
    return [
        [part, f"{100 * seconds / total_s:.1f} %", f"{1e3 * seconds / profiled.tasks:.2f}"]
        for part, seconds in ranked
        if seconds > 0.01 * total_s
    ]


def function_rows(profiled: Profile) -> list[list[str]]:
    """Our own functions by the time spent in them and all that they called."""
    own = [item for item in profiled.functions.items() if OWN.search(item[0][0])]
    ranked = sorted(own, key=lambda item: -item[1][3])[:SHOWN_FUNCTIONS]
    rows = []
    for (file, _, name), (_, calls, _, with_called_s, _) in ranked:
        where = OWN.search(file)
        assert where is not None
        per_task = f"{calls / profiled.tasks:.1f}", f"{1e3 * with_called_s / profiled.tasks:.2f}"
        rows.append([f"`{where.group(0)[1:]}` {name}", *per_task])
    return rows


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="scripts/bench_task", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profiled", type=int, default=300, help="tasks under the profiler")
    given = parser.parse_args()
    print(heading("scripts/bench_task " + " ".join(sys.argv[1:])) + "\n")
    head = ["task", "in flight", "CPU ms", "buyer + seller + workers", "p50 ms", "p99 ms", "tasks/s", "failed"]
    print(table(head, asyncio.run(measure(given.rounds))))
    for who, profiled in asyncio.run(profile(given.profiled)).items():
        loop, process = f"{profiled.thread_ms:.1f}", f"{profiled.process_ms:.1f}"
        print(f"\nThe {who} under the profiler, {given.profiled} no-op tasks, 16 in flight: its event loop computed")
        print(f"{loop} ms a task, the whole process {process}.\n")
        print(table(["part", "share of the event loop", "ms a task"], part_rows(profiled)) + "\n")
        print(table(["function, with what it calls", "entered, resumed a task", "ms a task"], function_rows(profiled)))


if __name__ == "__main__":
    main()
