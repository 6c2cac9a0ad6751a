"""Warm workers: taken for one task, given back, retired when idle or worn, killed when in doubt."""

import asyncio
from collections import deque

from node.execute.config import ExecuteConfig
from node.execute.errors import ExecutionError
from node.execute.process import Launch, WorkerProcess

STOP_LIMIT_S = 5.0
"""A killed process that is not gone by then is in an uninterruptible system call; nothing waits for it."""


class Pool:
    """All worker processes of a node. At most `max_idle` wait for work; the longest idle goes first."""

    def __init__(self, config: ExecuteConfig, max_idle: int) -> None:
        self._config = config
        self._max_idle = max_idle
        self._idle: deque[tuple[WorkerProcess, asyncio.TimerHandle]] = deque()
        self._all: set[WorkerProcess] = set()
        self._is_closed = False

    async def take(self, launch: Launch) -> WorkerProcess:
        """A worker for `launch`: a warm one of the same key, or a new one that is ready for orders."""
        for entry in reversed(self._idle):
            worker, timer = entry
            if worker.launch == launch and worker.is_alive:
                self._idle.remove(entry)
                timer.cancel()
                return worker
        worker = await WorkerProcess.start(launch, self._config.stderr_tail_bytes)
        self._all.add(worker)
        try:
            async with asyncio.timeout(self._config.start_limit_s):
                await worker.receive()
        except TimeoutError as error:
            self.drop(worker)
            raise ExecutionError(
                f"the worker did not start within {self._config.start_limit_s:g} s", worker.stderr_tail
            ) from error
        except BaseException:
            self.drop(worker)
            raise
        if self._is_closed:
            self.drop(worker)
            raise ExecutionError("this node is stopping")
        return worker

    def give_back(self, worker: WorkerProcess) -> None:
        """Keep a worker that finished its task cleanly, unless it is worn or there are enough idle ones."""
        worker.tasks_done += 1
        is_worn = worker.is_stale or worker.tasks_done >= self._config.max_tasks_per_worker
        if self._is_closed or is_worn or not worker.is_alive or self._config.idle_limit_s == 0:
            self.drop(worker)
            return
        timer = asyncio.get_running_loop().call_later(self._config.idle_limit_s, self._retire, worker)
        self._idle.append((worker, timer))
        while len(self._idle) > self._max_idle:
            self._retire(self._idle[0][0])

    def drop(self, worker: WorkerProcess) -> None:
        """Kill a worker at once."""
        worker.kill()
        if worker.exited.is_set():
            self._all.discard(worker)

    def forget(self, key: str) -> None:
        """Retire the workers of `key`, busy ones after their task: what they hold is out of date."""
        for worker in list(self._all):
            if worker.launch.key == key:
                worker.is_stale = True
        for worker, _ in list(self._idle):
            if worker.is_stale:
                self._retire(worker)

    async def close(self) -> None:
        """Kill every worker and wait until they are gone."""
        self._is_closed = True
        for _, timer in self._idle:
            timer.cancel()
        self._idle.clear()
        workers = list(self._all)
        for worker in workers:
            worker.kill()
        for worker in workers:
            async with asyncio.timeout(STOP_LIMIT_S):
                await worker.exited.wait()
        self._all.clear()

    @property
    def process_ids(self) -> list[int]:
        """The ids of the processes that live now."""
        self._all = {worker for worker in self._all if not worker.exited.is_set()}
        return [worker.pid for worker in self._all]

    def _retire(self, worker: WorkerProcess) -> None:
        for entry in list(self._idle):
            if entry[0] is worker:
                self._idle.remove(entry)
                entry[1].cancel()
        self.drop(worker)
