"""One node on this machine: the command line's start, the daemon's start, its memory idle and with many peers about.

Memory is that of the daemon's own process: resident (RSS) and, where the system tells, proportional (PSS). Its worker
process is shown apart: work starts it, idleness ends it. The peers are real: so many identities, each with its own
UDP socket in this process, join the network through the daemon; it keeps as many of them as its routing table takes.
"""

import argparse
import asyncio
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psutil

from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError
from coalesced.paths import find_paths
from coalesced.testnet.ports import free_ports
from crypto.identity import Identity
from dht.config import DhtConfig
from dht.service import KademliaDiscovery

MODULE = [sys.executable, "-m", "coalesced"]
NETWORK = "bench"
MIB = 2**20
START_TIMEOUT_S = 60.0
IDLE_S = 8.0
"""From ready to the look at memory: the first measurements of the node's skills are over by then."""
JOINING_AT_ONCE = 10


def command_s(arguments: list[str], runs: int) -> list[float]:
    """Wall seconds of a command line, several times."""
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([*MODULE, *arguments], capture_output=True, check=True)
        seconds.append(time.perf_counter() - began)
    return seconds


class Node:
    """A daemon in a directory of its own."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="cb-"))
        (self.port,) = free_ports(1)
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> float:
        """Start it; seconds until /readyz would say so."""
        flags = ["--home", str(self.home), "--network", NETWORK, "--listen", f"127.0.0.1:{self.port}"]
        began = time.perf_counter()
        with (self.home / "log").open("wb") as log:
            self.process = subprocess.Popen([*MODULE, "start", *flags], stdout=log, stderr=log)
        while not await self.contacts_or_none() and time.perf_counter() < began + START_TIMEOUT_S:
            await asyncio.sleep(0.005)
        return time.perf_counter() - began

    async def contacts_or_none(self) -> str | None:
        """How many contacts it has, as text; None while it does not answer."""
        try:
            async with ControlClient(find_paths(self.home, environ={}).socket) as client:
                return str((await client.status())["contacts"])
        except ControlError:
            return None

    def memory_mib(self) -> tuple[float, float | None, float]:
        """RSS and PSS of the daemon, RSS of its workers."""
        assert self.process is not None
        daemon = psutil.Process(self.process.pid)
        full = daemon.memory_full_info()
        pss = full.pss / MIB if hasattr(full, "pss") else None
        workers = sum(child.memory_info().rss for child in daemon.children(recursive=True))
        return full.rss / MIB, pss, workers / MIB

    def stop(self) -> float:
        """Stop it; the seconds that took."""
        assert self.process is not None
        began = time.perf_counter()
        self.process.terminate()
        self.process.wait(timeout=60)
        return time.perf_counter() - began

    def remove(self) -> None:
        """End it if it still runs, and remove its directory."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


async def join(count: int, port: int) -> list[KademliaDiscovery]:
    """So many identities on the network, each having joined through the node at `port`."""
    rng = random.Random(1)
    peers: list[KademliaDiscovery] = []

    async def one() -> None:
        peer = KademliaDiscovery(
            Identity(os.urandom(32)),
            NETWORK,
            DhtConfig(),
            unix_ms=lambda: time.time_ns() // 1_000_000,
            rng=rng,
            entropy=os.urandom,
        )
        peer.add_bootstrap([("127.0.0.1", port)])
        await peer.start([("127.0.0.1", 0)])
        peers.append(peer)
        while not peer.contacts():
            await asyncio.sleep(0.01)

    for at in range(0, count, JOINING_AT_ONCE):
        await asyncio.gather(*(one() for _ in range(min(JOINING_AT_ONCE, count - at))))
    return peers


def shown(seconds: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f}, {len(seconds)} runs)"


def memory_text(node: Node) -> str:
    """Memory as one cell of the table."""
    rss, pss, workers = node.memory_mib()
    return f"{rss:.1f} MiB" + (f" (PSS {pss:.1f})" if pss is not None else "") + f"; workers {workers:.1f}"


async def measure(runs: int, peers: int) -> list[tuple[str, str, str]]:
    """The table's rows: what, figure, goal."""
    rows = [
        ("`coalesced --help`", shown(command_s(["--help"], runs)), "< 0.1 s"),
        ("`coalesced --version`", shown(command_s(["--version"], runs)), ""),
    ]
    ready, stopped = [], []
    for _ in range(runs):
        node = Node()
        try:
            ready.append(await node.start())
            stopped.append(node.stop())
        finally:
            node.remove()
    rows += [("start to ready, new home", shown(ready), "< 1 s"), ("SIGTERM to exit, idle", shown(stopped), "")]
    node = Node()
    try:
        await node.start()
        await asyncio.sleep(IDLE_S)
        rows.append(("memory, idle", memory_text(node), "< 80 MiB"))
        joined = await join(peers, node.port)
        known = await node.contacts_or_none()
        rows.append((f"memory, {peers:,} peers about ({known} contacts kept)", memory_text(node), "< 80 MiB"))
        for peer in joined:
            await peer.stop()
    finally:
        node.remove()
    return rows


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="scripts/bench_node", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="of each timed command")
    parser.add_argument("--peers", type=int, default=1_000)
    given = parser.parse_args()
    rows = asyncio.run(measure(given.runs, given.peers))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}, load {os.getloadavg()[0]:.1f}\n")
    print("| what | measured | goal |\n|-|-|-|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
