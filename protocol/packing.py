"""Values to msgpack bytes and back, with the schema checked and every length bounded."""

from typing import Any, TypeVar

import msgpack
import msgspec

from protocol.errors import LocalProtocolError, RemoteProtocolError

MAX_MESSAGE_BYTES = 16 * 2**20
"""Default limit of one message; larger inputs and results travel in parts."""
MAX_ITEMS = 4096
"""Longest list or map anywhere in a message."""

T = TypeVar("T")


def pack(value: object) -> bytes:
    """Encode a message struct or plain value; LocalProtocolError when it cannot be encoded."""
    try:
        packed = msgpack.packb(msgspec.to_builtins(value, builtin_types=(bytes,)), use_bin_type=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise LocalProtocolError(f"cannot encode a {type(value).__name__}: {error}") from error
    return bytes(packed)


def unpack_plain(data: bytes | memoryview, max_bytes: int = MAX_MESSAGE_BYTES) -> Any:
    """Decode msgpack without a schema, within the limits; RemoteProtocolError for anything else."""
    if len(data) > max_bytes:
        raise RemoteProtocolError("too_large", f"a message of {len(data)} bytes is over the limit of {max_bytes}")
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_str_len=max_bytes,
            max_bin_len=max_bytes,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise RemoteProtocolError("bad_message", f"not a well-formed message: {error}") from error


def unpack(kind: type[T], data: bytes | memoryview, max_bytes: int = MAX_MESSAGE_BYTES) -> T:
    """Decode `data` as `kind`, strictly: unknown fields, wrong types and lengths are a RemoteProtocolError."""
    plain = unpack_plain(data, max_bytes)
    try:
        return msgspec.convert(plain, kind, strict=True, builtin_types=(bytes,))
    except (ValueError, TypeError, RecursionError) as error:
        raise RemoteProtocolError("bad_message", f"not a valid message: {error}") from error
