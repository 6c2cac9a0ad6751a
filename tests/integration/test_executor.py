"""The executor with real worker processes: builtin skills, limits, cancellation, crashes."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from node.execute import corpus
from node.execute.config import ExecuteConfig
from node.execute.errors import (
    BusyError,
    ExecutionError,
    InputError,
    MemoryLimitError,
    TimeLimitError,
    UnknownSkillError,
)
from node.execute.job import Job
from node.execute.processes import ProcessExecutor
from node.execute.user import UserSkill

LONG = corpus.risk_case(1, assets=20, paths=2_000_000, horizon=100)
"""Minutes of work: only ever cancelled or killed."""
SHORT = corpus.risk_case(2, assets=3, paths=4_096, horizon=2)
SEED = bytes(32)


@pytest.fixture
async def executor() -> AsyncIterator[ProcessExecutor]:
    one = ProcessExecutor(ExecuteConfig(max_workers=2, max_queued=1, memory_watch_s=0.05))
    yield one
    await one.stop()


async def eventually(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  (another process has no event to wait for)
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def run(executor: ProcessExecutor, case: corpus.Case, timeout_s: float = 60) -> bytes:
    return (await executor.run(Job(case.label, case.input, case.media_type, timeout_s=timeout_s))).output


async def started(executor: ProcessExecutor, case: corpus.Case) -> tuple[asyncio.Task[bytes], int]:
    """A task in the middle of its work, and the process that works on it."""
    working = asyncio.Event()

    async def body() -> bytes:
        execution = await executor.run(
            Job(case.label, case.input, case.media_type, timeout_s=600, on_progress=lambda done, text: working.set())
        )
        return execution.output

    task = asyncio.create_task(body())
    async with asyncio.timeout(60):
        await working.wait()
    return task, executor.process_ids[-1]


async def test_an_execution_says_what_it_took(executor: ProcessExecutor) -> None:
    seen: list[int] = []
    case = corpus.risk_case(3, paths=100_000)
    done = await executor.run(
        Job("risk", case.input, case.media_type, timeout_s=60, on_progress=lambda done_ppm, text: seen.append(done_ppm))
    )
    assert json.loads(done.output)["paths"] >= 100_000
    assert done.media_type == "application/json"
    assert done.cpu_s > 0
    assert 0 < done.wall_s < 60
    assert done.peak_memory_bytes > 2**20
    assert seen == sorted(seen)
    assert seen


async def test_a_warm_worker_is_used_again(executor: ProcessExecutor) -> None:
    await run(executor, SHORT)
    first = executor.process_ids
    await run(executor, SHORT)
    assert executor.process_ids == first
    assert len(first) == 1


async def test_a_worn_worker_is_replaced() -> None:
    executor = ProcessExecutor(ExecuteConfig(max_workers=1, max_tasks_per_worker=1))
    await run(executor, SHORT)
    await eventually(lambda: executor.process_ids == [])
    await run(executor, SHORT)
    await executor.stop()


async def test_an_idle_worker_is_retired() -> None:
    executor = ProcessExecutor(ExecuteConfig(max_workers=1, idle_limit_s=0.01))
    await run(executor, SHORT)
    await eventually(lambda: executor.process_ids == [])
    await executor.stop()


async def test_a_cancelled_task_is_killed_at_once_and_frees_its_slot(executor: ProcessExecutor) -> None:
    task, pid = await started(executor, LONG)
    assert (executor.running, executor.free_slots) == (1, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert executor.running == 0
    await eventually(lambda: not is_running(pid))


async def test_a_task_over_its_time_limit_is_killed(executor: ProcessExecutor) -> None:
    with pytest.raises(TimeLimitError, match=r"0\.5 s"):
        await run(executor, LONG, timeout_s=0.5)
    await eventually(lambda: executor.process_ids == [])


async def test_a_full_queue_refuses_and_says_so(executor: ProcessExecutor) -> None:
    running = [await started(executor, LONG) for _ in range(2)]
    waiting = asyncio.create_task(run(executor, SHORT))
    await eventually(lambda: executor.queue_depth == 1)
    with pytest.raises(BusyError, match="limit 1"):
        await run(executor, SHORT)
    for task, _ in running:
        task.cancel()
    assert await waiting
    assert (executor.queue_depth, executor.running) == (0, 0)


async def test_verification_does_not_wait_behind_sold_work(executor: ProcessExecutor) -> None:
    output = await run(executor, SHORT)
    running = [await started(executor, LONG) for _ in range(2)]
    judgement = await executor.verify(
        "risk", SHORT.input, SHORT.media_type, output, level="full", min_score_ppm=950_000, seed=SEED, timeout_s=30
    )
    assert judgement.accepted
    assert judgement.cpu_s > 0
    for task, _ in running:
        task.cancel()


async def test_a_killed_worker_is_an_error_and_the_next_task_works(executor: ProcessExecutor) -> None:
    task, pid = await started(executor, LONG)
    os.kill(pid, 9)
    with pytest.raises(ExecutionError, match="by signal 9"):
        await task
    assert await run(executor, SHORT)


async def test_malformed_input_is_the_callers_fault_and_keeps_the_worker(executor: ProcessExecutor) -> None:
    await run(executor, SHORT)
    before = executor.process_ids
    with pytest.raises(InputError, match="positions"):
        await executor.run(Job("risk", b'{"paths": 1000}', "application/json", timeout_s=30))
    assert executor.process_ids == before


async def test_an_unknown_label_names_the_known_ones(executor: ProcessExecutor) -> None:
    with pytest.raises(UnknownSkillError, match="document-analysis, portfolio, risk, sentiment"):
        await executor.run(Job("astrology", b"x", "text/plain", timeout_s=1))


async def test_an_unknown_effort_is_refused(executor: ProcessExecutor, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def up(text: str) -> str:\n    return text.upper()\n")
    executor.register(UserSkill(label="up", module="mine", function="up", directory=str(tmp_path)))
    with pytest.raises(InputError, match="no effort 'cheap'"):
        await executor.run(Job("up", b"x", "text/plain", effort="cheap", timeout_s=10))


async def test_any_bytes_as_a_result_are_judged_not_raised(executor: ProcessExecutor) -> None:
    for output in (b"", b"\xff", b"[]", b"{}", b'{"summary": 1}', b"[" * 5000, b"null"):
        judgement = await executor.verify(
            "risk", SHORT.input, SHORT.media_type, output, level="cheap", min_score_ppm=1, seed=SEED, timeout_s=30
        )
        assert not judgement.accepted
        assert judgement.reasons


async def test_large_inputs_are_measured_off_the_event_loop(executor: ProcessExecutor) -> None:
    case = corpus.sentiment_case(1, texts=40)
    assert len(case.input) > 64 * 1024
    characters = sum(len(text) for text in json.loads(case.input)["texts"])
    assert await executor.size("sentiment", case.input, case.media_type) == characters
    assert executor.process_ids


async def test_stopping_leaves_no_process(executor: ProcessExecutor) -> None:
    task, pid = await started(executor, LONG)
    await executor.stop()
    assert not is_running(pid)
    with pytest.raises(ExecutionError):
        await task


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="allocation limits work on Linux alone")
async def test_a_task_over_its_memory_limit_is_refused_memory(executor: ProcessExecutor, tmp_path: Path) -> None:
    (tmp_path / "hungry.py").write_text("def eat(text: str) -> str:\n    return str(len(bytearray(10**9)))\n")
    executor.register(UserSkill(label="eat", module="hungry", function="eat", directory=str(tmp_path)))
    with pytest.raises(MemoryLimitError, match="limit of 128 MiB"):
        await executor.run(Job("eat", b"x", "text/plain", timeout_s=30, memory_bytes=128 * 2**20))


async def test_children_count_into_the_memory_limit(executor: ProcessExecutor, tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys\n"
        "def spawn(text: str) -> str:\n"
        "    code = 'import time; held = bytearray(b\"x\") * 400_000_000; time.sleep(60)'\n"
        "    import resource\n"
        "    free = lambda: resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY,) * 2)\n"
        "    return str(subprocess.run([sys.executable, '-c', code], preexec_fn=free).returncode)\n"
    )
    executor.register(UserSkill(label="spawn", module="parent", function="spawn", directory=str(tmp_path)))
    with pytest.raises(MemoryLimitError, match="used"):
        await executor.run(Job("spawn", b"x", "text/plain", timeout_s=30, memory_bytes=128 * 2**20))
    await eventually(lambda: executor.process_ids == [])
