"""What travels in a frame's payload: envelopes, each preceded by its length (4 bytes, big-endian).

Small envelopes that wait together share a frame, which spares a seal, a header and a system call for each.

Ids count up from 1 in each direction. Request, Cancel and Credit carry the id of a request of their sender;
Event, Response and Error that of a request of their receiver.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Millis, Name, ShortText
from protocol.messages import AnyMessage, LedgerBatch, Message
from protocol.packing import MAX_MESSAGE_BYTES, OneOf, pack, unpack

RequestId = Annotated[int, Meta(ge=1, le=2**53)]
Bytes = Annotated[int, Meta(ge=0, le=2**30)]
MAX_ENVELOPES: Final = 256
"""Most envelopes in one frame: bounds what one frame can make the receiver do."""
LENGTH: Final = struct.Struct(">I")


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="e"):
    pass


class Request(_Envelope, frozen=True, kw_only=True, tag="request"):
    """A question. `deadline_ms` is the time that the answer may take from now; no clock of the other side is assumed.

    `window_bytes` is how much of events may come before Credit is given; 0 asks for no events at all.
    """

    id: RequestId
    deadline_ms: Millis
    window_bytes: Bytes = 0
    body: AnyMessage


class Event(_Envelope, frozen=True, kw_only=True, tag="event"):
    """Something that happened on the way to the answer."""

    id: RequestId
    body: AnyMessage


class Response(_Envelope, frozen=True, kw_only=True, tag="response"):
    """The final answer."""

    id: RequestId
    body: AnyMessage


class Error(_Envelope, frozen=True, kw_only=True, tag="error"):
    """There will be no answer, and why. `code` is busy, deadline, internal, or a handler's own."""

    id: RequestId
    code: Name
    text: ShortText


class Cancel(_Envelope, frozen=True, kw_only=True, tag="cancel"):
    """The answer is no longer wanted."""

    id: RequestId


class Credit(_Envelope, frozen=True, kw_only=True, tag="credit"):
    """The asker has consumed events: this much more of them may come."""

    id: RequestId
    bytes: Bytes


class Notice(_Envelope, frozen=True, kw_only=True, tag="notice"):
    """Something that needs no answer. May be dropped by who has no room for it."""

    body: LedgerBatch


class KeepAlive(_Envelope, frozen=True, kw_only=True, tag="keep_alive"):
    """Are you still there?"""


class KeepAliveReply(_Envelope, frozen=True, kw_only=True, tag="keep_alive_reply"):
    """Yes."""


class Goodbye(_Envelope, frozen=True, kw_only=True, tag="goodbye"):
    """No more requests from me, and send me none; what is under way may finish."""

    reason: ShortText


Envelope = Request | Event | Response | Error | Cancel | Credit | Notice | KeepAlive | KeepAliveReply | Goodbye
_ENVELOPES: Final[OneOf[Envelope]] = OneOf(Envelope)
_MESSAGES: Final[OneOf[AnyMessage]] = OneOf(AnyMessage)


def encode_envelope(envelope: Envelope) -> bytes:
    """The envelope's bytes, its length included; LocalProtocolError when it cannot be sent."""
    packed = pack(envelope)
    return LENGTH.pack(len(packed)) + packed


def checked_body(body: Message) -> AnyMessage:
    """`body`, if the peer's schema will take it; LocalProtocolError otherwise.

    msgspec checks bounds on decoding only. Without this, an over-long text of ours would be found by the peer, which
    would close the session and charge us with it.
    """
    try:
        return _MESSAGES.convert(msgspec.to_builtins(body, builtin_types=(bytes,)))
    except (ValueError, TypeError) as error:
        raise LocalProtocolError(f"this {type(body).__name__} is not fit to send: {error}") from error


def join(encoded: Sequence[bytes]) -> bytes:
    """One payload from encoded envelopes; at most MAX_ENVELOPES of them."""
    if not 1 <= len(encoded) <= MAX_ENVELOPES:
        raise LocalProtocolError(f"a frame carries 1 to {MAX_ENVELOPES} envelopes, not {len(encoded)}")
    return b"".join(encoded)


def decode_envelopes(payload: bytes | memoryview, max_bytes: int = MAX_MESSAGE_BYTES) -> Iterator[tuple[Envelope, int]]:
    """Each envelope in `payload` with its size in bytes; RemoteProtocolError at the first that is not right."""
    view, count = memoryview(payload), 0
    if not view:
        raise RemoteProtocolError("bad_message", "a frame carries no envelope")
    while view:
        count += 1
        if count > MAX_ENVELOPES:
            raise RemoteProtocolError("bad_message", f"a frame carries more than {MAX_ENVELOPES} envelopes")
        size = LENGTH.unpack_from(view)[0] if len(view) >= LENGTH.size else len(view)
        end = LENGTH.size + size
        if end > len(view):
            raise RemoteProtocolError("bad_message", "an envelope is cut short")
        # msgpack copies every byte string out of the view, so nothing decoded refers to the receive buffer.
        yield unpack(_ENVELOPES, view[LENGTH.size : end], max_bytes), end
        view = view[end:]
