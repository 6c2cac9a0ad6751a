"""What an arbiter is shown in a dispute: the seller's signed quote and result with the content that they bind."""

from typing import Annotated

import msgspec
from msgspec import Meta

from crypto.hashing import tagged_hash
from node.outsource.settlement.adapter import Exhibit
from node.outsource.settlement.deals import deal_name
from node.tasks.content import Content
from node.tasks.spec import digest
from protocol.errors import RemoteProtocolError
from protocol.fields import MediaType, Signature64, SignedBody
from protocol.messages import MAX_PART_BYTES
from protocol.packing import pack, unpack
from protocol.signed import QuoteTerms, ResultTerms, open_signed
from protocol.specification import Specification

MAX_EXHIBIT_BYTES = MAX_PART_BYTES
"""What travels in one message; of larger work, the two owners have to tell the arbiter's owner."""


class _Exhibit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An exhibit as it travels."""

    quote: SignedBody
    quote_signature: Signature64
    specification: Annotated[bytes, Meta(min_length=1, max_length=16384)]
    input_media_type: MediaType
    input: bytes
    result: SignedBody
    result_signature: Signature64
    output: bytes


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """An exhibit that hangs together: what was asked for, what the seller signed that it delivered."""

    quote: QuoteTerms
    specification: Specification
    work: Content
    delivered: bytes


def pack_exhibit(exhibit: Exhibit) -> bytes | None:
    """An exhibit as it travels; None when it is too large for that."""
    if len(exhibit.work.data) + len(exhibit.delivered) > MAX_EXHIBIT_BYTES - 32_768:
        return None
    return pack(
        _Exhibit(
            quote=exhibit.quote.terms,
            quote_signature=exhibit.quote.signature,
            specification=exhibit.specification,
            input_media_type=exhibit.work.media_type,
            input=exhibit.work.data,
            result=exhibit.result.body,
            result_signature=exhibit.result.signature,
            output=exhibit.delivered,
        )
    )


def exhibit_hash(packed: bytes) -> bytes:
    """What a dispute says of the exhibit."""
    return tagged_hash(b"deal-exhibit", packed)


def open_exhibit(packed: bytes, name: bytes) -> Shown:
    """What an exhibit shows about the deal of this name; RemoteProtocolError when its parts do not belong together.

    The seller's two signatures bind what it was asked and what it handed over; nothing in it is the client's word.
    """
    shown = unpack(_Exhibit, packed, MAX_EXHIBIT_BYTES)
    quote = open_signed(QuoteTerms, shown.quote, shown.quote_signature, unpack(QuoteTerms, shown.quote).contractor)
    result = open_signed(ResultTerms, shown.result, shown.result_signature, quote.contractor)
    specification = unpack(Specification, shown.specification)
    problems = {
        "the quote is of another deal": deal_name(shown.quote) != name,
        "the specification is not the quoted one": digest(shown.specification) != quote.specification_sha256,
        "the input is not the specified one": digest(shown.input) != specification.input.sha256,
        "the input has another type": shown.input_media_type != specification.input.media_type,
        "the result is of another quote": result.quote_sha256 != digest(shown.quote),
        "the output is not what was delivered": digest(shown.output) != result.result_sha256,
    }
    for text, is_so in problems.items():
        if is_so:
            raise RemoteProtocolError("bad_exhibit", text)
    return Shown(
        quote=quote,
        specification=specification,
        work=Content(shown.input_media_type, shown.input),
        delivered=shown.output,
    )
