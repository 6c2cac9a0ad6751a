"""Sealing with a passphrase."""

import struct

import pytest

from crypto.aead import ENTROPY_BYTES, Cost, SealError, seal, unseal

CHEAP = Cost(memory_kib=8, iterations=1, lanes=1)
ENTROPY = bytes(range(ENTROPY_BYTES))


def test_what_was_sealed_opens_with_the_same_passphrase_only() -> None:
    blob = seal(b"secret", "correct horse", ENTROPY, CHEAP)
    assert b"secret" not in blob
    assert unseal(blob, "correct horse") == b"secret"
    with pytest.raises(SealError, match="passphrase"):
        unseal(blob, "Correct horse")


def test_the_default_cost_is_the_second_recommendation_of_rfc_9106() -> None:
    blob = seal(b"secret", "p", ENTROPY)
    assert struct.unpack_from(">4sIIB", blob) == (b"CSL1", 65536, 3, 4)
    assert unseal(blob, "p") == b"secret"


def test_every_changed_byte_and_every_cut_is_refused() -> None:
    blob = seal(b"secret", "p", ENTROPY, CHEAP)
    for position in range(len(blob)):
        altered = bytearray(blob)
        altered[position] ^= 0x01
        for bad in (bytes(altered), blob[:position]):
            with pytest.raises(SealError):
                unseal(bad, "p")


@pytest.mark.parametrize(
    ("memory_kib", "iterations", "lanes"), [(2**21, 1, 1), (8, 65, 1), (2048, 1, 17), (8, 1, 2), (8, 0, 1), (8, 1, 0)]
)
def test_a_blob_cannot_make_its_reader_spend_more_than_the_limits(memory_kib: int, iterations: int, lanes: int) -> None:
    blob = bytearray(seal(b"secret", "p", ENTROPY, CHEAP))
    struct.pack_into(">IIB", blob, 4, memory_kib, iterations, lanes)
    with pytest.raises(SealError, match="limits"):
        unseal(bytes(blob), "p")


def test_too_little_entropy_is_our_own_error() -> None:
    with pytest.raises(ValueError, match="28"):
        seal(b"secret", "p", b"short", CHEAP)
