"""Transactions a second and latency of a community chain among processes of this machine, against what it could do.

Members are processes with the node's sessions, core and ledger.db (bench/ledger_member.py) that submit their own
transactions: "in flight" is how many are on their way in all; one at a time is done at each member in turn. A rating
bears two signatures, a promise one.

Transactions are signed before the clock runs; submitting them and waiting for them is the members' own work. What is
counted with several in flight is what commits while all of them are: not the first quarter of the time, nor the end,
when nothing more comes. The limit is the lower of two: what signatures would allow, each member checking each signature
once and nothing else on all cores of this machine, which is measured on all of them at once; and what the disk would,
with all that is in flight in one block, which a member alone syncs once and one among several twice (its PREPARE, its
COMMIT), all on one disk.
"""

import argparse
import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from coalesced.testnet.ports import free_ports  # noqa: E402
from crypto.identity import Identity, verify  # noqa: E402
from node.community.genesis_file import make_genesis, render_genesis  # noqa: E402
from node.ledger.chain.genesis import Parameters  # noqa: E402
from scripts.bench import report  # noqa: E402
from scripts.bench.ledger_member import AUTHORS, NETWORK, author, member  # noqa: E402

START_TIMEOUT_S = 60.0
LINE_BYTES = 2**24
EPOCH_MS = 1000
"""Short: what is promised in one epoch can be rated in the next."""
CORES = os.cpu_count() or 1
FSYNCS = 200
SYNCS_A_BLOCK = 2
VERIFICATIONS = 5000
ROUND_TRIPS = 500
MOST_A_SECOND = 4000
"""Transactions that are signed beforehand for each second."""
RATINGS_A_SECOND = 2000
"""Of ratings, which have to be promised before: a run ends when they are used up."""
KINDS = ("promises", "ratings")
SIGNATURES = {"promises": 1, "ratings": 2, "floor": 1}
SIGNED_BYTES = {"promises": 160, "ratings": 288, "floor": 160}
"""What one signature is over; of a rating's two, the mean."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine can do, measured on the spot."""

    verified_a_second: float
    fsync_s: float
    round_trip_s: float

    def limit(self, members: int, in_flight: int, signatures: int, *, durable: bool) -> float:
        """Transactions a second that signatures and the disk would allow."""
        by_cores = CORES * self.verified_a_second / (members * signatures)
        syncs = SYNCS_A_BLOCK * members if members > 1 else 1
        return min(by_cores, in_flight / (self.fsync_s * syncs)) if durable else by_cores


