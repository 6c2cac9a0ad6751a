"""The 240 tasks in small: real processes, real work, a cheat among the sellers; and nothing left afterwards."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.harness.processes import environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
SMALL = ("--tasks", "12", "--scale", "0.05", "--sellers", "1", "--policies", "expected-cost")


def harness(place: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A small run whose testnets lie below `place`, which their command lines name."""
    return subprocess.Popen(
        [sys.executable, "-m", "coalesced.testnet.real_tasks", *SMALL, *arguments],
        env={**environment(), "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def left_below(place: Path) -> list[str]:
    """Processes and files that a run has left."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if any(str(place) in argument for argument in line):
            found.append(" ".join(line))
    return found + [str(path) for path in place.glob("coalesced-*")]


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rt")


def test_where_local_work_is_dear_it_is_hired_and_at_the_papers_prices_nothing_is(place: Path) -> None:
    report = place / "run.json"
    child = harness(place, "--regimes", "dear,paper", "--cheats", "1", "--json", str(report))
    page, errors = child.communicate(timeout=200)
    assert child.returncode == 0, errors
    assert "No language\nmodel takes part" in page
    run: dict[str, Any] = json.loads(report.read_bytes())
    assert (run["schema"], run["is_complete"]) == ("coalesced.real-tasks/1", True)
    found = {market["regime"]: market["figures"][0] for market in run["markets"]}
    assert found["dear"]["completed"] == found["paper"]["completed"] == 12
    assert found["dear"]["hired"] > 0
    assert found["dear"]["paid_usd"] > 0.0
    assert (found["paper"]["hired"], found["paper"]["paid_usd"], found["paper"]["awards"]) == (0, 0.0, {})
    assert left_below(place) == []


def test_an_interrupted_run_takes_everything_down(place: Path) -> None:
    child = harness(place, "--regimes", "paper", "--cheats", "0", "--json", str(place / "run.json"))
    assert child.stderr is not None
    for line in child.stderr:
        if "all are ready" in line:
            break
    os.kill(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=100)
    assert child.returncode == 130
    assert "everything was taken down" in errors
    assert left_below(place) == []
