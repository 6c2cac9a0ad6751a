"""The executor of simulated nodes: real results in told time, and the errors of the real one."""

import asyncio

import pytest

from coalesced.sim.loop import SimLoop, run
from coalesced.sim.workload import inputs
from node.execute.catalogue import SKILLS
from node.execute.config import ExecuteConfig
from node.execute.errors import BusyError, InputError, TimeLimitError, UnknownSkillError
from node.execute.inline import BuiltinWork, InlineExecutor
from node.execute.job import Job
from node.execute.user import UserSkill

PROBES = {label: made[0] for label, made in inputs().items()}
WORK = BuiltinWork()
TEXT, MEDIA_TYPE = PROBES["sentiment"]


def executor(takes_s: float = 2.0, **limits: int) -> InlineExecutor:
    return InlineExecutor(ExecuteConfig(**limits), WORK, lambda label, units: takes_s, PROBES)


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.label)
def test_an_honest_result_passes_every_check_and_another_ones_none(skill: object) -> None:
    async def main(loop: SimLoop) -> None:
        one = executor()
        label = skill.label  # type: ignore[attr-defined]
        data, media_type = await one.probe(label)
        done = await one.run(Job(label, data, media_type, timeout_s=60))
        other = await one.run(Job(label, skill.example, skill.example_media_type, timeout_s=60))  # type: ignore[attr-defined]
        for level in ("none", "cheap", "full"):
            good, bad = [
                await one.verify(
                    label, data, media_type, output, level=level, min_score_ppm=900_000, seed=bytes(32), timeout_s=60
                )
                for output in (done.output, other.output)
            ]
            assert good.accepted
            assert bad.accepted == (level == "none")

    run(1, main)


def test_work_takes_the_told_time_and_reports_on_the_way() -> None:
    async def main(loop: SimLoop) -> None:
        reports: list[tuple[float, int]] = []
        began_s = loop.time()

        def report(done_ppm: int, text: str) -> None:
            reports.append((loop.time(), done_ppm))

        done = await executor(3.0).run(Job("sentiment", TEXT, MEDIA_TYPE, timeout_s=10, on_progress=report))
        assert loop.time() - began_s == pytest.approx(3.0)
        assert done.wall_s == 3.0
        assert [ppm for _, ppm in reports] == [333_333, 666_666, 1_000_000]

    run(1, main)


def test_limits_and_bad_input_are_the_errors_of_any_executor() -> None:
    async def main(loop: SimLoop) -> None:
        one = executor(2.0, max_workers=1, max_queued=0)
        with pytest.raises(TimeLimitError):
            await one.run(Job("sentiment", TEXT, MEDIA_TYPE, timeout_s=1))
        with pytest.raises(InputError):
            await one.run(Job("portfolio", b"{}", "application/json", timeout_s=9))
        with pytest.raises(InputError):
            await one.run(Job("sentiment", TEXT, MEDIA_TYPE, effort="heroic", timeout_s=9))  # type: ignore[arg-type]
        with pytest.raises(UnknownSkillError, match="document-analysis"):
            one.skill("cooking")
        with pytest.raises(InputError, match="builtin skills only"):
            one.register(UserSkill(label="mine", module="m", function="f", directory="/", environment={}, python="p"))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(one.run(Job("sentiment", TEXT, MEDIA_TYPE, timeout_s=9)))
            await asyncio.sleep(0.5)
            assert (one.running, one.free_slots, one.queue_depth) == (1, 0, 0)
            with pytest.raises(BusyError):
                await one.run(Job("sentiment", TEXT, MEDIA_TYPE, timeout_s=9))
            await running
        assert one.running == 0

    run(1, main)
