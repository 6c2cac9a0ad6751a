"""Every message body that two nodes exchange. Tagged by "t"; unknown fields and tags are refused.

Requests and what may answer them (the envelope that carries ids and deadlines is in protocol/session.py):

| request       | events before the end               | final answer      |
|---------------|-------------------------------------|-------------------|
| Ping          |                                     | Pong              |
| QuoteRequest  |                                     | Quote, Decline    |
| Award         | Accepted, Progress, InputRequired, ResultPart | Result, Failed |
| InputPart     |                                     | Ok                |
| Answer        |                                     | Ok                |
| ReceiptOffer  |                                     | ReceiptSigned     |
| FaultNotice   |                                     | Ok                |
| LedgerBatch   |                                     | Ok                |
| GenesisRequest |                                    | GenesisFound      |
| CertificatesRequest |                               | CertificatesFound |
| RevocationsRequest |                                | RevocationsFound  |
| AtLeastRequest |                                    | AtLeastShown      |
| AttestationRequest |                                | AttestationBegun  |
| AttestationStep |                                   | AttestationData   |
| DealExhibit   |                                     | Ok                |
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from protocol.fields import (
    Hash32,
    Id16,
    Key32,
    Label,
    MediaType,
    Micro,
    Millis,
    Name,
    Ppm,
    ShortText,
    Signature64,
    SignedBody,
    Size,
)
from protocol.packing import pack, unpack
from protocol.specification import Specification

MAX_FACT_CHARS = 48
"""Of one fact in an advert, which has 512 bytes for everything."""
MAX_PART_BYTES = 2**20
"""Inputs and results above this travel in parts of at most this size, so that a session is never blocked for long."""
MAX_QUESTION_CHARS = 4000
MAX_ANSWER_CHARS = 65_536
MAX_LEDGER_BATCH = 256
"""Messages of a community chain that travel together: more than what one block makes members say to each other."""
PartBytes = Annotated[bytes, Meta(max_length=MAX_PART_BYTES)]
Token = Annotated[str, Meta(min_length=1, max_length=8192)]
"""A certificate: a JWS in compact form."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="t"):
    """Base of every message body."""


class Ping(Message, frozen=True, kw_only=True, tag="ping"):
    """Are you there? Also measures the round trip."""


class Pong(Message, frozen=True, kw_only=True, tag="pong"):
    """Yes."""


class Ok(Message, frozen=True, kw_only=True, tag="ok"):
    """Done as asked."""


class QuoteRequest(Message, frozen=True, kw_only=True, tag="quote_request"):
    """What would this cost, and how long? Carries no input content."""

    task_id: Id16
    specification: Specification


class Quote(Message, frozen=True, kw_only=True, tag="quote"):
    """QuoteTerms, signed by the contractor."""

    terms: SignedBody
    signature: Signature64


class Decline(Message, frozen=True, kw_only=True, tag="decline"):
    """No offer.

    `code`: busy, unknown_skill, media_type, too_large, too_late, over_budget, resources, region, privacy, draining,
    closed (outside its opening hours), or unable (something is wrong with the seller itself).
    """

    code: Name
    text: ShortText
    retry_after_ms: Millis = 0


class Award(Message, frozen=True, kw_only=True, tag="award"):
    """The order: AwardTerms signed by the client, the quote it accepts, the exact specification, the input.

    `input` is the whole input when it fits into one part; otherwise it is empty and InputPart requests follow.
    """

    terms: SignedBody
    signature: Signature64
    quote: Quote
    specification: Annotated[bytes, Meta(min_length=1, max_length=16384)]
    input: PartBytes = b""


class InputPart(Message, frozen=True, kw_only=True, tag="input_part"):
    """One piece of a large input, in order."""

    task_id: Id16
    offset: Size
    data: PartBytes


class Accepted(Message, frozen=True, kw_only=True, tag="accepted"):
    """AcceptanceTerms signed by the contractor, and the salt that opens its commitment."""

    terms: SignedBody
    signature: Signature64
    salt: Id16


class Progress(Message, frozen=True, kw_only=True, tag="progress"):
    """How far the work is. Free text from a peer: shown, never trusted."""

    done_ppm: Ppm
    text: ShortText = ""


