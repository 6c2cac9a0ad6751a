"""One worker process as the event loop sees it: frames in and out, the tail of its stderr, its end."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from node.execute.errors import ExecutionError
from node.execute.frames import FrameError, FrameReader, Header, encode_frame

WORKER = Path(__file__).with_name("worker.py")
MAX_WAITING_PROGRESS = 64
"""Progress reports beyond this are dropped until somebody reads: they are news, not data."""
STDERR_GRACE_S = 1.0
"""How long the last words of a dead worker are waited for; a process that left its group may hold the pipe open."""
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
"""Builtin workers are one a core; more threads in each would only fight."""


@cache
def app_root() -> Path:
    """The folder that holds `node`, which a builtin worker imports from."""
    return Path(__file__).resolve().parents[2]


def sdk_directory() -> Path:
    """The folder of the `coalesced` package that users' skills import: beside `node`, or around it in a wheel."""
    root = app_root()
    return root.parent if root.name == "_app" else root / "coalesced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start a worker. `key` tells which tasks it can take: workers of one key are interchangeable."""

    key: str
    python: str
    arguments: tuple[str, ...]
    directory: str
    environment: Mapping[str, str] = field(repr=False)
    """Not shown anywhere: environments hold secrets."""


def builtin_launch() -> Launch:
    """A worker of our own Python and packages."""
    return Launch(
        key="builtin",
        python=sys.executable,
        arguments=("builtin", str(app_root())),
        directory=str(Path.home() if Path.home().is_dir() else Path("/")),
        environment={**os.environ, **ONE_THREAD},
    )


class WorkerProcess(asyncio.SubprocessProtocol):
    """A started worker. `receive` gives its next event; `kill` ends it and everything that it started."""

    def __init__(self, launch: Launch, stderr_tail_bytes: int) -> None:
        self.launch = launch
        self.tasks_done = 0
        self.is_stale = False
        self.exited = asyncio.Event()
        self._stderr_ended = asyncio.Event()
        self._events: asyncio.Queue[tuple[Header, bytes] | None] = asyncio.Queue()
        self._reader = FrameReader()
        self._tail = bytearray()
        self._tail_bytes = stderr_tail_bytes
        self._transport: asyncio.SubprocessTransport | None = None
        self._is_killed = False

    @classmethod
    async def start(cls, launch: Launch, stderr_tail_bytes: int) -> "WorkerProcess":
        """Start the process; ExecutionError when it cannot be started at all."""
        command = (launch.python, str(WORKER), str(os.getpid()), *launch.arguments)
        try:
            _, worker = await asyncio.get_running_loop().subprocess_exec(
                lambda: cls(launch, stderr_tail_bytes),
                *command,
                cwd=launch.directory,
                env=dict(launch.environment),
                start_new_session=True,
            )
        except OSError as error:
            raise ExecutionError(f"cannot start {launch.python} in {launch.directory}: {error}") from error
        return worker

    @property
    def pid(self) -> int:
        """The process id, which is also its process group's."""
        assert self._transport is not None
        return self._transport.get_pid()

    @property
    def is_alive(self) -> bool:
        """Whether it can still take work."""
        return not self.exited.is_set() and not self._is_killed and self._transport is not None

    @property
    def stderr_tail(self) -> str:
        """The last of what the process wrote to stderr."""
        return self._tail.decode(errors="replace")

    def send(self, header: Header, payload: bytes = b"") -> None:
        """Write one order; a worker that is gone shows it at the next `receive`."""
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing():
            pipe.write(encode_frame(header, payload))

    async def receive(self) -> tuple[Header, bytes]:
        """The next event; ExecutionError when the process ended instead."""
        event = await self._events.get()
        if event is None:
            self._events.put_nowait(None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STDERR_GRACE_S):
                    await self.exited.wait()
                    await self._stderr_ended.wait()
            raise ExecutionError(f"the worker process ended {self._ending()}", self.stderr_tail)
        return event

    def kill(self) -> None:
        """End the whole process group at once. The transport closes when the process is seen to have ended.

        Closing it here would reap the process behind the child watcher's back.
        """
        self._is_killed = True
        if self._transport is not None and not self.exited.is_set():
            self._kill_group(self.pid)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (called by asyncio)."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Sort frames from stdout and the tail of stderr (called by asyncio)."""
        if fd == 2:
            self._tail += data
            del self._tail[: -self._tail_bytes or len(self._tail)]
            return
        try:
            frames = self._reader.feed(data)
        except FrameError:
            self.kill()
            return
        for header, payload in frames:
            if header.get("event") != "progress" or self._events.qsize() < MAX_WAITING_PROGRESS:
                self._events.put_nowait((header, payload))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """The end of stdout is the end of the worker (called by asyncio)."""
        if fd == 1:
            self._events.put_nowait(None)
        elif fd == 2:
            self._stderr_ended.set()

    def process_exited(self) -> None:
        """End what the process left behind (called by asyncio)."""
        self.exited.set()
        self._kill_group(self.pid)
        if self._is_killed and self._transport is not None:
            self._transport.close()

    def _kill_group(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)

    def _ending(self) -> str:
        code = self._transport.get_returncode() if self._transport is not None else None
        if code is None:
            return "without a result"
        return f"by signal {-code}" if code < 0 else f"with exit code {code}"
