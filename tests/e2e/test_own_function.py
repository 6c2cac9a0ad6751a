"""A function of one's own: put on sale by its owner, found and bought by another node, remembered across a restart."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.wording import usd
from tests.harness.processes import Daemons, daemons, wait_until

pytestmark = pytest.mark.e2e

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


HANDING_ON = """
import json

import coalesced
from coalesced.skill import allowance

def review(home: str) -> str:
    before = allowance()
    given = [before.left_s, before.take(0) or before.take(None)]
    before.give_back(given[1], 0)
    with coalesced.connect(home) as node:
        inner = node.ask("sentiment", "It was fine.", budget=5, deadline_s=9999).task
        try:
            node.plan([{"name": "a", "skill": "sentiment", "text": "Well.", "budget_usd": "5"}], budget=7)
        except coalesced.sdk.ControlError as refused:
            said = str(refused)
    left_s = (inner["deadline_unix_ms"] - inner["created_unix_ms"]) / 1000
    return json.dumps({"given": given, "inner_s": left_s, "said": said, "paid": before.paid_micro})
"""


def test_what_a_function_hands_on_is_bounded_by_the_time_and_the_pay_of_its_own_task(
    network: Daemons, tmp_path: Path
) -> None:
    (tmp_path / "critic.py").write_text(HANDING_ON)
    seller = network.make("seller").start()
    buyer = network.make("buyer").start("--bootstrap", seller.endpoint, "--no-sell")
    told = seller.cli("sell", "critic:review", "--price", "0.002", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    wait_until(lambda: buyer.call(lambda node: node.find_skill("review"))["sellers"], 90, "the buyer finds it")
    answer = buyer.json("ask", "review", str(seller.home), "--budget", "0.01", "--deadline", "30s")
    found = json.loads(json.loads(answer["text"]) if answer["text"].startswith('"') else answer["text"])
    assert found["given"][0] <= 30
    pay = found["given"][1]
    assert 0 < pay <= 2000, "the price that was quoted, not the buyer's budget"
    assert found["inner_s"] <= 30
    assert f"over the plan's {usd(pay)}" in found["said"]
    own = seller.json("ask", "review", str(seller.home), "--budget", "0.01", "--deadline", "20s", "--prefer", "local")
    found = json.loads(json.loads(own["text"]) if own["text"].startswith('"') else own["text"])
    assert (found["given"][1], found["inner_s"] <= 20) == (10_000, True)


def test_an_owners_function_is_bought_by_a_node_that_lacks_it(network: Daemons, tmp_path: Path) -> None:
    (tmp_path / "cutter.py").write_text(CUTTER)
    seller = network.make("seller").start()
    buyer = network.make("buyer").start("--bootstrap", seller.endpoint, "--no-sell")
    assert seller.cli("sell", "cutter:shorten", cwd=tmp_path).returncode == 0
    wait_until(lambda: buyer.call(lambda node: node.find_skill("shorten"))["sellers"], 90, "the buyer finds it")
    answer = buyer.json("ask", "shorten", "One. Two. Three.")
    assert answer["text"].strip('"') == "One"
    assert answer["task"]["choice"] == "outsource"
    assert seller.stop() == 0
    seller.start()
    assert "shorten" in [offer["label"] for offer in seller.json("sell", "ls")["offers"]]
