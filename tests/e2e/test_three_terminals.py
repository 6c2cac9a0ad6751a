"""What a person sees with three terminals: a seller, a buyer that joined through it, and commands to the buyer."""

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import Daemon, Daemons, daemons, environment, wait_until

pytestmark = pytest.mark.e2e

DEAR = "[machine]\nhourly_rate_usd = 60.0\n[execute]\nmax_workers = 1\n"
CHEAP = "[machine]\nhourly_rate_usd = 0.05\n[execute]\nmax_workers = 1\n"
DEAR_PATHS = 4_000_000
"""So much that even a stranger is hired: what checking its result costs is little beside the work."""


@pytest.fixture
def network() -> Iterator[Daemons]:
    with daemons() as made:
        yield made


def pair(network: Daemons, *, buyer_toml: str = DEAR) -> tuple[Daemon, Daemon]:
    """A cheap seller, and a buyer that joined through it and sees its offers; both know their own speed."""
    seller, buyer = network.make("seller"), network.make("buyer")
    seller.configure(CHEAP)
    buyer.configure(buyer_toml)
    seller.start()
    buyer.start("--bootstrap", seller.endpoint, "--no-sell")
    wait_until(lambda: buyer.call(lambda node: node.find_skill("risk"))["sellers"], 90, "the buyer finds the seller")
    for side in (seller, buyer):
        wait_until(lambda side=side: has_measured(side), 90, f"{side.home.name} has measured its skills")  # type: ignore[misc]
    return seller, buyer


def has_measured(daemon: Daemon) -> bool:
    """Whether the node has run each of its skills once, so that its prices rest on something."""
    rows = daemon.call(lambda node: node.skills())["skills"]
    return all(row["seconds_per_unit"] is not None for row in rows)


def book(directory: Path, paths: int) -> str:
    """A portfolio whose value at risk takes a while: about a second for 500,000 paths."""
    size = 12
    covariance = [[0.0001 if row == column else 0.00002 for column in range(size)] for row in range(size)]
    task = {
        "positions": {f"A{number}": 10_000.0 * (number + 1) for number in range(size)},
        "means": [0.0003] * size,
        "covariance": covariance,
        "paths": paths,
    }
    path = directory / f"book-{paths}.json"
    path.write_text(json.dumps(task))
    return str(path)


def ask_in_background(buyer: Daemon, *arguments: str) -> "subprocess.Popen[str]":
    """`ask`, its events on stderr as they come."""
    return subprocess.Popen(
        [*buyer.program, "--home", str(buyer.home), "ask", "--stream", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )


def read_until(asking: "subprocess.Popen[str]", word: str) -> list[str]:
    """The lines of stderr up to the first that holds `word`."""
    assert asking.stderr is not None
    lines: list[str] = []
    for line in asking.stderr:
        lines.append(line)
        if word in line:
            return lines
    raise AssertionError(f"{word!r} never came: {''.join(lines)}")


def test_a_task_of_the_second_node_is_served_by_the_first(network: Daemons, tmp_path: Path) -> None:
    seller, buyer = pair(network)
    answer = buyer.json("ask", "risk", "-f", book(tmp_path, DEAR_PATHS), "--privacy", "public")
    task = answer["task"]
    assert (task["state"], task["choice"], task["peer"]) == ("completed", "outsource", seller.status()["node"])
    assert json.loads(answer["text"])["value_at_risk"] > 0
    answer_receipt = buyer.json("task", "receipt", task["id"])
    assert answer_receipt["countersigned"]
    for side in (seller, buyer):
        wait_until(lambda side=side: receipts(side), 90, "the receipt in both journals")  # type: ignore[misc]
        held = side.json("task", "receipt", only_task(side))
        assert held["id"] == answer_receipt["id"]
        assert side.json("journal", "verify")["ok"]
    assert "OUTSOURCE" in buyer.cli("why", task["id"]).stdout


def only_task(daemon: Daemon) -> str:
    """What the node calls the one task that it had part in: the two sides call it differently."""
    (task,) = daemon.json("task", "ls")["tasks"]
    return str(task["id"])


def receipts(daemon: Daemon) -> list[int]:
    """The heights of the receipts in a node's journal."""
    entries = daemon.call(lambda node: node.journal_tail(50))["entries"]
    return [entry["height"] for entry in entries if entry["kind"] == "receipt"]


def test_what_skills_show_says_to_try_works_for_every_skill_and_no_seller_refuses_its_form(network: Daemons) -> None:
    _, buyer = pair(network)
    for row in buyer.json("skills", "ls")["skills"]:
        (told,) = [line for line in buyer.cli("skills", "show", row["label"]).stdout.splitlines() if "try" in line[:9]]
        line = told.split(maxsplit=1)[1].replace("coalesced", shlex.join(buyer.program), 1)
        command = ["bash", "-c", f"{line} --privacy public --json"]
        tried = subprocess.run(command, capture_output=True, env=environment(), timeout=60, check=False)
        assert tried.returncode == 0, (line, tried.stderr)
        told_why = buyer.json("why", json.loads(tried.stdout)["task"]["id"])["decision"]["reasons"]
        assert not [reason for reason in told_why if "I take" in reason], (line, told_why)


def test_light_work_is_done_at_home(network: Daemons) -> None:
    _, buyer = pair(network, buyer_toml="")
    task = buyer.json("ask", "sentiment", "not bad at all")["task"]
    assert (task["state"], task["choice"]) == ("completed", "local")


def test_a_seller_that_dies_mid_task_is_replaced_and_the_buyer_says_so(network: Daemons, tmp_path: Path) -> None:
    seller, buyer = pair(network)
    asking = ask_in_background(buyer, "risk", "-f", book(tmp_path, 3_000_000), "--privacy", "public")
    try:
        read_until(asking, "progress")
        seller.kill()
        fallen = read_until(asking, "fell_back")[-1]
        out, err = asking.communicate(timeout=120)
    finally:
        asking.kill()
        asking.wait()
    assert asking.returncode == 0, err + buyer.log_text()
    assert "value_at_risk" in out
    (task,) = buyer.json("task", "ls")["tasks"][:1]
    assert (task["state"], task["choice"]) == ("completed", "local")
    assert task["tried"], fallen
    why = buyer.cli("why", task["id"]).stdout
    assert "fell_back" in why or "tried" in why
    assert any(entry["kind"] == "fault" for entry in buyer.json("journal", "tail")["entries"])


def test_both_nodes_know_their_history_after_a_restart(network: Daemons, tmp_path: Path) -> None:
    seller, buyer = pair(network)
    task_id = buyer.json("ask", "risk", "-f", book(tmp_path, DEAR_PATHS), "--privacy", "public")["task"]["id"]
    wait_until(lambda: receipts(seller), 90, "the seller's receipt")
    names = {side.home.name: only_task(side) for side in (seller, buyer)}
    assert names["buyer"] == task_id
    before = {side.home.name: (side.status()["did"], side.json("journal", "verify")) for side in (seller, buyer)}
    seller.kill()
    assert buyer.stop() == 0
    seller.start()
    buyer.start("--bootstrap", seller.endpoint, "--no-sell")
    for side in (seller, buyer):
        did, journal = before[side.home.name]
        assert side.status()["did"] == did
        assert side.json("journal", "verify") == journal
        assert only_task(side) == names[side.home.name]
    assert buyer.json("why", task_id)["decision"]["choice"] == "outsource"
    assert buyer.json("peers", "ls")["peers"][0]["tasks"] == 1
