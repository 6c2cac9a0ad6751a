"""ristretto255 against RFC 9496, and its two implementations against each other."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.group import Group, PythonGroup, SodiumGroup
from crypto.keccak import OpensslSponge, PythonSponge, keccak_f
from crypto.merlin import Transcript
from crypto.pedersen import BASE, BLINDING_BASE, add_commitments, blinding_from, commit
from crypto.ristretto import (
    IDENTITY,
    IDENTITY_ENCODED,
    ORDER,
    RistrettoError,
    add,
    decode,
    double,
    encode,
    from_uniform,
    sqrt_ratio,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ristretto255_rfc9496.json").read_text())
PYTHON = PythonGroup()
PYTHON.keep([BASE, BLINDING_BASE])
SCALARS = st.integers(0, 2**256)


def sodium() -> Group:
    pytest.importorskip("rbcl", reason="the extra `proofs` is not installed")
    return SodiumGroup()


def test_multiples_of_the_generator_are_those_of_the_rfc() -> None:
    point = IDENTITY
    for times, expected in enumerate(map(bytes.fromhex, VECTORS["multiples"])):
        assert encode(point) == expected
        assert encode(decode(expected)) == expected
        assert PYTHON.combine([times], [BASE]) == expected
        point = add(point, decode(BASE))
    assert encode(double(decode(BASE))) == bytes.fromhex(VECTORS["multiples"][2])


@pytest.mark.parametrize("text", VECTORS["invalid"])
def test_encodings_that_the_rfc_refuses_are_refused(text: str) -> None:
    with pytest.raises(RistrettoError):
        decode(bytes.fromhex(text))


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(33)])
def test_other_lengths_are_refused(data: bytes) -> None:
    with pytest.raises(RistrettoError):
        decode(data)


@pytest.mark.parametrize(("text", "expected"), VECTORS["from_sha512"])
def test_elements_from_uniform_bytes_are_those_of_the_rfc(text: str, expected: str) -> None:
    assert encode(from_uniform(hashlib.sha512(text.encode()).digest())) == bytes.fromhex(expected)


@pytest.mark.parametrize("text", VECTORS["from_uniform_equal"]["inputs"])
def test_unlike_bytes_that_the_rfc_maps_to_one_element_are_mapped_to_it(text: str) -> None:
    assert encode(from_uniform(bytes.fromhex(text))).hex() == VECTORS["from_uniform_equal"]["output"]


@pytest.mark.parametrize(("u", "v", "was_square", "root"), VECTORS["sqrt_ratio"])
def test_square_roots_of_ratios_are_those_of_the_rfc(u: str, v: str, was_square: bool, root: str) -> None:
    numerator, denominator = (int.from_bytes(bytes.fromhex(text), "little") for text in (u, v))
    found, value = sqrt_ratio(numerator, denominator)
    assert (found, value.to_bytes(32, "little").hex()) == (was_square, root)


def test_the_order_times_the_generator_is_the_identity() -> None:
    assert PYTHON.combine([ORDER - 1, 1], [BASE, BASE]) == IDENTITY_ENCODED
    assert PYTHON.combine([], []) == IDENTITY_ENCODED


@given(SCALARS, SCALARS)
def test_prepared_points_give_what_others_give(one: int, other: int) -> None:
    points = [BASE, BLINDING_BASE]
    assert PYTHON.combine([one, other], points) == PythonGroup().combine([one, other], points)


@given(SCALARS, SCALARS, st.binary(min_size=64, max_size=64))
def test_libsodium_gives_the_same_sums(one: int, other: int, uniform: bytes) -> None:
    points = [BASE, encode(from_uniform(uniform)), IDENTITY_ENCODED]
    assert sodium().combine([one, other, 5], points) == PYTHON.combine([one, other, 5], points)


def test_libsodium_refuses_what_we_refuse() -> None:
    with pytest.raises(RistrettoError):
        sodium().combine([0], [bytes.fromhex(VECTORS["invalid"][0])])
    assert sodium().combine([1, ORDER - 1, 0], [BASE, BASE, BASE]) == IDENTITY_ENCODED


@given(st.lists(st.tuples(st.integers(0, 2**31), SCALARS), min_size=1, max_size=3), st.integers(0, 2**31))
def test_commitments_add_up_as_what_they_commit_to(parts: list[tuple[int, int]], minus: int) -> None:
    total = add_commitments(PYTHON, [commit(PYTHON, value, blinding) for value, blinding in parts], minus)
    value, blinding = (sum(column) for column in zip(*parts, strict=True))
    assert total == commit(PYTHON, value - minus, blinding)


def test_a_blinding_is_made_of_64_bytes() -> None:
    assert blinding_from(bytes([255]) * 64) < ORDER
    with pytest.raises(ValueError, match="64 random bytes"):
        blinding_from(bytes(32))


def test_the_permutation_is_the_one_under_sha3() -> None:
    """One block: SHA3-256 of nothing (FIPS 202)."""
    block = bytearray(200)
    block[0], block[135] = 0x06, 0x80
    assert keccak_f(block)[:32] == hashlib.sha3_256(b"").digest()


def test_a_transcript_draws_what_merlin_draws() -> None:
    """Merlin's own test, `equivalence_simple`."""
    transcript = Transcript(b"test protocol")
    transcript.append(b"some label", b"some data")
    expected = "d5a21972d0d5fe320c0d263fac7fffb8145aa640af6e9bca177c03c7efcf0615"
    assert transcript.challenge(b"challenge", 32).hex() == expected


@given(st.lists(st.binary(max_size=167), min_size=1, max_size=4))
def test_the_sponge_of_hashlib_and_the_one_in_plain_python_give_the_same(said: list[bytes]) -> None:
    try:
        openssl = OpensslSponge()
    except ValueError:
        pytest.skip("hashlib was built without this sponge")
    python = PythonSponge()
    for sponge in (openssl, python):
        sponge.begin(bytes(range(168)))
    assert [openssl.step(data) for data in said] == [python.step(data) for data in said]


def test_a_transcript_in_plain_python_draws_the_same() -> None:
    drawn = []
    for sponge in (None, PythonSponge()):
        transcript = Transcript(b"test", sponge)
        transcript.append(b"much", bytes(range(256)) * 3)
        drawn.append((transcript.challenge(b"one", 400), transcript.challenge(b"two", 32)))
    assert drawn[0] == drawn[1]


@given(st.binary(max_size=700), st.integers(1, 400))
def test_a_challenge_depends_on_all_that_was_said(message: bytes, size: int) -> None:
    drawn = []
    for said in (message, message, message + b"\0"):
        transcript = Transcript(b"test")
        transcript.append(b"message", said)
        drawn.append(transcript.challenge(b"challenge", size + 16))
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == size + 16
