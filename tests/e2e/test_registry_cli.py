"""A registry and a market maker as processes, by the options of `start`; who showed a seller, and who is silent."""

import json
import re
import urllib.request
from collections.abc import Iterator

import pytest

from tests.harness.processes import Daemons, daemons, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def network() -> Iterator[Daemons]:
    with daemons() as made:
        yield made


def test_nodes_that_share_no_dht_find_each_other_by_a_registry_and_say_so(network: Daemons) -> None:
    registry = network.make("registry").start("--registry", "--no-sell", "--market-maker", "--probe-budget", "0.02")
    with urllib.request.urlopen(f"http://{registry.endpoint}/registry/v1", timeout=10) as answer:
        about = json.load(answer)
    assert (about["registry"], about["network"]) == (registry.status()["did"], registry.network)
    assert registry.status()["roles"] == ["registry", "market-maker"]
    assert re.search(r"roles\s+registry, market-maker\n", registry.cli("status").stdout)
    probing = json.loads(registry.cli("priors", "ls", "--json").stdout)["probing"]
    assert (probing["budget_micro"], "sentiment" in probing["skills"]) == (20_000, True)

    network.make("seller").start("--use-registry", registry.endpoint)
    nobody = f"127.0.0.1:{registry.port + 1}"
    buyer = network.make("buyer").start("--no-sell", "--use-registry", registry.endpoint, "--use-registry", nobody)

    def sources() -> list[str]:
        found = json.loads(buyer.cli("skills", "find", "sentiment", "--json").stdout)
        return [row["source"] for row in found.get("sellers", [])]

    wait_until(lambda: f"registry {registry.endpoint}" in sources(), 90, "the registry shows the seller")
    status = buyer.status()
    assert any(nobody in problem["text"] for problem in status["problems"])
    assert status["roles"] == []


def test_a_registry_that_is_no_address_is_refused_before_anything_starts(network: Daemons) -> None:
    refused = network.make("node").cli("start", "--use-registry", "ftp://example.org")
    assert refused.returncode == 2
    assert "registry.use" in refused.stderr
    assert "is not a registry's address: write host:port or https://host" in refused.stderr
    broke = network.make("other").cli("start", "--market-maker", "--probe-budget", "much")
    assert broke.returncode == 2
    assert "'much' is not an amount: write dollars, as 0.01" in broke.stderr
