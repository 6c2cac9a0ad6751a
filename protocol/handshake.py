"""Opening a channel: a clear hello each way, then Noise XX, which proves both identities. Sans-IO.

    initiator -> hello ‖ message 1
    responder -> hello ‖ message 2 (its identity, sealed)
    initiator -> message 3 (its identity, sealed); from here on both may send frames

Both hellos, exactly as sent, are hashed into the prologue, so that nobody in between can change one (no downgrade).
Noise message 1 is the bare ephemeral key and does not depend on the prologue, so it travels with the initiator's hello
and a round trip is saved.

Identity payload: Ed25519 public key (32), signature (64) over role, handshake hash, static key and identity key. The
hash ties it to this very session: neither a recorded payload nor a stolen static key is of use in another one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from crypto.identity import Identity, short_id, verify
from crypto.noise import KEY_BYTES, Handshake, KeyPair, NoiseError
from protocol.channel import Channel, ReceiveBuffer
from protocol.errors import RemoteProtocolError
from protocol.hello import Hello, check_hello, decode_hello
from protocol.packing import MAX_MESSAGE_BYTES
from protocol.version import prologue

Role = Literal[b"initiator", b"responder"]
SIGNATURE_LABEL: Final = b"channel"
SIGNATURE_BYTES: Final = 64
MAX_HANDSHAKE_FRAME_BYTES: Final = 512
"""Above any frame of the handshake: 61 bytes of hello, 32 + 48 of keys, 112 of identity. Nothing longer is parsed."""


class HelloMismatchError(RemoteProtocolError):
    """The two cannot talk. `reply` is this side's hello, to be sent before closing, so that the peer learns why too."""

    def __init__(self, code: str, text: str, reply: bytes) -> None:
        super().__init__(code, text)
        self.reply = reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What both roles need. `static` is one key per process, `ephemeral` a fresh one every time.

    `peer` names the other side in error texts.
    """

    identity: Identity
    static: KeyPair
    ephemeral: KeyPair
    hello: Hello
    peer: str = "the peer"
    max_payload_bytes: int = MAX_MESSAGE_BYTES
    buffer: ReceiveBuffer | None = None


class Initiator:
    """The side that dialled. `first_frame`, then `read_reply`, which gives the last frame and the open channel."""

    def __init__(self, opening: Opening, expected_key: bytes) -> None:
        """`expected_key` is the only identity that will be accepted, and it is checked before ours is revealed."""
        self._opening = opening
        self._expected_key = expected_key
        self._hello = opening.hello.encode()

    def first_frame(self) -> bytes:
        """Our hello and message 1."""
        return self._hello + self._handshake(b"").write_message(_nothing)

    def read_reply(self, frame: bytes) -> tuple[bytes, Channel]:
        """Message 3 and the open channel; RemoteProtocolError when the peer is not the expected one."""
        opening = self._opening
        theirs, hello, message = _read_hello(frame)
        check_hello(opening.hello, theirs, opening.peer)
        if not message:
            raise RemoteProtocolError("bad_handshake", f"{opening.peer} greeted and then sent no handshake message")
        handshake = self._handshake(hello)
        handshake.write_message(_nothing)
        key = _read_identity(handshake, message, b"responder", opening)
        if key != self._expected_key:
            raise RemoteProtocolError(
                "wrong_peer",
                f"{opening.peer} is {short_id(key)}, not {short_id(self._expected_key)} as expected",
            )
        last = handshake.write_message(_prove(handshake, b"initiator", opening.identity))
        return last, _channel(handshake, key, opening)

    def _handshake(self, their_hello: bytes) -> Handshake:
        return _handshake(self._opening, initiator=True, hellos=(self._hello, their_hello))


class Responder:
    """The side that was dialled. `read_first`, whose result is sent, then `read_last`, which gives the open channel."""

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._handshake: Handshake | None = None

    def read_first(self, frame: bytes) -> bytes:
        """Our hello and message 2; HelloMismatchError, with our hello in it, when the two cannot talk."""
        opening = self._opening
        ours = opening.hello.encode()
        theirs, hello, message = _read_hello(frame)
        try:
            check_hello(opening.hello, theirs, opening.peer)
        except RemoteProtocolError as error:
            raise HelloMismatchError(error.code, error.text, ours) from error
        self._handshake = _handshake(opening, initiator=False, hellos=(hello, ours))
        try:
            payload, _ = self._handshake.read_message(message)
            if payload:
                raise NoiseError("message 1 carries a payload, which nothing protects")
            return ours + self._handshake.write_message(_prove(self._handshake, b"responder", opening.identity))
        except NoiseError as error:
            raise RemoteProtocolError("bad_handshake", f"{opening.peer}: {error}") from error

    def read_last(self, frame: bytes) -> Channel:
        """The open channel; RemoteProtocolError when message 3 proves nothing."""
        assert self._handshake is not None, "read_first comes first"
        _check_size(frame)
        key = _read_identity(self._handshake, frame, b"initiator", self._opening)
        return _channel(self._handshake, key, self._opening)


def _nothing(_: bytes) -> bytes:
    return b""


def _handshake(opening: Opening, *, initiator: bool, hellos: tuple[bytes, bytes]) -> Handshake:
    said = b"".join(len(hello).to_bytes(2, "big") + hello for hello in hellos)
    return Handshake(
        initiator=initiator,
        static=opening.static,
        ephemeral=opening.ephemeral,
        prologue=prologue(opening.hello.network) + b"\0" + said,
    )


def _check_size(frame: bytes) -> None:
    if len(frame) > MAX_HANDSHAKE_FRAME_BYTES:
        raise RemoteProtocolError(
            "bad_handshake", f"a handshake frame of {len(frame)} bytes is over the limit of {MAX_HANDSHAKE_FRAME_BYTES}"
        )


def _read_hello(frame: bytes) -> tuple[Hello, bytes, bytes]:
    _check_size(frame)
    return decode_hello(frame)


def _signed(role: Role, handshake_hash: bytes, static_public: bytes, identity_key: bytes) -> bytes:
    """What an identity payload signs. Every part has a fixed length."""
    return role + handshake_hash + static_public + identity_key


def _prove(handshake: Handshake, role: Role, identity: Identity) -> Callable[[bytes], bytes]:
    def payload(handshake_hash: bytes) -> bytes:
        signed = _signed(role, handshake_hash, handshake.static_public, identity.public_key)
        return identity.public_key + identity.sign(SIGNATURE_LABEL, signed)

    return payload


def _read_identity(handshake: Handshake, message: bytes, role: Role, opening: Opening) -> bytes:
    """The peer's proven identity key."""
    try:
        payload, handshake_hash = handshake.read_message(message)
    except NoiseError as error:
        raise RemoteProtocolError("bad_handshake", f"{opening.peer}: {error}") from error
    key, signature = payload[:KEY_BYTES], payload[KEY_BYTES:]
    static = handshake.remote_static
    assert static is not None, "messages 2 and 3 carry the static key"
    if len(signature) != SIGNATURE_BYTES or not verify(
        key, SIGNATURE_LABEL, _signed(role, handshake_hash, static, key), signature
    ):
        raise RemoteProtocolError("bad_identity", f"{opening.peer} does not prove the identity that it claims")
    if key == opening.identity.public_key:
        raise RemoteProtocolError("self", f"{opening.peer} is this node itself")
    return key


def _channel(handshake: Handshake, peer_key: bytes, opening: Opening) -> Channel:
    send, receive = handshake.split()
    return Channel(
        send,
        receive,
        peer_key=peer_key,
        handshake_hash=handshake.hash,
        max_payload_bytes=opening.max_payload_bytes,
        buffer=opening.buffer,
    )
