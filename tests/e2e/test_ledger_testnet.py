"""A testnet whose nodes share a chain that some of them vote on."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.processes import run_cli, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="ct-"))
    yield made / "net"
    run_cli("testnet", "down", "--dir", str(made / "net"))
    shutil.rmtree(made, ignore_errors=True)


def test_the_validators_of_a_testnet_vote_and_the_others_follow(directory: Path) -> None:
    where = ("--dir", str(directory))
    up = run_cli("testnet", "up", "-n", "3", "--validators", "2", *where)
    assert up.returncode == 0, up.stderr

    def ledgers() -> list[Any]:
        status = run_cli("testnet", "status", "--json", *where)
        return [node["ledger"] for node in json.loads(status.stdout)["nodes"]]

    wait_until(lambda: ledgers() == ["member at 0", "member at 0", "observer at 0"], 90, "all follow the chain")
    assert (directory / "genesis.json").exists()


def test_more_validators_than_nodes_are_refused(directory: Path) -> None:
    refused = run_cli("testnet", "up", "-n", "2", "--validators", "3", "--dir", str(directory))
    assert refused.returncode == 2
    assert "3 validators need as many nodes" in refused.stderr


def test_a_testnet_with_a_liar_is_disturbed_and_keeps_what_is_expected_of_it(directory: Path) -> None:
    where = ("--dir", str(directory))
    up = run_cli("testnet", "up", "-n", "5", "--validators", "4", "--byzantine", "1", *where)
    assert up.returncode == 0, up.stderr
    assert "n4 lies (equivocator)" in up.stderr
    nodes = json.loads(run_cli("testnet", "status", "--json", *where).stdout)["nodes"]
    assert [node["lie"] for node in nodes] == [None, None, None, "equivocator", None]

    def expected(text: str, *more: str) -> "subprocess.CompletedProcess[str]":
        return run_cli("testnet", "assert", "-", *more, *where, stdin=text.encode())

    good = expected(
        "# the whole net\nexpect peers >= 4 within 20s\n\nexpect ledger.agree\nexpect ledger.members = 4 on n5"
    )
    assert good.returncode == 0, good.stderr
    assert "peers: n1 4, n2 4, n3 4, n5 4" in good.stdout
    bad = expected("expect ledger.agree\nexpect ledger.height >= 9 within 100ms\nexpect nonsense", "--node", "n2")
    assert bad.returncode == 1
    assert "expected ledger.height >= 9 within 0.1 s; n2 0" in bad.stderr
    assert "<stdin>:2: stopped here, exit code 1" in bad.stderr
    assert expected("chaos kill n1").returncode == 2
    assert expected("expect peers > 1 on n9").returncode == 2

    for command in (
        ("partition", "n1,n2", "n3,n4"),
        ("slow", "n2", "20", "--jitter", "5"),
    ):
        assert run_cli("testnet", "chaos", *command, *where).returncode == 0
    links = json.loads(run_cli("testnet", "status", "--json", *where).stdout)["links"]
    assert links["n1-n3"] == "cut"
    assert links["n2-n5"] == "20 ms each way, up to 5 ms more"
    assert "n1-n2 20 ms each way" in run_cli("testnet", "status", *where).stderr
    assert run_cli("testnet", "chaos", "heal", *where).returncode == 0
    assert run_cli("testnet", "chaos", "partition", "n1", "n9", *where).returncode == 1
    refused = run_cli("testnet", "chaos", "lie", "n2", *where)
    assert refused.returncode == 1
    assert "4 validators bear 1 that lie" in refused.stderr
    nobody = run_cli("testnet", "chaos", "lie", "n5", *where)
    assert "n5 does not vote" in nobody.stderr
    turned = run_cli("testnet", "chaos", "lie", "n4", "silent", *where)
    assert turned.returncode == 0, turned.stderr
    assert expected("expect peers >= 4 within 30s\nexpect ledger.agree").returncode == 0


def test_more_liars_than_a_committee_bears_are_refused(directory: Path) -> None:
    refused = run_cli("testnet", "up", "-n", "8", "--validators", "4", "--byzantine", "2", "--dir", str(directory))
    assert refused.returncode == 2
    assert "4 validators bear 1 that lie" in refused.stderr
    assert not directory.exists()


def test_a_liar_does_not_start_outside_a_testnet(directory: Path) -> None:
    program = (sys.executable, "-m", "coalesced.testnet.byzantine", "liar")
    home = directory.parent / "lonely"
    command = ("start", "--home", str(home), "--listen", "127.0.0.1:4711", "--network", "main")
    refused = run_cli(*command, program=program)
    assert refused.returncode != 0
    assert "a member that lies runs in a testnet only" in refused.stderr
