"""The handshake: who gets in, and every way in which nobody does."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.identity import Identity
from crypto.noise import Handshake, KeyPair
from protocol.errors import RemoteProtocolError
from protocol.handshake import SIGNATURE_LABEL, HelloMismatchError, Initiator, Responder
from protocol.hello import Hello, decode_hello
from protocol.version import prologue
from tests.harness.channels import ALICE, BOB, MALLORY, open_channels, opening


def hello_bytes() -> int:
    return len(Hello("test").encode())


def test_both_sides_learn_each_others_identity_and_share_the_hash() -> None:
    ours, theirs = open_channels()
    assert ours.peer_key == BOB.public_key
    assert theirs.peer_key == ALICE.public_key
    assert ours.handshake_hash == theirs.handshake_hash
    assert len(ours.handshake_hash) == 32


def test_no_identity_key_travels_in_clear() -> None:
    initiator, responder = Initiator(opening(ALICE, ephemeral=b"e" * 32), BOB.public_key), Responder(opening(BOB))
    first = initiator.first_frame()
    reply = responder.read_first(first)
    last, _ = initiator.read_reply(reply)
    for frame in (first, last):
        assert ALICE.public_key not in frame
    assert BOB.public_key not in reply[hello_bytes() + 32 :]


def test_the_initiator_refuses_another_peer_before_it_reveals_itself() -> None:
    initiator, responder = Initiator(opening(ALICE), BOB.public_key), Responder(opening(MALLORY))
    with pytest.raises(RemoteProtocolError, match=r"wrong_peer: the peer is .*, not .* as expected"):
        initiator.read_reply(responder.read_first(initiator.first_frame()))


def test_a_node_that_reaches_itself_says_so() -> None:
    initiator = Initiator(opening(ALICE, ephemeral=b"e" * 32), ALICE.public_key)
    with pytest.raises(RemoteProtocolError, match="self: the peer is this node itself"):
        initiator.read_reply(Responder(opening(ALICE)).read_first(initiator.first_frame()))


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [
        (Hello("test", 1, 1), Hello("test", 2, 2), "speaks protocol 2, this node speaks 1"),
        (Hello("test", 2, 3), Hello("test", 1, 1), "speaks protocol 1, this node speaks 2 to 3"),
        (Hello("one"), Hello("two"), "is on the network 'two', this node is on 'one'"),
    ],
)
def test_a_mismatch_is_explained_on_both_sides_with_both_values(ours: Hello, theirs: Hello, text: str) -> None:
    initiator = Initiator(replace(opening(ALICE, hello=ours), peer="peer at 192.0.2.1:9000"), BOB.public_key)
    responder = Responder(opening(BOB, hello=theirs))
    with pytest.raises(HelloMismatchError) as refused:
        responder.read_first(initiator.first_frame())
    assert refused.value.code in ("wrong_version", "wrong_network")
    with pytest.raises(RemoteProtocolError, match=f"peer at 192.0.2.1:9000 {text}"):
        initiator.read_reply(refused.value.reply)


def test_overlapping_version_ranges_can_talk() -> None:
    initiator = Initiator(opening(ALICE, hello=Hello("test", 1, 2)), BOB.public_key)
    responder = Responder(opening(BOB, hello=Hello("test", 1, 1)))
    last, _ = initiator.read_reply(responder.read_first(initiator.first_frame()))
    assert responder.read_last(last).peer_key == ALICE.public_key


def test_a_hello_that_was_changed_on_the_way_breaks_the_handshake() -> None:
    """A downgrade: each side is told that the other speaks less than it does, and both would accept that."""
    initiator = Initiator(opening(ALICE, hello=Hello("test", 1, 2)), BOB.public_key)
    responder = Responder(opening(BOB, hello=Hello("test", 1, 2)))
    lowered = Hello("test", 1, 1).encode()
    first = initiator.first_frame()
    reply = responder.read_first(lowered + first[hello_bytes() :])
    for answer in (reply, lowered + reply[hello_bytes() :]):
        with pytest.raises(RemoteProtocolError, match="bad_handshake"):
            initiator.read_reply(answer)


def test_every_single_byte_change_of_a_handshake_frame_is_refused() -> None:
    initiator = Initiator(opening(ALICE), BOB.public_key)
    first = initiator.first_frame()

    def changed(frame: bytes) -> list[bytes]:
        return [
            frame[:position] + bytes([frame[position] ^ mask]) + frame[position + 1 :]
            for position in range(len(frame))
            for mask in (0x01, 0x80)
        ]

    for bad in changed(first):
        # The responder cannot tell a changed ephemeral key yet; the initiator refuses the answer to it.
        with pytest.raises(RemoteProtocolError):
            initiator.read_reply(Responder(opening(BOB)).read_first(bad))
    responder = Responder(opening(BOB))
    reply = responder.read_first(first)
    for bad in changed(reply):
        with pytest.raises(RemoteProtocolError):
            initiator.read_reply(bad)
    last, _ = initiator.read_reply(reply)
    for bad in changed(last):
        fresh = Responder(opening(BOB))
        fresh.read_first(first)
        with pytest.raises(RemoteProtocolError):
            fresh.read_last(bad)


def test_every_cut_of_a_handshake_frame_is_refused() -> None:
    initiator, responder = Initiator(opening(ALICE), BOB.public_key), Responder(opening(BOB))
    first = initiator.first_frame()
    reply = responder.read_first(first)
    last, _ = initiator.read_reply(reply)
    for cut in range(len(first)):
        with pytest.raises(RemoteProtocolError):
            Responder(opening(BOB)).read_first(first[:cut])
    for cut in range(len(reply)):
        with pytest.raises(RemoteProtocolError):
            initiator.read_reply(reply[:cut])
    for cut in range(len(last)):
        fresh = Responder(opening(BOB))
        fresh.read_first(first)
        with pytest.raises(RemoteProtocolError):
            fresh.read_last(last[:cut])


def test_our_own_frames_sent_back_are_refused() -> None:
    initiator, responder = Initiator(opening(ALICE), BOB.public_key), Responder(opening(BOB))
    first = initiator.first_frame()
    with pytest.raises(RemoteProtocolError, match="bad_handshake"):
        initiator.read_reply(first)
    reply = responder.read_first(first)
    with pytest.raises(RemoteProtocolError):
        responder.read_last(reply)


def test_a_recorded_message_3_opens_nothing_later() -> None:
    initiator, responder = Initiator(opening(ALICE), BOB.public_key), Responder(opening(BOB))
    first = initiator.first_frame()
    last, _ = initiator.read_reply(responder.read_first(first))
    later = Responder(opening(BOB, ephemeral=b"fresh" + bytes(27)))
    later.read_first(first)
    with pytest.raises(RemoteProtocolError, match="bad_handshake"):
        later.read_last(last)


def test_a_low_order_key_is_refused_in_message_1_and_in_message_2() -> None:
    first = Hello("test").encode() + bytes(32)
    with pytest.raises(RemoteProtocolError, match="low-order"):
        Responder(opening(BOB)).read_first(first)
    initiator = Initiator(opening(ALICE), BOB.public_key)
    reply = Responder(opening(BOB)).read_first(initiator.first_frame())
    with pytest.raises(RemoteProtocolError, match="low-order"):
        initiator.read_reply(reply[: hello_bytes()] + bytes(32) + reply[hello_bytes() + 32 :])


def test_a_payload_in_message_1_is_refused() -> None:
    first = Initiator(opening(ALICE), BOB.public_key).first_frame()
    with pytest.raises(RemoteProtocolError, match="payload"):
        Responder(opening(BOB)).read_first(first + b"early data")


def test_a_responder_that_only_greets_is_refused() -> None:
    initiator = Initiator(opening(ALICE), BOB.public_key)
    with pytest.raises(RemoteProtocolError, match="no handshake message"):
        initiator.read_reply(Hello("test").encode())


def forged_reply(first: bytes, static: bytes, payload: bytes) -> bytes:
    """What a responder with this static key answers whose identity payload is `payload`."""
    hello, _, message = decode_hello(first)
    ours = hello.encode()
    said = b"".join(len(part).to_bytes(2, "big") + part for part in (ours, ours))
    handshake = Handshake(
        initiator=False,
        static=KeyPair(static),
        ephemeral=KeyPair(b"f" * 32),
        prologue=prologue(hello.network) + b"\0" + said,
    )
    handshake.read_message(message)
    return ours + handshake.write_message(lambda _: payload)


def identity_payload(identity: Identity, static: bytes, *, role: bytes = b"responder") -> bytes:
    """Bob's true payload in another session: the hash that it signs is that session's."""
    seen: list[bytes] = []
    session = Handshake(initiator=False, static=KeyPair(static), ephemeral=KeyPair(b"o" * 32), prologue=b"another")
    session.read_message(
        Handshake(initiator=True, static=KeyPair(b"i" * 32), ephemeral=KeyPair(b"j" * 32), prologue=b"").write_message(
            bytes
        )
    )

    def payload(handshake_hash: bytes) -> bytes:
        signed = role + handshake_hash + session.static_public + identity.public_key
        seen.append(identity.public_key + identity.sign(SIGNATURE_LABEL, signed))
        return seen[0]

    session.write_message(payload)
    return seen[0]


@pytest.mark.parametrize(
    "static", [BOB.public_key[::-1], b"m" * 32], ids=["with the stolen static key", "with its own"]
)
def test_a_stolen_identity_payload_is_of_no_use_in_another_session(static: bytes) -> None:
    """Even to a thief of the process's static key: the signature covers the hash of the session it was made for."""
    initiator = Initiator(opening(ALICE), BOB.public_key)
    stolen = identity_payload(BOB, BOB.public_key[::-1])
    with pytest.raises(RemoteProtocolError, match="bad_identity"):
        initiator.read_reply(forged_reply(initiator.first_frame(), static, stolen))


