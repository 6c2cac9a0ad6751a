""" "At least X": what can be shown, and every way to show what is not so refused with its reason."""

import dataclasses
import hashlib
from collections.abc import Sequence

import pytest

from crypto.group import PythonGroup
from crypto.identity import Identity
from crypto.pedersen import blinding_from, commit
from crypto.ristretto import ORDER
from node.proofs import certificate as certificates
from node.proofs.atleast import Opening, Part, Question, check_range, check_tier_leaf, prove_range
from node.proofs.certificate import Terms
from node.proofs.errors import ProofError
from node.proofs.leaves import Claim, CommitmentStatement, TierStatement, decode_leaf, resource_leaves

GROUP = PythonGroup()
ISSUER, PROVER, VERIFIER = (Identity(bytes([number]) * 32) for number in (1, 2, 3))
QUESTION = Question(
    name="memory_gib",
    at_least=64,
    prover=PROVER.public_key,
    verifier=VERIFIER.public_key,
    session_hash=b"s" * 32,
    nonce=b"n" * 32,
)


class Host:
    """One certified host: its certificate, all its leaves, and its secret."""

    def __init__(self, value: int, name: str | None = None, issuer: Identity = ISSUER) -> None:
        drawn = hashlib.sha512(f"{value} {name}".encode()).digest()
        self.opening = Opening(value, blinding_from(drawn))
        point = commit(GROUP, value, self.opening.blinding)
        self.leaves = resource_leaves([Claim("memory_gib", value, point, name)], lambda n: drawn[:n])
        terms = Terms(
            subject=PROVER.public_key, network="test", issued_unix_s=0, expires_unix_s=1, serial=drawn.hex()[:32]
        )
        self.token = certificates.issue(issuer, terms, self.leaves)

    def show(self, kind: type[object], at_least: int = 0) -> Part:
        for index, leaf in enumerate(self.leaves):
            statement = decode_leaf(leaf)
            if isinstance(statement, kind) and getattr(statement, "at_least", 0) == at_least:
                return Part(self.token, certificates.read(self.token), certificates.disclose(self.leaves, index))
        raise LookupError(kind)


HOST = Host(96)


def prove(hosts: Sequence[Host], question: Question = QUESTION) -> bytes:
    return prove_range(GROUP, question, [host.token for host in hosts], [host.opening for host in hosts], bytes(32))


def check(hosts: Sequence[Host], proof: bytes, question: Question = QUESTION) -> None:
    check_range(GROUP, question, [host.show(CommitmentStatement) for host in hosts], proof)


def refused(reason: str) -> pytest.RaisesExc[ProofError]:
    return pytest.RaisesExc(ProofError, check=lambda error: error.reason == reason)


PROOF = prove([HOST])


def test_a_met_tier_is_shown_in_some_260_bytes() -> None:
    part = HOST.show(TierStatement, 64)
    check_tier_leaf(QUESTION, part)
    assert len(part.shown.leaf) + 32 * len(part.shown.path) < 320


def test_a_tier_that_is_not_met_or_not_the_one_asked_for_shows_nothing() -> None:
    with refused("below"):
        check_tier_leaf(dataclasses.replace(QUESTION, at_least=128), HOST.show(TierStatement, 128))
    with refused("bad_proof"):
        check_tier_leaf(dataclasses.replace(QUESTION, at_least=128), HOST.show(TierStatement, 64))
    with refused("bad_proof"):
        check_tier_leaf(dataclasses.replace(QUESTION, name="disk_gib"), HOST.show(TierStatement, 64))
    with refused("bad_proof"):
        check_tier_leaf(QUESTION, HOST.show(CommitmentStatement))


def test_a_range_proof_answers_its_question() -> None:
    check([HOST], PROOF)
    assert len(PROOF) == 608


@pytest.mark.parametrize(
    "change",
    [
        {"verifier": PROVER.public_key},
        {"nonce": b"m" * 32},
        {"session_hash": b"t" * 32},
        {"at_least": 128},
        {"at_least": 32},
        {"prover": VERIFIER.public_key},
    ],
    ids=["other verifier", "replayed nonce", "other session", "raised threshold", "lowered threshold", "other prover"],
)
def test_a_range_proof_answers_no_other_question(change: dict[str, object]) -> None:
    with refused("bad_proof"):
        check([HOST], PROOF, dataclasses.replace(QUESTION, **change))  # type: ignore[arg-type]  # one field each


def test_a_range_proof_is_bound_to_its_certificate() -> None:
    with refused("bad_proof"):
        check([Host(97)], PROOF)


def test_who_has_less_cannot_wrap_around() -> None:
    poor = Host(32)
    with refused("below"):
        prove([poor])
    # What a cheat would do: prove the wrapped difference, which is far outside of 32 bits, or another number.
    cheat = Opening(32 + ORDER, poor.opening.blinding)
    with refused("bad_proof"):
        prove_range(GROUP, QUESTION, [poor.token], [cheat], bytes(32))
    for value in (64, 64 + 2**31):
        forged = prove_range(GROUP, QUESTION, [poor.token], [Opening(value, poor.opening.blinding)], bytes(32))
        with refused("bad_proof"):
            check([poor], forged)


def test_hosts_add_up() -> None:
    hosts = [Host(40, "left"), Host(30, "right")]
    check(hosts, prove(hosts))
    with refused("bad_proof"):
        check(hosts[::-1], prove(hosts))
    with refused("below"):
        prove([Host(40, "left"), Host(20, "right")])


def test_a_host_does_not_count_twice() -> None:
    hosts = [Host(40, "left"), Host(40, "left")]
    with refused("bad_proof"):
        check(hosts, prove(hosts))
    again = [Host(40, "left"), Host(41, "left")]
    with refused("bad_proof"):
        check(again, prove(again))
    strangers = [Host(40, "left"), Host(30, "right", issuer=VERIFIER)]
    with refused("bad_proof"):
        check(strangers, prove(strangers))


def test_only_tiers_are_answered_and_only_by_commitments() -> None:
    with refused("not_a_tier"):
        check([HOST], PROOF, dataclasses.replace(QUESTION, at_least=65))
    with refused("bad_proof"):
        check_range(GROUP, QUESTION, [HOST.show(TierStatement, 64)], PROOF)
    with refused("malformed"):
        check_range(GROUP, QUESTION, [], PROOF)


def test_a_commitment_that_is_no_element_is_refused() -> None:
    leaves = resource_leaves([Claim("memory_gib", 96, b"\x01" + bytes(31))], bytes)
    terms = Terms(subject=PROVER.public_key, network="test", issued_unix_s=0, expires_unix_s=1, serial="0" * 32)
    token = certificates.issue(ISSUER, terms, leaves)
    part = Part(token, certificates.read(token), certificates.disclose(leaves, len(leaves) - 2))
    with refused("bad_proof"):
        check_range(GROUP, QUESTION, [part], PROOF)
