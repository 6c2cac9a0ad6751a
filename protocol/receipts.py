"""Receipts, ratings and fault reports: what two parties, or one of them, put their names to about a job.

A `Receipt` is both parties' own exact record and private to them. A `Rating` is what a community ledger may carry: it
names the receipt only by a salted hash and stands on the contractor's signed acceptance, so nobody can rate a job that
was not accepted. A `FaultReport` is one-sided and carries the other's signed words as evidence.

Everything read here comes from a peer or a disk: what is wrong with it is a RemoteProtocolError. Signatures
are checked over the bytes as received, which are never re-encoded.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import msgspec

from crypto.identity import Identity
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import Signature64, SignedBody
from protocol.messages import Accepted
from protocol.packing import pack, unpack
from protocol.signed import (
    LABELS,
    AcceptanceTerms,
    AwardTerms,
    Body,
    FaultKind,
    FaultTerms,
    Outcome,
    QuoteTerms,
    RatingTerms,
    ReceiptTerms,
    ResultTerms,
    check_signed,
    open_signed,
    sign,
    sign_body,
)
from protocol.specification import Effort

B = TypeVar("B", bound=Body)

MAX_BODY_BYTES = 4096
DAY_MS = 86_400_000


class Signed(msgspec.Struct, Generic[B], frozen=True):
    """A verified body: its decoded terms, the exact bytes, and one signature over them."""

    terms: B
    body: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """One job as both parties signed it."""

    terms: ReceiptTerms
    body: bytes
    client_signature: bytes
    contractor_signature: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the body: how the two parties name this receipt."""
        return hashlib.sha256(self.body).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the contractor knows of a job by itself; the receipt that it countersigns must say the same."""

    task_id: bytes
    network: str
    client: bytes
    contractor: bytes
    skill: str
    effort: Effort
    specification_sha256: bytes
    quote_sha256: bytes
    result_sha256: bytes
    price_micro: int
    invoice_micro: int
    awarded_unix_ms: int
    explored: bool


# Commitments


def commitment(purpose: bytes, salt: bytes, content: bytes) -> bytes:
    """SHA-256 over the domain, the 16-byte salt and the content: hides it from who lacks the salt, and binds."""
    if len(salt) != 16:
        raise LocalProtocolError(f"a commitment's salt has 16 bytes, not {len(salt)}")
    return hashlib.sha256(b"coalesced/commitment/" + purpose + b"/1\x00" + salt + content).digest()


def acceptance_commitment(salt: bytes, task_id: bytes) -> bytes:
    """What an acceptance says in place of the task id, so that a published one names no task."""
    return commitment(b"acceptance", salt, task_id)


def receipt_commitment(salt: bytes, receipt_body: bytes) -> bytes:
    """What a rating says in place of the receipt."""
    return commitment(b"receipt", salt, receipt_body)


def price_bucket(price_micro: int) -> int:
    """The power of two that a price falls under: 0 for nothing, else floor(log2(price)) + 1."""
    return price_micro.bit_length()


# Receipts


def offer_receipt(client: Identity, terms: ReceiptTerms) -> Signed[ReceiptTerms]:
    """The client's half of a receipt, for the contractor to countersign."""
    if terms.client != client.public_key:
        raise LocalProtocolError("a receipt is offered by the client that it names")
    _check_receipt(terms)
    return Signed(terms, *sign(client, terms))


def open_receipt_offer(body: bytes, signature: bytes) -> Signed[ReceiptTerms]:
    """A receipt with the client's signature only."""
    terms = open_signed(ReceiptTerms, body, signature, unpack(ReceiptTerms, body, MAX_BODY_BYTES).client)
    _check_receipt(terms)
    return Signed(terms, body, signature)


def countersign(contractor: Identity, body: bytes, signature: bytes, job: Job) -> Receipt:
    """The complete receipt, if the client's offer says what the contractor knows about the job.

    The verdict and the score are the client's to give. An accepted result must be paid as invoiced.
    """
    offer = open_receipt_offer(body, signature)
    terms = offer.terms
    if job.contractor != contractor.public_key:
        raise LocalProtocolError("a receipt is countersigned by the contractor that it names")
    for field in fields(job):
        if field.name != "invoice_micro":
            _same(f"the receipt's {field.name}", getattr(terms, field.name), getattr(job, field.name))
    if terms.verdict == "accepted":
        _same("the receipt's paid_micro for an accepted result", terms.paid_micro, job.invoice_micro)
    return complete_receipt(offer, sign_body(contractor, ReceiptTerms, body))


