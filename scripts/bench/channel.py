"""The encrypted channel against aiohttp's WebSocket, plain and over TLS 1.3 with certificates on both sides.

Both ends of every variant live in this process, on one event loop, so its CPU time is that of both. The work is the
same everywhere: a binary message of the given size goes one way, one of 16 bytes comes back to acknowledge it; nothing
is packed, parsed or looked up; no compression. "One at a time" waits for every acknowledgement; "streamed" hands over
16 messages at once and waits for that of the last (the others get none). A handshake is counted from the connect to the
first acknowledgement, closing not included.

"Channel" is what a session stands on: its stream, its sender, the sealed frames between, in which messages that wait
together share a frame. "Wss" and "plain ws" are aiohttp's WebSocket as anybody would use it. Two comparisons are
stricter: "TLS, our stream" has TLS in the channel's place and all else alike, and the second table has messages share
frames in all variants or in none.

All variants take turns in every round, in changing order, so that what else the machine does hits all alike. Ratios are
taken within a round; a table shows medians, with quartiles where they help.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from node.net.outbox import BATCH_BYTES
from node.net.websocket import keep_heap
from scripts.bench.channel_ends import WANTS_ACK, WANTS_NONE, Connect, End, Tls, aiohttp_server, stream_server
from scripts.bench.report import heading, median_spread, table
from scripts.bench.tls import mutual_contexts

SIZES = {"256 B": 2**8, "4 KiB": 2**12, "64 KiB": 2**16, "1 MiB": 2**20}
STREAMED = 16
"""Messages on the way before an acknowledgement, in the streamed mode."""
BYTES_A_ROUND = 2**24
MESSAGES_A_ROUND = (48, 480)
"""Least and most messages of a round, a multiple of STREAMED; between them as many as BYTES_A_ROUND allow."""
HANDSHAKES_A_ROUND = 20
CPU_GOAL, HANDSHAKE_GOAL = 0.7, 0.6
COMPARED = ("plain ws", "channel", "wss", "TLS, our stream")
"""The variants of the first table."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of one message or handshake, both ends together."""

    cpu_us: float
    wall_us: float


async def one_at_a_time(end: End, size: int, count: int) -> None:
    """Send `count` messages, each after the acknowledgement of the one before."""
    message = WANTS_ACK + bytes(size - 1)
    for _ in range(count):
        await end.send([message])
        await end.receive()


