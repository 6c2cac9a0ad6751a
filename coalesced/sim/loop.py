"""A deterministic event loop: virtual time that jumps to the next timer.

`run(seed, main)` runs a coroutine function on such a loop. Everything on it is one thread and one order of events,
so equal seeds give equal runs: tasks hash by sequence number (TaskGroup cancels by iterating a set), executors run
inline, and garbage with cycles is collected at fixed virtual times. A loop with nothing left to do raises SimDeadlock
instead of waiting for ever.
"""

import asyncio
import gc
import random
import socket
from asyncio.base_events import BaseEventLoop
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context, ContextVar
from typing import Any, TypeVar

from coalesced.sim.network import Link, SimNetwork

T = TypeVar("T")
START_UNIX_MS = 1_800_000_000_000
COLLECT_S = 30.0
"""Virtual time between two collections: often enough for memory, and the same moments in every run."""

owner: ContextVar[str] = ContextVar("owner", default="")
"""Whose work runs: tasks and callbacks inherit it, so that a node's whole life can be ended at once."""


class SimDeadlock(Exception):
    """Everything waits, and no timer is set that could end it."""


class SimTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks iterate in the same order in every run."""

    __slots__ = ("_number", "owner")

    def __init__(self, coro: Coroutine[Any, Any, Any], *, number: int, belongs_to: str, **options: Any) -> None:
        self._number = number  # First: the base class registers the task, which hashes it.
        self.owner = belongs_to
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number


class _TimeJump:
    """Stands where a loop has its selector: instead of waiting for a time-out, moves the clock there."""

    def __init__(self, loop: "SimLoop") -> None:
        self._loop = loop

    def select(self, timeout_s: float | None) -> list[Any]:
        if timeout_s is None:
            raise SimDeadlock(f"nothing is scheduled at {self._loop.time():.3f} s, yet the run has not ended")
        self._loop.advance(max(timeout_s, 0.0))
        return []


class SimLoop(BaseEventLoop):
    """The loop. `network` carries its datagrams; `unix_ms` is a wall clock in step with the virtual time."""

    def __init__(self, seed: int, link: Link | None = None) -> None:
        super().__init__()
        self.seed = seed
        self.now_s = 0.0
        self.clock_offset_ms = 0
        """Added to the wall clock: a clock jump."""
        self.network = SimNetwork(self, random.Random(seed), link or Link())
        self.names: dict[str, list[str]] = {}
        """Host names that resolve, with their addresses."""
        self.collect_s = COLLECT_S
        self._selector = _TimeJump(self)
        self._tasks_made = 0
        self._collected_s = 0.0
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self.now_s

    def unix_ms(self) -> int:
        """The wall clock of this world."""
        return START_UNIX_MS + self.clock_offset_ms + int(self.now_s * 1000)

    def advance(self, by_s: float) -> None:
        """Move the clock; now and then, collect garbage."""
        self.now_s += by_s
        if self.now_s - self._collected_s >= self.collect_s:
            self._collected_s = self.now_s
            gc.collect()

    async def create_datagram_endpoint(self, protocol_factory: Any, local_addr: Any = None, **_: Any) -> Any:  # type: ignore[override]
        """Bind in the simulated network; OSError when the address is taken."""
        protocol = protocol_factory()
        transport = self.network.bind(local_addr, protocol)
        protocol.connection_made(transport)
        return transport, protocol

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
        """Look the name up in `names`; socket.gaierror for any other."""
        if host not in self.names:
            raise socket.gaierror(f"{host!r} is not in SimLoop.names")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 0, "", (address, port)) for address in self.names[host]]

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":  # type: ignore[override]
        """Run `func` now, in this thread: it takes no virtual time."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  whatever it raises belongs to the waiter
            future.set_exception(error)
        return future

    def tasks_of(self, name: str) -> list[SimTask]:
        """The living tasks of one owner, in the order in which they were made."""
        mine = [task for task in asyncio.all_tasks(self) if isinstance(task, SimTask) and task.owner == name]
        return sorted(mine, key=hash)

    def tasks_by_owner(self) -> Counter[str]:
        """How many tasks live, by owner."""
        return Counter(task.owner for task in asyncio.all_tasks(self) if isinstance(task, SimTask))

    def _make_task(self, loop: Any, coro: Any, context: Context | None = None) -> "asyncio.Task[Any]":
        self._tasks_made += 1
        belongs_to = owner.get() if context is None else context.get(owner, "")
        return SimTask(coro, number=self._tasks_made, belongs_to=belongs_to, loop=loop, context=context)

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no file descriptors."""

    def _write_to_self(self) -> None:
        """There is no other thread to wake the loop from."""


Handler = Callable[[dict[str, Any]], None]


def run(
    seed: int,
    main: Callable[[SimLoop], Coroutine[Any, Any, T]],
    link: Link | None = None,
    on_failure: Handler | None = None,
) -> T:
    """Run `main(loop)` to its end in virtual time.

    An exception in any callback goes to `on_failure` as asyncio describes it; without one, it fails the run.
    """
    loop = SimLoop(seed, link)
    failures: list[dict[str, Any]] = []
    handle = on_failure or failures.append
    loop.set_exception_handler(lambda _, context: handle(context))
    was_collecting = gc.isenabled()
    gc.disable()  # When it would run depends on all that was ever allocated, and finalizers are events too.
    gc.collect()
    gc.freeze()  # What was there before stays; the collections of this world need not look at it.
    try:
        result = loop.run_until_complete(main(loop))
    finally:
        loop.run_until_complete(_cancel(sorted(asyncio.all_tasks(loop), key=hash)))
        loop.close()
        gc.unfreeze()
        if was_collecting:
            gc.enable()
    if failures:
        text = f"seed {seed}: {len(failures)} callbacks failed: {failures[0]['message']}"
        raise AssertionError(text) from failures[0].get("exception")
    return result


async def _cancel(tasks: list["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