def complete_receipt(offer: Signed[ReceiptTerms], contractor_signature: bytes) -> Receipt:
    """The receipt, once the contractor's signature over the client's offer is checked."""
    open_signed(ReceiptTerms, offer.body, contractor_signature, offer.terms.contractor)
    return Receipt(offer.terms, offer.body, offer.signature, contractor_signature)


def open_receipt(body: bytes, client_signature: bytes, contractor_signature: bytes) -> Receipt:
    """A receipt from its parts, both signatures checked against the keys that it names."""
    return complete_receipt(open_receipt_offer(body, client_signature), contractor_signature)


def _check_receipt(terms: ReceiptTerms) -> None:
    if terms.client == terms.contractor:
        raise RemoteProtocolError("bad_receipt", "client and contractor are the same key")
    if terms.paid_micro > terms.price_micro:
        raise RemoteProtocolError(
            "bad_receipt", f"{terms.paid_micro} micro-dollars paid is over the quoted {terms.price_micro}"
        )
    if terms.verdict == "rejected" and terms.paid_micro:
        raise RemoteProtocolError("bad_receipt", f"{terms.paid_micro} micro-dollars paid for a rejected result")
    if terms.finished_unix_ms < terms.awarded_unix_ms:
        raise RemoteProtocolError(
            "bad_receipt", f"finished at {terms.finished_unix_ms}, before its award at {terms.awarded_unix_ms}"
        )


# Acceptances and ratings


def accept(contractor: Identity, quote: QuoteTerms, salt: bytes, unix_ms: int) -> Accepted:
    """The contractor's promise to do the quoted job, with the salt that opens its commitment."""
    if quote.contractor != contractor.public_key:
        raise LocalProtocolError("an acceptance is signed by the contractor that quoted")
    terms = AcceptanceTerms(
        commitment=acceptance_commitment(salt, quote.task_id),
        network=quote.network,
        client=quote.client,
        contractor=quote.contractor,
        skill=quote.skill,
        price_bucket=price_bucket(quote.price_micro),
        day=unix_ms // DAY_MS,
    )
    body, signature = sign(contractor, terms)
    return Accepted(terms=body, signature=signature, salt=salt)


def check_acceptance(accepted: Accepted, quote: QuoteTerms) -> Signed[AcceptanceTerms]:
    """The contractor's acceptance, if it is of exactly this quote."""
    terms = open_signed(AcceptanceTerms, accepted.terms, accepted.signature, quote.contractor)
    _same("the acceptance's commitment", terms.commitment, acceptance_commitment(accepted.salt, quote.task_id))
    for name in ("network", "client", "contractor", "skill"):
        _same(f"the acceptance's {name}", getattr(terms, name), getattr(quote, name))
    _same("the acceptance's price bucket", terms.price_bucket, price_bucket(quote.price_micro))
    return Signed(terms, accepted.terms, accepted.signature)


def outcome_of(terms: ReceiptTerms) -> Outcome:
    """The one word for how a job ended: refused work is a fail, accepted work late or ok, unpaid work a refund."""
    if terms.verdict == "rejected":
        return "fail"
    if terms.price_micro and not terms.paid_micro:
        return "refund"
    return "ok" if terms.deadline_met else "late"


def rate(client: Identity, receipt: Receipt, acceptance: Signed[AcceptanceTerms], sequence: int) -> Signed[RatingTerms]:
    """The client's public word on a job: built over the contractor's acceptance, hiding the receipt itself."""
    if client.public_key != receipt.terms.client:
        raise LocalProtocolError("a rating is signed by the client of its receipt")
    terms = RatingTerms(
        acceptance=acceptance.body,
        acceptance_signature=acceptance.signature,
        receipt_commitment=receipt_commitment(receipt.terms.salt, receipt.body),
        deadline_met=receipt.terms.deadline_met,
        outcome=outcome_of(receipt.terms),
        score=receipt.terms.score_ppm // 10_000,
        explored=receipt.terms.explored,
        sequence=sequence,
    )
    rating = Signed(terms, *sign(client, terms))
    check_rating(rating, receipt)
    return rating


def open_rating(body: bytes, signature: bytes) -> tuple[Signed[RatingTerms], AcceptanceTerms]:
    """A rating and the acceptance it stands on: the contractor's signature on that, its client's on the whole."""
    terms = unpack(RatingTerms, body, MAX_BODY_BYTES)
    acceptance = unpack(AcceptanceTerms, terms.acceptance, MAX_BODY_BYTES)
    check_signed(AcceptanceTerms, terms.acceptance, terms.acceptance_signature, acceptance.contractor)
    if acceptance.client == acceptance.contractor:
        raise RemoteProtocolError("bad_rating", "client and contractor are the same key: nobody rates itself")
    check_signed(RatingTerms, body, signature, acceptance.client)
    return Signed(terms, body, signature), acceptance


