"""Range proofs: dalek's published ones, our own, and whatever is changed about them."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import bulletproofs
from crypto.bulletproofs import RangeProofError, prove, verify
from crypto.group import Group, PythonGroup, SodiumGroup, fastest_group
from crypto.merlin import Transcript
from crypto.pedersen import commit
from crypto.ristretto import IDENTITY_ENCODED, ORDER

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "bulletproofs_dalek.json").read_text())
CASES = [(8 << i, 1 << j, bytes.fromhex(VECTORS["proofs"][i][j])) for i in range(4) for j in range(4)]
COMMITMENTS = [bytes.fromhex(text) for text in VECTORS["commitments"]]
PYTHON = PythonGroup()
BLINDING = 2**200 + 1
VALUE = 96


def made(value: int = VALUE, *, bits: int = 32, group: Group = PYTHON) -> bytes:
    return prove(group, Transcript(b"test"), value, BLINDING, bits=bits, entropy=bytes(32))


def holds(proof: bytes, commitment: bytes, *, label: bytes = b"test", group: Group = PYTHON, bits: int = 32) -> bool:
    try:
        verify(group, Transcript(label), [commitment], proof, bits=bits)
    except RangeProofError:
        return False
    return True


PROOF, COMMITMENT = made(), commit(PYTHON, VALUE, BLINDING)


@pytest.mark.parametrize(("bits", "count", "proof"), CASES, ids=[f"{bits}x{count}" for bits, count, _ in CASES])
def test_every_published_proof_verifies(bits: int, count: int, proof: bytes) -> None:
    label = VECTORS["transcript_label"].encode()
    verify(fastest_group(), Transcript(label), COMMITMENTS[:count], proof, bits=bits)
    with pytest.raises(RangeProofError):
        verify(fastest_group(), Transcript(b"another"), COMMITMENTS[:count], proof, bits=bits)


@pytest.mark.parametrize(
    ("bits", "count", "proof"),
    [
        pytest.param(*case, id=f"{case[0]}x{case[1]}", marks=() if case[0] * case[1] <= 64 else pytest.mark.long)
        for case in CASES
    ],
)
def test_every_published_proof_verifies_in_plain_python(bits: int, count: int, proof: bytes) -> None:
    verify(PYTHON, Transcript(VECTORS["transcript_label"].encode()), COMMITMENTS[:count], proof, bits=bits)


@pytest.mark.parametrize("bits", bulletproofs.BITS)
def test_the_ends_of_the_range_can_be_proved_and_what_is_outside_cannot(bits: int) -> None:
    for value in (0, (1 << bits) - 1):
        assert holds(made(value, bits=bits), commit(PYTHON, value, BLINDING), bits=bits)
    for value in (-1, 1 << bits, ORDER - 1):
        with pytest.raises(RangeProofError, match="no proof of that"):
            made(value, bits=bits)


def test_a_proof_has_608_bytes_and_holds_for_its_commitment_and_transcript_alone() -> None:
    assert len(PROOF) == bulletproofs.proof_bytes(32) == 608
    assert holds(PROOF, COMMITMENT)
    assert not holds(PROOF, COMMITMENT, label=b"other")
    assert not holds(PROOF, commit(PYTHON, VALUE + 1, BLINDING))
    assert not holds(PROOF, commit(PYTHON, VALUE - ORDER + 2**32, BLINDING))
    assert not holds(PROOF, bytes.fromhex("01" + "00" * 31))


def test_libsodium_makes_the_same_proof_and_refuses_the_same() -> None:
    pytest.importorskip("rbcl", reason="the extra `proofs` is not installed")
    sodium = SodiumGroup()
    assert made(group=sodium) == PROOF
    assert holds(PROOF, COMMITMENT, group=sodium)
    assert not holds(PROOF, COMMITMENT, label=b"other", group=sodium)
    assert commit(sodium, VALUE, BLINDING) == COMMITMENT


@settings(max_examples=60)
@given(st.integers(0, len(PROOF) - 1), st.integers(1, 255))
def test_a_proof_with_any_byte_changed_is_refused(at: int, difference: int) -> None:
    changed = bytearray(PROOF)
    changed[at] ^= difference
    assert not holds(bytes(changed), COMMITMENT, group=fastest_group())


@settings(max_examples=30)
@given(st.binary(max_size=1300))
def test_any_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    assert not holds(data, COMMITMENT)


def test_second_spellings_and_empty_parts_are_refused() -> None:
    for at in (4, 5, 6, 17, 18):  # the scalars
        number = int.from_bytes(PROOF[32 * at : 32 * at + 32], "little") + ORDER
        assert not holds(PROOF[: 32 * at] + number.to_bytes(32, "little") + PROOF[32 * at + 32 :], COMMITMENT)
    for at in (0, 1, 2, 3, 7, 16):  # the points
        assert not holds(PROOF[: 32 * at] + IDENTITY_ENCODED + PROOF[32 * at + 32 :], COMMITMENT)
    assert not holds(PROOF[:-32], COMMITMENT)


@pytest.mark.parametrize(("bits", "count"), [(7, 1), (32, 3), (32, 0), (128, 1)])
def test_shapes_that_are_not_dealt_in_are_refused(bits: int, count: int) -> None:
    with pytest.raises(RangeProofError, match="range proofs are of"):
        verify(PYTHON, Transcript(b"test"), [COMMITMENT] * count, PROOF, bits=bits)


def test_a_proof_without_its_entropy_is_not_made() -> None:
    with pytest.raises(ValueError, match="32 random bytes"):
        prove(PYTHON, Transcript(b"test"), 1, 1, bits=8, entropy=b"")
