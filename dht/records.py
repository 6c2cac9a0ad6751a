"""A signed advert: who offers something under a key, until when.

Wire form, fixed, so that what is signed is what is sent (integers big-endian):

    key 20 | public key 32 | seq 8 | expires, unix ms 8 | body 0-512 | signature 64

The signature covers everything before it. An empty body is a withdrawal: it supersedes, and is never found.
`seq` orders one publisher's records under one key; the higher wins. Clocks may differ by MAX_CLOCK_SKEW_MS.
"""

import struct
from dataclasses import dataclass

from crypto.identity import Identity, NodeId, node_id, verify
from dht.errors import LocalDhtError, RemoteDhtError
from dht.ids import ID_BYTES

MAX_BODY_BYTES = 512
MAX_TTL_MS = 2 * 3_600_000
"""No record may promise to live longer: a seller that vanished is forgotten after two hours at the latest."""
MAX_CLOCK_SKEW_MS = 120_000
"""How far two nodes' clocks may be apart: beyond it they refuse each other's records and datagrams."""

_LABEL = b"dht/record"
_HEAD = struct.Struct(f">{ID_BYTES}s32sQQ")
_SIGNATURE_BYTES = 64
MIN_RECORD_BYTES = _HEAD.size + _SIGNATURE_BYTES
MAX_RECORD_BYTES = MIN_RECORD_BYTES + MAX_BODY_BYTES


@dataclass(frozen=True, slots=True)
class Record:
    """One publisher's advert under one key; `raw` is its wire form with the signature."""

    key: bytes
    public_key: bytes
    seq: int
    expires_unix_ms: int
    body: bytes
    raw: bytes

    @property
    def is_withdrawal(self) -> bool:
        """Whether it only says that the publisher no longer offers anything here."""
        return not self.body

    @property
    def publisher_id(self) -> NodeId:
        """The Kademlia id of the publisher."""
        return node_id(self.public_key)

    def __str__(self) -> str:
        return f"{self.key.hex()[:8]} by {self.publisher_id.hex()[:8]} seq {self.seq} ({len(self.body)} B)"


def sign_record(identity: Identity, key: bytes, seq: int, expires_unix_ms: int, body: bytes) -> Record:
    """The record as `identity` signs it; LocalDhtError when a part is out of bounds."""
    if len(key) != ID_BYTES:
        raise LocalDhtError(f"a key has {ID_BYTES} bytes, not {len(key)}")
    if len(body) > MAX_BODY_BYTES:
        raise LocalDhtError(f"a record body of {len(body)} bytes is over the limit of {MAX_BODY_BYTES}; shorten it")
    if not 0 <= seq < 2**63 or not 0 <= expires_unix_ms < 2**63:
        raise LocalDhtError(f"seq {seq} and expiry {expires_unix_ms} must lie between 0 and 2^63-1")
    signed = _HEAD.pack(key, identity.public_key, seq, expires_unix_ms) + body
    raw = signed + identity.sign(_LABEL, signed)
    return Record(key, identity.public_key, seq, expires_unix_ms, body, raw)


def decode_record(raw: bytes) -> Record:
    """The record in `raw`, its signature not yet checked; RemoteDhtError for any other bytes."""
    if not MIN_RECORD_BYTES <= len(raw) <= MAX_RECORD_BYTES:
        raise RemoteDhtError(
            "malformed", f"a record has {MIN_RECORD_BYTES} to {MAX_RECORD_BYTES} bytes, this one {len(raw)}"
        )
    key, public_key, seq, expires_unix_ms = _HEAD.unpack_from(raw)
    if seq >= 2**63 or expires_unix_ms >= 2**63:
        raise RemoteDhtError("malformed", f"seq {seq} or expiry {expires_unix_ms} is above 2^63-1")
    return Record(key, public_key, seq, expires_unix_ms, raw[_HEAD.size : -_SIGNATURE_BYTES], raw)


def open_record(raw: bytes, now_unix_ms: int) -> Record:
    """The record in `raw` if it is well-formed, alive and signed; RemoteDhtError otherwise."""
    record = decode_record(raw)
    check_lifetime(record, now_unix_ms)
    if not verify(record.public_key, _LABEL, raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]):
        raise RemoteDhtError("bad_signature", f"record {record} is not signed by its publisher")
    return record


def check_lifetime(record: Record, now_unix_ms: int) -> None:
    """Raise RemoteDhtError unless the record is alive and does not live for too long."""
    left_ms = record.expires_unix_ms - now_unix_ms
    if left_ms <= 0:
        raise RemoteDhtError("expired", f"record {record} expired {-left_ms} ms ago")
    if left_ms > MAX_TTL_MS + MAX_CLOCK_SKEW_MS:
        raise RemoteDhtError("too_long_lived", f"record {record} expires in {left_ms} ms, over {MAX_TTL_MS}")
