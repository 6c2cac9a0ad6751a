"""Messages per CPU second of the A2A binding against the SDK's own server, and CPU of a native against an A2A task.

    scripts/bench_gateway [--rounds 8] [--messages 200] [--tasks 60] [--only bindings|native]

The two servers take turns; what counts is the CPU time of the server's process, its client is another.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from coalesced.logs import LogConfig, configure
from scripts.bench.report import median_spread

SERVERS = Path(__file__).with_name("gateway_servers.py")
AT_ONCE = 8
KINDS = ("starlette", "starlette-untraced", "aiohttp")
HEADERS = {"A2A-Version": "1.0", "Content-Type": "application/json"}
TEXT = "Margins held up well. " * 10


def message(number: int, **fields: object) -> bytes:
    """One SendMessage."""
    told = {"messageId": f"m{number}-{os.urandom(4).hex()}", "role": "ROLE_USER", "parts": [{"text": TEXT}], **fields}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "SendMessage", "params": {"message": told}}).encode()


@contextmanager
def server(kind: str) -> Iterator[tuple[psutil.Process, str]]:
    """A running server; its process and address."""
    command = [sys.executable, str(SERVERS), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        try:
            yield psutil.Process(process.pid), f"http://127.0.0.1:{port}/a2a/rpc"
        finally:
            process.terminate()


async def call(session: aiohttp.ClientSession, url: str, body: bytes) -> str:
    """One call about a task that has completed; the task's id."""
    async with session.post(url, data=body, headers=HEADERS) as answer:
        told = await answer.json()
        task = told["result"].get("task", told["result"])
        assert task["status"]["state"] == "TASK_STATE_COMPLETED", told
        return str(task["id"])


async def send(session: aiohttp.ClientSession, url: str, count: int) -> None:
    """`count` messages, some at once: the SDK's handling of a task is most of each."""
    await some_at_once(lambda number: call(session, url, message(number)), count)


async def get(session: aiohttp.ClientSession, url: str, count: int) -> None:
    """`count` looks at a task: there is little but the binding."""
    params = {"id": await call(session, url, message(0))}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": params}).encode()
    await some_at_once(lambda _: call(session, url, body), count)


async def some_at_once(one: Callable[[int], Awaitable[str]], count: int) -> None:
    """`one` so many times."""
    places = asyncio.Semaphore(AT_ONCE)

    async def placed(number: int) -> None:
        async with places:
            await one(number)

    await asyncio.gather(*(placed(number) for number in range(count)))


def cpu_s(process: psutil.Process) -> float:
    """CPU time of a process so far."""
    used = process.cpu_times()
    return float(used.user + used.system)


Load = Callable[[aiohttp.ClientSession, str, int], Awaitable[None]]


async def bindings(name: str, load: Load, rounds: int, count: int) -> None:
    """The servers, turn by turn."""
    print(name)
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with ExitStack() as stack:
        servers = {kind: stack.enter_context(server(kind)) for kind in KINDS}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            await asyncio.sleep(1.0)  # uvicorn says nothing when it serves
            for turn in range(rounds + 1):
                for kind, (process, url) in servers.items():
                    before = cpu_s(process)
                    await load(session, url, count)
                    if turn:  # the first warms up
                        rates[kind].append(count / (cpu_s(process) - before))
    for kind, found in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(rates["aiohttp"], found, strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{kind:>18}: {statistics.median(found):5.0f} calls a CPU second; ours has {spread} times that")


async def tasks(rounds: int, count: int) -> None:
    """A task from one node to another: over the channel with quote and receipt, and over A2A; CPU of both nodes."""
    from coalesced.gateway.a2a.config import A2aConfig, A2aSeller
    from node.outsource.config import ContractorConfig
    from tests.harness.nodes import BUILTIN, DEAR, World

    buying = {"machine": DEAR, "contractor": ContractorConfig(sell=False)}
    speeds = dict.fromkeys(BUILTIN, 0.05)
    async with World() as world:
        config = A2aConfig(
            enabled=True, free_skills=("sentiment",), free_tasks_per_day=10**6, requests_per_minute=10**6
        )
        seller = await world.node(sections={"a2a": config})
        native = await world.node(sections=buying, speeds=speeds)
        agent = A2aSeller(card=f"http://{seller.endpoint}", skill="sentiment", price_micro=5, duration_s=0.05)
        through = await world.node(sections={**buying, "a2a": A2aConfig(sellers=(agent,))}, speeds=speeds, bootstrap=())

        async def measured(ask: Callable[[], Awaitable[object]]) -> float:
            before_s = time.process_time()
            for _ in range(count):
                await ask()
            return (time.process_time() - before_s) / count * 1000

        async def over(node: object) -> None:
            task = await node.ask("sentiment", TEXT)  # type: ignore[attr-defined]
            assert (task.state, task.choice) == ("completed", "outsource"), task

        used: dict[str, list[float]] = {"native": [], "A2A": []}
        for turn in range(rounds + 1):
            for kind, node in (("native", native), ("A2A", through)):
                took_ms = await measured(lambda node=node: over(node))  # type: ignore[misc]
                if turn:
                    used[kind].append(took_ms)
    for kind, found in used.items():
        print(
            f"{kind:>10}: {statistics.median(found):6.1f} CPU ms a task, buyer and seller in one process, deciding too"
        )
    ratios = [theirs / own for own, theirs in zip(used["native"], used["A2A"], strict=True)]
    print(f"     ratio: {median_spread(ratios, 2)}")


async def protocol(rounds: int, count: int) -> None:
    """The messages alone of such a task, in turns; CPU of both ends."""
    os.environ["OTEL_INSTRUMENTATION_A2A_SDK_ENABLED"] = "false"  # read when the SDK is imported
    from scripts.bench.gateway_protocol import native, over_a2a
    from scripts.bench.gateway_sdk import over_sdk

    async with native(TEXT) as channel, over_a2a(TEXT) as http, over_sdk(TEXT) as sdk:
        exchanges = {"native": channel, "A2A, our client and server": http, "A2A, the SDK's": sdk}
        used: dict[str, list[float]] = {kind: [] for kind in exchanges}
        for turn in range(rounds + 1):
            for kind, exchange in exchanges.items():
                before_s = time.process_time()
                for _ in range(count):
                    await exchange()
                if turn:  # the first warms up
                    used[kind].append((time.process_time() - before_s) / count * 1000)
    for kind, found in used.items():
        ratios = [theirs / own for own, theirs in zip(used["native"], found, strict=True)]
        spread = f"{median_spread(ratios, 2)} times native"
        print(f"{kind:>28}: {statistics.median(found):6.2f} CPU ms from quote to receipt, both ends; {spread}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=60)
    parser.add_argument("--only", choices=("bindings", "native"), help="the servers; or a native against an A2A task")
    wanted = parser.parse_args()
    configure(LogConfig(level="error"))
    print(f"load {os.getloadavg()[0]:.1f}")
    if wanted.only != "native":
        asyncio.run(bindings("SendMessage", send, wanted.rounds, wanted.messages))
        asyncio.run(bindings("GetTask", get, wanted.rounds, 3 * wanted.messages))
    if wanted.only != "bindings":
        asyncio.run(protocol(wanted.rounds, wanted.messages))
        asyncio.run(tasks(wanted.rounds, wanted.tasks))


if __name__ == "__main__":
    main()
