"""The Merkle tree against the vectors of transparency-dev/merkle and against RFC 9162's own recursive definitions."""

import hashlib
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "merkle_rfc9162.json").read_text())
NOT_A_ROOT = "additional/sizes-are-equal-one-and-proof-is-empty"
"""Its two equal "roots" have 12 bytes: the published verifier compares any bytes, ours knows what a root is."""
LEAVES = st.lists(st.binary(max_size=4), min_size=1, max_size=40)


def raw(text: str | None) -> bytes:
    return b64decode(text or "")


def proof_of(case: dict[str, Any]) -> list[bytes]:
    return [raw(one) for one in case["proof"] or []]


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=lambda case: case["case"])
def test_an_inclusion_vector_is_judged_as_published(case: dict[str, Any]) -> None:
    found = verify_inclusion(
        raw(case["leafHash"]), case["leafIdx"], case["treeSize"], proof_of(case), raw(case["root"])
    )
    assert found is not case["wantErr"]


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=lambda case: case["case"])
def test_a_consistency_vector_is_judged_as_published(case: dict[str, Any]) -> None:
    found = verify_consistency(case["size1"], case["size2"], raw(case["root1"]), raw(case["root2"]), proof_of(case))
    assert found is not (case["wantErr"] or case["case"] == NOT_A_ROOT)


def mth(leaves: list[bytes]) -> bytes:
    """RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = max(2**power for power in range(10) if 2**power < len(leaves))
    return node_hash(mth(leaves[:split]), mth(leaves[split:]))


@given(st.lists(st.binary(max_size=4), max_size=40))
def test_the_root_is_the_recursive_one(leaves: list[bytes]) -> None:
    assert root(leaves) == mth(leaves)


@given(LEAVES, st.data())
def test_every_leaf_is_proved_and_nowhere_else(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof, top = inclusion_proof(leaves, index), root(leaves)
    for at in range(-1, len(leaves) + 1):
        same = 0 <= at < len(leaves) and leaves[at] == leaves[index] and inclusion_proof(leaves, at) == proof
        assert verify_inclusion(leaf_hash(leaves[index]), at, len(leaves), proof, top) is same
    assert not verify_inclusion(leaf_hash(leaves[index] + b"x"), index, len(leaves), proof, top)
    assert not verify_inclusion(leaf_hash(leaves[index]), index, len(leaves), [*proof, top], top)


@given(LEAVES, st.data())
def test_a_grown_tree_is_proved_and_a_changed_one_is_not(leaves: list[bytes], data: st.DataObject) -> None:
    old = data.draw(st.integers(1, len(leaves)))
    proof, top = consistency_proof(leaves, old), root(leaves)
    assert verify_consistency(old, len(leaves), root(leaves[:old]), top, proof)
    rewritten = [leaves[0] + b"x", *leaves[1:]]
    assert not verify_consistency(old, len(leaves), root(rewritten[:old]), top, proof)
    assert not verify_consistency(old, len(leaves), root(leaves[:old]), root(rewritten), proof)


@given(st.integers(-2, 70), st.integers(-2, 70), st.lists(st.binary(min_size=31, max_size=33), max_size=70))
def test_no_proof_of_any_shape_raises(one: int, two: int, proof: list[bytes]) -> None:
    assert not verify_inclusion(leaf_hash(b"a"), one, two, proof, bytes(32))
    assert not verify_consistency(one, two, leaf_hash(b"a"), bytes(32), proof)


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_a_root_of_another_size_than_32_bytes_is_refused(size: int) -> None:
    assert not verify_inclusion(leaf_hash(b"a"), 0, 1, [], bytes(size))
    assert not verify_consistency(1, 1, bytes(size), bytes(size), [])


def test_what_is_not_in_the_tree_cannot_be_asked_for() -> None:
    with pytest.raises(IndexError, match="2 leaves has no leaf 2"):
        inclusion_proof([b"a", b"b"], 2)
    with pytest.raises(IndexError, match="did not grow from one of 0"):
        consistency_proof([b"a", b"b"], 0)
