"""A plan's graph as lines: order, depth, who did what at which cost, and nothing that steers a terminal."""

from typing import Any

from coalesced.cli.plangraph import change_line, graph_lines, made_lines
from coalesced.control.shapes.plans import Plan
from coalesced.control.shapes.tasks import Step


def step(name: str, *needs: str, **fields: Any) -> Step:
    base: Step = {
        "name": name,
        "needs": list(needs),
        "skill": "risk",
        "state": "completed",
        "task": "0" * 32,
        "by": "this node",
        "level": "",
        "verdict": "",
        "receipt": "",
        "rests_on": [],
        "price_micro": None,
        "cost_micro": 1200,
        "spent_s": 1.5,
    }
    return {**base, **fields}  # type: ignore[typeddict-item]


def test_the_graph_shows_what_ran_where_at_which_cost() -> None:
    hired = {"by": "k7m2qfab", "level": "cheap", "verdict": "accepted"}
    merged = {"skill": "", "task": "", "by": "", "cost_micro": None, "spent_s": None}
    lines = list(graph_lines([step("a"), step("b", **hired), step("all", "a", "b", **merged)]))
    assert [line.split() for line in lines[:3]] == [
        ["+", "a", "risk", "completed", "this", "node", "$0.0012", "1.5", "s", "-", "00000000"],
        ["+", "b", "risk", "completed", "k7m2qfab", "$0.0012", "1.5", "s", "cheap:", "accepted", "00000000"],
        ["+", "all", "<-", "a,", "b", "merge", "completed", "-", "-", "-", "-"],
    ]
    assert lines[2].startswith("  + all")
    assert lines[3] == "2 of 2 steps done, 1 here, 1 by 1 peers, for $0.0024."


def test_many_needs_are_counted_and_what_waits_or_failed_is_marked() -> None:
    steps = [step(f"s{number}") for number in range(5)]
    steps.append(step("all", *(f"s{number}" for number in range(5)), state="waiting", task="", by=""))
    steps.append(step("x", state="failed", by="", cost_micro=None))
    lines = list(graph_lines(steps))
    assert lines[5].startswith("  . all <- 5 steps")
    assert lines[6].startswith("x x")
    assert lines[-1].startswith("5 of 7 steps done, 5 here, 0 by 0 peers")


def test_a_name_cannot_steer_the_terminal_and_no_steps_are_no_lines() -> None:
    assert all(line.isprintable() for line in graph_lines([step("\x1b[2J", by="\x1b]0;x\x07")]))
    assert list(graph_lines([])) == []


def test_what_is_under_way_shows_what_was_agreed_and_what_rests_on_unverified_work_says_so() -> None:
    hired = {"by": "k7m2qfab", "state": "working", "cost_micro": None, "price_micro": 900, "spent_s": None}
    assert change_line(step("b", **hired)) == "> b  risk  working  k7m2qfab  ($0.000900)  00000000"
    [line, _] = graph_lines([step("c", rests_on=["a", "b"], receipt="f" * 64)])
    assert line.endswith("receipt ffffffff  rests on unverified a, b")


def test_the_record_says_who_planned_what_each_draft_came_to_and_why_the_rule_did() -> None:
    drafts = [
        {"outcome": "refused", "text": "the plan runs in a circle", "cost_micro": 100, "spent_s": 1.0},
        {"outcome": "failed", "text": "it fell\x1b silent", "cost_micro": 200, "spent_s": 2.0},
    ]
    plan: Plan = {
        "schema": "coalesced.plan/1",
        "made_by": "rule",
        "why": "llm/m gave no answer",
        "model": "llm/m",
        "drafts": drafts,  # type: ignore[typeddict-item]
        "cost_micro": 300,
        "spent_s": 3.0,
        "step": [],
    }
    lines = list(made_lines(plan))
    assert lines[0] == "Planned by rule for $0.000300 in 3.0 s: llm/m gave no answer."
    assert lines[1] == "  draft 1: refused, $0.000100, 1.0 s: the plan runs in a circle"
    assert all(line.isprintable() for line in lines)
    assert next(made_lines({**plan, "made_by": "repaired"})).startswith("Planned by llm/m, repaired once")
    assert list(made_lines({**plan, "made_by": "file", "why": "", "drafts": []})) == ["Planned as given."]
