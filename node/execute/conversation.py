"""What happens between an order and its final event: progress, questions, the look at memory, the ending."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psutil

from node.env import Offload
from node.execute.errors import ExecutionError, InputError, MemoryLimitError
from node.execute.frames import Header
from node.execute.process import WorkerProcess
from node.execute.skill import Progress

Ask = Callable[[str], Awaitable[str]]
"""Puts a question to the client; an exception means that nobody answers."""

INTERPRETER_BYTES = 96 * 2**20
"""What a Python with numpy holds before any work; not charged to the task."""


class MemoryWatch:
    """Looks at the resident memory of a worker and its children every `interval_s`."""

    def __init__(self, limit_bytes: int, interval_s: float, offload: Offload) -> None:
        self._limit_bytes = limit_bytes
        self._interval_s = interval_s
        self._offload = offload
        self._next_s = 0.0
        self.peak_bytes = 0

    def remaining_s(self) -> float:
        """Time until the next look."""
        return max(self._next_s - asyncio.get_running_loop().time(), 0.0)

    def start(self) -> None:
        """Count from now."""
        self._next_s = asyncio.get_running_loop().time() + self._interval_s

    async def look(self, worker: WorkerProcess) -> None:
        """Measure once; MemoryLimitError when it is too much."""
        used = await self._offload(resident_bytes, worker.pid)
        self.peak_bytes = max(self.peak_bytes, used)
        if used > self._limit_bytes + INTERPRETER_BYTES:
            raise self.error(worker, used)
        self.start()

    def error(self, worker: WorkerProcess, used: int | None = None) -> MemoryLimitError:
        """The refusal, for a worker that was seen over its limit or was refused memory by the system."""
        what = "asked for more" if used is None else f"used {used // 2**20} MiB"
        return MemoryLimitError(
            f"the work {what}, over its limit of {self._limit_bytes // 2**20} MiB: make the input smaller, "
            "or raise execute.memory_limit_bytes",
            worker.stderr_tail,
        )


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and all its descendants; 0 when it is gone."""
    total = 0
    try:
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            total += member.memory_info().rss
    except psutil.Error:
        return total
    return total


async def converse(
    worker: WorkerProcess, watch: MemoryWatch, on_progress: Progress | None, ask: Ask | None
) -> tuple[Header, bytes]:
    """Events of the current order until its final one, which is returned; its failures are raised."""
    watch.start()
    while True:
        try:
            async with asyncio.timeout(watch.remaining_s()):
                header, payload = await worker.receive()
        except TimeoutError:
            await watch.look(worker)
            continue
        match header.get("event"):
            case "progress":
                if on_progress is not None:
                    on_progress(int(header["done_ppm"]), str(header["text"]))
            case "ask":
                await _answer(worker, payload.decode(errors="replace"), ask)
            case "done":
                header["peak_memory_bytes"] = max(header.get("peak_memory_bytes", 0), watch.peak_bytes)
                return header, payload
            case "failed":
                raise _failure(worker, watch, header)
            case event:
                raise ExecutionError(f"the worker sent an unknown event {event!r}", worker.stderr_tail)


async def _answer(worker: WorkerProcess, question: str, ask: Ask | None) -> None:
    if ask is None:
        worker.send({"op": "answer", "refused": "this client takes no questions"})
        return
    worker.send({"op": "answer"}, (await ask(question)).encode())


def _failure(worker: WorkerProcess, watch: MemoryWatch, header: dict[str, Any]) -> Exception:
    text = str(header.get("text", ""))
    match header.get("kind"):
        case "input" | "declaration":
            return InputError(text)
        case "memory":
            return watch.error(worker)
        case _:
            return ExecutionError(f"the skill failed: {text}", worker.stderr_tail)