def check_rating(rating: Signed[RatingTerms], receipt: Receipt) -> None:
    """RemoteProtocolError unless the rating is of this receipt and says about it what it says."""
    terms, acceptance = rating.terms, unpack(AcceptanceTerms, rating.terms.acceptance, MAX_BODY_BYTES)
    of = receipt.terms
    _same("the rating's receipt", terms.receipt_commitment, receipt_commitment(of.salt, receipt.body))
    for name in ("network", "client", "contractor", "skill"):
        _same(f"the rated acceptance's {name}", getattr(acceptance, name), getattr(of, name))
    _same("the rated acceptance's price bucket", acceptance.price_bucket, price_bucket(of.price_micro))
    _same("the rating's outcome", terms.outcome, outcome_of(of))
    _same("the rating's score", terms.score, of.score_ppm // 10_000)
    for name in ("deadline_met", "explored"):
        _same(f"the rating's {name}", getattr(terms, name), getattr(of, name))


# Fault reports


class _Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    label: str
    body: SignedBody
    signature: Signature64


_EVIDENCE_KINDS: dict[str, type[Body]] = {
    LABELS[kind].decode(): kind for kind in (QuoteTerms, AwardTerms, AcceptanceTerms, ResultTerms, ReceiptTerms)
}


def evidence(kind: type[Body], body: bytes, signature: bytes) -> bytes:
    """One piece of evidence: a body that one of the two parties signed, with its signature."""
    return pack(_Evidence(LABELS[kind].decode(), body, signature))


def open_evidence(piece: bytes, parties: Iterable[bytes]) -> tuple[bytes, Body]:
    """Who signed a piece of evidence, and what; RemoteProtocolError when it was neither of `parties`."""
    opened = unpack(_Evidence, piece, MAX_BODY_BYTES)
    kind = _EVIDENCE_KINDS.get(opened.label)
    if kind is None:
        raise RemoteProtocolError("bad_evidence", f"{opened.label[:40]!r} is no kind of signed body")
    for party in parties:
        try:
            return party, open_signed(kind, opened.body, opened.signature, party)
        except RemoteProtocolError as error:
            if error.code != "bad_signature":
                raise
    raise RemoteProtocolError("bad_evidence", f"the signature on the {opened.label} is neither party's")


def report_fault(
    reporter: Identity,
    *,
    task_id: bytes,
    network: str,
    client: bytes,
    contractor: bytes,
    kind: FaultKind,
    text: str,
    unix_ms: int,
    pieces: Iterable[bytes] = (),
) -> Signed[FaultTerms]:
    """A signed report about the other party. Pieces (from `evidence`) are kept in order while the report has room."""
    if reporter.public_key not in (client, contractor):
        raise LocalProtocolError("only the client or the contractor of a task reports a fault in it")
    terms = FaultTerms(
        task_id=task_id,
        network=network,
        client=client,
        contractor=contractor,
        reporter=reporter.public_key,
        kind=kind,
        text=text[:500],
        unix_ms=unix_ms,
    )
    for piece in pieces:
        more = msgspec.structs.replace(terms, evidence=(*terms.evidence, piece))
        if len(more.evidence) <= 8 and len(pack(more)) <= MAX_BODY_BYTES:
            terms = more
    return Signed(terms, *sign(reporter, terms))


def open_fault(body: bytes, signature: bytes) -> Signed[FaultTerms]:
    """A fault report: signed by the party that reports, each piece of evidence by one of the two."""
    terms = open_signed(FaultTerms, body, signature, unpack(FaultTerms, body, MAX_BODY_BYTES).reporter)
    if terms.reporter not in (terms.client, terms.contractor) or terms.client == terms.contractor:
        raise RemoteProtocolError("bad_fault", "the reporter is not one of the two parties")
    for piece in terms.evidence:
        open_evidence(piece, (terms.client, terms.contractor))
    return Signed(terms, body, signature)


def _same(what: str, said: object, known: object) -> None:
    if said != known:
        shown = (value.hex() if isinstance(value, bytes) else value for value in (said, known))
        raise RemoteProtocolError("mismatch", "{} is {}, not {}".format(what, *shown))
