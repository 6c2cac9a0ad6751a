"""One simulated run from its plan to its outcome."""

import logging
import time
import traceback
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from coalesced.sim.checkers.watch import Violation
from coalesced.sim.faults import KINDS
from coalesced.sim.loop import SimLoop, owner, run
from coalesced.sim.world import Plan, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to. `trace_hash` is equal for equal plans, whatever ran them."""

    plan: Plan
    trace_hash: str
    events: int
    virtual_s: float
    wall_s: float
    asked: int
    ends: dict[str, int]
    hired: int
    faults: int
    violations: tuple[Violation, ...]

    @property
    def command(self) -> str:
        """What repeats this run."""
        plan = self.plan
        command = f"scripts/sim --seed {plan.seed} --nodes {plan.nodes} --minutes {plan.minutes:g}"
        if set(plan.faults) != set(KINDS):
            command += f" --faults {','.join(plan.faults) or 'none'}"
        if plan.asks_share != Plan(seed=0).asks_share:
            command += f" --asking {plan.asks_share:g}"
        return command

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {state}" for state, count in sorted(self.ends.items()))
        return (
            f"seed {self.plan.seed}: {self.plan.nodes} nodes, {self.virtual_s:.0f} s in {self.wall_s:.1f} s, "
            f"{self.faults} faults, {self.asked} asks ({ends}; {self.hired} hired), {self.events} events, "
            f"{len(self.violations)} violations, trace {self.trace_hash[:16]}"
        )


def simulate(plan: Plan) -> Outcome:
    """Run the plan to its end; everything that must not be is among the outcome's violations."""
    worlds: list[World] = []
    began_s = time.perf_counter()

    async def main(loop: SimLoop) -> None:
        world = World(loop, plan)
        worlds.append(world)
        with _errors_reported(world):
            await world.run()

    def failed(context: dict[str, Any]) -> None:
        """A callback or a task that nobody awaits has failed: a bug, unless its process was dead."""
        world = worlds[0]
        task = context.get("task") or context.get("future")
        handle = context.get("handle")
        name = getattr(task, "owner", "") or (handle._context.get(owner, "") if handle is not None else "")
        world.failed(name, f"{context['message']}: {context.get('exception')!r}")

    run(plan.seed, main, on_failure=failed)
    world = worlds[0]
    trace = world.loop.network.trace
    return Outcome(
        plan=plan,
        trace_hash=trace.digest(),
        events=trace.events,
        virtual_s=world.loop.time(),
        wall_s=time.perf_counter() - began_s,
        asked=world.asked,
        ends=world.watch.ends,
        hired=world.watch.hired,
        faults=world.harmed,
        violations=tuple(world.watch.violations),
    )


@contextmanager
def _errors_reported(world: World) -> Iterator[None]:
    """Silence the nodes' logs, but for what they log as a failure of their own."""

    def take(logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if event.get("exc_info"):
            world.failed(owner.get(), f"logged {event['event']}: {traceback.format_exc(limit=-4)}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[take],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
