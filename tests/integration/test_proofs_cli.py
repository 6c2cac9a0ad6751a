"""`coalesced skills certify, keep, revoke, prove, attest, show PEER`: what they ask for, how they tell the answer."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.commandline import Ran
from tests.harness.served_node import ServedNode, serve


@pytest.fixture(name="served")
def _served(tmp_path: Path) -> Iterator[ServedNode]:
    with serve(tmp_path) as served:
        yield served


def run(served: ServedNode, *words: str) -> Ran:
    return Ran(served.home, "skills", *words)


def test_a_credential_is_written_for_its_subject_alone_and_nothing_is_overwritten(served: ServedNode) -> None:
    file = served.home / "seller.credential"
    words = ("certify", "k7m2qfab", "--skill", "risk=90%", "--resource", "memory_gib=96", "--out", str(file))
    result = run(served, *words)
    assert result.code == 0, result.out + result.err
    assert file.stat().st_mode & 0o777 == 0o600
    assert served.node.certified is not None
    assert served.node.certified.skills == ("risk=90%",)
    assert served.node.certified.resources == ("memory_gib=96",)
    again = run(served, *words)
    assert again.code == 2
    assert "--out" in again.err
    assert run(served, "keep", str(file)).code == 0
    assert json.loads(served.node.kept) == {"made": "for you"}
    assert "revoked" in run(served, "revoke", "abab").out


def test_showing_a_peer_tells_who_attests_what_and_what_is_refused(served: ServedNode) -> None:
    result = run(served, "show", "q7wdjo3b")
    assert result.code == 0, result.out + result.err
    assert "90.0 % of hidden items" in result.out + result.err
    assert "refused, revoked" in result.out + result.err
    assert "not in proofs.attesters" in result.out + result.err


def test_what_was_not_shown_gives_exit_code_7(served: ServedNode) -> None:
    shown = run(served, "prove", "q7wdjo3b", "memory_gib", "64", "--hidden")
    assert shown.code == 0, shown.out
    assert "range proof" in shown.out
    refused = run(served, "prove", "q7wdjo3b", "memory_gib", "128")
    assert refused.code == 7
    assert "did not show" in refused.out


def test_an_attestation_is_told_with_its_rate_and_a_false_one_refused(served: ServedNode) -> None:
    result = run(served, "attest", "q7wdjo3b", "--size", "1024", "--memory", "64")
    assert result.code == 0, result.out + result.err
    assert "at least 12.5 billion operations a second" in result.out + result.err
    assert run(served, "attest", "q7wdjo3b", "--size", "4096").code == 7
    assert run(served, "attest", "q7wdjo3b", "--size", "1000").code == 2


def test_a_skill_is_tested_and_what_was_found_is_shown_with_the_peer(served: ServedNode, tmp_path: Path) -> None:
    items = tmp_path / "items.jsonl"
    items.write_text("right")
    stands = run(served, "test", "q7wdjo3b", "risk", "--items", str(items), "--budget", ".5")
    assert stands.code == 0, stands.out + stands.err
    assert "11 of 11 items right" in stands.out
    assert "skills certify q7wdjo3b --skill risk=100%" in stands.out
    items.write_text("none")
    unsure = run(served, "test", "q7wdjo3b", "risk", "--items", str(items))
    assert unsure.code == 7
    assert "undecided: the budget is spent" in unsure.out
    shown = run(served, "show", "q7wdjo3b").out
    for said in (
        "by this node, at least 12.5 billion operations a second (asked for by itself: its machine was A and is B)",
        "at least 64 of memory_gib, as certified by aaaa2222",
        "risk stands, 11 of 11 items",
        "risk, 4 of 5 canaries right",
        "what it showed before counts no more: risk: its jobs take longer",
        "1 honeytoken",
    ):
        assert said in shown


def test_programs_are_told_of_a_peer_what_others_attest_and_what_this_node_found_out(served: ServedNode) -> None:
    view = json.loads(run(served, "show", "q7wdjo3b", "--json").out)
    assert (view["schema"], view["examined"]["schema"]) == ("coalesced.certificates/1", "coalesced.examined/1")
    assert [row["holds"] for row in view["certificates"]] == [True, False]
    examined = view["examined"]
    assert examined["tests"][0]["verdict"] == "stands"
    assert examined["canaries"] == [
        {"skill": "risk", "good": 4, "bad": 1, "unix_ms": examined["canaries"][0]["unix_ms"]}
    ]
    assert [(row["reason"], row["rate_gops"]) for row in examined["attestations"]] == [
        ("its machine was A and is B", 12.5)
    ]


def test_a_leak_names_the_sellers(served: ServedNode) -> None:
    result = Ran(served.home, "trust", "report-leak", "ABCD-EFGH-2345-67AB")
    assert result.code == 0, result.out + result.err
    assert "which was sent to q7wdjo3b" in result.out
