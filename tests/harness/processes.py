"""Real daemon processes and real command lines, for end-to-end tests. Everything is bounded and ends with the test."""

import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError
from coalesced.control.shapes import Status
from coalesced.paths import find_paths
from coalesced.testnet.ports import free_ports

READY_TIMEOUT_S = 60.0
CALL_TIMEOUT_S = 90.0
POLL_S = 0.05
T = TypeVar("T")
MODULE = (sys.executable, "-m", "coalesced")


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without settings of anybody's node."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COALESCED_")}
    return {**kept, **changes}


def run_cli(
    *arguments: str,
    home: Path | None = None,
    program: Sequence[str] = MODULE,
    cwd: Path | None = None,
    stdin: bytes = b"",
    timeout_s: float = CALL_TIMEOUT_S,
) -> "subprocess.CompletedProcess[str]":
    """Run one command line to its end, within its time."""
    flags = ["--home", str(home)] if home is not None else []
    finished = subprocess.run(
        [*program, *flags, *arguments],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env=environment(),
        timeout=timeout_s,
        check=False,
    )
    out, err = finished.stdout.decode("utf-8", "replace"), finished.stderr.decode("utf-8", "replace")
    assert "Traceback" not in out + err, out + err
    return subprocess.CompletedProcess(finished.args, finished.returncode, out, err)


def wait_until(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    """Return when `condition` gives something true; AssertionError names `what` otherwise."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(POLL_S)


@dataclass
class Daemon:
    """One node: `start` it, call it, `kill` or `stop` it, `start` it again on the same home and port."""

    home: Path
    port: int
    network: str
    program: Sequence[str] = MODULE
    cwd: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.home.with_suffix(".log")

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    def configure(self, toml: str) -> None:
        """Write the node's configuration."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.home / "config.toml").write_text(toml)

    def spawn(self, *flags: str) -> "subprocess.Popen[bytes]":
        """Start the process without waiting for anything."""
        command = [*self.program, "start", "--home", str(self.home), "--network", self.network]
        command += ["--listen", self.endpoint, *flags]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.cwd, env=environment()
            )
        return self.process

    def start(self, *flags: str) -> "Daemon":
        """Start the process and wait until it answers."""
        process = self.spawn(*flags)

        def is_up() -> bool:
            assert process.poll() is None, f"the node ended at its start:\n{self.log_text()}"
            try:
                return bool(self.status())
            except ControlError:
                return False

        wait_until(is_up, READY_TIMEOUT_S, f"{self.home.name} ready")
        return self

    def cli(self, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run a command line against this node."""
        return run_cli(*arguments, home=self.home, program=self.program, **options)

    def json(self, *arguments: str) -> Any:
        """The JSON answer of a command that succeeds."""
        finished = self.cli(*arguments, "--json")
        assert finished.returncode == 0, finished.stderr + finished.stdout + self.log_text()
        return json.loads(finished.stdout)

    def call(self, question: Callable[[ControlClient], Awaitable[T]]) -> T:
        """Ask the node directly: where a test waits for something, a process for each look would be slow."""

        async def asked() -> T:
            async with ControlClient(find_paths(self.home, environ={}).socket) as node:
                return await question(node)

        return asyncio.run(asked())

    def status(self) -> Status:
        """The node's status; ControlError when it does not answer."""
        return self.call(lambda node: node.status())

    def kill(self) -> None:
        """End the process as a crash does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=60)

    def stop(self) -> int:
        """End the process as a person does; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def log_text(self) -> str:
        """What it wrote, for a failure's message."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@contextmanager
def child(*command: str, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A program under way that writes to `log`, ended with the block; an error of the block says what it wrote."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment())
    try:
        yield process
    except BaseException as error:
        error.add_note(f"{shlex.join(command)} wrote:\n{log.read_text(errors='replace')}")
        raise
    finally:
        process.kill()
        process.wait(timeout=60)


class Daemons:
    """Makes daemons on a network of their own."""

    def __init__(self, directory: Path, network: str) -> None:
        self.directory = directory
        self.network = network
        self.made: list[Daemon] = []

    def make(self, name: str, *, program: Sequence[str] = MODULE, cwd: Path | None = None) -> Daemon:
        """A daemon that is not started yet."""
        (port,) = free_ports(1, avoid=[daemon.port for daemon in self.made])
        daemon = Daemon(self.directory / name, port, self.network, program, cwd)
        self.made.append(daemon)
        return daemon

    def end_all(self) -> None:
        """Kill what still runs."""
        for daemon in self.made:
            if daemon.process is not None and daemon.process.poll() is None:
                daemon.kill()


OPEN: list[Daemons] = []
"""Those of the test that runs, for what is shown when it fails."""


@contextmanager
def daemons() -> Iterator[Daemons]:
    """Daemons in a directory of their own, with a path short enough for a control socket; gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="ce-"))
    made = Daemons(directory, f"e2e-{os.getpid()}-{directory.name[3:].lower().replace('_', '-')}"[:48])
    OPEN.append(made)
    try:
        yield made
    finally:
        OPEN.remove(made)
        made.end_all()
        shutil.rmtree(directory, ignore_errors=True)
