"""Committees in virtual time: nothing is violated in any scenario, and equal seeds give equal runs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from coalesced.sim.__main__ import main
from coalesced.sim.ledger.mutants import MUTANTS, planted
from coalesced.sim.ledger.scenarios import SCENARIOS
from coalesced.sim.ledger.world import simulate

ROOT = Path(__file__).parents[2]
LONG_SEEDS = range(1, 41)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", SCENARIOS)
def test_no_rule_is_broken_in(name: str, seed: int) -> None:
    outcome = simulate(SCENARIOS[name], seed)
    assert outcome.violations == (), f"{outcome}\nrepeat it: {outcome.command}"
    assert outcome.height > 0


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", SCENARIOS)
def test_no_rule_is_broken_in_forty_worlds_of(name: str) -> None:
    for seed in LONG_SEEDS:
        outcome = simulate(SCENARIOS[name], seed)
        assert outcome.violations == (), f"{outcome}\nrepeat it: {outcome.command}"


SCRIPT = """
from coalesced.sim.ledger.scenarios import SCENARIOS
from coalesced.sim.ledger.world import simulate
print(*(simulate(SCENARIOS[name], 3).trace for name in ("heavy", "liar_and_nemesis", "reconfiguration")))
"""


def test_equal_seeds_give_equal_runs_whatever_the_hash_seed() -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in range(3)
    ]
    traces = {process.communicate(timeout=100)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(traces) == 1
    assert [len(trace) for trace in traces.pop().split()] == [64, 64, 64]


def test_the_command_line_runs_a_scenario_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--ledger", "--scenario", "silent", "--seed", "4"]) == 0
    told = capsys.readouterr().out
    assert "silent seed 4:" in told
    assert "1 runs, 0 failed" in told


def test_a_failed_run_says_what_was_violated_and_how_to_repeat_it(capsys: pytest.CaptureFixture[str]) -> None:
    bug = next(mutant for mutant in MUTANTS if mutant.name == "quorum one short")
    with planted(bug):
        assert main(["--ledger", "--scenario", "twins", "--seeds", "1-2"]) == 1
    told = capsys.readouterr().out
    assert "agreement: two blocks at height" in told
    assert "repeat it: scripts/sim --ledger --scenario twins --seed" in told


def test_the_hunt_prints_a_row_for_each_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--ledger", "--mutants", "--only", "quorum one short", "--runs", "30"]) == 0
    told = capsys.readouterr().out
    assert "| quorum one short | " in told
    assert " more | `twins` seed 1 | 4 |" in told
    assert "0 not caught" in told
