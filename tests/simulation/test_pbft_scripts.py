"""Schedules by hand (coalesced/sim/ledger/scripts.py), and bugs that make them fail."""

import inspect
from pathlib import Path

import pytest

from coalesced.sim.ledger.hunt import failing_scripts
from coalesced.sim.ledger.mutants import MUTANTS, Edit, Mutant, planted
from coalesced.sim.ledger.scenarios import SCENARIOS
from coalesced.sim.ledger.scripts import SCRIPTS
from coalesced.sim.ledger.table import Broken, Table
from coalesced.sim.ledger.world import simulate
from node.ledger.pbft import quorum
from node.ledger.pbft.state import diagram

NAMES = (
    "committed_at_one",
    "two_prepared_highest_view_wins",
    "prepared_survives_an_empty_view",
    "prepared_survives_crash",
    "votes_survive_crash",
    "equivocating_primary",
    "primary_must_obey_new_view",
    "short_new_view",
    "forged_height",
    "forged_prepared",
    "forged_block_sync",
    "votes_counted_by_sender",
    "old_view_votes_stop",
    "timer_counts_views_beyond",
    "commit_votes_of_different_views_do_not_add_up",
    "f_plus_1_pull_the_rest_along",
    "five_members_need_four",
    "power_fails_after_one_has_announced",
    "who_leaves_is_not_needed_again",
    "lost_votes_are_not_cast_again",
    "pruned_blocks_give_way_to_a_state",
)


@pytest.mark.parametrize("name", NAMES)
def test_script(name: str) -> None:
    SCRIPTS[name]()


def test_there_are_these_scripts_each_with_a_claim() -> None:
    assert tuple(SCRIPTS) == NAMES
    assert all(inspect.getdoc(script) for script in SCRIPTS.values())


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_caught(mutant: Mutant) -> None:
    with planted(mutant):
        if mutant.found_in is None:
            assert failing_scripts(enough=1), f"no script fails with: {mutant.name}"
        else:
            name, seed = mutant.found_in
            outcome = simulate(SCENARIOS[name], seed)
            assert outcome.violations, f"{outcome.command} does not fail with: {mutant.name}"


def test_a_bug_is_gone_when_its_hunt_is_over() -> None:
    with planted(Mutant("test", (Edit(quorum.quorum, "// 2 + 1", "// 2"),))):
        assert quorum.quorum(4) == 2
    assert quorum.quorum(4) == 3


def test_a_bug_whose_place_is_gone_fails_loudly() -> None:
    with pytest.raises(ValueError, match="0 times"), planted(Mutant("test", (Edit(quorum.quorum, "nowhere", ""),))):
        pass


def test_a_broken_claim_shows_the_transcript() -> None:
    t = Table(4)
    t.submit(0, "first")
    t.deliver("proposal", to=1)
    with pytest.raises(Broken) as error:
        t.expect_heights(1, 2)
    assert "not so: replica 2 is at 1 (it is at 0)" in str(error.value)
    assert "0 -> 1 proposal" in str(error.value)
    assert "1: h=1 v=0 preparing" in str(error.value)


def test_the_documentation_names_every_script_scenario_and_bug_and_shows_the_stages() -> None:
    text = (Path(__file__).parents[2] / "docs" / "ledger-testing.md").read_text(encoding="utf-8")
    assert diagram() in text
    for name in (*SCRIPTS, *SCENARIOS):
        assert f"| `{name}` | " in text, name
    for mutant in MUTANTS:
        assert f"\n| {mutant.name} | " in text, mutant.name
