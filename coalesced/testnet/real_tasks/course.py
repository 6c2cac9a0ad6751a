"""The tasks' way through one market: each is given to every buyer and to the node that does all itself, in turn."""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

import msgspec
import psutil

from coalesced.control.errors import ControlError
from coalesced.control.shapes import Decision, Event
from coalesced.testnet.manifest import Conduct
from coalesced.testnet.real_tasks.market import DEADLINE_S, GRACE_S, Market, Participant, Report, request
from coalesced.testnet.real_tasks.outcome import Award, Outcome, with_result
from node.execute.corpus import Case
from node.execute.mix import MixedTask

CPU_ATTEMPTS: Final = 20
CPU_POLL_S: Final = 0.05


async def play(market: Market, tasks: Sequence[MixedTask], seed: int, outcomes: list[Outcome], report: Report) -> None:
    """Have every task done by every participant, one at a time, in an order drawn anew for each task.

    What it comes to is added to `outcomes` at once, so that an interrupted run has what was measured until then.
    """
    order = random.Random(seed)
    for number, task in enumerate(tasks, 1):
        case = await asyncio.to_thread(task.case)
        for participant in order.sample(market.participants, len(market.participants)):
            outcome = await one(market, participant, number, task, case)
            outcomes.append(outcome)
        if number % 20 == 0 or number == len(tasks):
            report(f"{number} of {len(tasks)} tasks")


async def one(market: Market, participant: Participant, number: int, task: MixedTask, case: Case) -> Outcome:
    """One task with one participant, measured from the outside, and its result judged."""
    outcome = Outcome(number=number, skill=task.label, size=task.size, by=participant.by, state="failed")
    seen: list[Event] = []
    cpu_before_s, began_s = cpu_seconds(participant.process), time.monotonic()
    try:
        async with (
            asyncio.timeout(DEADLINE_S + GRACE_S),
            aclosing(participant.client.ask(request(case, participant.by))) as events,
        ):
            async for event in events:
                seen += (event,)
    except (ControlError, TimeoutError) as error:
        outcome = msgspec.structs.replace(outcome, error=str(error) or type(error).__name__)
    wall_s, spent_s = time.monotonic() - began_s, await cpu_since(participant.process, cpu_before_s)
    outcome = folded(msgspec.structs.replace(outcome, wall_s=wall_s, cpu_s=spent_s), seen, market.conducts)
    if not outcome.is_completed:
        return outcome
    try:
        output, media_type = await participant.client.result(seen[-1]["task_id"])
    except ControlError as error:
        return msgspec.structs.replace(outcome, error=f"its result cannot be had: {error}")
    return await asyncio.to_thread(with_result, outcome, case, output, media_type)


def folded(outcome: Outcome, events: Sequence[Event], conducts: dict[str, Conduct]) -> Outcome:
    """What the node's own events say about a task."""
    decisions = [event["decision"] for event in events if event["decision"] is not None]
    task = events[-1]["task"] if events else None
    if task is None:
        return outcome
    awarded = [event["peer"] for event in events if event["name"] == "awarded"]
    booked_micro, is_hired = events[-1]["cost_micro"] or 0, task["choice"] == "outsource"
    return msgspec.structs.replace(
        outcome,
        state=task["state"],
        choice=task["choice"],
        contractor=task["peer"] if is_hired else "",
        awards=tuple(Award(seller=peer, conduct=conducts[peer]) for peer in awarded if peer in conducts),
        price_micro=booked_micro if is_hired else 0,
        booked_micro=booked_micro,
        predicted_s=_local_s(decisions[0]) if decisions else None,
        quotes_micro=_quotes(decisions[0]) if decisions else (),
        topsis_ppm=_topsis(decisions[-1]) if decisions else None,
        explored=task["explored"],
        level=task["level"],
        fallbacks=tuple(task["tried"]),
        error=task["error"]["text"] if task["error"] else "",
    )


def _local_s(decision: Decision) -> float | None:
    return next((row["latency_s"] for row in decision["options"] if row["name"] == "local" and row["feasible"]), None)


def _quotes(decision: Decision) -> tuple[int, ...]:
    quoted = {row["name"]: row["quoted_micro"] for row in decision["options"]}
    return tuple(sorted(price for price in quoted.values() if price is not None))


def _topsis(decision: Decision) -> int | None:
    return next((row["topsis_ppm"] for row in decision["options"] if row["chosen"]), None)


async def cpu_since(process: psutil.Process, before_s: float) -> float | None:
    """Processor seconds of a node since it had used `before_s`; None where that cannot be read.

    A worker that has just ended counts nowhere until its node has taken notice.
    """
    for _ in range(CPU_ATTEMPTS):
        if (now_s := cpu_seconds(process)) >= before_s:
            return now_s - before_s
        await asyncio.sleep(CPU_POLL_S)
    return None


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time of a node so far, with that of its workers, those that have ended included."""
    own = process.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = child.cpu_times()
            total += times.user + times.system
    return float(total)
