"""Frames between the executor and a worker: a JSON header and a binary payload, both length-prefixed.

    4 bytes header length | 4 bytes payload length | header | payload          (lengths big-endian)

Standard library only: the worker loads this file by path, in any Python, without our packages.
"""

import json
import struct
from typing import IO, Any

LENGTHS = struct.Struct(">II")
MAX_HEADER_BYTES = 2**20
MAX_PAYLOAD_BYTES = 2**30
"""Inputs and results are bounded far below this by the protocol; a longer length means a corrupted stream."""

Header = dict[str, Any]


class FrameError(Exception):
    """The stream does not hold frames (any more)."""


def encode_frame(header: Header, payload: bytes = b"") -> bytes:
    """The bytes of one frame; FrameError when it is too large."""
    head = json.dumps(header, separators=(",", ":")).encode()
    _check(len(head), len(payload))
    return b"".join((LENGTHS.pack(len(head), len(payload)), head, payload))


def read_frame(stream: IO[bytes]) -> tuple[Header, bytes] | None:
    """The next frame of a blocking stream; None at its end."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head_bytes, payload_bytes = LENGTHS.unpack(lengths)
    _check(head_bytes, payload_bytes)
    head, payload = stream.read(head_bytes), stream.read(payload_bytes)
    if len(head) < head_bytes or len(payload) < payload_bytes:
        return None
    return _decode_header(head), payload


class FrameReader:
    """Frames out of chunks of any size."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[Header, bytes]]:
        """Add `data`; the frames that are complete now. FrameError when it cannot be a frame."""
        self._buffer += data
        frames = []
        while len(self._buffer) >= LENGTHS.size:
            head_bytes, payload_bytes = LENGTHS.unpack_from(self._buffer)
            _check(head_bytes, payload_bytes)
            end = LENGTHS.size + head_bytes + payload_bytes
            if len(self._buffer) < end:
                break
            middle = LENGTHS.size + head_bytes
            frames.append((_decode_header(self._buffer[LENGTHS.size : middle]), bytes(self._buffer[middle:end])))
            del self._buffer[:end]
        return frames


def _decode_header(head: bytes | bytearray) -> Header:
    try:
        header = json.loads(head)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a frame's header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise FrameError(f"a frame's header is a {type(header).__name__}, not an object")
    return header


def _check(head_bytes: int, payload_bytes: int) -> None:
    if head_bytes > MAX_HEADER_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
        raise FrameError(
            f"a frame of {head_bytes}+{payload_bytes} bytes is over the limit of {MAX_HEADER_BYTES}+{MAX_PAYLOAD_BYTES}"
        )
