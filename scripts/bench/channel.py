"""The encrypted channel against plain WebSocket and against WebSocket over TLS 1.3 with certificates on both sides.

Both ends of every variant live in this process, on one event loop, so its CPU time is that of both. The work is the
same everywhere: a binary message of the given size goes one way, a binary message of 16 bytes comes back to acknowledge
it; no compression. "One at a time" waits for every acknowledgement, "streamed" for that of every 16th message (the
others get none); there, "batching" also puts messages that wait together into one frame, as a session does. A handshake
is counted from the connect to the first acknowledgement, closing not included.

All variants take turns in every round, in changing order, so that what else the machine does hits all alike. Ratios are
taken within a round; a table shows medians, with quartiles where they help.
"""

import argparse
import asyncio
import os
import random
import ssl
import statistics
import sys
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import aiohttp
from aiohttp import web

from crypto.identity import Identity
from crypto.noise import KeyPair
from node.net.endpoint import Endpoint
from node.net.errors import StreamClosed
from node.net.handshake import initiate, respond
from node.net.outbox import BATCH_BYTES, Outbox
from node.net.transport import FrameStream
from node.net.websocket import PATH, WebSocketTransport
from protocol.channel import Channel, ReceiveBuffer
from protocol.envelope import LENGTH, join
from protocol.handshake import Opening
from protocol.hello import Hello
from scripts.bench.report import heading, median_spread, table
from scripts.bench.tls import HOST, mutual_contexts

SIZES = {"256 B": 2**8, "4 KiB": 2**12, "64 KiB": 2**16, "1 MiB": 2**20}
MAX_BYTES = 2**21
STREAMED = 16
"""Messages on the way before an acknowledgement, in the streamed mode."""
WANTS_ACK, WANTS_NONE = b"\1", b"\0"
ACK = bytes(16)
BYTES_A_ROUND = 2**24
MESSAGES_A_ROUND = (48, 480)
"""Least and most messages of a round, a multiple of STREAMED; between them as many as BYTES_A_ROUND allow."""
HANDSHAKES_A_ROUND = 20
CPU_GOAL, HANDSHAKE_GOAL = 0.7, 0.6
SINGLE = ("plain ws", "channel", "wss")
"""The variants that send every message by itself."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of an open connection."""

    send: Callable[[Sequence[bytes]], Awaitable[None]]
    """Sends these messages, in order."""
    receive: Callable[[], Awaitable[bytes | memoryview]]
    close: Callable[[], Awaitable[object]]


Connect = Callable[[], Awaitable[End]]
Wrap = Callable[[End], End]


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of one message or handshake, both ends together."""

    cpu_us: float
    wall_us: float


async def acknowledge(end: End) -> None:
    """The server's part, the same for all variants, until the connection ends."""
    while True:
        message = await end.receive()
        if message[:1] == WANTS_ACK:
            await end.send([ACK])


def single(end: End) -> End:
    """Every message by itself."""
    return end


def batching(end: End) -> End:
    """Messages that wait together share what is sent, as a session's envelopes share frames."""
    outbox, inbox = Outbox(MAX_BYTES), deque[memoryview]()

    async def send(messages: Sequence[bytes]) -> None:
        for message in messages:
            outbox.put(LENGTH.pack(len(message)) + message)
        while outbox:
            await end.send([join(outbox.take_batch())])

    async def receive() -> memoryview:
        if not inbox:
            rest = memoryview(await end.receive())
            while rest:
                size = LENGTH.size + LENGTH.unpack_from(rest)[0]
                inbox.append(rest[LENGTH.size : size])
                rest = rest[size:]
        return inbox.popleft()

    return End(send, receive, end.close)


# --- The variants: each gives a way to connect to a server that acknowledges


def websocket_end(websocket: web.WebSocketResponse | aiohttp.ClientWebSocketResponse) -> End:
    """An end without anything of ours."""

    async def send(messages: Sequence[bytes]) -> None:
        for message in messages:
            await websocket.send_bytes(message)

    return End(send, websocket.receive_bytes, websocket.close)