async def streamed(end: End, size: int, count: int) -> None:
    """Send `count` messages; every STREAMED-th is acknowledged, and waited for."""
    silent, last = WANTS_NONE + bytes(size - 1), WANTS_ACK + bytes(size - 1)
    for _ in range(count // STREAMED):
        await end.send([*[silent] * (STREAMED - 1), last])
        await end.receive()


MODES = {"one at a time": one_at_a_time, "streamed": streamed}


async def handshakes(connect: Connect) -> Cost:
    """Connections, each used for a single byte and its acknowledgement."""
    cpu_s = wall_s = 0.0
    for _ in range(HANDSHAKES_A_ROUND):
        cpu_from, wall_from = time.process_time(), time.perf_counter()
        end = await connect()
        await end.send([WANTS_ACK])
        await end.receive()
        cpu_s += time.process_time() - cpu_from
        wall_s += time.perf_counter() - wall_from
        await end.close()
    return Cost(1e6 * cpu_s / HANDSHAKES_A_ROUND, 1e6 * wall_s / HANDSHAKES_A_ROUND)


async def messages(end: End, mode: str, size: int) -> Cost:
    """One round of messages over an open connection."""
    least, most = MESSAGES_A_ROUND
    count = min(max(BYTES_A_ROUND // size // STREAMED * STREAMED, least), most)
    cpu_from, wall_from = time.process_time(), time.perf_counter()
    await MODES[mode](end, size, count)
    cpu_s, wall_s = time.process_time() - cpu_from, time.perf_counter() - wall_from
    return Cost(1e6 * cpu_s / count, 1e6 * wall_s / count)


Results = dict[tuple[str, str], dict[str, list[Cost]]]
"""By (mode, size) and variant, one cost a round."""
HANDSHAKE = ("handshake", "")


async def open_all(stack: AsyncExitStack) -> dict[str, Connect]:
    """Every variant, by name."""
    tls = Tls(*mutual_contexts())
    variants = {
        "plain ws": aiohttp_server(),
        "channel": stream_server(),
        "wss": aiohttp_server(tls=tls),
        "TLS, our stream": stream_server(tls=tls, encrypts=False),
        "channel, no sharing": stream_server(shares_frames=False),
        "wss, sharing": aiohttp_server(tls=tls, shares_frames=True),
    }
    return {name: await stack.enter_async_context(variant) for name, variant in variants.items()}


async def measure(rounds: int) -> Results:
    """All variants, sizes and modes, taking turns."""
    keep_heap()  # as every node does
    results: Results = defaultdict(lambda: defaultdict(list))
    async with AsyncExitStack() as stack:
        connects = await open_all(stack)
        ends = {name: await connect() for name, connect in connects.items()}
        for number in range(-1, rounds):  # The first round only warms up.
            for mode, size in [HANDSHAKE, *((mode, size) for mode in MODES for size in SIZES)]:
                can_share = mode == "streamed" and 2 * SIZES[size] <= BATCH_BYTES
                variants = [name for name in ends if can_share or name in COMPARED]
                for name in random.sample(variants, len(variants)):
                    if mode == "handshake":
                        cost = await handshakes(connects[name])
                    else:
                        cost = await messages(ends[name], mode, SIZES[size])
                    if number >= 0:
                        results[mode, size][name].append(cost)
        for end in ends.values():
            await end.close()
    return results


def row(what: tuple[str, str], costs: dict[str, list[Cost]]) -> list[str]:
    """One line of the first table."""
    names = list(COMPARED)
    ratios = cpu_ratios(costs, "channel", "wss")
    goal = HANDSHAKE_GOAL if what == HANDSHAKE else CPU_GOAL
    return [
        *what,
        *medians(costs, names, "cpu_us"),
        median_spread(ratios, 2),
        "yes" if statistics.median(ratios) <= goal else "no",
        median_spread(cpu_ratios(costs, "channel", "TLS, our stream"), 2),
        *medians(costs, names[:3], "wall_us"),
    ]


def sharing_row(what: tuple[str, str], costs: dict[str, list[Cost]]) -> list[str]:
    """One line of the table about sharing frames."""
    names = ["channel, no sharing", "wss", "channel", "wss, sharing"]
    alone, shared = cpu_ratios(costs, *names[:2]), cpu_ratios(costs, *names[2:])
    values = medians(costs, names, "cpu_us")
    return [what[1], *values[:2], median_spread(alone, 2), *values[2:], median_spread(shared, 2)]


def medians(costs: dict[str, list[Cost]], names: list[str], part: str) -> list[str]:
    """Median microseconds of each variant."""
    return [f"{statistics.median(getattr(cost, part) for cost in costs[name]):,.0f}" for name in names]


def cpu_ratios(costs: dict[str, list[Cost]], ours: str, theirs: str) -> list[float]:
    """CPU of one variant over that of another, round by round."""
    return [one.cpu_us / other.cpu_us for one, other in zip(costs[ours], costs[theirs], strict=True)]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="scripts/bench_channel", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    results = asyncio.run(measure(given.rounds))
    print(heading(f"scripts/bench_channel --rounds {given.rounds}") + "\n")
    print(f"Goals: CPU <= {CPU_GOAL} of wss for messages, <= {HANDSHAKE_GOAL} for the handshake.\n")
    head = ["mode", "size", *(f"{name}, CPU us" for name in COMPARED), "channel : wss", "goal"]
    head += ["channel : TLS, our stream", *(f"{name}, wall us" for name in COMPARED[:3])]
    print(table(head, [row(what, results[what]) for what in results]))
    head = ["size", "channel, alone", "wss, alone", "ratio", "channel, shared", "wss, shared", "ratio"]
    print(f"\nCPU us a message, {STREAMED} messages waiting together, each in its own frame and in shared ones:\n")
    print(table(head, [sharing_row(what, costs) for what, costs in results.items() if "wss, sharing" in costs]))


if __name__ == "__main__":
    main()