def test_a_stolen_static_key_proves_only_the_thiefs_own_identity() -> None:
    initiator = Initiator(opening(ALICE), BOB.public_key)
    thief = Responder(opening(MALLORY, static=BOB.public_key[::-1]))
    with pytest.raises(RemoteProtocolError, match="wrong_peer"):
        initiator.read_reply(thief.read_first(initiator.first_frame()))


@pytest.mark.parametrize("payload", [b"", b"short", bytes(96), bytes(95), bytes(97), bytes(300)])
def test_an_identity_payload_of_any_other_form_is_refused(payload: bytes) -> None:
    initiator = Initiator(opening(ALICE), BOB.public_key)
    with pytest.raises(RemoteProtocolError):
        initiator.read_reply(forged_reply(initiator.first_frame(), b"m" * 32, payload))


@given(st.binary(max_size=600), st.booleans())
def test_any_first_frame_and_any_reply_is_refused(data: bytes, greeted: bool) -> None:
    frame = (Hello("test").encode() if greeted else b"") + data
    with pytest.raises(RemoteProtocolError):
        Initiator(opening(ALICE), BOB.public_key).read_reply(frame)
    if not (greeted and len(data) == 32):  # those 32 bytes would be a key like any other
        with pytest.raises(RemoteProtocolError):
            Responder(opening(BOB)).read_first(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"coalesce\0\1\0\1\4TEST",
        b"coalesce\0\1\0\1\0",
        b"coalesce\0\1\0\1\xfftest",
        b"coalesce\0\2\0\1\4test",
        b"coalesce\0\1\0\1\4t\xff\xffe",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_greeting_that_is_none_is_refused(frame: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="bad_hello"):
        decode_hello(frame)