@asynccontextmanager
async def websocket_server(
    wrap: Wrap, server_tls: ssl.SSLContext | None = None, client_tls: ssl.SSLContext | None = None
) -> AsyncIterator[Connect]:
    """aiohttp's WebSocket, plain or over TLS; set up as node/net sets it up."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(compress=False, max_msg_size=MAX_BYTES)
        await websocket.prepare(request)
        with suppress(TypeError, aiohttp.WebSocketError):  # aiohttp's way to say that the client has closed.
            await acknowledge(wrap(websocket_end(websocket)))
        return websocket

    app = web.Application()
    app.router.add_get(PATH, serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=server_tls)
    await site.start()
    port = runner.addresses[0][1]
    url = f"{'https' if client_tls else 'http'}://{HOST}:{port}{PATH}"
    connector = aiohttp.TCPConnector(limit=0, force_close=True, ssl=client_tls or True)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as client:

        async def connect() -> End:
            return wrap(websocket_end(await client.ws_connect(url, compress=0, max_msg_size=MAX_BYTES)))

        yield connect
    await runner.cleanup()


def opening(identity: Identity, static: KeyPair, buffer: ReceiveBuffer) -> Opening:
    """What one side brings to a handshake: a static key per process, an ephemeral one per connection."""
    ephemeral = KeyPair(os.urandom(32))
    return Opening(identity=identity, static=static, ephemeral=ephemeral, hello=Hello("bench"), buffer=buffer)


def channel_end(stream: FrameStream, channel: Channel) -> End:
    """An end of ours: sealed frames over node/net's stream."""

    async def send(messages: Sequence[bytes]) -> None:
        for message in messages:
            await stream.send(channel.seal(message))

    async def receive() -> memoryview:
        return channel.open(await stream.receive())

    return End(send, receive, stream.close)


@asynccontextmanager
async def channel_server(wrap: Wrap) -> AsyncIterator[Connect]:
    """The channel over node/net's WebSocket transport."""
    server, client = Identity(os.urandom(32)), Identity(os.urandom(32))
    server_side = partial(opening, server, KeyPair(os.urandom(32)), ReceiveBuffer())
    client_side = partial(opening, client, KeyPair(os.urandom(32)), ReceiveBuffer())
    listener, dialler = WebSocketTransport(MAX_BYTES), WebSocketTransport(MAX_BYTES)
    tasks: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:

        async def serve(stream: FrameStream) -> None:
            try:
                await acknowledge(wrap(channel_end(stream, await respond(stream, server_side()))))
            except StreamClosed:
                await stream.close()

        (endpoint,) = await listener.listen(
            [Endpoint(HOST, 0)], lambda stream: tasks.append(group.create_task(serve(stream)))
        )

        async def connect() -> End:
            stream = await dialler.dial(endpoint)
            return wrap(channel_end(stream, await initiate(stream, client_side(), server.public_key)))

        yield connect
        await dialler.close()
        await listener.close()


# --- Measuring


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


async def measure(rounds: int) -> Results:
    """All variants, sizes and modes, taking turns."""
    results: Results = defaultdict(lambda: defaultdict(list))
    contexts = mutual_contexts()
    async with AsyncExitStack() as stack:
        connects = {
            "plain ws": await stack.enter_async_context(websocket_server(single)),
            "channel": await stack.enter_async_context(channel_server(single)),
            "channel, batching": await stack.enter_async_context(channel_server(batching)),
            "wss": await stack.enter_async_context(websocket_server(single, *contexts)),
            "wss, batching": await stack.enter_async_context(websocket_server(batching, *contexts)),
        }
        ends = {name: await connect() for name, connect in connects.items()}
        for number in range(-1, rounds):  # The first round only warms up.
            for mode, size in [HANDSHAKE, *((mode, size) for mode in MODES for size in SIZES)]:
                batches = mode == "streamed" and 2 * SIZES[size] <= BATCH_BYTES
                variants = [name for name in ends if batches or name in SINGLE]
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
    """One line of the table for all variants that send messages one by one."""
    names = list(SINGLE)
    ratios = cpu_ratios(costs, "channel", "wss")
    goal = HANDSHAKE_GOAL if what == HANDSHAKE else CPU_GOAL
    verdict = "yes" if statistics.median(ratios) <= goal else "no"
    return [
        *what,
        *medians(costs, names, "cpu_us"),
        median_spread(ratios, 2),
        verdict,
        *medians(costs, names, "wall_us"),
    ]


def batching_row(what: tuple[str, str], costs: dict[str, list[Cost]]) -> list[str]:
    """One line of the table about batching."""
    names = ["channel", "channel, batching", "wss", "wss, batching"]
    batched = "channel, batching"
    ratios = [median_spread(cpu_ratios(costs, batched, other), 2) for other in ("wss", "wss, batching")]
    return [what[1], *medians(costs, names, "cpu_us"), *ratios]


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
    names = list(SINGLE)
    head = [
        "mode",
        "size",
        *(f"{name}, CPU us" for name in names),
        "channel : wss",
        "goal",
        *(f"{name}, wall us" for name in names),
    ]
    print(f"Goals: CPU <= {CPU_GOAL} of wss for messages, <= {HANDSHAKE_GOAL} for the handshake.\n")
    print(table(head, [row(what, results[what]) for what in results]))
    head = [
        "size",
        "channel",
        "channel, batching",
        "wss",
        "wss, batching",
        "channel, batching : wss",
        ": wss, batching",
    ]
    print(f"\nCPU us a message, {STREAMED} messages waiting together, sent singly and in shared frames:\n")
    print(table(head, [batching_row(what, costs) for what, costs in results.items() if "wss, batching" in costs]))


if __name__ == "__main__":
    main()
