"""One market as a running testnet: started, met, warmed up, and taken down."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from coalesced.control.client import ControlClient
from coalesced.control.shapes import AskRequest
from coalesced.testnet import processes, runner
from coalesced.testnet.manifest import Conduct, Manifest, TestnetError
from coalesced.testnet.real_tasks.regimes import BASELINE, Cast, Regime
from node.execute.corpus import Case
from node.execute.mix import COUNTS, MixedTask

DEADLINE_S: Final = 120.0
"""Of each task: a hundred times what the largest takes."""
GRACE_S: Final = 30.0
"""A node ends each task by its deadline; this much later the harness gives up on the node."""
BUDGET_MICRO: Final = 100_000_000
"""$100 a task: no budget binds, so that costs alone decide."""
WARM_UP_SIZES: Final = (0.5, 2.0)
"""Sizes of the work that each node does for itself first. What it measured at its start, it measured while all the
others started beside it."""
MEET_TIMEOUT_S: Final = 60.0
MEET_POLL_S: Final = 0.2
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Participant:
    """A node that is given the tasks."""

    by: str
    client: ControlClient
    process: psutil.Process


@dataclass(frozen=True, slots=True)
class Market:
    """A running testnet: who is given the tasks, and what each seller is by its short id."""

    manifest: Manifest
    participants: tuple[Participant, ...]
    everybody: tuple[ControlClient, ...]
    conducts: dict[str, Conduct]


@contextlib.asynccontextmanager
async def open_market(
    regime: Regime, cast: Cast, task_s: float, directory: Path, report: Report
) -> AsyncIterator[Market]:
    """A testnet of this regime, which is taken down however the block ends."""

    def describe(ports: tuple[int, ...], nonce: str) -> Manifest:
        return cast.manifest(regime, task_s, directory, ports, nonce)

    manifest = await runner.raise_up(directory, cast.size, describe, report)
    try:
        async with AsyncExitStack() as stack:
            clients, conducts = dict[str, ControlClient](), dict[str, Conduct]()
            for state in await runner.states(manifest):
                if state.status is None:
                    raise TestnetError(f"{state.plan.name} does not answer")
                client = ControlClient(runner.socket_of(manifest, state.plan))
                clients[state.plan.name] = await stack.enter_async_context(client)
                if state.plan.role == "seller":
                    conducts[state.status["node"]] = state.plan.conduct
            buyers = [node for node in manifest.nodes if node.role == "buyer"]
            participants = []
            for node in buyers:
                process = processes.find(manifest.home(node))
                if process is None:
                    raise TestnetError(f"{node.name} has ended")
                participants.append(Participant(node.policy or BASELINE, clients[node.name], process))
            yield Market(manifest, tuple(participants), tuple(clients.values()), conducts)
    finally:
        runner.down(directory)


async def meet(market: Market) -> None:
    """Return when every buyer finds every seller of every skill; TestnetError when they do not."""
    found = 0
    try:
        async with asyncio.timeout(MEET_TIMEOUT_S):
            for participant in market.participants:
                for label in COUNTS:
                    found = len((await participant.client.find_skill(label))["sellers"])
                    while found < len(market.conducts):
                        await asyncio.sleep(MEET_POLL_S)
                        found = len((await participant.client.find_skill(label))["sellers"])
    except TimeoutError:
        text = f"a buyer found {found} of {len(market.conducts)} sellers within {MEET_TIMEOUT_S:.0f} s"
        raise TestnetError(text) from None


async def warm_up(market: Market, scale: float) -> None:
    """Each node does a little of each kind of work for itself, so that it prices it by its own measured speed."""
    for client in market.everybody:
        for label in COUNTS:
            for number, size in enumerate(WARM_UP_SIZES):
                case = await asyncio.to_thread(MixedTask(label, number, size * scale).case)
                async with (
                    asyncio.timeout(DEADLINE_S + GRACE_S),
                    aclosing(client.ask(request(case, BASELINE))) as events,
                ):
                    async for _ in events:
                        continue


def request(case: Case, by: str) -> AskRequest:
    """The task as its owner gives it; what the all-local node is given never leaves it."""
    asked: AskRequest = {
        "skill": case.label,
        "files": [{"name": "input.json", "media_type": case.media_type, "data": case.input}],
        "budget_micro": BUDGET_MICRO,
        "deadline_s": DEADLINE_S,
    }
    return {**asked, "privacy": "secret"} if by == BASELINE else asked
