"""The worker process: reads orders on stdin, executes them one at a time, writes events on stdout.

Started by file path in any Python (`python worker.py builtin ROOT` or `python worker.py user ROOT COALESCED
MODULE FUNCTION`), so everything here is standard library. Orders and events are frames (frames.py):

| order                                   | events                                   |
|-----------------------------------------|------------------------------------------|
| run, verify, size, describe             | progress*, ask*, then done or failed     |
| answer (to an ask)                      |                                          |

The real stdin and stdout are moved away at the start: what the executed code prints goes to stderr and what it
reads is empty. The process ends itself, and its whole process group, when the daemon is gone.
"""

import asyncio
import contextlib
import ctypes
import importlib
import importlib.util
import io
import os
import queue
import resource
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from node.execute import frames, user_function

HERE = Path(__file__).resolve().parent
SIBLINGS = "_coalesced_worker"
PROGRESS_INTERVAL_S = 0.05
"""Twenty reports a second are more than anybody reads."""
PR_SET_PDEATHSIG = 1

Header = dict[str, Any]


def load_siblings() -> None:
    """Make frames.py and user_function.py importable under a private name, without our folder on sys.path."""
    global frames, user_function
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    package = types.ModuleType(SIBLINGS)
    package.__path__ = [str(HERE)]
    sys.modules[SIBLINGS] = package
    frames = importlib.import_module(f"{SIBLINGS}.frames")
    user_function = importlib.import_module(f"{SIBLINGS}.user_function")


class Channel:
    """The two private ends of the pipe to the daemon, and the thread that reads."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        self._in = os.fdopen(os.dup(0), "rb")
        os.dup2(2, 1)
        sys.stdout = io.TextIOWrapper(os.fdopen(os.dup(2), "wb", buffering=0), write_through=True)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._lock = threading.Lock()
        self.orders: queue.SimpleQueue[tuple[Header, bytes]] = queue.SimpleQueue()
        self.on_answer: Callable[[Header, bytes], None] | None = None

    def start(self) -> None:
        """Read orders from now on."""
        threading.Thread(target=self._read, name="orders", daemon=True).start()

    def send(self, header: Header, payload: bytes = b"") -> None:
        """Write one event frame; from any thread."""
        data = memoryview(frames.encode_frame(header, payload))
        with self._lock:
            while data:
                data = data[self._out.write(data) or 0 :]

    def _read(self) -> None:
        try:
            while (frame := frames.read_frame(self._in)) is not None:
                if frame[0].get("op") == "answer":
                    if self.on_answer is not None:
                        self.on_answer(*frame)
                else:
                    self.orders.put(frame)
        finally:
            kill_group()


def kill_group(*_: object) -> None:
    """End this process and everything it started: without a daemon nobody wants the work."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def die_with_parent(parent_pid: int) -> None:
    """Ask Linux for a SIGTERM when the daemon dies; elsewhere the end of stdin tells it."""
    signal.signal(signal.SIGTERM, kill_group)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_pid:
        kill_group()


class Task:
    """One order in execution: what coalesced.skill.progress and .ask reach."""

    def __init__(self, channel: Channel, order: Header) -> None:
        self._channel = channel
        self._reported_s = 0.0
        self._order = order
        self._began_s = time.monotonic()

    @property
    def token(self) -> str:
        """What it shows the daemon when it hands something on."""
        return str(self._order.get("token", ""))

    @cached_property
    def allowance(self) -> Any:
        """What it may hand on (coalesced.skill.Allowance)."""
        left_s = float(self._order.get("left_s", 0.0)) - (time.monotonic() - self._began_s)
        return importlib.import_module("coalesced.skill").Allowance(left_s, int(self._order.get("budget_micro", 0)))

    def progress(self, done_ppm: int, text: str = "") -> None:
        """Report how far the work is; dropped when the last report was a moment ago."""
        now_s = time.monotonic()
        if now_s - self._reported_s >= PROGRESS_INTERVAL_S:
            self._reported_s = now_s
            done = min(max(int(done_ppm), 0), 1_000_000)
            self._channel.send({"event": "progress", "done_ppm": done, "text": str(text)[:500]})

    async def ask(self, question: str) -> str:
        """Send a question and await its answer; RuntimeError when nobody can answer."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()

        def settle(header: Header, payload: bytes) -> None:
            if not future.done():
                if header.get("refused"):
                    future.set_exception(RuntimeError(f"no answer: {header['refused']}"))
                else:
                    future.set_result(payload.decode())

        def on_answer(header: Header, payload: bytes) -> None:
            loop.call_soon_threadsafe(settle, header, payload)

        self._channel.on_answer = on_answer
        self._channel.send({"event": "ask"}, question[:4000].encode())
        try:
            return await future
        finally:
            self._channel.on_answer = None


class Handler(NamedTuple):
    """What carries out an order, and the exceptions that are its user's business rather than its own failure."""

    handle: Callable[[Header, bytes, Task], tuple[Header, bytes]]
    expected: dict[str, type[Exception]]