class InputRequired(Message, frozen=True, kw_only=True, tag="input_required"):
    """The contractor needs an answer before it can go on."""

    question: Annotated[str, Meta(max_length=MAX_QUESTION_CHARS)]


class Answer(Message, frozen=True, kw_only=True, tag="answer"):
    """The client's answer to an InputRequired."""

    task_id: Id16
    text: Annotated[str, Meta(max_length=MAX_ANSWER_CHARS)]


class ResultPart(Message, frozen=True, kw_only=True, tag="result_part"):
    """One piece of a large result, in order, before the Result itself."""

    offset: Size
    data: PartBytes


class Result(Message, frozen=True, kw_only=True, tag="result"):
    """ResultTerms signed by the contractor; `data` is the result when it fits into one part, else empty."""

    terms: SignedBody
    signature: Signature64
    media_type: MediaType
    data: PartBytes = b""


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """The contractor gives up; nothing is owed."""

    code: Name
    text: ShortText


class ReceiptOffer(Message, frozen=True, kw_only=True, tag="receipt_offer"):
    """ReceiptTerms signed by the client, for the contractor's countersignature."""

    terms: SignedBody
    signature: Signature64


class ReceiptSigned(Message, frozen=True, kw_only=True, tag="receipt_signed"):
    """The contractor's signature over the same bytes."""

    signature: Signature64


class FaultNotice(Message, frozen=True, kw_only=True, tag="fault_notice"):
    """FaultTerms signed by the reporter: the other side learns what was recorded about it."""

    terms: SignedBody
    signature: Signature64


class LedgerBatch(Message, frozen=True, kw_only=True, tag="ledger_batch"):
    """Messages of one community chain, each packed (protocol/consensus). What comes of them is not in the answer."""

    chain: Hash32
    messages: Annotated[
        tuple[Annotated[bytes, Meta(min_length=1)], ...], Meta(min_length=1, max_length=MAX_LEDGER_BATCH)
    ]


class GenesisRequest(Message, frozen=True, kw_only=True, tag="genesis_request"):
    """Which community chain do you follow?"""


class GenesisFound(Message, frozen=True, kw_only=True, tag="genesis"):
    """The packed genesis of the chain that I follow; empty while I follow none."""

    genesis: Annotated[bytes, Meta(max_length=MAX_PART_BYTES)] = b""


class DealExhibit(Message, frozen=True, kw_only=True, tag="deal_exhibit"):
    """What a client shows the arbiter of a deal that it disputes: the packed exhibit whose hash its dispute bears."""

    deal: Hash32
    exhibit: Annotated[bytes, Meta(min_length=1, max_length=MAX_PART_BYTES)]


class LeafShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A leaf of a certificate, and the path from there to its root (RFC 9162)."""

    leaf: Annotated[bytes, Meta(min_length=1, max_length=512)]
    index: Annotated[int, Meta(ge=0, lt=4096)]
    path: Annotated[tuple[Hash32, ...], Meta(max_length=12)]


class CertificateShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A certificate, the leaves that its subject shows, and that it grew from the one that the asker knows."""

    token: Token
    leaves: Annotated[tuple[LeafShown, ...], Meta(max_length=64)] = ()
    grown: Annotated[tuple[Hash32, ...], Meta(max_length=25)] = ()


