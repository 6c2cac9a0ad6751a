"""A deterministic event loop: virtual time that jumps to the next timer, and an in-memory UDP network.

`run(seed, main)` runs a coroutine function on such a loop. Everything on it is one thread and one order of events,
so equal seeds give equal runs: the network draws loss and delay from the seed, tasks hash by sequence number
(TaskGroup cancels by iterating a set), executors run inline. A loop with nothing left to do raises SimDeadlock
instead of waiting for ever.
"""

import asyncio
import hashlib
import random
import socket
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
Address = tuple[str, int]
FIRST_EPHEMERAL_PORT = 49_152
START_UNIX_MS = 1_800_000_000_000


class SimDeadlock(Exception):
    """Everything waits, and no timer is set that could end it."""


@dataclass(slots=True)
class Link:
    """How datagrams fare, everywhere in the network. Delays are one way, drawn uniformly."""

    loss: float = 0.0
    min_delay_s: float = 0.005
    max_delay_s: float = 0.05
    duplication: float = 0.0


class SimTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks iterate in the same order in every run."""

    _count = 0

    def __init__(self, coro: Coroutine[Any, Any, Any], *, number: int, **options: Any) -> None:
        self._number = number  # First: the base class registers the task, which hashes it.
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
        self._loop.now_s += max(timeout_s, 0.0)
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
        self._selector = _TimeJump(self)
        self._tasks_made = 0
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self.now_s

    def unix_ms(self) -> int:
        """The wall clock of this world."""
        return START_UNIX_MS + self.clock_offset_ms + int(self.now_s * 1000)

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

    def _make_task(self, loop: Any, coro: Any, context: Context | None = None) -> "asyncio.Task[Any]":
        self._tasks_made += 1
        return SimTask(coro, number=self._tasks_made, loop=loop, context=context)

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no file descriptors."""

    def _write_to_self(self) -> None:
        """There is no other thread to wake the loop from."""


class SimTransport(asyncio.DatagramTransport):
    """One bound socket of the simulated network."""

    def __init__(self, network: "SimNetwork", address: Address, protocol: asyncio.DatagramProtocol) -> None:
        super().__init__({"sockname": address})
        self._network = network
        self._is_closed = False
        self.address = address
        self.protocol = protocol

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send into the network; nothing tells whether it arrives."""
        if not self._is_closed:
            self._network.carry(bytes(data), self.address, addr)

    def close(self) -> None:
        """Free the address."""
        if not self._is_closed:
            self._is_closed = True
            self._network.free(self.address)

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._is_closed


class SimNetwork:
    """In-memory UDP with seeded loss, delay (hence reordering) and duplication; hosts can be unplugged."""

    def __init__(self, loop: SimLoop, rng: random.Random, link: Link) -> None:
        self._loop = loop
        self._rng = rng
        self.link = link
        self.unplugged: set[str] = set()
        """Hosts that neither send nor receive, as if their machine had died."""
        self.tampering: dict[str, Callable[[bytes], bytes]] = {}
        """What happens to datagrams that these hosts send."""
        self.sent = 0
        self._sockets: dict[Address, SimTransport] = {}
        self._trace = hashlib.sha256()

    def bind(self, address: Address, protocol: asyncio.DatagramProtocol) -> SimTransport:
        """Take an address; port 0 takes the first free ephemeral one."""
        host, port = address
        if not port:
            port = next(p for p in range(FIRST_EPHEMERAL_PORT, 2**16) if (host, p) not in self._sockets)
        if (host, port) in self._sockets:
            raise OSError(f"{host}:{port} is taken")
        transport = SimTransport(self, (host, port), protocol)
        self._sockets[host, port] = transport
        return transport

    def free(self, address: Address) -> None:
        """Give the address back."""
        self._sockets.pop(address, None)

    def carry(self, data: bytes, source: Address, target: Address) -> None:
        """Take a datagram from `source` (which may be forged) and deliver it, or not."""
        self.sent += 1
        self._trace.update(f"{self._loop.time():.9f} {source} {target} ".encode() + data)
        if source[0] in self.unplugged:
            return
        if source[0] in self.tampering:
            data = self.tampering[source[0]](data)
        copies = 2 if self._rng.random() < self.link.duplication else 1
        for _ in range(copies):
            if self._rng.random() >= self.link.loss:
                delay_s = self._rng.uniform(self.link.min_delay_s, self.link.max_delay_s)
                self._loop.call_later(delay_s, self._deliver, data, source, target)

    def trace_hash(self) -> str:
        """A digest of every datagram so far, with its time and addresses: equal runs have equal digests."""
        return self._trace.hexdigest()

    def _deliver(self, data: bytes, source: Address, target: Address) -> None:
        socket_there = self._sockets.get(target)
        if socket_there is not None and target[0] not in self.unplugged:
            socket_there.protocol.datagram_received(data, source)


def run(seed: int, main: Callable[[SimLoop], Coroutine[Any, Any, T]], link: Link | None = None) -> T:
    """Run `main(loop)` to its end in virtual time; an exception in any callback fails the run."""
    loop = SimLoop(seed, link)
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    try:
        result = loop.run_until_complete(main(loop))
    finally:
        loop.run_until_complete(_cancel(sorted(asyncio.all_tasks(loop), key=hash)))
        loop.close()
    if failures:
        text = f"seed {seed}: {len(failures)} callbacks failed: {failures[0]['message']}"
        raise AssertionError(text) from failures[0].get("exception")
    return result


async def _cancel(tasks: list["asyncio.Task[Any]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
