"""A goal from the command line: divided by a model, drawn while it runs, recorded; on a daemon of its own."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import Daemon, daemons, environment
from tests.harness.served_models import served

pytestmark = pytest.mark.e2e
GOAL = "What is the sentiment of each review?"


@pytest.fixture(scope="module")
def node() -> Iterator[Daemon]:
    with daemons() as made, served() as model:
        daemon = made.make("node")
        daemon.configure('[client]\nplanner = "llm/small-1"\n')
        daemon.start()
        what = ("--openai", model.url, "--model", "small-1", "--price", "0.15:0.60")
        sold = daemon.cli("sell", *what)
        assert sold.returncode == 0, sold.stderr
        yield daemon


@pytest.fixture
def reviews(tmp_path: Path) -> tuple[str, ...]:
    texts = ("It was wonderful.", "It was terrible.", "Well.")
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.txt").write_text(text)
    return tuple(part for number in range(len(texts)) for part in ("-f", str(tmp_path / f"{number}.txt")))


def test_a_goal_is_planned_by_the_model_and_the_record_can_be_run_again(
    node: Daemon, reviews: tuple[str, ...], tmp_path: Path
) -> None:
    ran = node.cli("plan", "run", GOAL, *reviews)
    assert ran.returncode == 0, ran.stderr
    assert [part["source"] for part in json.loads(ran.stdout)["parts"]] == ["part-1", "part-2", "part-3"]
    assert "Planned by llm/small-1 for $" in ran.stderr
    assert "  + all <- part-1, part-2, part-3" in ran.stderr
    task = next(one["id"] for one in node.json("task", "ls")["tasks"] if not one["parent"])
    record = node.json("plan", "show", task)
    assert (record["schema"], record["made_by"], len(record["graph"])) == ("coalesced.plan/1", "model", 4)
    again = tmp_path / "again.json"
    again.write_text(json.dumps({"step": record["step"]}))
    second = node.cli("plan", "run", "--by", str(again), *reviews)
    assert second.returncode == 0, second.stderr
    assert "Planned as given." in second.stderr
    for part, earlier in zip(json.loads(second.stdout)["parts"], json.loads(ran.stdout)["parts"], strict=True):
        assert part["result"] == earlier["result"]


def test_watching_tells_each_change_of_a_step_and_ends_with_the_graph(node: Daemon, reviews: tuple[str, ...]) -> None:
    task = started(node, reviews)
    told = node.cli("task", "watch", task)
    assert told.returncode == 0, told.stderr
    for name in ("part-1", "part-2", "part-3"):
        assert f"> {name}  sentiment  submitted" in told.stderr
        assert f"+ {name}  sentiment  completed  this node  $" in told.stderr
    assert "3 of 3 steps done" in told.stderr
    events = [json.loads(line) for line in node.cli("task", "watch", task, "--json").stdout.splitlines()]
    states = [event["step"]["state"] for event in events[:-2] if event["step"] and event["step"]["name"] == "part-1"]
    assert (states[0], states[-1]) == ("submitted", "completed")
    assert [one["schema"] for one in events[-2:]] == ["coalesced.steps/1", "coalesced.answer/1"]


def test_on_a_terminal_the_graph_is_redrawn_and_stands_once_at_the_end(node: Daemon, reviews: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "coalesced", "--home", str(node.home), "plan", "run", GOAL, *reviews]
    ours, theirs = pty.openpty()
    variables = environment(TERM="xterm", COLUMNS="160", LINES="50")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=variables) as process:
        os.close(theirs)
        seen = b"".join(iter(lambda: _read(ours), b""))
        assert process.wait(60) == 0
    os.close(ours)
    text = seen.decode()
    assert "\x1b[" in text, "it was redrawn"
    assert text.rstrip().split("\x1b[2K")[-1].count("all <- part-1") == 1


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""  # How Linux says that nobody writes to a terminal any more.


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("run",), "say what is to be done"),
        (("run", GOAL, "--by", "nobody"), "neither auto, model nor rule"),
        (("run", GOAL, "--by", "model", "--budget", "0", "--skill", "Not A Label"), "skills"),
        (("show", "ffff"), "no task"),
    ],
)
def test_what_makes_no_sense_is_said(node: Daemon, arguments: tuple[str, ...], text: str) -> None:
    ran = node.cli("plan", *arguments)
    assert ran.returncode == 2
    assert text in ran.stderr


def started(node: Daemon, reviews: tuple[str, ...]) -> str:
    """A plan's task, done."""
    before = {one["id"] for one in node.json("task", "ls")["tasks"]}
    assert node.cli("plan", "run", GOAL, *reviews).returncode == 0
    rows = node.json("task", "ls")["tasks"]
    return next(str(one["id"]) for one in rows if not one["parent"] and one["id"] not in before)
