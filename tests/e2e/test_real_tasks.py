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

pytestmark = pytest.mark.e2e
SMALL = ("--tasks", "12", "--sellers", "1", "--policies", "expected-cost")


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


def figures_of(place: Path, regime: str, *, scale: float) -> dict[str, Any]:
    """What the one buyer of a small run came to."""
    report = place / "run.json"
    child = harness(place, "--regimes", regime, "--cheats", "1", "--scale", str(scale), "--json", str(report))
    page, errors = child.communicate(timeout=200)
    assert child.returncode == 0, errors
    assert "No language\nmodel takes part" in page
    run: dict[str, Any] = json.loads(report.read_bytes())
    assert (run["schema"], run["is_complete"]) == ("coalesced.real-tasks/1", True)
    (market,) = run["markets"]
    (figures,) = market["figures"]
    assert figures["completed"] == 12
    assert left_below(place) == []
    return dict(figures)


@pytest.mark.long
def test_where_local_work_is_dear_it_is_hired(place: Path) -> None:
    figures = figures_of(place, "dear", scale=1.5)
    assert figures["hired"] > 0
    assert figures["paid_usd"] > 0.0


def test_at_the_papers_prices_nothing_is_hired(place: Path) -> None:
    figures = figures_of(place, "paper", scale=0.05)
    assert (figures["hired"], figures["paid_usd"], figures["awards"]) == (0, 0.0, {})


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
