"""Daemons as processes of their own: started, asked, their CPU time read, stopped; under a profiler where wanted."""

import asyncio
import os
import pstats
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from coalesced.control.client import ControlClient
from coalesced.control.errors import ControlError
from coalesced.paths import find_paths
from coalesced.testnet.ports import free_ports

NETWORK = "bench"
PROFILED = Path(__file__).with_name("profiled.py")
ROOT = PROFILED.parents[2]
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0


class BenchDaemon:
    """One node in a directory of its own, with the configuration given."""

    def __init__(self, config: str, *, bootstrap: str = "", is_profiled: bool = False) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="cb-"))
        (self.home / "config.toml").write_text(config)
        (port,) = free_ports(1)
        self.endpoint = f"127.0.0.1:{port}"
        self._profile = self.home / "profile"
        program = [str(PROFILED), str(self._profile)] if is_profiled else ["-m", "coalesced"]
        flags = ["--home", str(self.home), "--network", NETWORK, "--listen", self.endpoint, "--log-level", "warning"]
        joining = ["--bootstrap", bootstrap] if bootstrap else []
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COALESCED_")}
        self.process = subprocess.Popen(
            [sys.executable, *program, "start", *flags, *joining],
            stdout=(self.home / "log").open("wb"),
            stderr=subprocess.STDOUT,
            env={**kept, "PYTHONPATH": str(ROOT)},
        )

    def client(self) -> ControlClient:
        """A client of its control API, to be opened with `async with`."""
        return ControlClient(find_paths(self.home, environ={}).socket)

    async def until_ready(self) -> None:
        """Return once it answers; RuntimeError, with its log, when it ends or does not."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while self.process.poll() is None:
                    try:
                        async with self.client() as client:
                            await client.status()
                            return
                    except ControlError:
                        await asyncio.sleep(0.05)
        except TimeoutError:
            pass
        raise RuntimeError(f"the daemon did not start:\n{(self.home / 'log').read_text()}")

    def cpu_s(self) -> tuple[float, float]:
        """CPU seconds of the daemon itself, and of its workers, those that have ended included."""
        daemon = psutil.Process(self.process.pid)
        ended = daemon.cpu_times()
        living_s = sum(_cpu_s(child) for child in daemon.children(recursive=True))
        return _cpu_s(daemon), float(ended.children_user + ended.children_system) + living_s

    def start_profile(self) -> None:
        """Profile its event loop from now on; it must have been started for that."""
        self.process.send_signal(signal.SIGUSR1)

    async def end_profile(self) -> tuple[pstats.Stats, float, float]:
        """The profile so far; CPU seconds of the event loop's thread meanwhile, and of the whole process."""
        self.process.send_signal(signal.SIGUSR2)
        done = self._profile.with_suffix(".cpu")
        async with asyncio.timeout(STOP_TIMEOUT_S):
            while not done.exists():
                await asyncio.sleep(0.05)
        thread_s, process_s = map(float, done.read_text().split())
        return pstats.Stats(str(self._profile)), thread_s, process_s

    def stop(self) -> None:
        """Stop it in order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def remove(self) -> None:
        """Stop it and remove its directory."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
