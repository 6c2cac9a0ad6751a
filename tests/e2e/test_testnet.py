"""Whole testnets: up, disturbed, down, and nothing left, also when the program that started them was killed."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from coalesced.testnet import processes
from coalesced.testnet.manifest import Manifest, TestnetError, load
from coalesced.testnet.runner import down, homes_below
from tests.harness.processes import MODULE, child, run_cli, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for a testnet; whatever a failed test leaves in it is ended."""
    parent = Path(tempfile.mkdtemp(prefix="ct-"))
    directory = parent / "net"
    yield directory
    if directory.exists():
        processes.stop_all(homes_below(directory), grace_s=0.5)
    shutil.rmtree(parent, ignore_errors=True)


def testnet(place: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run_cli("testnet", *arguments, "--dir", str(place), timeout_s=150)


testnet.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name begins with


def runner_of(place: Path, nodes: int) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    """`testnet up`, under way."""
    arguments = ("testnet", "up", "-n", str(nodes), "--dir", str(place))
    return child(*MODULE, *arguments, log=place.with_suffix(".log"))


def status_of(place: Path) -> dict[str, dict[str, Any]]:
    answer = json.loads(testnet(place, "status", "--json").stdout)
    return {node["name"]: node for node in answer["nodes"]}


def leftovers(manifest: Manifest) -> list[int]:
    return [process.pid for process in processes.members([manifest.home(node) for node in manifest.nodes])]


def test_a_testnet_comes_up_is_disturbed_and_leaves_nothing(place: Path) -> None:
    finished = testnet(place, "up", "-n", "3")
    assert finished.returncode == 0, finished.stderr
    manifest = load(place)
    nodes = status_of(place)
    assert [node["state"] for node in nodes.values()] == ["running"] * 3
    assert all(node["contacts"] >= 2 for node in nodes.values())
    assert nodes["n1"]["skills_sold"]
    assert not nodes["n3"]["skills_sold"]

    assert testnet(place, "chaos", "pause", "n2").returncode == 0
    assert status_of(place)["n2"]["state"] == "paused"
    assert testnet(place, "chaos", "resume", "n2").returncode == 0
    assert testnet(place, "chaos", "kill", "n2").returncode == 0
    assert testnet(place, "status").returncode == 1
    assert status_of(place)["n2"]["state"] == "stopped"
    assert testnet(place, "chaos", "restart", "n2").returncode == 0
    again = status_of(place)["n2"]
    assert (again["state"], again["node"]) == ("running", nodes["n2"]["node"])
    assert "n2" in testnet(place, "logs").stdout

    assert testnet(place, "up").returncode == 1  # one is up already
    assert testnet(place, "down").returncode == 0
    assert leftovers(manifest) == []
    assert not place.exists()
    with pytest.raises(TestnetError, match="nothing to take down"):
        down(place)


def test_a_killed_runner_leaves_what_down_can_clear_away(place: Path) -> None:
    with runner_of(place, 4) as runner:
        wait_until(lambda: (place / "n2.process.json").exists(), 90, "the second node is started")
        runner.send_signal(signal.SIGKILL)
    manifest = load(place)
    assert leftovers(manifest)
    assert testnet(place, "down").returncode == 0
    assert leftovers(manifest) == []
    assert not place.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_takes_everything_down(place: Path, number: signal.Signals) -> None:
    with runner_of(place, 3) as runner:
        wait_until(lambda: (place / "n1.process.json").exists(), 90, "the first node is started")
        manifest = load(place)
        os.kill(runner.pid, number)
        assert runner.wait(timeout=60) != 0
    assert leftovers(manifest) == []
    assert not place.exists()
