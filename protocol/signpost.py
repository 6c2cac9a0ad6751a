"""What a seller publishes at a caption that skills of its are near, for those who do not know their labels."""

from typing import Annotated

import msgspec
from msgspec import Meta

from protocol.errors import LocalProtocolError
from protocol.fields import Label, Micro
from protocol.packing import pack, unpack

MAX_BODY_BYTES = 512
"""Of a record in the DHT."""
MAX_POSTED = 6
MAX_TERMS = 6


class PostedOffer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One skill on a signpost: `[skill, caption, price hint in micro-dollars]`."""

    skill: Label
    caption: Annotated[str, Meta(max_length=120)] = ""
    price_hint_micro: Micro = 0


class Signpost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the seller is, and its skills near this place, the nearest first."""

    host: Annotated[str, Meta(min_length=1, max_length=64)]
    port: Annotated[int, Meta(ge=1, le=65535)]
    terms: Annotated[tuple[Annotated[str, Meta(max_length=64)], ...], Meta(max_length=MAX_TERMS)] = ()
    """What the seller says it has: resource terms, which clients that need one look for."""
    offers: Annotated[tuple[PostedOffer, ...], Meta(min_length=1, max_length=MAX_POSTED)]


def encode_signpost(signpost: Signpost) -> bytes:
    """Pack a signpost for the body of a DHT record; the last offers are left out where they do not fit.

    LocalProtocolError when not even the first does.
    """
    for count in range(min(len(signpost.offers), MAX_POSTED), 0, -1):
        body = pack(msgspec.structs.replace(signpost, offers=signpost.offers[:count]))
        if len(body) <= MAX_BODY_BYTES:
            return body
    raise LocalProtocolError(f"a signpost of one offer has over {MAX_BODY_BYTES} bytes: shorten the caption")


def decode_signpost(body: bytes) -> Signpost:
    """The signpost in a record's body; RemoteProtocolError when it is not one."""
    return unpack(Signpost, body, max_bytes=MAX_BODY_BYTES)
