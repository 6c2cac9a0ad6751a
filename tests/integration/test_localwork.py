"""What a node learns from its own runs about how long the next one takes here."""

import asyncio

import pytest

from coalesced.sim.loop import SimLoop, run
from coalesced.sim.workload import inputs
from node.decision.internal_cost import MachineRates
from node.decision.pace import FADE_S
from node.decision.verification import VerificationConfig
from node.execute.config import ExecuteConfig
from node.execute.inline import BuiltinWork, InlineExecutor
from node.outsource.localwork import FIRST_RUNS, LocalWork
from node.store.calibration import Calibrations
from node.store.database import Database
from node.store.migrations import NODE
from node.tasks.content import Content

INPUTS = {label: Content(media_type, data) for label, made in inputs().items() for data, media_type in made[:1]}


class Machine:
    """A machine whose speed changes."""

    takes_s = 1.0

    def __call__(self, label: str, units: int) -> float:
        return self.takes_s


async def worker(machine: Machine, loop: SimLoop) -> LocalWork:
    executor = InlineExecutor(ExecuteConfig(), BuiltinWork(), machine, probes={})
    database = await Database.open(None, NODE, inline=True)
    work = LocalWork(
        executor, Calibrations(database), MachineRates(), VerificationConfig(), lambda: round(loop.time() * 1000)
    )
    for label in ("risk", "sentiment"):
        for _ in range(FIRST_RUNS + 5):
            await do(work, label)
    return work


async def do(work: LocalWork, label: str) -> None:
    content = INPUTS[label]
    await work.run(label, content, "full", timeout_s=60, units=await work.units(label, content))


def test_slow_runs_of_one_skill_are_expected_of_the_others_too_until_the_machine_has_been_idle() -> None:
    async def main(loop: SimLoop) -> None:
        machine = Machine()
        work = await worker(machine, loop)
        units = await work.units("risk", INPUTS["risk"])
        usual = work.predict("risk", "full", units)
        machine.takes_s = 2.0
        for _ in range(6):
            await do(work, "sentiment")
        slow = work.predict("risk", "full", units)
        assert slow.expected_s > 1.2 * usual.expected_s
        assert slow.p95_s / slow.expected_s == pytest.approx(usual.p95_s / usual.expected_s)
        await asyncio.sleep(20 * FADE_S)
        assert work.predict("risk", "full", units).expected_s == pytest.approx(usual.expected_s, rel=0.01)

    run(1, main)
