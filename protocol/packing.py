"""Values to msgpack bytes and back, with the schema checked and every length bounded."""

from typing import Any, Generic, TypeVar

import msgpack
import msgspec

from protocol.errors import LocalProtocolError, RemoteProtocolError

MAX_MESSAGE_BYTES = 16 * 2**20
"""Default limit of one message; larger inputs and results travel in parts."""
MAX_ITEMS = 4096
"""Longest list or map anywhere in a message."""

MAX_VALUES = 2**14
"""Most values in a message, keys and nested ones included; real ones have under 300. An empty list is one byte on the
wire and 64 in memory: without this, a message of 2 MiB would fill 144 MiB and hold up the event loop for 0.2 s."""
MAX_QUOTED_CHARS = 300
QUICK_BYTES = MAX_ITEMS
"""No list or map in so few bytes is longer than MAX_ITEMS, and no more than MAX_VALUES values fit."""

T = TypeVar("T")
_encode = msgspec.msgpack.Encoder().encode
_decoders: dict[object, msgspec.msgpack.Decoder[Any] | None] = {}
"""By type, what reads a struct in one go; None for other types, whose values may be anything."""


class OneOf(Generic[T]):
    """A union of structs, as `unpack` takes it: msgspec looks at all its members anew in every conversion.

    For the messages that is 20 us. Of a struct's fields it remembers what it found, so the union is made one's field.
    """

    __slots__ = ("_holder",)

    def __init__(self, union: Any) -> None:
        self._holder = msgspec.defstruct("OneOf", [("one", union)], frozen=True)

    def convert(self, plain: object) -> T:
        """The struct that `plain` stands for, checked; ValueError or TypeError."""
        held: Any = msgspec.convert({"one": plain}, self._holder, strict=True, builtin_types=(bytes,))
        one: T = held.one
        return one


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
    if len(data) > MAX_VALUES:  # fewer bytes cannot hold more values
        _check_values(data)
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
        raise RemoteProtocolError("bad_message", f"not a well-formed message: {_brief(error)}") from error


def unpack(kind: type[T] | OneOf[T], data: bytes | memoryview, max_bytes: int = MAX_MESSAGE_BYTES) -> T:
    """Decode `data` as `kind`, strictly: unknown fields, wrong types and lengths are a RemoteProtocolError."""
    if not isinstance(kind, OneOf) and len(data) <= min(QUICK_BYTES, max_bytes):
        quick = _unpacked(kind, data)
        if quick is not None:
            return quick
    plain = unpack_plain(data, max_bytes)
    try:
        if isinstance(kind, OneOf):
            return kind.convert(plain)
        return msgspec.convert(plain, kind, strict=True, builtin_types=(bytes,))
    except (ValueError, TypeError, RecursionError) as error:
        raise RemoteProtocolError("bad_message", f"not a valid message: {_brief(error)}") from error


def _unpacked(kind: type[T], data: bytes | memoryview) -> T | None:
    """The struct in `data` if it is packed as `pack` would: mostly, and in a tenth of the time. None says nothing.

    What reads differently by another decoder, such as a key that comes twice, is not packed so.
    """
    decoder = _decoders[kind] if kind in _decoders else _decoder(kind)
    if decoder is None:
        return None
    try:
        found: T = decoder.decode(data)
    except (ValueError, TypeError, RecursionError):
        return None
    return found if _encode(found) == data else None


def _decoder(kind: object) -> msgspec.msgpack.Decoder[Any] | None:
    """Made once for each type: that takes longer than a hundred small messages."""
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    _decoders[kind] = decoder = msgspec.msgpack.Decoder(kind) if is_struct else None
    return decoder


def _brief(error: Exception) -> str:
    """What the error says, without the megabytes of the peer's that it may quote: this goes into logs."""
    text = str(error)
    return text if len(text) <= MAX_QUOTED_CHARS else f"{text[:MAX_QUOTED_CHARS]}..."


def _check_values(data: bytes | memoryview) -> None:
    """RemoteProtocolError when `data` announces more than MAX_VALUES values. What else is wrong, decoding finds."""
    at, announced, seen = 0, 1, 0
    while seen < announced and at < len(data):
        head = data[at]
        seen += 1
        length_bytes, payload_bytes, items = _SHAPES[head]
        if length_bytes:
            length = int.from_bytes(data[at + 1 : at + 1 + length_bytes], "big")
            payload_bytes, items = payload_bytes + length * (items == 0), length * items
        at += 1 + length_bytes + payload_bytes
        announced += items
        if announced > MAX_VALUES:
            raise RemoteProtocolError("too_large", f"a message of more than {MAX_VALUES} values")


def _shape(head: int) -> tuple[int, int, int]:
    """Of the value that begins with this byte (msgpack specification, "Formats").

    The bytes of its length field; its payload's bytes; its items, or with a length field the items for each of it.
    """
    match head:
        case _ if 0x80 <= head <= 0x8F:
            return 0, 0, 2 * (head & 0x0F)
        case _ if 0x90 <= head <= 0x9F:
            return 0, 0, head & 0x0F
        case _ if 0xA0 <= head <= 0xBF:
            return 0, head & 0x1F, 0
        case 0xC4 | 0xD9:
            return 1, 0, 0
        case 0xC5 | 0xDA:
            return 2, 0, 0
        case 0xC6 | 0xDB:
            return 4, 0, 0
        case 0xC7 | 0xC8 | 0xC9:
            return 1 << (head - 0xC7), 1, 0
        case 0xCA | 0xCE | 0xD2:
            return 0, 4, 0
        case 0xCB | 0xCF | 0xD3:
            return 0, 8, 0
        case 0xCC | 0xD0:
            return 0, 1, 0
        case 0xCD | 0xD1:
            return 0, 2, 0
        case _ if 0xD4 <= head <= 0xD8:
            return 0, 1 + (1 << (head - 0xD4)), 0
        case 0xDC | 0xDD:
            return 2 << (head - 0xDC), 0, 1
        case 0xDE | 0xDF:
            return 2 << (head - 0xDE), 0, 2
        case _:
            return 0, 0, 0


_SHAPES = tuple(_shape(head) for head in range(256))
