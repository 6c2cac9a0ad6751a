"""One node's operating-system process: started, recognised again, disturbed, ended with all its descendants.

A record beside the node's home says which process was started. It is believed only while the process with that
number still runs this home: numbers are reused. Each node leads a session of its own, so its workers can be
found and ended even when the node itself is gone.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import psutil

from coalesced.testnet.manifest import TestnetError

START_TIME_TOLERANCE_S = 5.0
"""A clock that is set while a node runs moves the start time that the system reports for it."""
KILL_TIMEOUT_S = 5.0
"""SIGKILL takes effect at once except on a process that waits for a dead disk."""

_started: list["subprocess.Popen[bytes]"] = []
"""Remembered while they run: a Popen that is dropped before complains that its process goes on without it, as a
testnet's nodes are meant to."""

ProcessState = Literal["running", "paused", "stopped"]


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which process was started for a home."""

    pid: int
    started_unix_s: float


def record_file(home: Path) -> Path:
    """Beside the home, not in it: the home belongs to the node."""
    return home.with_name(home.name + ".process.json")


def log_file(home: Path) -> Path:
    """What the node writes to its standard output and error."""
    return home.with_name(home.name + ".log")


def spawn(home: Path, command: Sequence[str], *, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start `command` (which names `home`) in a session of its own, its output appended to the log."""
    home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log_file(home).open("ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=home.parent,
            start_new_session=True,
        )
    _started.append(child)
    try:
        record = ProcessRecord(pid=child.pid, started_unix_s=psutil.Process(child.pid).create_time())
        partial = record_file(home).with_suffix(".partial")
        partial.write_bytes(msgspec.json.encode(record))
        partial.replace(record_file(home))
    except BaseException:
        child.kill()
        child.wait()
        raise
    return child


def find(home: Path) -> psutil.Process | None:
    """The running process of `home`, recognised by number, start time and command line; None when there is none."""
    try:
        record = msgspec.json.decode(record_file(home).read_bytes(), type=ProcessRecord)
        process = psutil.Process(record.pid)
        if abs(process.create_time() - record.started_unix_s) > START_TIME_TOLERANCE_S:
            return None
        return process if _is_alive(process) and runs_home(process, home) else None
    except (FileNotFoundError, msgspec.MsgspecError, psutil.Error):
        return None


def state(home: Path) -> ProcessState:
    """Whether the node of `home` runs, is paused, or does not run."""
    process = find(home)
    try:
        if process is None:
            return "stopped"
        return "paused" if process.status() == psutil.STATUS_STOPPED else "running"
    except psutil.Error:
        return "stopped"


def runs_home(process: psutil.Process, home: Path) -> bool:
    """Whether the command line of `process` is that of a node in `home`."""
    try:
        arguments = process.cmdline()
    except psutil.Error:
        return False
    return "start" in arguments and str(home) in arguments


def members(homes: Iterable[Path]) -> list[psutil.Process]:
    """Every live process that belongs to a node in `homes`: the nodes, their descendants, what they left behind.

    Found without the records too, by command line, so that a runner which died between starting a node and
    recording it leaves nothing either.
    """
    wanted = list(homes)
    sessions = {record.pid for home in wanted if (record := _record(home)) is not None}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        if process.pid == os.getpid() or not _is_alive(process):
            continue
        if any(runs_home(process, home) for home in wanted):
            sessions.add(process.pid)
            found[process.pid] = process
            with contextlib.suppress(psutil.Error):
                found |= {child.pid: child for child in process.children(recursive=True)}
    for process in psutil.process_iter():
        # A session's number cannot be given to another process while a member of it lives.
        with contextlib.suppress(psutil.Error, OSError):
            session = os.getsid(process.pid)
            if session in sessions and process.pid not in found and _is_alive(process) and _may_be_ours(session, found):
                found[process.pid] = process
    return list(found.values())


def _may_be_ours(session: int, found: dict[int, psutil.Process]) -> bool:
    """Whether a session is led by a process of ours, or by nobody any more."""
    return session in found or not psutil.pid_exists(session) or not _is_alive(psutil.Process(session))


def _record(home: Path) -> ProcessRecord | None:
    try:
        return msgspec.json.decode(record_file(home).read_bytes(), type=ProcessRecord)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _is_alive(process: psutil.Process) -> bool:
    """Running, and not a zombie: one is dead, it only waits for its parent to notice."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def stop_all(homes: Sequence[Path], *, grace_s: float) -> int:
    """End every node in `homes` and everything it started: SIGTERM, after `grace_s` SIGKILL. The count ended.

    TestnetError names what is still there afterwards, which only a process stuck in the kernel can be.
    """
    ours = members(homes)
    leaders = [process for process in ours if any(runs_home(process, home) for home in homes)]
    for process in ours:
        _signal(process, signal.SIGCONT)
    for process in leaders:
        _signal(process, signal.SIGTERM)
    psutil.wait_procs(leaders, timeout=grace_s)
    rest = {process.pid: process for process in [*ours, *members(homes)] if _is_alive(process)}
    for process in rest.values():
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(list(rest.values()), timeout=KILL_TIMEOUT_S)
    _started[:] = [child for child in _started if child.poll() is None]
    left = [process.pid for process in rest.values() if _is_alive(process)]
    if left:
        raise TestnetError(f"processes {left} do not end, not even by SIGKILL: look at them with ps")
    for home in homes:
        record_file(home).unlink(missing_ok=True)
    return len(ours)


def kill(home: Path) -> None:
    """End the node at once, as a crash would: SIGKILL, no chance to say goodbye. Its workers go with it."""
    process = _running(home)
    ours = members([home])
    _signal(process, signal.SIGKILL)
    for other in ours:
        _signal(other, signal.SIGKILL)
    psutil.wait_procs([process, *ours], timeout=KILL_TIMEOUT_S)


def pause(home: Path) -> None:
    """Stop the node's clockwork (SIGSTOP): it answers nothing, but its connections stay open."""
    _signal(_running(home), signal.SIGSTOP)
    _wait_for(home, "paused")


def resume(home: Path) -> None:
    """Let a paused node go on."""
    _signal(_running(home), signal.SIGCONT)
    _wait_for(home, "running")


def _wait_for(home: Path, wanted: ProcessState) -> None:
    """Return when the signal has taken effect, which the system does in its own time."""
    deadline_s = time.monotonic() + KILL_TIMEOUT_S
    while state(home) != wanted and time.monotonic() < deadline_s:
        time.sleep(0.01)


def _running(home: Path) -> psutil.Process:
    process = find(home)
    if process is None:
        command = f"coalesced testnet chaos restart {home.name} --dir {home.parent}"
        raise TestnetError(f"{home.name} does not run: start it with `{command}`")
    return process


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        process.send_signal(number)
