"""Handshakes and open channels without any transport, with fixed keys, so that every run is the same."""

from crypto.identity import Identity
from crypto.noise import KeyPair
from protocol.channel import Channel
from protocol.handshake import Initiator, Opening, Responder
from protocol.hello import Hello
from protocol.packing import MAX_MESSAGE_BYTES

ALICE, BOB, MALLORY = (Identity(bytes([number]) * 32) for number in (1, 2, 3))


def opening(
    identity: Identity,
    *,
    static: bytes = b"",
    ephemeral: bytes = b"",
    hello: Hello | None = None,
    max_payload_bytes: int = MAX_MESSAGE_BYTES,
) -> Opening:
    """An Opening whose secrets follow from the identity, unless given."""
    return Opening(
        identity=identity,
        static=KeyPair(static or identity.public_key[::-1]),
        ephemeral=KeyPair(ephemeral or identity.public_key),
        hello=hello or Hello("test"),
        max_payload_bytes=max_payload_bytes,
    )


def open_channels(max_payload_bytes: int = MAX_MESSAGE_BYTES) -> tuple[Channel, Channel]:
    """Alice's channel to Bob, and Bob's to Alice."""
    initiator = Initiator(opening(ALICE, max_payload_bytes=max_payload_bytes), BOB.public_key)
    responder = Responder(opening(BOB, max_payload_bytes=max_payload_bytes))
    last, channel = initiator.read_reply(responder.read_first(initiator.first_frame()))
    return channel, responder.read_last(last)
