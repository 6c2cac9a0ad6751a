"""A function of one's own: put on sale by its owner, found and bought by another node, remembered across a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import Daemons, daemons, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CUTTER = '''
from coalesced.skill import skill

@skill("shorten", price="0.001")
async def shorten(text: str) -> str:
    """Keep the first sentence."""
    return text.split(". ")[0]
'''


@pytest.fixture
def network() -> Iterator[Daemons]:
    with daemons() as made:
        yield made


def test_a_secret_in_the_environment_reaches_disk_and_function_only_where_it_is_named(
    network: Daemons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "teller.py").write_text("import os\n\ndef tell(name: str) -> str: return os.environ.get(name, '-')\n")
    monkeypatch.setenv("TELLER_TOKEN", "hunter2hunter2")
    daemon = network.make("seller").start()

    def is_on_disk() -> bool:
        return any(b"hunter2hunter2" in file.read_bytes() for file in daemon.home.glob("node.db*"))

    assert daemon.cli("sell", "teller:tell", cwd=tmp_path).returncode == 0
    assert daemon.json("ask", "tell", "TELLER_TOKEN")["text"].strip('"') == "-"
    assert not is_on_disk()
    assert daemon.cli("sell", "teller:tell", "--env", "TELLER_TOKEN", cwd=tmp_path).returncode == 0
    assert daemon.json("ask", "tell", "TELLER_TOKEN")["text"].strip('"') == "hunter2hunter2"
    assert is_on_disk()


def test_an_owners_function_is_bought_by_a_node_that_lacks_it(network: Daemons, tmp_path: Path) -> None:
    (tmp_path / "cutter.py").write_text(CUTTER)
    seller = network.make("seller").start()
    buyer = network.make("buyer").start("--bootstrap", seller.endpoint, "--no-sell")
    assert seller.cli("sell", "cutter:shorten", cwd=tmp_path).returncode == 0
    wait_until(lambda: buyer.call(lambda node: node.find_skill("shorten"))["sellers"], 30, "the buyer finds it")
    answer = buyer.json("ask", "shorten", "One. Two. Three.")
    assert answer["text"].strip('"') == "One"
    assert answer["task"]["choice"] == "outsource"
    assert seller.stop() == 0
    seller.start()
    assert "shorten" in [offer["label"] for offer in seller.json("sell", "ls")["offers"]]
