"""Every example of the documentation, run as a reader would run it, against a real node with a real model."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coalesced.testnet.ports import free_ports
from tests.harness.openai_backend import answer
from tests.harness.processes import Daemon, daemons, environment
from tests.harness.served_models import served

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PRINTED = {
    "ask.py": ["score: ", "why: LOCAL"],
    "ask_without_async.py": ["score: ", "done by: this node"],
    "decide.py": ["local", "dollars expected"],
    "find.py": ["0 sellers"],
    "openai_client.py": [
        answer("Sum up: Rain fell all day. The river rose by a metre. Nobody was hurt."),
        "decision: local",
        "The sun came out.",
    ],
    "plan.py": ["north", "south", "2 subtasks"],
    "plan_by_model.py": ["planned by model", "part-1 sentiment completed this node", "all merge completed"],
    "sell_function.py": ["shorten is on sale for 1000 micro-dollars", "Rain fell."],
    "stream.py": ["submitted", "decided", "completed"],
}


@pytest.fixture(scope="module")
def node() -> Iterator[tuple[Daemon, int]]:
    with daemons() as made, served() as model:
        [port] = free_ports(1)
        daemon = made.make("node")
        daemon.configure('[client]\nplanner = "llm/small-1"\n')
        daemon.start("--openai-port", str(port))
        what = ("--openai", model.url, "--model", "small-1", "--price", "0.15:0.60")
        sold = daemon.cli("sell", *what)
        assert sold.returncode == 0, sold.stderr
        yield daemon, port


def test_every_example_is_run() -> None:
    assert {file.name for file in EXAMPLES.glob("*.py")} == set(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_does_what_it_says(node: tuple[Daemon, int], name: str) -> None:
    daemon, port = node
    variables = environment(
        COALESCED_HOME=str(daemon.home),
        OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1",
        OPENAI_API_KEY=daemon.cli("gateway", "token").stdout.strip(),
    )
    command = [sys.executable, str(EXAMPLES / name)]
    ran = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr + daemon.log_text()
    for text in PRINTED[name]:
        assert text in ran.stdout


def test_models_on_sale_are_listed_with_their_labels(node: tuple[Daemon, int]) -> None:
    daemon, _ = node
    offers = {row["label"]: row for row in daemon.json("sell", "ls")["offers"]}
    assert {"chat", "llm/small-1"} <= set(offers)
    assert offers["chat"]["source"] == "model small-1"
    assert daemon.json("ask", "chat", "Sum up: It rained.")["text"] == "It rained."


def test_the_endpoint_says_where_it_is_and_its_key_is_in_no_other_file(node: tuple[Daemon, int]) -> None:
    daemon, _ = node
    token = daemon.cli("gateway", "token").stdout.strip()
    told = daemon.cli("gateway")
    assert "openai.token" in told.stdout
    assert token not in told.stdout + daemon.log_text()
    others = [file for file in daemon.home.glob("*") if file.is_file() and file.name != "openai.token"]
    assert not [file.name for file in others if token.encode() in file.read_bytes()]


def test_the_240_tasks_go_through_a_model_and_are_booked_by_its_reported_tokens(
    node: tuple[Daemon, int], tmp_path: Path
) -> None:
    daemon, _ = node
    command = [sys.executable, "-m", "coalesced.testnet.real_tasks.by_model", "--home", str(daemon.home)]
    command += ["--tasks", "12", "--rate", "1:4", "--json", str(tmp_path / "run.json")]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    done = json.loads((tmp_path / "run.json").read_text())
    read, written = (sum(one["usage"][at] for one in done) for at in (0, 1))
    assert read > written > 0
    assert f"| all | 12 of 12 | 0 | 0 | {read:,} | {written:,} |" in ran.stdout
    assert f"${(read + 4 * written) / 1e6:.4f}" in ran.stdout