def limit(memory_bytes: int | None, cpu_s: float | None) -> None:
    """Lower the soft limits for the next order: memory above what the process holds now, CPU above what it used.

    The CPU limit is the last resort against code that never lets another thread run, after the daemon's death.
    """
    if memory_bytes is not None and sys.platform == "linux":
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = _status_bytes("VmData") + memory_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))
    if cpu_s is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        wanted = int(_cpu_s() + cpu_s) + 2
        resource.setrlimit(resource.RLIMIT_CPU, (wanted if hard < 0 else min(wanted, hard), hard))


def _status_bytes(field: str) -> int:
    """One kB field of /proc/self/status in bytes; 0 where there is none."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _reset_peak() -> None:
    """Start measuring peak memory anew (Linux); elsewhere it is the peak of the process's life."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return _status_bytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _cpu_s() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def execute(order: Header, payload: bytes, handler: Handler, channel: Channel) -> None:
    """Carry out one order and send how it ended, with what it used."""
    limit(order.get("memory_bytes"), order.get("cpu_s"))
    _reset_peak()
    wall_s, cpu_s = time.perf_counter(), _cpu_s()
    out = b""
    try:
        header, out = handler.handle(order, payload, Task(channel, order))
        header = {"event": "done", **header}
    except MemoryError:
        header = {"event": "failed", "kind": "memory", "text": "out of memory"}
    except SystemExit as error:
        header = {"event": "failed", "kind": "failed", "text": f"the skill called exit({error.code})"}
    except Exception as error:  # noqa: BLE001  (the edge: whatever a skill raises is reported, not fatal)
        kind = next((kind for kind, types in handler.expected.items() if isinstance(error, types)), "failed")
        if kind == "failed":
            traceback.print_exc(file=sys.stderr)
        text = f"{type(error).__name__}: {error}" if kind == "failed" else str(error)
        header = {"event": "failed", "kind": kind, "text": text[:4000]}
    facts = {"wall_s": time.perf_counter() - wall_s, "cpu_s": _cpu_s() - cpu_s, "peak_memory_bytes": _peak_bytes()}
    sys.stdout.flush()
    channel.send({**header, **facts}, out)


def handle_builtin(order: Header, payload: bytes, task: Task) -> tuple[Header, bytes]:
    """Run, verify, measure or try out one of the builtin skills."""
    module, media_type = order["module"], order["media_type"]
    match order["op"]:
        case "run":
            work = importlib.import_module(f"{module}.work")
            return {}, work.run(payload, media_type, order["effort"], task.progress)
        case "verify":
            check = importlib.import_module(f"{module}.check")
            cut = order["input_bytes"]
            seed = bytes.fromhex(order["seed"])
            finding = check.check(payload[:cut], media_type, payload[cut:], level=order["level"], seed=seed)
            # Cut: one may quote megabytes of a result, and a header must fit into its frame.
            return {"score_ppm": finding.score_ppm, "reasons": [reason[:1000] for reason in finding.reasons]}, b""
        case "size":
            return {"size": importlib.import_module(f"{module}.task").size(payload, media_type)}, b""
        case "probe":
            probe = importlib.import_module("node.execute.corpus").probe(order["label"])
            return {"media_type": probe.media_type}, probe.input
        case op:
            raise ValueError(f"unknown order {op!r}")


def user_handler(module: str, function: str) -> Handler:
    """A handler for the user's `module:function`, imported at the first order so that its errors are reported."""
    bound: list[Any] = []

    def handle(order: Header, payload: bytes, task: Task) -> tuple[Header, bytes]:
        if not bound:
            bound.append(user_function.load(module, function))
        match order["op"]:
            case "describe":
                return {"description": user_function.describe(bound[0])}, b""
            case "run":
                importlib.import_module("coalesced.skill").bind(task)
                media_type, out = user_function.call(bound[0], payload, order["media_type"])
                return {"media_type": media_type, "paid_micro": task.allowance.paid_micro}, out
            case op:
                raise ValueError(f"unknown order {op!r}")

    return Handler(handle, {"input": user_function.InputError, "declaration": user_function.DeclarationError})


def prepare_user(root: Path, package: Path) -> None:
    """Put the caller's directory first, ours nowhere; `import coalesced` still finds our package."""
    directory = Path.cwd()
    if root != directory:
        sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != root]
    sys.path.insert(0, str(directory))
    spec = importlib.util.spec_from_file_location(
        "coalesced", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no package at {package}")
    ours = importlib.util.module_from_spec(spec)
    sys.modules["coalesced"] = ours
    spec.loader.exec_module(ours)


def main(arguments: list[str]) -> None:
    """Serve orders until the daemon goes away."""
    parent_pid, kind, root, *rest = arguments
    load_siblings()
    channel = Channel()
    die_with_parent(int(parent_pid))
    channel.start()
    if kind == "builtin":
        sys.path.insert(0, root)
        errors = importlib.import_module("node.execute.errors")
        handler = Handler(handle_builtin, {"input": errors.InputError})
    else:
        prepare_user(Path(root).resolve(), Path(rest[0]))
        handler = user_handler(rest[1], rest[2])
    channel.send({"event": "ready"})
    while True:
        order, payload = channel.orders.get()
        execute(order, payload, handler, channel)


if __name__ == "__main__":
    main(sys.argv[1:])
