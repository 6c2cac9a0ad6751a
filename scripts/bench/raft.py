"""PySyncObj (raft) on this machine, three processes, for comparison with `ledger.py`: the same number of bytes a
transaction, replicated and kept in a journal file by every node, and nothing else: no signatures, no rules, no liars.

"journal": its own journal file, a memory map that is not synced, so it survives the end of a process and no loss of
power. "synced": the same, synced after every entry, which is what a ledger promises.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from pysyncobj import SyncObj, SyncObjConf, journal, replicated  # noqa: E402

from coalesced.testnet.ports import free_ports  # noqa: E402
from scripts.bench import report  # noqa: E402

NODES = 3
TX_BYTES = 230
START_TIMEOUT_S = 60.0


class Log(SyncObj):  # type: ignore[misc]  # the package has no types
    """Counts what is appended."""

    def __init__(self, own: str, others: list[str], file: str) -> None:
        super().__init__(
            own, others, SyncObjConf(journalFile=file, appendEntriesUseBatch=True, dynamicMembershipChange=False)
        )
        self.count = 0

    @replicated  # type: ignore[untyped-decorator]
    def append(self, tx: bytes) -> None:
        """One transaction."""
        self.count += 1


def node(number: int, addresses: list[str], directory: str, *, synced: bool) -> None:
    """One process: takes orders as JSON lines."""
    if synced:
        add = journal.FileJournal.add

        def add_and_sync(self: Any, *parts: Any) -> None:
            add(self, *parts)
            self.flush()

        journal.FileJournal.add = add_and_sync
    others = [address for at, address in enumerate(addresses) if at != number]
    log = Log(addresses[number], others, f"{directory}/{number}.journal")
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not log.isReady() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(load(log, order["in_flight"], order["seconds"])), flush=True)
    os._exit(0)


def load(log: Log, in_flight: int, seconds: float) -> dict[str, Any]:
    """Append for so long, so many at a time."""
    latencies, done, lock = list[float](), threading.Event(), threading.Lock()
    began, cpu, under_way = time.perf_counter(), time.process_time(), in_flight

    def submit() -> None:
        started = time.perf_counter()

        def told(_: Any, error: Any) -> None:
            nonlocal under_way
            now = time.perf_counter()
            with lock:
                if not error:
                    latencies.append(now - started)
                over = now - began > seconds
                under_way -= over
                if over and under_way == 0:
                    done.set()
            if not over:
                submit()

        log.append(os.urandom(TX_BYTES), callback=told)

    for _ in range(in_flight):
        submit()
    done.wait(seconds + 20)
    took_s = time.perf_counter() - began
    return {"latencies_s": latencies, "took_s": took_s, "cpu_s": time.process_time() - cpu}


def measure(in_flight: int, seconds: float, *, synced: bool) -> tuple[str, ...]:
    """One row."""
    with tempfile.TemporaryDirectory(prefix="cl-") as directory:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(NODES)]
        program = [sys.executable, "-P", __file__, "--node"]
        processes = [
            subprocess.Popen(
                [
                    *program,
                    str(number),
                    "--synced",
                    str(int(synced)),
                    "--directory",
                    directory,
                    "--addresses",
                    *addresses,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(NODES)
        ]
        try:
            for process in processes:
                assert process.stdout is not None
                process.stdout.readline()
            chosen = processes if in_flight >= NODES else processes[:1]
            order = json.dumps({"in_flight": max(1, in_flight // len(chosen)), "seconds": seconds})
            for process in chosen:
                assert process.stdin is not None
                process.stdin.write(order + "\n")
                process.stdin.flush()
            answers = []
            for process in chosen:
                assert process.stdout is not None
                answers.append(json.loads(process.stdout.readline()))
        finally:
            for process in processes:
                process.kill()
                process.wait()
    latencies = [latency for answer in answers for latency in answer["latencies_s"]]
    rate = len(latencies) / max(answer["took_s"] for answer in answers)
    p50, p95 = (report.percentile(latencies, share) * 1000 for share in (0.5, 0.95))
    return (str(NODES), "synced" if synced else "journal", str(in_flight), f"{rate:,.0f}", f"{p50:.1f}", f"{p95:.1f}")


def main() -> None:
    """Read the command line; `--node` is for its own processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 128])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--node", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--synced", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--directory", default="", help=argparse.SUPPRESS)
    parser.add_argument("--addresses", nargs="+", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.node is not None:
        node(options.node, options.addresses, options.directory, synced=bool(options.synced))
        return
    print(report.heading(f"scripts/bench/raft.py --seconds {options.seconds:g}"), end="\n\n")
    rows = [measure(size, options.seconds, synced=synced) for synced in (False, True) for size in options.batches]
    print(report.table(("nodes", "durability", "in flight", "tps", "p50 ms", "p95 ms"), rows))


if __name__ == "__main__":
    main()
