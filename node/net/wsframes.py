"""WebSocket frames (RFC 6455, sections 5 to 7), sans-IO: what a connection carries once HTTP has upgraded it.

Only what the channel needs: binary messages without extensions, whole or in fragments, and control frames. aiohttp has
all of this too, around a queue that costs a small message more than sealing it does; its mask, in C, is used here.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from random import getrandbits
from typing import Final

from aiohttp._websocket.helpers import websocket_mask

FIN: Final = 0x80
RESERVED: Final = 0x70
OPCODE: Final = 0x0F
MASKED: Final = 0x80
LENGTH: Final = 0x7F
MAX_CONTROL_BYTES: Final = 125
MASK_BYTES: Final = 4
SHARED_BYTES: Final = 2**18
"""Room for what one read of a socket gives: as much as asyncio reads at once."""

_HEAD_2 = struct.Struct(">BB")
_HEAD_4 = struct.Struct(">BBH")
_HEAD_10 = struct.Struct(">BBQ")
_LENGTH_2 = struct.Struct(">H")
_LENGTH_8 = struct.Struct(">Q")
_CODE = struct.Struct(">H")


# Opcodes (section 5.2); any other is refused. Plain numbers: an enum's look-up is a tenth of reading a small message.
CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

WHOLE: Final = FIN | BINARY
"""The first byte of nearly every frame."""

Take = Callable[[int, bytearray], None]
"""Takes BINARY and a message, or the opcode of a control frame and its payload."""


class CloseCode(IntEnum):
    """Section 7.4.1."""

    NORMAL = 1000
    PROTOCOL_ERROR = 1002
    UNSUPPORTED = 1003
    TOO_BIG = 1009


class WebSocketError(Exception):
    """The peer broke RFC 6455 or a limit of ours; `code` is what a close frame tells it."""

    def __init__(self, code: CloseCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def encode(opcode: int, payload: bytes | bytearray, *, is_client: bool) -> tuple[bytes, bytes | bytearray]:
    """One unfragmented frame: its header, and its payload as it goes out.

    A client masks (section 5.3), a bytearray in place. The mask hides what an attacker chose from proxies; sealed bytes
    nobody can choose, so an ordinary random number does.
    """
    size, first, bit = len(payload), FIN | opcode, MASKED if is_client else 0
    if size <= MAX_CONTROL_BYTES:
        header = _HEAD_2.pack(first, bit | size)
    elif size < 2**16:
        header = _HEAD_4.pack(first, bit | 126, size)
    else:
        header = _HEAD_10.pack(first, bit | 127, size)
    if not is_client:
        return header, payload
    mask = getrandbits(32).to_bytes(MASK_BYTES, "big")
    masked = payload if isinstance(payload, bytearray) else bytearray(payload)
    websocket_mask(mask, masked)
    return header + mask, masked


def encode_close(code: CloseCode, reason: str, *, is_client: bool) -> bytes:
    """A close frame; the reason is cut to what a control frame carries."""
    room = MAX_CONTROL_BYTES - _CODE.size
    text = reason.encode()[:room].decode(errors="ignore").encode()
    return b"".join(encode(CLOSE, _CODE.pack(code) + text, is_client=is_client))


def close_reason(payload: bytearray) -> str:
    """What the peer says in its close frame, for people."""
    return payload[_CODE.size :].decode(errors="replace")


@dataclass(slots=True)
class _Partial:
    """A frame whose payload has arrived in part: `memory` has its full size."""

    first: int  # the header's first byte
    mask: bytes
    memory: bytearray
    filled: int


class FrameReader:
    """Bytes in, messages out. The caller writes what arrives into `room`, then says how much with `received`.

    One read's worth of memory is shared by all readers of a thread, so an idle connection holds none. A payload that
    comes in parts gets memory of its own, which what follows is written to without a copy.
    """

    __slots__ = ("_fragments", "_from_client", "_head", "_max_bytes", "_partial", "_room", "_shared", "_take")

    def __init__(self, max_bytes: int, shared: bytearray, take: Take, *, from_client: bool) -> None:
        """`max_bytes` limits a message; `shared` has SHARED_BYTES; a client's frames must be masked, others not."""
        self._max_bytes = max_bytes
        self._take = take
        self._shared = shared
        self._room = memoryview(shared)
        self._from_client = from_client
        self._head = b""  # the start of a frame whose header is not whole
        self._partial: _Partial | None = None
        self._fragments: bytearray | None = None  # of a message whose last fragment has not come

    def room(self) -> memoryview:
        """Where the next bytes belong; good until `received`, which must follow before any other reader's `room`."""
        if self._partial is not None:
            return memoryview(self._partial.memory)[self._partial.filled :]
        if not self._head:
            return self._room
        kept = len(self._head)
        self._shared[:kept] = self._head
        return self._room[kept:]

    def received(self, count: int) -> None:
        """Hand on the messages that `count` more bytes complete; WebSocketError at the first that is not allowed."""
        partial = self._partial
        if partial is not None:
            partial.filled += count
            if partial.filled == len(partial.memory):
                self._partial = None
                self._complete(partial.first, partial.mask, partial.memory)
            return
        shared, at, end = self._shared, 0, len(self._head) + count
        while (header := self._header(at, end)) is not None:
            first, start, size = header
            mask = bytes(shared[start - MASK_BYTES : start]) if self._from_client else b""
            at = start + size
            if at > end:
                memory = bytearray(size)
                memory[: end - start] = self._room[start:end]
                self._partial = _Partial(first, mask, memory, end - start)
                self._head = b""
                return
            self._complete(first, mask, shared[start:at])
            if at == end:
                self._head = b""
                return
        self._head = bytes(shared[at:end])

    def _header(self, at: int, end: int) -> tuple[int, int, int] | None:
        """The first byte, where the payload starts, its size; None when the header is not whole."""
        start = at + _HEAD_2.size
        if start > end:
            return None
        shared = self._shared
        first, second = shared[at], shared[at + 1]
        size = second & LENGTH
        if size > MAX_CONTROL_BYTES:
            length = _LENGTH_2 if size == MAX_CONTROL_BYTES + 1 else _LENGTH_8
            if start + length.size > end:
                return None
            (size,) = length.unpack_from(shared, start)
            start += length.size
        if self._from_client:
            start += MASK_BYTES
        if (second >= MASKED) is not self._from_client:
            raise WebSocketError(CloseCode.PROTOCOL_ERROR, "a client must mask its frames, and a server must not")
        if first == WHOLE and self._fragments is None:
            self._check_size(size)
        else:
            self._check_rare(first, size)
        return (first, start, size) if start <= end else None

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise WebSocketError(CloseCode.TOO_BIG, f"a message of {size} bytes is over the limit of {self._max_bytes}")

    def _check_rare(self, first: int, size: int) -> None:
        """The header of anything but a whole binary message."""
        is_last, opcode = bool(first & FIN), first & OPCODE
        if first & RESERVED:
            raise WebSocketError(CloseCode.PROTOCOL_ERROR, "a frame has reserved bits set")
        if opcode in (BINARY, CONTINUATION):
            if (opcode == CONTINUATION) != (self._fragments is not None):
                raise WebSocketError(CloseCode.PROTOCOL_ERROR, "a message in fragments is not continued in order")
            self._check_size(size + len(self._fragments or b""))
        elif opcode == TEXT:
            raise WebSocketError(CloseCode.UNSUPPORTED, "the peer sent text, where only binary messages are allowed")
        elif opcode not in (CLOSE, PING, PONG):
            raise WebSocketError(CloseCode.PROTOCOL_ERROR, f"{opcode} is no opcode")
        elif not is_last or size > MAX_CONTROL_BYTES:
            raise WebSocketError(CloseCode.PROTOCOL_ERROR, "a control frame is fragmented or over 125 bytes")

    def _complete(self, first: int, mask: bytes, payload: bytearray) -> None:
        """A frame is there; hand on what it completes, if it does."""
        if mask:
            websocket_mask(mask, payload)
        if first == WHOLE:
            self._take(BINARY, payload)
            return
        opcode = first & OPCODE
        if opcode not in (BINARY, CONTINUATION):
            self._take(opcode, payload)
            return
        if self._fragments is None:
            self._fragments = bytearray()
        self._fragments += payload
        if first & FIN:
            message, self._fragments = self._fragments, None
            self._take(BINARY, message)
