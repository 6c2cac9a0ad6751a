"""WebSocket frames: what is written reads back, however it is cut, and what RFC 6455 forbids is refused."""

import asyncio
import struct

import pytest
from aiohttp import WebSocketError as AiohttpError
from aiohttp import WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.base_protocol import BaseProtocol
from hypothesis import given
from hypothesis import strategies as st

from node.net.wsframes import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    SHARED_BYTES,
    TEXT,
    CloseCode,
    FrameReader,
    WebSocketError,
    close_reason,
    encode,
    encode_close,
)

MAX_BYTES = 70_000
Message = tuple[int, bytes]


def read(data: bytes, cuts: list[int] | None = None, *, from_client: bool = True) -> tuple[list[Message], str]:
    """The messages in `data`, brought in pieces of the sizes in `cuts` and the rest; and what was wrong, if it was."""
    messages: list[Message] = []
    reader = FrameReader(
        MAX_BYTES,
        bytearray(SHARED_BYTES),
        lambda opcode, payload: messages.append((opcode, bytes(payload))),
        from_client=from_client,
    )
    sizes = iter(cuts or [])
    try:
        while data:
            room = reader.room()
            assert room, "there is always room for more"
            piece = data[: min(len(room), next(sizes, len(data)))]
            room[: len(piece)] = piece
            reader.received(len(piece))
            data = data[len(piece) :]
    except WebSocketError as error:
        return messages, str(error)
    return messages, ""


def raw(first: int, payload: bytes, *, masked: bool = True) -> bytes:
    """A frame with any first byte; the mask is of zeros."""
    size, bit = len(payload), 0x80 if masked else 0
    length = bytes([bit | size]) if size < 126 else bytes([bit | 126]) + struct.pack(">H", size)
    return bytes([first]) + length + (bytes(4) if masked else b"") + payload


def joined(opcode: int, payload: bytes, *, is_client: bool) -> bytes:
    header, body = encode(opcode, payload, is_client=is_client)
    return header + bytes(body)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, MAX_BYTES])
@pytest.mark.parametrize("is_client", [True, False])
def test_a_message_of_any_length_reads_back(size: int, is_client: bool) -> None:
    payload = bytes(number % 251 for number in range(size))
    assert read(joined(BINARY, payload, is_client=is_client), from_client=is_client) == ([(BINARY, payload)], "")


def test_the_masked_hello_of_the_rfc_reads_as_hello() -> None:
    masked = bytes.fromhex("82 85 37 fa 21 3d 7f 9f 4d 51 58".replace(" ", ""))  # section 5.7, its opcode binary
    assert read(masked) == ([(BINARY, b"Hello")], "")


def test_a_client_masks_and_its_masks_differ() -> None:
    frames = {joined(BINARY, bytes(16), is_client=True) for _ in range(8)}
    assert len(frames) == 8
    assert all(frame[1] & 0x80 for frame in frames)
    assert joined(BINARY, bytes(16), is_client=False) == b"\x82\x10" + bytes(16)


frames = st.lists(
    st.one_of(
        st.tuples(st.just(FIN | BINARY), st.binary(max_size=300)),
        st.tuples(st.sampled_from([FIN | PING, FIN | PONG]), st.binary(max_size=125)),
        st.tuples(st.integers(0, 255), st.binary(max_size=130)),
    ),
    max_size=6,
)


@given(frames, st.lists(st.integers(1, 40), max_size=60), st.booleans())
def test_how_bytes_are_cut_changes_nothing(sent: list[tuple[int, bytes]], cuts: list[int], masked: bool) -> None:
    data = b"".join(raw(first, payload, masked=masked) for first, payload in sent)
    assert read(data, cuts, from_client=masked) == read(data, from_client=masked)


@given(frames)
def test_aiohttp_reads_the_same_up_to_what_this_reader_refuses(sent: list[tuple[int, bytes]]) -> None:
    data = b"".join(raw(first, payload) for first, payload in sent)
    ours, refused = read(data)
    loop = asyncio.new_event_loop()
    queue = WebSocketDataQueue(BaseProtocol(loop), 2**20, loop=loop)
    WebSocketReader(queue, MAX_BYTES, compress=False, decode_text=False).feed_data(data)
    loop.close()
    theirs = [(int(message.type), message.data) for message, _ in queue._buffer if message.type != WSMsgType.CLOSE]
    ours = [(opcode, payload) for opcode, payload in ours if opcode != CLOSE]
    assert theirs[: len(ours)] == ours
    if isinstance(queue.exception(), AiohttpError):
        assert refused or any(first == FIN | CLOSE for first, _ in sent), "a close frame's content is aiohttp's to mind"
    elif not refused:
        assert theirs == ours


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_fragments_join_and_control_frames_may_come_between(cut: int) -> None:
    data = raw(BINARY, b"one ") + raw(FIN | PING, b"?") + raw(CONTINUATION, b"two ") + raw(FIN | CONTINUATION, b"three")
    assert read(data, [cut] * 100) == ([(PING, b"?"), (BINARY, b"one two three")], "")


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (raw(FIN | 0x40 | BINARY, b""), "reserved"),
        (raw(FIN | 3, b""), "3 is no opcode"),
        (raw(FIN | TEXT, b"hello"), "text"),
        (raw(FIN | CONTINUATION, b""), "not continued in order"),
        (raw(BINARY, b"") + raw(FIN | BINARY, b""), "not continued in order"),
        (raw(PING, b""), "control frame is fragmented"),
        (raw(FIN | CLOSE, bytes(126)), "over 125 bytes"),
        (raw(FIN | BINARY, b"", masked=False), "must mask"),
        (b"\x82\xff" + struct.pack(">Q", MAX_BYTES + 1) + bytes(4), "over the limit of 70000"),
        (b"\x82\xff" + b"\xff" * 8 + bytes(4), "over the limit"),
        (raw(BINARY, bytes(60_000)) + raw(FIN | CONTINUATION, bytes(10_001)), "over the limit"),
    ],
)
def test_what_is_not_allowed_is_refused(data: bytes, wrong: str) -> None:
    assert wrong in read(data)[1]
    assert wrong in read(data, [1] * len(data))[1], "as soon as its header is there"


def test_a_server_does_not_mask() -> None:
    assert "must not" in read(raw(FIN | BINARY, b"x"), from_client=False)[1]


@pytest.mark.parametrize("is_client", [True, False])
def test_a_close_frame_carries_its_reason_cut_to_whole_characters(is_client: bool) -> None:
    data = encode_close(CloseCode.NORMAL, "ü" * 100, is_client=is_client)
    (((opcode, payload),), _) = read(data, from_client=is_client)
    assert (opcode, payload[:2]) == (CLOSE, b"\x03\xe8")
    assert close_reason(bytearray(payload)) == "ü" * 61
