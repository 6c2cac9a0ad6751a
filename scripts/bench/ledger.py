"""Transactions a second and latency of a community chain: daemons over loopback, SQLite FULL, control API in front.

A transaction is a `commit-rating` with one signature. "in flight" is how many are submitted at a time, round robin to
all members: what arrives together goes into one block. The limit is the lower of two: what signatures would allow, each
member checking each transaction once, on all cores of this machine; and what its one disk would, which takes three
fsyncs of each member for a block (PREPARE, COMMIT, the block itself; one in all for a member alone), with all that is
in flight in one block.
"""

import argparse
import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import report  # noqa: E402

from coalesced.control.client import ControlClient  # noqa: E402
from coalesced.control.errors import ControlError  # noqa: E402
from coalesced.paths import find_paths  # noqa: E402
from coalesced.testnet.ports import free_ports  # noqa: E402
from crypto.identity import Identity, did_key, verify  # noqa: E402
from node.community.genesis_file import make_genesis, render_genesis  # noqa: E402
from node.ledger.chain.genesis import Parameters, chain_id  # noqa: E402
from node.store import keyfile  # noqa: E402
from protocol.transactions import CommitRating, sign_transaction  # noqa: E402

NETWORK = "bench"
START_TIMEOUT_S = 60.0
AUTHORS = 16
"""Accounts that write in turn: one has 64 sequence numbers on their way at most."""
CLIENTS = 4
"""Of each member: one holds 100 connections, and beyond them its own queue is no fair one."""
FSYNCS = 200
SYNCS_A_BLOCK = 3
VERIFICATIONS = 2000


class Chain:
    """`count` members as processes in one directory, gone at the end."""

    def __init__(self, count: int) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="cl-"))
        self.authors = [Identity(os.urandom(32)) for _ in range(AUTHORS)]
        self.sequences = {author.public_key: itertools.count(1) for author in self.authors}
        homes = [self.directory / f"m{number}" for number in range(count)]
        keys = [keyfile.create(home / "identity.key", os.urandom).public_key for home in homes]
        rules = Parameters(transactions_per_epoch=10**6, transactions_per_block=2048)
        genesis = make_genesis(
            name="bench",
            network=NETWORK,
            time_unix_ms=time.time_ns() // 10**6,
            members=keys,
            others=[author.public_key for author in self.authors],
            parameters=rules,
        )
        self.chain = chain_id(genesis)
        (self.directory / "genesis.json").write_text(render_genesis(genesis))
        ports = free_ports(count)
        known = [f"{did_key(key)}@127.0.0.1:{port}" for key, port in zip(keys, ports, strict=True)]
        quoted = ", ".join(f'"{one}"' for one in known)
        for home in homes:
            (home / "config.toml").write_text(f"[ledger]\nendpoints = [{quoted}]\n[contractor]\nsell = false\n")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COALESCED_")}
        flags = ["--network", NETWORK, "--genesis", str(self.directory / "genesis.json"), "--log-level", "warning"]
        program = [sys.executable, "-m", "coalesced", "start"]
        self.processes = [
            subprocess.Popen(
                [*program, "--home", str(home), "--listen", f"127.0.0.1:{port}", *flags],
                stdout=(self.directory / f"{home.name}.log").open("wb"),
                stderr=subprocess.STDOUT,
                env={**kept, "PYTHONPATH": str(ROOT)},
            )
            for home, port in zip(homes, ports, strict=True)
        ]
        self.clients = [ControlClient(find_paths(home, environ={}).socket) for home in homes * CLIENTS]

    def transactions(self, count: int) -> list[bytes]:
        """So many, signed beforehand."""
        made = []
        for _, author in zip(range(count), itertools.cycle(self.authors), strict=False):
            terms = CommitRating(
                chain=self.chain,
                signer=author.public_key,
                sequence=next(self.sequences[author.public_key]),
                commitment=os.urandom(32),
            )
            made.append(sign_transaction(terms, author))
        return made

    async def until_ready(self) -> None:
        """Return once every member follows the chain."""
        async with asyncio.timeout(START_TIMEOUT_S):
            for client in self.clients:
                while True:
                    try:
                        await client.ledger_head()
                        break
                    except ControlError:
                        await asyncio.sleep(0.1)

    def end(self) -> None:
        """Kill the processes and remove the directory."""
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


async def measure(chain: Chain, in_flight: int, seconds: float) -> tuple[float, list[float], int]:
    """Transactions a second, each one's latency in seconds, and blocks made, with so many on their way at a time."""
    ready = iter(chain.transactions(min(20_000, max(200, round(seconds * 120 * max(1, in_flight) ** 0.7)))))
    latencies: list[float] = []
    clients = itertools.cycle(chain.clients)
    before = (await chain.clients[0].ledger_head())["height"]
    began = time.perf_counter()
    until = began + seconds

    async def submit() -> None:
        for tx in ready:
            started = time.perf_counter()
            if started > until:
                return
            await next(clients).ledger_submit(tx)
            latencies.append(time.perf_counter() - started)

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(submit())
    took = time.perf_counter() - began
    return len(latencies) / took, latencies, (await chain.clients[0].ledger_head())["height"] - before


def fsync_s() -> float:
    """Median seconds for a write of 4 KiB and its fsync, where the databases are."""
    with tempfile.NamedTemporaryFile(prefix="cl-") as file:
        taken = []
        for _ in range(FSYNCS):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return report.quartiles(taken)[1]


def verifications_a_second() -> float:
    """Ed25519 verifications by one core, by its CPU time."""
    identity, body = Identity(os.urandom(32)), os.urandom(160)
    signature = identity.sign(b"bench", body)
    started = time.process_time()
    for _ in range(VERIFICATIONS):
        verify(identity.public_key, b"bench", body, signature)
    return VERIFICATIONS / (time.process_time() - started)


async def run(members: Sequence[int], batches: Sequence[int], seconds: float) -> None:
    """Measure and print."""
    verified, synced = verifications_a_second(), fsync_s()
    cores = os.cpu_count() or 1
    print(report.heading(f"scripts/bench_ledger --seconds {seconds:g}"))
    print(f"\n{verified:,.0f} verifications a second and core; {synced * 1000:.2f} ms an fsync\n")
    rows = []
    for count in members:
        chain = Chain(count)
        try:
            async with AsyncExitStack() as stack:
                for client in chain.clients:
                    await stack.enter_async_context(client)
                await chain.until_ready()
                await measure(chain, 1, 1.0)
                for in_flight in batches:
                    rate, latencies, blocks = await measure(chain, in_flight, seconds)
                    by_disk = in_flight / (synced * (SYNCS_A_BLOCK * count if count > 1 else 1))
                    limit = min(cores * verified / count, by_disk)
                    p50, p95 = (report.percentile(latencies, share) * 1000 for share in (0.5, 0.95))
                    size = len(latencies) / max(1, blocks)
                    cells = (f"{rate:,.0f}", f"{p50:.1f}", f"{p95:.1f}", f"{size:.1f}", f"{limit:,.0f}")
                    rows.append((str(count), str(in_flight), *cells, f"{rate / limit:.0%}"))
        finally:
            chain.end()
    head = ("members", "in flight", "tps", "p50 ms", "p95 ms", "in a block", "limit tps", "of it")
    print(report.table(head, rows))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 128])
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    asyncio.run(run(arguments.members, arguments.batches, arguments.seconds))


if __name__ == "__main__":
    main()
