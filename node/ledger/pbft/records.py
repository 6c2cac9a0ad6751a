"""What a replica writes down before it acts on it, so that after a crash it knows what it has said.

Records of a height are worthless once a block of that height is committed; of older ones only the last that says
in which view one was matters (`still_needed`).
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from node.errors import NodeError
from protocol.consensus import Certificate, Height, Proposal, View
from protocol.errors import RemoteProtocolError
from protocol.fields import Hash32
from protocol.packing import MAX_MESSAGE_BYTES, OneOf, pack, unpack


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="t"):
    """Base of the records; `height` is the one that was being decided."""

    height: Height


class AskedView(Record, frozen=True, kw_only=True, tag="asked"):
    """From now on I vote in no view below this one; written before my VIEW-CHANGE for it is sent."""

    view: View


class EnteredView(Record, frozen=True, kw_only=True, tag="entered"):
    """A NEW-VIEW justified this view: I vote in it, for `bound_to` only unless that is all zeros."""

    view: View
    bound_to: Hash32


class Accepted(Record, frozen=True, kw_only=True, tag="accepted"):
    """My PREPARE is for this block, in the view of the proposal's vote; written before the PREPARE is sent."""

    proposal: Proposal


class Prepared(Record, frozen=True, kw_only=True, tag="prepared"):
    """My COMMIT is for this certificate's ballot; written before the COMMIT is sent. An Accepted has the block."""

    certificate: Certificate


AnyRecord = AskedView | EnteredView | Accepted | Prepared
_RECORDS: Final[OneOf[AnyRecord]] = OneOf(AnyRecord)


class RecordError(NodeError):
    """A log of votes that cannot be read: whoever votes without it may vote twice."""

    code = "corrupt_votes"


def encode_record(record: AnyRecord) -> bytes:
    """Pack a record for the log."""
    return pack(record)


def decode_record(data: bytes) -> AnyRecord:
    """The record in `data`; RecordError when it is not one."""
    try:
        return unpack(_RECORDS, data, MAX_MESSAGE_BYTES)
    except RemoteProtocolError as error:
        raise RecordError(f"a record of {len(data)} bytes in the log of votes cannot be read: {error.text}") from error


def still_needed(records: Sequence[AnyRecord], committed_height: int) -> list[AnyRecord]:
    """What has to be kept of a log when a block of `committed_height` is stored: a shell may drop the rest."""
    views = [at for at, record in enumerate(records) if isinstance(record, AskedView | EnteredView)]
    last_view = views[-1] if views else None
    return [record for at, record in enumerate(records) if record.height > committed_height or at == last_view]
