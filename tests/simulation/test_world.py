"""Worlds of whole daemons: nothing is violated in them, equal seeds give equal runs, and planted bugs are found."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coalesced.sim.__main__ import main
from coalesced.sim.faults import KINDS, schedule
from coalesced.sim.runner import simulate
from coalesced.sim.world import Plan
from tests.simulation.planted import BUGS, Bug, hunt

ROOT = Path(__file__).parents[2]
QUICK = BUGS[:2]
"""Bugs that are hunted in every run of the tests; the others are marked `long`."""


@pytest.mark.parametrize("seed", [1, 2])
def test_whole_daemons_under_all_faults_violate_nothing(seed: int) -> None:
    outcome = simulate(Plan(seed=seed, nodes=6, minutes=0.7))
    assert outcome.violations == (), f"{outcome}\nrepeat it: {outcome.command}"
    assert outcome.faults
    assert outcome.hired, "a world in which nobody hires shows nothing"


SCRIPT = """
import importlib, sys
for name in sys.argv[1].split(","):
    importlib.import_module(name)
from coalesced.sim.runner import simulate
from coalesced.sim.world import Plan
print(simulate(Plan(seed=5, nodes=4, minutes=0.4)).trace_hash)
"""
IMPORTS = (
    "coalesced.sim.world",
    "node.owner.owner,dht.service,coalesced.app",
    "coalesced.cli.main,crypto.noise",
)


def test_equal_seeds_give_equal_traces_whatever_the_hash_seed_and_the_order_of_imports() -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, imports],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed, imports in enumerate(IMPORTS)
    ]
    traces = {process.communicate(timeout=100)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(traces) == 1
    assert len(traces.pop()) == 64


def test_another_seed_gives_another_trace() -> None:
    one, other = (simulate(Plan(seed=seed, nodes=2, minutes=0.1, faults=())) for seed in (1, 2))
    assert one.trace_hash != other.trace_hash


@pytest.mark.parametrize(
    "bug",
    [pytest.param(bug, id=bug.name, marks=() if bug in QUICK else pytest.mark.long) for bug in BUGS],
)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    hunt(bug, monkeypatch)


def test_a_failing_run_prints_the_command_that_repeats_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bug = BUGS[-1]
    monkeypatch.setattr(bug.owner, bug.function, bug.wrap(getattr(bug.owner, bug.function)))
    arguments = ["--seed", "1", "--nodes", "6", "--minutes", "0.5", "--faults", "cut,crash"]
    assert main(arguments) == 1
    said = capsys.readouterr().out
    assert f"repeat it: scripts/sim {' '.join(arguments)}" in said
    assert bug.found_as in said


def test_every_kind_of_fault_is_scheduled_and_the_schedule_follows_from_the_seed() -> None:
    due = schedule(3, nodes=30, for_s=3_600, kinds=tuple(KINDS))
    assert due == schedule(3, nodes=30, for_s=3_600, kinds=tuple(reversed(tuple(KINDS))))
    assert due != schedule(4, nodes=30, for_s=3_600, kinds=tuple(KINDS))
    assert len({type(one.fault) for one in due}) == 7
    assert schedule(3, nodes=30, for_s=3_600, kinds=()) == ()


def test_an_unknown_fault_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--faults", "lightning"])
    assert "no fault is called lightning; there are: loss, delay" in capsys.readouterr().err