class Chain:
    """`count` members as processes in one directory, gone at the end."""

    def __init__(self, count: int, synchronous: str, program: str = "ledger_member.py") -> None:
        self.count = count
        self._synchronous = synchronous
        self._program = Path(__file__).with_name(program)
        self._directory = Path(tempfile.mkdtemp(prefix="cl-"))
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        """Bring all up."""
        rules = Parameters(
            transactions_per_epoch=10**6, transactions_per_block=2048, epoch_ms=EPOCH_MS, reveal_epochs=1000
        )
        genesis = make_genesis(
            name="bench",
            network=NETWORK,
            time_unix_ms=time.time_ns() // 10**6,
            members=[member(at).public_key for at in range(self.count)],
            others=[author(at, of).public_key for of in range(self.count) for at in range(AUTHORS)],
            parameters=rules,
        )
        (self._directory / "genesis.json").write_text(render_genesis(genesis))
        places = [f"127.0.0.1:{port}" for port in free_ports(self.count)]
        for number in range(self.count):
            home = self._directory / f"m{number}"
            home.mkdir()
            program = [sys.executable, "-P", str(self._program), str(number), str(home)]
            self._processes.append(
                await asyncio.create_subprocess_exec(
                    *program,
                    self._synchronous,
                    *places,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    limit=LINE_BYTES,
                )
            )
        async with asyncio.timeout(START_TIMEOUT_S):
            for process in self._processes:
                await self._answer(process)

    async def order(self, what: dict[str, Any], *at: int) -> list[dict[str, Any]]:
        """Have members (all, if none is named) do something at the same time."""
        chosen = [self._processes[number] for number in at] if at else self._processes
        for process in chosen:
            assert process.stdin is not None
            process.stdin.write(json.dumps(what).encode() + b"\n")
        return [await self._answer(process) for process in chosen]

    async def load(self, kind: str, in_flight: int, seconds: float, *, profile: bool = False) -> "Measured":
        """So many on their way in all; one at a time at each member in turn."""
        ready = round(seconds * MOST_A_SECOND / self.count)
        order = {"do": "load", "kind": kind, "count": ready, "seconds": seconds, "in_flight": 1, "profile": profile}
        await self.order(order | {"do": "sign"})
        cpu_s = await self._cpu_s()
        if in_flight == 1:
            order |= {"seconds": seconds / self.count}
            answers = [(await self.order(order, number))[0] for number in range(self.count)]
            took_s, blocks = sum(answer["took_s"] for answer in answers), sum(answer["blocks"] for answer in answers)
            rate = sum(len(answer["latencies_s"]) for answer in answers) / took_s
        else:
            answers = await self.order(order | {"in_flight": max(1, in_flight // self.count)})
            rate, blocks = sum(answer["rate"] for answer in answers), max(answer["blocks"] for answer in answers)
        latencies = [latency for answer in answers for latency in answer["latencies_s"]]
        return Measured(latencies, rate, max(1, blocks), await self._cpu_s() - cpu_s)

    async def _cpu_s(self) -> float:
        """What all members have used so far."""
        return sum(float(answer["cpu_s"]) for answer in await self.order({"do": "cpu"}))

    async def promise(self, count: int) -> None:
        """Promise so many ratings for later; return when they can be shown."""
        order = {"do": "load", "kind": "promises to show", "count": -(-count // self.count), "seconds": 120.0}
        await self.order(order | {"do": "sign"})
        await self.order(order | {"in_flight": 256 // self.count})
        await asyncio.sleep(2 * EPOCH_MS / 1000)

    async def _answer(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise SystemExit("a member ended: see what it wrote above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def end(self) -> None:
        """Kill the processes and remove the directory."""
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def keep_profiles(self, to: Path) -> None:
        """Copy what members profiled."""
        for number in range(self.count):
            shutil.copy(self._directory / f"m{number}" / "profile", to / f"profile{number}")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load came to."""

    latencies_s: list[float]
    rate: float
    """Transactions a second; with several in flight, while as many as ever are."""
    blocks: int
    cpu_s: float

    def ms(self, share: float) -> float:
        """A percentile of the latency."""
        return report.percentile(self.latencies_s, share) * 1000

    @property
    def cpu_ms(self) -> float:
        """Of all members together, a transaction."""
        return self.cpu_s * 1000 / len(self.latencies_s)


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


def verifications_a_second(kind: str, cores: int = CORES) -> float:
    """Ed25519 verifications by one core while so many are at it, by CPU time: cores that share caches or a clock are
    slower together than alone, and a committee has them work together."""
    with ProcessPoolExecutor(cores) as pool:
        rates = list(pool.map(_verifications_a_second, [SIGNED_BYTES[kind]] * cores))
    return sum(rates) / cores


def _verifications_a_second(signed_bytes: int) -> float:
    identity, body = Identity(os.urandom(32)), os.urandom(signed_bytes)
    signature = identity.sign(b"bench", body)
    started = time.process_time()
    for _ in range(VERIFICATIONS):
        verify(identity.public_key, b"bench", body, signature)
    return VERIFICATIONS / (time.process_time() - started)


def round_trip_s() -> float:
    """Median seconds for 300 bytes there and back over loopback TCP between two event loops' turns."""

    async def measured() -> float:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(300):
                writer.write(data)
            writer.close()
            ended.set()

        ended = asyncio.Event()
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        taken = []
        for _ in range(ROUND_TRIPS):
            started = time.perf_counter()
            writer.write(bytes(300))
            await reader.readexactly(300)
            taken.append(time.perf_counter() - started)
        writer.close()
        server.close()
        await ended.wait()
        return report.quartiles(taken)[1]

    return asyncio.run(measured())


async def rows_of(
    count: int, synchronous: str, kinds: Sequence[str], batches: Sequence[int], seconds: float, machine: Machine
) -> list[tuple[str, ...]]:
    """The lines of one committee."""
    chain, rows = Chain(count, synchronous), []
    try:
        await chain.start()
        await chain.load("promises", 1, 1.0)
        for kind in kinds:
            before = verifications_a_second(kind)
            for in_flight in batches:
                if kind == "ratings":
                    await chain.promise(round(seconds * RATINGS_A_SECOND))
                got = await chain.load(kind, in_flight, seconds)
                after = verifications_a_second(kind)
                around = replace(machine, verified_a_second=(before + after) / 2)
                rows.append(row(got, count, synchronous, kind, in_flight, around))
                before = after
                print(report.table(rows[-1], []).splitlines()[0], flush=True, file=sys.stderr)
    finally:
        await chain.end()
    return rows


def row(got: Measured, count: int, synchronous: str, kind: str, in_flight: int, machine: Machine) -> tuple[str, ...]:
    """A line of the table."""
    limit = machine.limit(count, in_flight, SIGNATURES[kind], durable=synchronous == "FULL")
    head = (str(count), synchronous, kind, str(in_flight))
    times = (
        f"{got.rate:,.0f}",
        f"{got.ms(0.5):.1f}",
        f"{got.ms(0.95):.1f}",
        f"{len(got.latencies_s) / got.blocks:.1f}",
    )
    least_ms = count * SIGNATURES[kind] * 1000 / machine.verified_a_second
    return (
        *head,
        *times,
        f"{limit:,.0f}",
        f"{got.rate / limit:.0%}",
        f"{got.cpu_ms:.2f}",
        f"{least_ms / got.cpu_ms:.0%}",
    )


async def floor_of(count: int, synchronous: str, seconds: float, machine: Machine) -> tuple[str, ...]:
    """The line of the floor: the same frames, fsyncs and checked votes for one block after the other, and nothing else
    (bench/ledger_floor.py)."""
    floor = Chain(count, synchronous, "ledger_floor.py")
    try:
        await floor.start()
        await floor.load("floor", 1, 1.0)
        return row(await floor.load("floor", 1, seconds), count, synchronous, "floor", 1, machine)
    finally:
        await floor.end()


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 4, 7])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 128, 512])
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--synchronous", nargs="+", default=["FULL", "NORMAL"], choices=["FULL", "NORMAL"])
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    machine = Machine(verifications_a_second("promises"), fsync_s(), round_trip_s())
    print(report.heading(f"scripts/bench_ledger --seconds {options.seconds:g}"))
    goal_ms = 2000 * (machine.fsync_s + 3 * machine.round_trip_s)
    alone = verifications_a_second("promises", 1)
    print(
        f"\n{machine.verified_a_second:,.0f} verifications a second and core with all at work, {alone:,.0f} with one;"
    )
    print(f"{machine.fsync_s * 1000:.2f} ms an fsync;")
    print(f"{machine.round_trip_s * 1000:.2f} ms a loopback round trip; so one by one, the goal is {goal_ms:.1f} ms\n")
    rows = list[tuple[str, ...]]()
    for count in options.members:
        for synchronous in options.synchronous:
            if count > 1 and 1 in options.batches:
                rows.append(asyncio.run(floor_of(count, synchronous, options.seconds, machine)))
            rows += asyncio.run(rows_of(count, synchronous, options.kinds, options.batches, options.seconds, machine))
    head = ("members", "synchronous", "transactions", "in flight", "tps", "p50 ms", "p95 ms", "in a block")
    print(report.table((*head, "limit tps", "of it", "CPU ms", "signatures of it"), rows))


if __name__ == "__main__":
    main()
