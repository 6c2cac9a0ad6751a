"""Bodies that are signed: quotes, awards, acceptances, results, receipts, ratings, fault reports.

A signature covers a domain label and the exact body bytes as sent; what is received is verified as received
and never re-encoded. Every body is a msgpack map of integers, byte strings and short texts: no float.
"""

from functools import lru_cache
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from crypto.identity import Identity, verify
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import (
    Hash32,
    Id16,
    Key32,
    Label,
    Micro,
    Millis,
    Ppm,
    ShortText,
    Signature64,
    SignedBody,
    Size,
    UnixMillis,
)
from protocol.packing import pack, unpack
from protocol.specification import Effort, Level
from protocol.version import MAX_NETWORK_CHARS

Network = Annotated[str, Meta(min_length=1, max_length=MAX_NETWORK_CHARS)]
Outcome = Literal["ok", "fail", "late", "refund"]
Verdict = Literal["accepted", "rejected"]
FaultKind = Literal["timeout", "disconnect", "overcharge", "bad_result", "failed", "refused_receipt", "invalid"]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all signed bodies."""


class QuoteTerms(Body, frozen=True, kw_only=True):
    """A contractor's binding offer: signed by the contractor, valid until `expires_unix_ms`.

    `duration_ms` and `p95_ms` are its own expectation of the time from award to result; `success_ppm` its claim.
    `escrow_chain`: the community chain on which the price is to be locked, in credits, before the work begins.
    """

    quote_id: Id16
    task_id: Id16
    specification_sha256: Hash32
    network: Network
    client: Key32
    contractor: Key32
    skill: Label
    effort: Effort
    price_micro: Micro
    duration_ms: Millis
    p95_ms: Millis
    success_ppm: Ppm
    issued_unix_ms: UnixMillis
    expires_unix_ms: UnixMillis
    escrow_chain: Hash32 | None = None


class AwardTerms(Body, frozen=True, kw_only=True):
    """The client's order: it will pay the quoted price for an accepted result. Signed by the client."""

    task_id: Id16
    quote_sha256: Hash32
    client: Key32
    contractor: Key32
    awarded_unix_ms: UnixMillis
    explored: bool = False


class AcceptanceTerms(Body, frozen=True, kw_only=True):
    """The contractor's promise to work, signed before it starts; without one there can be no Rating.

    `commitment` is SHA-256 over a salt and the task id, so that a published acceptance names no task.
    """

    commitment: Hash32
    network: Network
    client: Key32
    contractor: Key32
    skill: Label
    price_bucket: Annotated[int, Meta(ge=0, le=64)]
    day: Annotated[int, Meta(ge=0, le=10**6)]


class ResultTerms(Body, frozen=True, kw_only=True):
    """What was delivered, bound to the task and to this session's handshake hash. Signed by the contractor."""

    task_id: Id16
    quote_sha256: Hash32
    session_hash: Hash32
    result_sha256: Hash32
    result_bytes: Size
    invoice_micro: Micro
    started_unix_ms: UnixMillis
    finished_unix_ms: UnixMillis


class ReceiptTerms(Body, frozen=True, kw_only=True):
    """The two parties' own record of one job: exact, private, signed by both (`Receipt`)."""

    task_id: Id16
    salt: Id16
    network: Network
    client: Key32
    contractor: Key32
    skill: Label
    effort: Effort
    specification_sha256: Hash32
    quote_sha256: Hash32
    result_sha256: Hash32
    price_micro: Micro
    paid_micro: Micro
    awarded_unix_ms: UnixMillis
    finished_unix_ms: UnixMillis
    deadline_met: bool
    level: Level
    verdict: Verdict
    score_ppm: Ppm
    explored: bool


class RatingTerms(Body, frozen=True, kw_only=True):
    """What a community ledger will carry about one job; signed by the client over the contractor's acceptance."""

    acceptance: SignedBody
    acceptance_signature: Signature64
    receipt_commitment: Hash32
    deadline_met: bool
    outcome: Outcome
    score: Annotated[int, Meta(ge=0, le=100)]
    explored: bool
    sequence: Annotated[int, Meta(ge=0, le=2**53)]


class FaultTerms(Body, frozen=True, kw_only=True):
    """A one-sided report with evidence: signed bodies of the other party that show the fault, if there are any."""

    task_id: Id16
    network: Network
    client: Key32
    contractor: Key32
    reporter: Key32
    kind: FaultKind
    text: ShortText
    evidence: Annotated[tuple[Annotated[bytes, Meta(max_length=4096)], ...], Meta(max_length=8)] = ()
    unix_ms: UnixMillis


LABELS: Final[dict[type[Body], bytes]] = {
    QuoteTerms: b"quote",
    AwardTerms: b"award",
    AcceptanceTerms: b"acceptance",
    ResultTerms: b"result",
    ReceiptTerms: b"receipt",
    RatingTerms: b"rating",
    FaultTerms: b"fault",
}
"""The domain label of each body: a signature for one kind can never be shown as another."""

B = TypeVar("B", bound=Body)

MAX_BODY_BYTES: Final = 4096
"""Of what is signed."""

_verify = lru_cache(maxsize=1024)(verify)
"""Remembered by the exact bytes: on the way from message to journal one body is opened up to four times."""


def sign_body(identity: Identity, kind: type[Body], body: bytes) -> bytes:
    """Sign exact body bytes (64-byte Ed25519), for the countersignature of a received body."""
    return identity.sign(LABELS[kind], body)


def sign(identity: Identity, terms: Body) -> tuple[bytes, bytes]:
    """Encode and sign `terms`: the body bytes and their signature."""
    body = pack(terms)
    if len(body) > MAX_BODY_BYTES:
        raise LocalProtocolError(f"a {type(terms).__name__} of {len(body)} bytes is over the limit of {MAX_BODY_BYTES}")
    return body, sign_body(identity, type(terms), body)


def open_signed(kind: type[B], body: bytes, signature: bytes, signer: bytes) -> B:
    """Verify `signature` by `signer` over `body`, then decode it; RemoteProtocolError otherwise."""
    check_signed(kind, body, signature, signer)
    return unpack(kind, body)


def check_signed(kind: type[Body], body: bytes, signature: bytes, signer: bytes) -> None:
    """RemoteProtocolError unless `signature` is `signer`'s over `body`."""
    check = verify if len(body) > MAX_BODY_BYTES else _verify
    if not check(signer, LABELS[kind], body, signature):
        raise RemoteProtocolError("bad_signature", f"the signature on this {kind.__name__} is not its signer's")
