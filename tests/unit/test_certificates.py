"""Certificates: what holds, and every class of forgery refused with its own reason."""

import hashlib
import itertools

import msgspec
import pytest

from crypto import merkle
from crypto.identity import Identity, did_key
from crypto.jcs import canonical
from crypto.jws import sign_compact
from node.proofs import certificate as certificates
from node.proofs.asking import WINDOW_MS, Questions
from node.proofs.certificate import Certificate, Disclosed, Terms
from node.proofs.errors import ProofError
from node.proofs.leaves import (
    Claim,
    CommitmentStatement,
    FigureStatement,
    SkillStatement,
    TierStatement,
    decode_leaf,
    resource_leaves,
    skill_leaves,
    subject_name,
)
from node.proofs.policy import check_believed, read_attesters
from node.proofs.tiers import check_tier, tiers

ISSUER, SELLER, OTHER = (Identity(bytes([number]) * 32) for number in (1, 2, 3))
NOW_S = 1_800_000_000
LEAVES = tuple(
    skill_leaves({"text/summarize": 930_000, "code/review": None}, lambda n: bytes(range(n)))
    + resource_leaves([Claim("memory_gib", 96, bytes(32))], lambda n: hashlib.sha256(b"salt").digest()[:n])
)


def terms(subject: Identity = SELLER, *, serial: str = "0" * 32, life_s: int = 86_400) -> Terms:
    return Terms(
        subject=subject.public_key,
        network="test",
        issued_unix_s=NOW_S,
        expires_unix_s=NOW_S + life_s,
        serial=serial,
    )


def issued(leaves: tuple[bytes, ...] = LEAVES) -> Certificate:
    return certificates.read(certificates.issue(ISSUER, terms(), leaves))


def refused(reason: str) -> pytest.RaisesExc[ProofError]:
    return pytest.RaisesExc(ProofError, check=lambda error: error.reason == reason)


def check(certificate: Certificate, *, subject: Identity = SELLER, network: str = "test", now_s: int = NOW_S) -> None:
    certificates.check(certificate, subject=subject.public_key, network=network, now_unix_s=now_s)


def test_a_certificate_shows_any_one_of_its_statements() -> None:
    certificate = issued()
    check(certificate)
    shown = [certificates.check_disclosed(certificate, certificates.disclose(LEAVES, at)) for at in range(len(LEAVES))]
    assert shown[0] == SkillStatement(label="code/review")
    assert shown[1] == SkillStatement(label="text/summarize", score_ppm=930_000)
    assert TierStatement(name="memory_gib", at_least=64, met=True) in shown
    assert TierStatement(name="memory_gib", at_least=128, met=False) in shown
    assert shown[-2:] == [
        CommitmentStatement(name="memory_gib", point="00" * 32),
        FigureStatement(name="memory_gib", value=96),
    ]
    assert {subject_name(one) for one in shown[2:]} == {"resource:memory_gib"}


def test_the_size_of_a_tree_tells_nothing_about_a_figure() -> None:
    sizes = {len(resource_leaves([Claim("memory_gib", figure, bytes(32))], bytes)) for figure in (0, 1, 96, 10**6)}
    assert len(sizes) == 1


def test_somebody_elses_certificate_is_refused() -> None:
    with refused("wrong_subject"):
        check(issued(), subject=OTHER)


def test_a_certificate_of_another_network_is_refused() -> None:
    with refused("wrong_network"):
        check(issued(), network="other")


def test_a_certificate_is_refused_before_and_after_its_time() -> None:
    with refused("not_yet_valid"):
        check(issued(), now_s=NOW_S - certificates.CLOCK_SKEW_S - 1)
    check(issued(), now_s=NOW_S + 86_399)
    with refused("expired"):
        check(issued(), now_s=NOW_S + 86_400)


def test_a_certificate_without_end_is_neither_issued_nor_believed() -> None:
    with refused("malformed"):
        certificates.issue(ISSUER, terms(life_s=certificates.MAX_LIFE_S + 1), LEAVES)
    plain = {
        "iss": did_key(ISSUER.public_key),
        "sub": did_key(SELLER.public_key),
        "iat": NOW_S,
        "exp": NOW_S + 2 * certificates.MAX_LIFE_S,
        "jti": "0" * 32,
        "network": "test",
        "tree": {"root": "00" * 32, "leaves": 1},
    }
    token = sign_compact(ISSUER, canonical(plain), typ=certificates.CERTIFICATE_TYP)
    with refused("malformed"):
        check(certificates.read(token))


def test_a_revoked_certificate_is_refused() -> None:
    certificate = issued()
    token = certificates.issue_revocations(ISSUER, ["f" * 32], now_unix_s=NOW_S, life_s=3600)
    certificates.check_revoked(certificate, read_list(token))
    token = certificates.issue_revocations(ISSUER, ["f" * 32, "0" * 32], now_unix_s=NOW_S, life_s=3600)
    with refused("revoked"):
        certificates.check_revoked(certificate, read_list(token))


def read_list(token: str, *, now_s: int = NOW_S) -> certificates.Revocations:
    return certificates.read_revocations(token, ISSUER.public_key, now_unix_s=now_s)


