"""A community chain of real processes: founded on the command line, killed, restarted, verified, proved offline."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from coalesced.control.errors import ControlError
from crypto.identity import Identity, did_key
from node.community.genesis_file import parse_genesis
from node.ledger.chain.genesis import chain_id
from node.store import keyfile
from protocol.transactions import CommitRating, sign_transaction
from tests.harness.processes import Daemon, Daemons, daemons, run_cli, wait_until

pytestmark = pytest.mark.e2e

MEMBERS = 4


@pytest.fixture
def network() -> Iterator[Daemons]:
    with daemons() as made:
        yield made


class Signer:
    """Writes one member's transactions."""

    def __init__(self, daemon: Daemon, chain: bytes) -> None:
        self.identity: Identity = keyfile.load(daemon.home / "identity.key")
        self.chain = chain
        self.sequence = 0

    def transaction(self) -> bytes:
        self.sequence += 1
        terms = CommitRating(
            chain=self.chain, signer=self.identity.public_key, sequence=self.sequence, commitment=os.urandom(32)
        )
        return sign_transaction(terms, self.identity)


def found(network: Daemons, count: int) -> tuple[Path, list[Daemon]]:
    """A genesis file of so many members, and their daemons, not started."""
    members = [network.make(f"m{number}") for number in range(count)]
    for one in members:
        keyfile.create(one.home / "identity.key", os.urandom)
    file = network.directory / "genesis.json"
    named = [word for one in members for word in ("--member", str(one.home))]
    made = run_cli("ledger", "genesis", *named, "--name", "e2e", "--network", network.network, "-o", str(file))
    assert made.returncode == 0, made.stderr
    return file, members


def height(daemon: Daemon) -> int:
    try:
        ledger = daemon.status()["ledger"]
    except ControlError:
        return -1
    return ledger["height"] if ledger else -1


def test_a_killed_member_keeps_its_word_and_everything_can_be_checked(network: Daemons) -> None:
    file, members = found(network, MEMBERS)
    first, *others = members
    for one in members:
        one.spawn("--genesis", str(file), *([] if one is first else ["--bootstrap", first.endpoint]))
    wait_until(lambda: all(height(one) >= 0 for one in members), 90, "the members follow their chain")
    chain = chain_id(parse_genesis(file.read_bytes(), str(file)))
    signer = Signer(others[0], chain)
    acknowledged = [first.call(lambda node: node.ledger_submit(signer.transaction()))["transaction"] for _ in range(3)]

    # A crash in the middle of the work of all, then again what it was before.
    others[2].kill()
    acknowledged += [first.call(lambda node: node.ledger_submit(signer.transaction()))["transaction"] for _ in range(3)]
    others[2].start("--bootstrap", first.endpoint)
    first.kill()
    acknowledged += [
        others[1].call(lambda node: node.ledger_submit(signer.transaction()))["transaction"] for _ in range(2)
    ]
    first.start()
    wait_until(lambda: len({height(one) for one in members}) == 1, 90, "all are equally far")

    verified = [one.call(lambda node: node.ledger_verify()) for one in members]
    assert all(one["ok"] for one in verified)
    assert len({(one["height"], one["block"], one["state_root"]) for one in verified}) == 1
    assert verified[0]["transactions"] == len(acknowledged)

    # What was acknowledged is proved to whoever has nothing but the genesis.
    proof = network.directory / "proof.json"
    assert members[2].cli("ledger", "proof", acknowledged[4], "-o", str(proof)).returncode == 0
    checked = run_cli("ledger", "check", str(proof), "--genesis", str(file), "--json")
    assert acknowledged[4] in json.loads(checked.stdout)["about"]
    exported = network.directory / "export.jsonl"
    assert others[2].cli("ledger", "export", "-o", str(exported)).returncode == 0
    checked = run_cli("ledger", "check", str(exported), "--genesis", str(file), "--json")
    assert json.loads(checked.stdout)["state_root"] == verified[0]["state_root"]
    head = others[1].call(lambda node: node.ledger_head())
    assert (head["members"], head["tolerates"], len(head["signers"])) == (4, 1, 3)
    rows = others[1].call(lambda node: node.ledger_members())["members"]
    assert {row["did"] for row in rows} == {
        did_key(keyfile.load(one.home / "identity.key").public_key) for one in members
    }


def test_two_members_say_that_they_tolerate_none_and_another_genesis_is_refused(network: Daemons) -> None:
    file, (first, second) = found(network, 2)
    first.start("--genesis", str(file))
    assert "2 members tolerate none that fails or lies (f=0)" in first.cli("status").stdout
    first.stop()
    other = network.directory / "other.json"
    named = ("--member", str(first.home), "--name", "another", "--network", network.network)
    assert run_cli("ledger", "genesis", *named, "-o", str(other)).returncode == 0
    refused = run_cli("start", "--genesis", str(other), "--network", network.network, home=first.home)
    assert refused.returncode == 2
    for one in (file, other):
        assert chain_id(parse_genesis(one.read_bytes(), str(one))).hex() in refused.stderr
    assert not (second.home / "ledger.db").exists()


def test_a_node_that_prunes_says_what_it_keeps_and_one_that_fetched_a_state_proves_accounts_at_once(
    network: Daemons,
) -> None:
    file, (member,) = found(network, 1)
    observer = network.make("observer")
    for one in (member, observer):
        one.configure("[ledger]\nkeep_blocks = 2\n")
    member.start("--genesis", str(file))
    chain = chain_id(parse_genesis(file.read_bytes(), str(file)))
    signer = Signer(member, chain)
    for _ in range(8):
        member.call(lambda node: node.ledger_submit(signer.transaction()))
    export = network.directory / "export.jsonl"
    refused = member.cli("ledger", "export", "-o", str(export))
    assert (refused.returncode, "keeps blocks 7 to 8" in refused.stderr) == (1, True)
    assert not export.exists()

    # The last block is one after which the state is kept, so the observer gets that and no block.
    observer.start("--genesis", str(file), "--bootstrap", member.endpoint)
    wait_until(lambda: height(observer) == 8, 90, "the observer has the state")
    assert observer.call(lambda node: node.ledger_blocks(1))["kept_from"] == 9
    assert len(observer.call(lambda node: node.ledger_head())["signers"]) == 1
    proof = network.directory / "proof.json"
    did = did_key(signer.identity.public_key)
    proved = observer.cli("ledger", "proof", did, "-o", str(proof))
    assert proved.returncode == 0, proved.stderr
    checked = run_cli("ledger", "check", str(proof), "--genesis", str(file), "--json")
    assert json.loads(checked.stdout)["height"] == 8
    for one in (member, observer):
        assert one.call(lambda node: node.ledger_verify())["ok"]
