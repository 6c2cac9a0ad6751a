"""A node as a process: what it says when it is ready, and what it does with signals."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.processes import MODULE, Daemon, Daemons, daemons, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def network() -> Iterator[Daemons]:
    with daemons() as made:
        yield made


def logged(daemon: Daemon, **facts: str) -> list[dict[str, Any]]:
    """The JSON lines of the node's output that hold these facts."""
    lines = [json.loads(line) for line in daemon.log_text().splitlines() if line.startswith("{")]
    return [line for line in lines if facts.items() <= line.items()]


def test_the_ready_line_is_json_on_request(network: Daemons) -> None:
    daemon = network.make("node")
    daemon.start("--json")
    wait_until(lambda: logged(daemon, schema="coalesced.ready/1"), 90, "the ready line")
    (ready,) = logged(daemon, schema="coalesced.ready/1")
    status = daemon.status()
    assert {name: ready[name] for name in ("node", "did", "network", "pid", "listening", "advertised")} == {
        name: status[name] for name in ("node", "did", "network", "pid", "listening", "advertised")
    }
    assert "ready: node" not in daemon.log_text()


def test_a_hangup_with_a_bad_file_is_logged_and_the_old_settings_stay(network: Daemons) -> None:
    daemon = network.make("node")
    daemon.configure("[caps]\nday_micro = 5000000\n")
    process = daemon.spawn()
    wait_until(lambda: "ready: node" in daemon.log_text(), 90, "the node is ready")
    daemon.configure("[caps]\nday_micro = 'much'\n")
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: logged(daemon, event="config.refused"), 90, "the mistake is in the log")
    (refused,) = logged(daemon, event="config.refused")
    assert "config.toml:2: caps.day_micro = 'much': write a whole number" in refused["error"]
    assert daemon.status()["cap_today_micro"] == 5_000_000
    daemon.configure("[caps]\nday_micro = 6000000\n[retention]\nquota_bytes = 2000000\n")
    reloaded = daemon.cli("reload")
    assert reloaded.stdout == "in force now: caps.day_micro; needs a restart: retention.quota_bytes\n"
    assert daemon.status()["cap_today_micro"] == 6_000_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_ready_line_that_cannot_be_written_ends_the_start(network: Daemons) -> None:
    daemon = network.make("node")
    command = [*MODULE, "start", "--home", str(daemon.home), "--listen", daemon.endpoint]
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    last = ran.stderr.splitlines()[-1]
    assert last == "error: cannot write the ready line to standard output: No space left on device"
