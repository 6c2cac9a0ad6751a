"""Frames and the handshake: bytes of a stranger, before and after the channel is keyed."""

from collections.abc import Iterator

from crypto.noise import KeyPair
from node.net.wsframes import BINARY, PING, SHARED_BYTES, CloseCode, FrameReader, WebSocketError, encode, encode_close
from protocol.channel import Channel
from protocol.errors import RemoteProtocolError
from protocol.framing import FIRST_BYTES, LENGTH, frame_bytes, payload_bytes
from protocol.handshake import Initiator, Responder
from protocol.hello import Hello, check_hello, decode_hello
from tests.fuzz.target import Target, plain
from tests.harness.channels import ALICE, BOB, MALLORY, open_channels, opening

STATES = 3
MAX_PAYLOAD_BYTES = 2**20


def parse_hello(data: bytes) -> None:
    """A greeting, and whether we can talk to who sent it."""
    hello, raw, rest = decode_hello(data)
    assert raw + rest == data
    assert hello.encode() == raw
    check_hello(Hello("test"), hello, "the peer")


def parse_frame_size(data: bytes) -> None:
    """The size of a frame, taken from the bytes: known before anything is decrypted."""
    size = int.from_bytes(data[:5], "big")
    assert frame_bytes(payload_bytes(size, MAX_PAYLOAD_BYTES)) == size


def parse_handshake(data: bytes) -> None:
    """A frame in each state of the handshake; the first byte says in which."""
    state, frame = data[:1], data[1:]
    match (state or b"\0")[0] % STATES:
        case 0:
            assert Responder(opening(BOB)).read_first(frame)
        case 1:
            initiator = Initiator(opening(ALICE), BOB.public_key)
            initiator.first_frame()
            initiator.read_reply(frame)
        case _:
            responder = Responder(opening(BOB))
            responder.read_first(Initiator(opening(ALICE), BOB.public_key).first_frame())
            responder.read_last(frame)


def parse_sealed(data: bytes) -> None:
    """A frame on an open channel, as a stranger in between would send it."""
    _, theirs = open_channels(MAX_PAYLOAD_BYTES)
    theirs.open(data)


def parse_opened(data: bytes) -> None:
    """What the proven peer seals: any plaintext, of any claimed length, right after the handshake."""
    ours, theirs = open_channels(MAX_PAYLOAD_BYTES)
    if data[:1] == b"\0":
        assert theirs.open(ours.seal(data[1:])) == data[1:]
    else:
        theirs.open(sealed_plain(ours, data[1:]))


def sealed_plain(channel: Channel, plain_text: bytes) -> bytes:
    """`plain_text` sealed as it is, its length field included: what an honest `seal` never makes."""
    sealed: bytes = channel._send.encrypt(plain_text[:FIRST_BYTES])
    return sealed


def handshake_frames() -> tuple[bytes, bytes, bytes]:
    """The three frames of a real handshake."""
    initiator, responder = Initiator(opening(ALICE), BOB.public_key), Responder(opening(BOB))
    first = initiator.first_frame()
    reply = responder.read_first(first)
    return first, reply, initiator.read_reply(reply)[0]


def parse_websocket(data: bytes) -> None:
    """What comes over an upgraded connection, in reads of at most the first byte's size; from a client."""
    reader = FrameReader(2**17, bytearray(SHARED_BYTES), lambda _, payload: None, from_client=True)
    cut, data = max(1, data[0]) if data else 1, data[1:]
    while data:
        room = reader.room()
        piece = data[: min(cut, len(room))]
        room[: len(piece)] = piece
        reader.received(len(piece))
        data = data[len(piece) :]


def _websocket() -> Iterator[bytes]:
    for opcode, size in ((BINARY, 5), (BINARY, 300), (PING, 4)):
        header, payload = encode(opcode, bytes(size), is_client=True)
        yield b"\x40" + header + payload
    first, rest = b"\x02\x82" + bytes(4) + b"ab", b"\x80\x81" + bytes(4) + b"c"
    yield b"\x03" + first + rest
    yield b"\xff" + encode_close(CloseCode.NORMAL, "done", is_client=True)


def _hellos() -> Iterator[bytes]:
    for hello in (Hello("test"), Hello("test", 1, 9), Hello("other"), Hello("a" * 48), Hello("test", 7, 7)):
        yield hello.encode() + b"\x55" * 32
    yield Hello("test").encode()


def _sizes() -> Iterator[bytes]:
    for size in (20, 1000, 65_535, 65_536, 65_555, MAX_PAYLOAD_BYTES, 2**24):
        yield frame_bytes(size).to_bytes(5, "big")


def _frames() -> Iterator[bytes]:
    for state, frame in enumerate(handshake_frames()):
        yield bytes([state]) + frame
    stranger = Initiator(opening(MALLORY, ephemeral=b"e" * 32), BOB.public_key)
    yield b"\0" + stranger.first_frame()
    yield b"\1" + Responder(opening(MALLORY)).read_first(stranger.first_frame())
    yield b"\0" + Hello("other").encode() + KeyPair(b"k" * 32).public


def _sealed() -> Iterator[bytes]:
    ours, _ = open_channels()
    for payload in (b"", b"x", b"y" * 300, b"z" * 5000):
        yield bytes(ours.seal(payload))
        ours, _ = open_channels()


def _plains() -> Iterator[bytes]:
    for payload in (b"", b"x", b"y" * 200):
        yield b"\0" + payload
        yield b"\1" + LENGTH.pack(len(payload)) + payload
    yield b"\1" + LENGTH.pack(2**31) + b"short"


TARGETS = (
    Target(
        name="websocket-frames",
        form="bytes",
        opened=plain(parse_websocket),
        seeds=_websocket,
        may_raise=(WebSocketError,),
    ),
    Target(name="hello", form="bytes", opened=plain(parse_hello), seeds=_hellos, may_raise=(RemoteProtocolError,)),
    Target(
        name="frame-size", form="bytes", opened=plain(parse_frame_size), seeds=_sizes, may_raise=(RemoteProtocolError,)
    ),
    Target(
        name="handshake",
        form="bytes",
        opened=plain(parse_handshake),
        seeds=_frames,
        may_raise=(RemoteProtocolError,),
        share=0.5,
    ),
    Target(
        name="sealed-frame",
        form="bytes",
        opened=plain(parse_sealed),
        seeds=_sealed,
        may_raise=(RemoteProtocolError,),
        share=0.25,
    ),
    Target(
        name="opened-frame",
        form="bytes",
        opened=plain(parse_opened),
        seeds=_plains,
        may_raise=(RemoteProtocolError,),
        share=0.25,
    ),
)