class KnownTree(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of which size the asker has seen this issuer's tree about the asked."""

    issuer: Key32
    leaves: Annotated[int, Meta(ge=1, le=4096)]


class CertificatesRequest(Message, frozen=True, kw_only=True, tag="certificates_request"):
    """What do others certify about you?"""

    known: Annotated[tuple[KnownTree, ...], Meta(max_length=8)] = ()


class CertificatesFound(Message, frozen=True, kw_only=True, tag="certificates"):
    """What they do."""

    certificates: Annotated[tuple[CertificateShown, ...], Meta(max_length=8)] = ()


class RevocationsRequest(Message, frozen=True, kw_only=True, tag="revocations_request"):
    """Which certificates of yours did you take back?"""


class RevocationsFound(Message, frozen=True, kw_only=True, tag="revocations"):
    """A signed list of their serial numbers."""

    token: Annotated[str, Meta(min_length=1, max_length=262_144)]


class AtLeastRequest(Message, frozen=True, kw_only=True, tag="at_least_request"):
    """Show that you have at least so much of a resource: by tier leaf, or by a range proof that hides even the tier."""

    name: Label
    at_least: Annotated[int, Meta(ge=1, le=2**31)]
    nonce: Hash32
    method: Literal["tier", "range"] = "tier"


class HostShown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One host's certificate and the leaf that is shown of it."""

    token: Token
    shown: LeafShown


class AtLeastShown(Message, frozen=True, kw_only=True, tag="at_least"):
    """The leaf of one host; or the commitments of one or several, and the proof about their sum."""

    hosts: Annotated[tuple[HostShown, ...], Meta(min_length=1, max_length=8)]
    proof: Annotated[bytes, Meta(max_length=4096)] = b""


class AttestationRequest(Message, frozen=True, kw_only=True, tag="attestation_request"):
    """Compute this now: a chain of products of matrices drawn from these bytes and who we are."""

    drawn: Hash32
    size: Annotated[int, Meta(ge=1, le=4096)]
    rounds: Annotated[int, Meta(ge=1, le=16)]
    memory_mib: Annotated[int, Meta(ge=0, le=1024)] = 0


class AttestationBegun(Message, frozen=True, kw_only=True, tag="attestation_begun"):
    """Roots over all that was computed. Says nothing about time: that is the asker's to measure."""

    attestation_id: Id16
    roots: Annotated[tuple[Hash32, ...], Meta(min_length=1, max_length=16)]


class AttestationStep(Message, frozen=True, kw_only=True, tag="attestation_step"):
    """The next look: `weights`, then `rows`; `fill`, then `chunks`. Each is drawn after the answer before it."""

    attestation_id: Id16
    step: Literal["weights", "rows", "fill", "chunks"]
    drawn: Hash32


class AttestationData(Message, frozen=True, kw_only=True, tag="attestation_data"):
    """The answer to one step."""

    data: PartBytes


AnyMessage = (
    Ping
    | Pong
    | Ok
    | QuoteRequest
    | Quote
    | Decline
    | Award
    | InputPart
    | Accepted
    | Progress
    | InputRequired
    | Answer
    | ResultPart
    | Result
    | Failed
    | ReceiptOffer
    | ReceiptSigned
    | FaultNotice
    | LedgerBatch
    | GenesisRequest
    | GenesisFound
    | CertificatesRequest
    | CertificatesFound
    | RevocationsRequest
    | RevocationsFound
    | AtLeastRequest
    | AtLeastShown
    | AttestationRequest
    | AttestationBegun
    | AttestationStep
    | AttestationData
    | DealExhibit
)


FactName = Annotated[str, Meta(min_length=1, max_length=16)]
FactText = Annotated[str, Meta(min_length=1, max_length=MAX_FACT_CHARS)]


class Advert(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a seller publishes in the DHT for one skill: at most 512 bytes packed; the record around it is signed."""

    host: Annotated[str, Meta(min_length=1, max_length=64)]
    port: Annotated[int, Meta(ge=1, le=65535)]
    skill: Label
    caption: Annotated[str, Meta(max_length=120)] = ""
    price_hint_micro: Micro = 0
    load_ppm: Ppm = 0
    regions: Annotated[tuple[Name, ...], Meta(max_length=4)] = ()
    card_sha256: Hash32 | None = None
    certificate_sha256: Hash32 | None = None
    """Of the newest certificate that says so: the seller shows it when asked."""
    hours: Annotated[bytes, Meta(min_length=21, max_length=21)] | None = None
    """When it is open: a bit for each hour of the week in UTC, Monday 00:00 first, the highest bit of a byte first.
    Left out of the map where it is always open, so that nodes which do not know the field read those adverts."""
    facts: Annotated[dict[FactName, FactText], Meta(max_length=4)] = {}
    """What does the work, as the seller states it: `machine`, `model`, `executor`. A client that examined the seller
    examines it again when one changes. Left out of the map where there are none."""


def encode_advert(advert: Advert) -> bytes:
    """Pack an advert for the body of a DHT record."""
    plain = msgspec.to_builtins(advert, builtin_types=(bytes,))
    if advert.hours is None:
        del plain["hours"]
    if not advert.facts:
        del plain["facts"]
    return pack(plain)


def decode_advert(body: bytes) -> Advert:
    """The advert in a record's body; RemoteProtocolError when it is not one."""
    return unpack(Advert, body, max_bytes=512)
