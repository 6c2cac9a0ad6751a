"""A testnet whose nodes share a chain that some of them vote on."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.processes import run_cli, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


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

    wait_until(lambda: ledgers() == ["member at 0", "member at 0", "observer at 0"], 30, "all follow the chain")
    assert (directory / "genesis.json").exists()


def test_more_validators_than_nodes_are_refused(directory: Path) -> None:
    refused = run_cli("testnet", "up", "-n", "2", "--validators", "3", "--dir", str(directory))
    assert refused.returncode == 2
    assert "3 validators need as many nodes" in refused.stderr
