"""A client that is killed (-9) while credits are locked for it: real processes, real files, nothing paid twice."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crypto.identity import did_key
from node.community.genesis_file import make_genesis, render_genesis
from node.env import Env
from node.ledger.chain.genesis import Parameters
from node.store import keyfile
from tests.harness.processes import MODULE, Daemon, Daemons, daemons, environment, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
EACH = 1_000_000
SIZE = 12
BOOK = {
    "positions": {f"A{number}": 10_000.0 * (number + 1) for number in range(SIZE)},
    "means": [0.0003] * SIZE,
    "covariance": [[0.0001 if row == column else 0.00002 for column in range(SIZE)] for row in range(SIZE)],
    "paths": 4_000_000,
}
"""A portfolio whose value at risk takes a tenth of a second of a machine so dear that it is bought."""
SETTLING = "[settlement]\nadapter = 'credits'\nmargin_s = 2.0\n[execute]\nmax_workers = 1\n"
DEAR, CHEAP = "[machine]\nhourly_rate_usd = 600.0\n", "[machine]\nhourly_rate_usd = 0.05\n"


@pytest.fixture
def network() -> Iterator[Daemons]:
    with daemons() as made:
        yield made


class Trio:
    """An arbiter, who is the committee, a seller, and a buyer that stops at a point."""

    def __init__(self, network: Daemons, point: str) -> None:
        self.arbiter, self.seller, self.buyer = (network.make(name) for name in ("arbiter", "seller", "buyer"))
        self.reached = network.directory / "reached"
        self.genesis = network.directory / "genesis.json"
        self.book = network.directory / "book.json"
        self.book.write_text(json.dumps(BOOK))
        keys = [keyfile.create(one.home / "identity.key", Env().entropy).public_key for one in self.all]
        packed = make_genesis(
            name="three",
            network=network.network,
            time_unix_ms=Env().unix_ms() - 1000,
            members=keys[:1],
            others=keys[1:],
            each_credits=EACH,
            parameters=Parameters(review_ms=60_000, rule_ms=2_000),
        )
        self.genesis.write_text(render_genesis(packed))
        for one, machine in ((self.arbiter, CHEAP), (self.seller, CHEAP), (self.buyer, DEAR)):
            one.configure(machine + SETTLING)
        self.buyer.program = (sys.executable, "-m", "tests.harness.held_client", point, str(self.reached))
        self.buyer.cwd = ROOT
        self.arbiter.start("--genesis", str(self.genesis), "--no-sell")
        self.seller.start("--genesis", str(self.genesis), "--bootstrap", self.arbiter.endpoint)
        self.start_buyer()
        wait_until(lambda: self.buyer.call(lambda node: node.find_skill("risk"))["sellers"], 60, "a seller")
        for one in (self.seller, self.buyer):
            wait_until(lambda one=one: measured(one), 60, f"{one.home.name} knows its speed")  # type: ignore[misc]
            wait_until(lambda one=one: reads_the_chain(one), 60, f"{one.home.name} has its account")  # type: ignore[misc]

    @property
    def all(self) -> tuple[Daemon, ...]:
        return self.arbiter, self.seller, self.buyer

    def start_buyer(self) -> None:
        self.buyer.start("--genesis", str(self.genesis), "--bootstrap", self.arbiter.endpoint, "--no-sell")

    def hire(self, deadline: str) -> None:
        """Ask until the buyer has stopped at its point, and kill it there; then it is the ordinary program again.

        On a slow machine a quote may come too late for one ask, which is then done at home.
        """
        command = [*self.buyer.program, "--home", str(self.buyer.home), "ask", "risk", "-f", str(self.book)]
        said: list[str] = []
        while not self.reached.exists():
            assert len(said) < 5, f"never at its point: {said}\n{self.buyer.log_text()}"
            with subprocess.Popen(
                [*command, "--deadline", deadline, "--json"],
                cwd=ROOT,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as asking:
                wait_until(lambda asking=asking: self.reached.exists() or asking.poll() is not None, 120, "it is asked")  # type: ignore[misc]
                if self.reached.exists():
                    self.buyer.kill()
                said.append(asking.communicate(timeout=60)[0])
        self.buyer.program = MODULE

    def account(self, of: Daemon) -> Any:
        """As the chain has it."""
        did = did_key(keyfile.load(of.home / "identity.key").public_key)
        return self.arbiter.call(lambda node: node.ledger_account(did))

    def credits(self) -> tuple[int, int]:
        """What the seller and the buyer have free."""
        return self.account(self.seller)["credits"], self.account(self.buyer)["credits"]

    def is_closed(self) -> bool:
        return not self.account(self.buyer)["deals"]


def measured(daemon: Daemon) -> bool:
    """Whether the node has run each of its skills once."""
    return all(row["seconds_per_unit"] is not None for row in daemon.call(lambda node: node.skills())["skills"])


def reads_the_chain(daemon: Daemon) -> bool:
    """Whether the node has caught up so far that it knows what it owns."""
    return daemon.cli("ledger", "balance").returncode == 0


@pytest.mark.long  # in the default suite, in one process: tests/integration/test_settlement.py
def test_credits_locked_by_a_client_that_is_killed_before_its_award_come_back_by_time(network: Daemons) -> None:
    three = Trio(network, "award")
    three.hire("60s")
    (deal,) = three.account(three.buyer)["deals"]
    assert (deal["stage"], sum(three.credits())) == ("funded", 2 * EACH - deal["credits"])
    three.start_buyer()
    wait_until(three.is_closed, 90, "the deal has ended")
    assert three.credits() == (EACH, EACH)


def test_a_client_that_is_killed_between_result_and_release_pays_once(network: Daemons) -> None:
    three = Trio(network, "release")
    three.hire("60s")
    wait_until(
        lambda: [one["stage"] for one in three.account(three.buyer)["deals"]] == ["submitted"], 60, "it is asked"
    )
    (deal,) = three.account(three.buyer)["deals"]
    three.start_buyer()
    wait_until(three.is_closed, 60, "the deal has ended")
    paid = EACH + deal["asked_credits"], EACH - deal["asked_credits"]
    assert three.credits() == paid
    # Another crash, another look at the same journal: nothing more follows from it.
    three.buyer.kill()
    three.start_buyer()
    wait_until(lambda: reads_the_chain(three.buyer), 60, "the chain is read")
    assert three.credits() == paid
