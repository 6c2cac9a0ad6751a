"""Noise XX against the public vector, and what one good run does not show."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.noise import MAX_NONCE, CipherState, Handshake, KeyPair, NoiseError, NonceExhaustedError

VECTOR = Path(__file__).parents[1] / "vectors" / "noise_xx_25519_aesgcm_sha256.json"
LOW_ORDER_POINTS = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),  # p - 1
    (2**255 - 19).to_bytes(32, "little"),  # p, which is 0 again
    (2**255 - 18).to_bytes(32, "little"),  # p + 1
]
"""RFC 7748, 6.1: an implementation may refuse these; ours must. List: https://cr.yp.to/ecdh.html, "validate"."""


def vector() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(VECTOR.read_text())
    return loaded


def pair(prologues: tuple[bytes, bytes] = (b"", b"")) -> tuple[Handshake, Handshake]:
    return (
        Handshake(initiator=True, static=KeyPair(b"\1" * 32), ephemeral=KeyPair(b"\2" * 32), prologue=prologues[0]),
        Handshake(initiator=False, static=KeyPair(b"\3" * 32), ephemeral=KeyPair(b"\4" * 32), prologue=prologues[1]),
    )


def nothing(_: bytes) -> bytes:
    return b""


def finished() -> tuple[Handshake, Handshake]:
    one, other = pair()
    for writer, reader in [(one, other), (other, one), (one, other)]:
        reader.read_message(writer.write_message(nothing))
    return one, other


def test_the_cacophony_vector_is_met_byte_for_byte() -> None:
    given = vector()
    raw = {name: bytes.fromhex(value) for name, value in given.items() if name not in ("messages", "protocol_name")}
    messages = [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in given["messages"]]
    initiator, responder = (
        Handshake(
            initiator=side == "init",
            static=KeyPair(raw[f"{side}_static"]),
            ephemeral=KeyPair(raw[f"{side}_ephemeral"]),
            prologue=raw[f"{side}_prologue"],
        )
        for side in ("init", "resp")
    )
    turns = [(initiator, responder), (responder, initiator), (initiator, responder)]
    for (writer, reader), (payload, expected) in zip(turns, messages, strict=False):
        message = writer.write_message(lambda _, payload=payload: payload)  # type: ignore[misc]
        assert message == expected
        assert reader.read_message(message)[0] == payload
    assert initiator.hash == responder.hash == raw["handshake_hash"]
    ours, theirs = initiator.split(), responder.split()
    for number, (payload, expected) in enumerate(messages[3:]):
        sender, receiver = (theirs[0], ours[1]) if number % 2 == 0 else (ours[0], theirs[1])
        assert sender.encrypt(payload) == expected
        assert receiver.decrypt(expected) == payload


def test_both_sides_see_the_same_hash_in_front_of_every_payload() -> None:
    one, other = pair()
    for writer, reader in [(one, other), (other, one), (one, other)]:
        seen: list[bytes] = []
        message = writer.write_message(lambda handshake_hash, seen=seen: seen.append(handshake_hash) or b"x")  # type: ignore[misc]
        assert reader.read_message(message) == (b"x", seen[0])


def test_a_different_prologue_makes_message_2_fail() -> None:
    one, other = pair((b"v1", b"v2"))
    other.read_message(one.write_message(nothing))
    with pytest.raises(NoiseError):
        one.read_message(other.write_message(nothing))


@pytest.mark.parametrize("point", LOW_ORDER_POINTS, ids=lambda point: point.hex()[:8])
def test_a_low_order_ephemeral_key_is_refused(point: bytes) -> None:
    _, other = pair()
    other.read_message(point)
    with pytest.raises(NoiseError, match="low-order"):
        other.write_message(nothing)


def test_every_single_byte_change_and_every_cut_of_messages_2_and_3_is_refused() -> None:
    one, other = pair()
    first = one.write_message(nothing)
    other.read_message(first)
    second = other.write_message(lambda _: b"payload")

    def initiator() -> Handshake:
        fresh = pair()[0]
        fresh.write_message(nothing)
        return fresh

    def responder() -> Handshake:
        fresh = pair()[1]
        fresh.read_message(first)
        fresh.write_message(lambda _: b"payload")
        return fresh

    one.read_message(second)
    third = one.write_message(lambda _: b"payload")
    for make, message in ((initiator, second), (responder, third)):
        for position in range(len(message)):
            # 0x80 too: the top bit of an X25519 key is not part of the point, yet its change is seen in the hash.
            flips = [
                message[:position] + bytes([message[position] ^ bit]) + message[position + 1 :] for bit in (1, 128)
            ]
            for bad in (*flips, message[:position]):
                with pytest.raises(NoiseError):
                    make().read_message(bad)


def test_messages_out_of_turn_are_our_own_error() -> None:
    one, other = pair()
    with pytest.raises(ValueError, match="not this side's to write"):
        other.write_message(nothing)
    with pytest.raises(ValueError, match="not this side's to read"):
        one.read_message(b"")
    with pytest.raises(ValueError, match="cannot be split"):
        one.split()
    done, _ = finished()
    with pytest.raises(ValueError, match="message 4"):
        done.write_message(nothing)


def test_a_handshake_message_has_at_most_65535_bytes() -> None:
    one, other = pair()
    with pytest.raises(ValueError, match="65535"):
        one.write_message(lambda _: bytes(65535))
    with pytest.raises(NoiseError, match="65535"):
        other.read_message(bytes(65536))


def test_the_two_directions_have_different_keys() -> None:
    (send, receive), _ = (side.split() for side in finished())
    with pytest.raises(NoiseError):
        receive.decrypt(send.encrypt(b"reflected"))


def test_the_last_nonce_is_never_used() -> None:
    cipher = CipherState(bytes(32), nonce=MAX_NONCE - 1)
    cipher.encrypt(b"the last one")
    with pytest.raises(NonceExhaustedError):
        cipher.encrypt(b"one too many")
    with pytest.raises(NonceExhaustedError):
        cipher.encrypt_into(b"one too many", memoryview(bytearray(28)))
    with pytest.raises(NonceExhaustedError):
        cipher.decrypt(bytes(16))
    with pytest.raises(NonceExhaustedError):
        cipher.decrypt_into(bytes(16), memoryview(bytearray(0)))


def test_rekey_is_the_encryption_of_zeros_under_the_last_nonce_and_keeps_the_counter() -> None:
    key = bytes(range(32))
    cipher = CipherState(key, nonce=7)
    cipher.rekey()
    fresh = AESGCM(key).encrypt(b"\0" * 4 + b"\xff" * 8, bytes(32), b"")[:32]
    assert cipher.nonce == 7
    assert cipher.encrypt(b"after") == AESGCM(fresh).encrypt((7).to_bytes(12, "big"), b"after", b"")


def test_a_failed_decryption_leaves_the_counter() -> None:
    sender, receiver = CipherState(bytes(32)), CipherState(bytes(32))
    good = sender.encrypt(b"x")
    with pytest.raises(NoiseError):
        receiver.decrypt(bytes(17))
    assert receiver.decrypt(good) == b"x"


def test_sealing_into_a_buffer_gives_the_same_bytes() -> None:
    plain, one, other = bytes(range(100)), CipherState(bytes(32)), CipherState(bytes(32))
    out, back = bytearray(116), bytearray(100)
    one.encrypt_into(plain, memoryview(out))
    assert bytes(out) == other.encrypt(plain)
    CipherState(bytes(32)).decrypt_into(out, memoryview(back))
    assert bytes(back) == plain
