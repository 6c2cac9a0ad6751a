"""Keys and the committee from the command line, against real nodes: kept, passed on, ended, let in, paid."""

import base64
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coalesced.cli.motions import SCHEMA
from crypto.identity import parse_did_key
from node.store import keyfile
from node.store.vote_mark import UNKNOWN, VoteMark
from protocol.transactions import Grant, sign_transaction
from tests.harness.processes import Daemon, Daemons, daemons, run_cli, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def network() -> Iterator[Daemons]:
    with daemons() as made:
        yield made


def found(network: Daemons) -> tuple[Path, Daemon, Daemon]:
    """A chain of one member, and an observer with credits; both run."""
    member, other = network.make("member"), network.make("other")
    for one in (member, other):
        keyfile.create(one.home / "identity.key", os.urandom)
    file = network.directory / "genesis.json"
    named = ["--member", str(member.home), "--account", str(other.home), "--credits", "500"]
    made = run_cli("ledger", "genesis", *named, "--name", "e2e", "--network", network.network, "-o", str(file))
    assert made.returncode == 0, made.stderr
    member.start("--genesis", str(file))
    other.start("--genesis", str(file), "--bootstrap", member.endpoint)
    wait_until(lambda: asked(other, "ledger", "head")["height"] >= 0, 90, "the observer follows")
    return file, member, other


def asked(daemon: Daemon, *words: str) -> dict[str, Any]:
    """What a command says, as JSON."""
    ran = daemon.cli(*words, "--json")
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


def secret(directory: Path, text: str) -> Path:
    """A passphrase file."""
    file = directory / f"{text[:4]}.passphrase"
    file.write_text(text + "\n")
    file.chmod(0o600)
    return file


def test_a_sealed_copy_brings_the_key_back_and_nothing_is_written_over(tmp_path: Path) -> None:
    home, copy = tmp_path / "node", tmp_path / "copy.key"
    assert run_cli("init", home=home).returncode == 0
    words = secret(tmp_path, "correct horse battery staple")
    kept = run_cli("keys", "backup", "-o", str(copy), "--passphrase-file", str(words), home=home)
    assert kept.returncode == 0, kept.stderr
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert keyfile.is_sealed(copy)
    assert (home / "identity.key").read_bytes() not in copy.read_bytes()
    again = run_cli("keys", "backup", "-o", str(copy), "--passphrase-file", str(words), home=home)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    there = run_cli("keys", "restore", str(copy), "--passphrase-file", str(words), home=home)
    assert (there.returncode, "there is a key in" in there.stderr) == (1, True)
    wrong = secret(tmp_path, "wrong passphrase")
    refused = run_cli("keys", "restore", str(copy), "--passphrase-file", str(wrong), home=tmp_path / "new")
    assert refused.returncode != 0
    assert not (tmp_path / "new" / "identity.key").exists()
    restored = run_cli(
        "keys", "restore", str(copy), "--passphrase-fd", "0", home=tmp_path / "new", stdin=words.read_bytes()
    )
    assert restored.returncode == 0, restored.stderr
    # The restored key may have voted elsewhere since the copy was made: the node is told so.
    assert not (home / "ledger.mark").exists()
    mark = VoteMark(tmp_path / "new" / "ledger.mark").read()
    assert mark == UNKNOWN
    dids = [run_cli("keys", "export", home=one).stdout for one in (home, tmp_path / "new")]
    assert dids[0] == dids[1] != ""