def test_a_revocation_list_of_another_or_of_yesterday_revokes_and_clears_nothing() -> None:
    with refused("bad_signature"):
        read_list(certificates.issue_revocations(OTHER, [], now_unix_s=NOW_S, life_s=3600))
    with refused("expired"):
        read_list(certificates.issue_revocations(ISSUER, [], now_unix_s=NOW_S, life_s=3600), now_s=NOW_S + 3600)
    theirs = certificates.issue_revocations(OTHER, [], now_unix_s=NOW_S, life_s=3600)
    listed = certificates.read_revocations(theirs, OTHER.public_key, now_unix_s=NOW_S)
    with refused("bad_signature"):
        certificates.check_revoked(issued(), listed)


def test_a_statement_that_the_issuer_did_not_sign_is_refused() -> None:
    certificate = issued()
    (invented,) = skill_leaves({"text/translate": 990_000}, bytes)
    place = certificates.disclose(LEAVES, 0)
    for forged in (
        Disclosed(invented, place.index, place.path),
        Disclosed(place.leaf, place.index + 1, place.path),
        Disclosed(place.leaf, place.index, place.path[:-1]),
        Disclosed(place.leaf, place.index, (*place.path, bytes(32))),
        Disclosed(place.leaf[:-1] + b"]", place.index, place.path),
    ):
        with refused("not_in_root"):
            certificates.check_disclosed(certificate, forged)


def test_a_node_of_the_tree_is_not_taken_for_a_leaf() -> None:
    """RFC 9162, 2.1.5: the tree with half as many leaves has the same upper nodes, but their number is signed."""
    certificate, place = issued(), certificates.disclose(LEAVES, 0)
    inner = merkle.leaf_hash(LEAVES[0]) + place.path[0]
    with refused("not_in_root"):
        certificates.check_disclosed(certificate, Disclosed(inner, 0, place.path[1:]))


def test_what_its_named_issuer_did_not_sign_is_refused() -> None:
    plain = msgspec.to_builtins(issued())
    with refused("bad_signature"):
        certificates.read(sign_compact(OTHER, canonical(plain), typ=certificates.CERTIFICATE_TYP))
    with refused("bad_signature"):
        certificates.read(sign_compact(ISSUER, canonical(plain), typ=certificates.REVOCATIONS_TYP))
    with refused("malformed"):
        certificates.read(sign_compact(ISSUER, canonical(plain | {"more": 1}), typ=certificates.CERTIFICATE_TYP))
    with refused("bad_signature"):
        certificates.read(certificates.issue(ISSUER, terms(), LEAVES)[:-4] + "AAAA")


def test_a_tree_may_grow_and_may_not_forget() -> None:
    older = certificates.tree_of(LEAVES)
    grown = (*LEAVES, *skill_leaves({"text/translate": None}, bytes))
    newer = certificates.read(certificates.issue(ISSUER, terms(serial="1" * 32), grown, older))
    assert newer.grown_from == older
    path = merkle.consistency_proof(grown, len(LEAVES))
    certificates.check_grown(older, newer.tree, path)
    changed = (*grown[1:], grown[0])
    with refused("not_grown"):
        certificates.issue(ISSUER, terms(), changed, older)
    forgetful = certificates.tree_of(changed)
    with refused("not_grown"):
        certificates.check_grown(older, forgetful, merkle.consistency_proof(changed, len(LEAVES)))


def test_nobody_is_believed_until_named_and_then_only_for_what_is_named() -> None:
    did = did_key(ISSUER.public_key)
    some = read_attesters((f"{did} skill:text/* resource:memory_gib",))
    check_believed(some, ISSUER.public_key, "skill:text/summarize")
    check_believed(read_attesters((did,)), ISSUER.public_key, "resource:disk_gib")
    for attesters, key, about in (
        ((), ISSUER, "skill:text/summarize"),
        (some, ISSUER, "skill:code/review"),
        (some, OTHER, "skill:text/summarize"),
    ):
        with refused("not_believed"):
            check_believed(attesters, key.public_key, about)


@pytest.mark.parametrize("line", ["someone", "did:key:z6Mk", f"{did_key(bytes(32))} text/*"])
def test_a_line_that_names_no_attester_or_nothing_to_believe_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="attesters: "):
        read_attesters((line,))


@pytest.mark.parametrize("leaf", [b"", LEAVES[0][:-1], LEAVES[0] + b" ", LEAVES[0].replace(b"skill", b"thing")])
def test_what_is_no_leaf_is_not_read(leaf: bytes) -> None:
    with refused("malformed"):
        decode_leaf(leaf)


def test_only_tiers_can_be_asked_for() -> None:
    check_tier("memory_gib", 64)
    with pytest.raises(ProofError, match="ask for 64"):
        check_tier("memory_gib", 70)
    assert all(2 * low == high for low, high in itertools.pairwise(tiers("anything")))


def test_one_asker_gets_its_share_of_questions_a_day_and_others_theirs() -> None:
    questions = Questions(per_day=2)
    questions.count(b"a", 0)
    questions.count(b"a", 1)
    with refused("too_many_questions"):
        questions.count(b"a", WINDOW_MS - 1)
    questions.count(b"b", WINDOW_MS - 1)
    questions.count(b"a", WINDOW_MS)
