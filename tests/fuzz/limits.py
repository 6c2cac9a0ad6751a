"""Runs one input under a time limit, and says what was wrong with how it went."""

import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import psutil

from dht.errors import RemoteDhtError
from protocol.errors import RemoteProtocolError
from tests.fuzz.target import Parse, Target

WALL_S = 30.0
"""For what waits instead of computing. Generous: the machine may be busy with other things."""
MIB = 2**20
MEMORY_STEP_BYTES = 96 * MIB
"""One input of at most a few hundred KiB may not make the process grow by more."""

MAX_ERROR_CHARS = 1_000
"""What a peer did wrong is logged: it may be quoted in part, or the log is the peer's to fill."""


class Hang(BaseException):
    """The time limit fired. Not an Exception, so that nothing under test takes it for an error of its own."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that a parser did not handle."""

    target: str
    data: bytes
    what: str
    details: str

    @property
    def place(self) -> str:
        """What it is, and the last line of the traceback in the project: findings of one place are one finding."""
        lines = [line.strip() for line in self.details.splitlines() if 'File "' in line and "/tests/" not in line]
        inside = [line for line in lines if "site-packages" not in line and "/lib/python" not in line]
        return f"{self.what.split(':')[0]} at {(inside or lines or ['?'])[-1]}"


class Watch:
    """A clock for one input: raises Hang in the main thread when it has used too much processor or wall time."""

    def __init__(self, *, wall: bool) -> None:
        self._wall = wall
        self.fired = False

    def start(self, cpu_s: float) -> None:
        """Begin to count."""
        self.fired = False
        signal.setitimer(signal.ITIMER_PROF, cpu_s)
        if self._wall:
            signal.setitimer(signal.ITIMER_REAL, WALL_S)

    def stop(self) -> None:
        """The input is done with."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        if self._wall:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def ring(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        # Remembered too: an event loop turns what a callback raises into a log line.
        self.fired = True
        raise Hang


@contextmanager
def watching(*, wall: bool) -> Iterator[Watch]:
    """A watch, with the signals it needs. `wall` off leaves SIGALRM to whoever uses it (pytest's own time limit)."""
    assert threading.current_thread() is threading.main_thread(), "signals reach the main thread only"
    watch = Watch(wall=wall)
    numbers = (signal.SIGPROF, signal.SIGALRM) if wall else (signal.SIGPROF,)
    before = [(number, signal.signal(number, watch.ring)) for number in numbers]
    try:
        yield watch
    finally:
        watch.stop()
        for number, handler in before:
            signal.signal(number, handler)


def attempt(target: Target, parse: Parse, data: bytes, watch: Watch) -> Finding | None:
    """Feed one input; what is wrong with the outcome, if anything."""
    began_s = time.process_time()
    try:
        watch.start(target.cpu_s)
        parse(data)
    except target.may_raise as error:
        if isinstance(error, RemoteProtocolError | RemoteDhtError) and len(str(error)) > MAX_ERROR_CHARS:
            what = f"long error: {type(error).__name__} of {len(str(error))} characters"
            return Finding(target.name, data, what, traceback.format_exc(limit=-12)[:4000])
    except Hang:
        return _hang(target, data, time.process_time() - began_s, traceback.format_exc())
    except Exception as error:  # noqa: BLE001  whatever it is, it is what we look for
        what = f"{type(error).__name__}: {str(error)[:200]}"
        return Finding(target.name, data, what, traceback.format_exc(limit=-12))
    finally:
        watch.stop()
    return _hang(target, data, time.process_time() - began_s, "") if watch.fired else None


def _hang(target: Target, data: bytes, took_s: float, details: str) -> Finding:
    return Finding(target.name, data, f"hang: over {target.cpu_s:g} s of processor ({took_s:.1f} s)", details)


class Memory:
    """Resident memory of this process, and what single inputs add to it."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.peak_bytes = self.now_bytes()
        self._last_bytes = self.peak_bytes

    def now_bytes(self) -> int:
        """Resident now."""
        return int(self._process.memory_info().rss)

    def grew(self) -> int:
        """By how many bytes it grew since the last call."""
        now = self.now_bytes()
        grown, self._last_bytes = now - self._last_bytes, now
        self.peak_bytes = max(self.peak_bytes, now)
        return grown