def test_an_account_passes_to_a_new_key_and_is_ended_by_a_certificate_made_beforehand(network: Daemons) -> None:
    _, member, other = found(network)
    before = asked(other, "ledger", "balance")
    done = other.cli("keys", "rotate", "--wait", "10s")
    assert done.returncode == 0, done.stderr
    twice = other.cli("keys", "rotate")
    assert (twice.returncode, "has passed its account to" in twice.stderr) == (5, True)
    assert "keys rotate --finish" in twice.stderr
    refused = other.cli("keys", "rotate", "--finish")
    assert (refused.returncode, "the node runs" in refused.stderr) == (1, True)
    other.stop()
    assert other.cli("keys", "rotate", "--finish").returncode == 0
    other.start("--bootstrap", member.endpoint)
    wait_until(lambda: other.cli("ledger", "balance").returncode == 0, 90, "the chain is read")
    after = asked(other, "ledger", "balance")
    assert after["did"] != before["did"]
    assert (after["credits"], after["standing"]) == (before["credits"], "active")
    # Peers know the old name as the new one's, with all that was ever said about it.
    assert asked(member, "ledger", "balance", before["did"])["did"] == after["did"]
    assert asked(member, "trust", "show", before["did"])["did"] == after["did"]

    certificate = network.directory / "revocation"
    made = other.cli("keys", "revoke", "--prepare", str(certificate))
    assert made.returncode == 0, made.stderr
    assert member.cli("keys", "revoke", str(certificate), "--yes").returncode == 0
    ended = asked(member, "ledger", "balance", after["did"])
    assert (ended["standing"], ended["credits"]) == ("revoked", 500)


def test_members_are_let_in_by_a_quorum_and_credits_granted_and_an_account_proved_offline(network: Daemons) -> None:
    file, member, other = found(network)
    did = asked(other, "ledger", "balance")["did"]
    granted = member.cli("ledger", "grant", did, "250")
    assert granted.returncode == 0, granted.stderr
    assert asked(member, "ledger", "balance", did)["credits"] == 750
    assert member.cli("ledger", "members", "admit", did).returncode == 0
    wait_until(lambda: len(asked(other, "ledger", "members")["members"]) == 2, 90, "two members")
    # Now it takes both.
    motion = network.directory / "motion.json"
    alone = member.cli("ledger", "grant", did, "1")
    assert (alone.returncode, "1 more members have to approve" in alone.stderr) == (5, True)
    assert member.cli("ledger", "grant", did, "1", "-o", str(motion)).returncode == 0
    assert f"grant {did} credits 1; valid until" in motion.read_text()
    other_chains = sign_transaction(
        Grant(chain=bytes(32), motion=bytes(16), valid_until_unix_ms=1, account=parse_did_key(did), credits=1)
    )
    foreign = network.directory / "foreign.json"
    foreign.write_text(json.dumps({"schema": SCHEMA, "transactions": [base64.b64encode(other_chains).decode()]}))
    refused = other.cli("ledger", "members", "approve", str(foreign), "--yes")
    assert (refused.returncode, "and this node follows" in refused.stderr) == (5, True)
    approved = other.cli("ledger", "members", "approve", str(motion), "--yes")
    assert approved.returncode == 0, approved.stderr
    assert asked(other, "ledger", "balance")["credits"] == 751
    member.cli("ledger", "members", "approve", str(motion), "--yes")
    assert asked(other, "ledger", "balance")["credits"] == 751  # a motion takes effect once

    proof = network.directory / "proof.json"
    assert member.cli("ledger", "proof", did, "-o", str(proof)).returncode == 0
    checked = run_cli("ledger", "check", str(proof), "--genesis", str(file), "--json")
    assert checked.returncode == 0, checked.stderr
    shown = json.loads(checked.stdout)
    assert (shown["kind"], shown["content"]["credits"], shown["committee_changes"]) == ("Account", 751, 1)
    assert (shown["content"]["did"], shown["content"]["standing"], shown["content"]["level_1"]) == (did, "active", 0.5)


@pytest.mark.long
def test_who_has_credits_pays_the_bond_of_somebody_new(network: Daemons) -> None:
    genesis, member, other = found(network)
    newcomer = network.make("newcomer")
    newcomer.start("--genesis", str(genesis), "--bootstrap", member.endpoint)
    did = newcomer.cli("keys", "export").stdout.strip()
    file = network.directory / "joining"
    assert other.cli("ledger", "vouch", did, "--bond", "120", "-o", str(file)).returncode == 0
    alone = other.cli("ledger", "join", str(file))
    assert (alone.returncode, "gives this node's key no account" in alone.stderr) == (2, True)
    joined = newcomer.cli("ledger", "join", str(file))
    assert joined.returncode == 0, joined.stderr
    account = asked(newcomer, "ledger", "balance")
    assert (account["standing"], account["credits"], account["bond"]) == ("active", 0, 120)
    assert asked(member, "ledger", "balance", asked(other, "ledger", "balance")["did"])["credits"] == 380
