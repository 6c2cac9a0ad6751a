"""Transactions of a community chain: their signed wire forms. What they may do is node/ledger/chain's business.

A transaction is `[kind, body, [[key, signature], ...]]`: every signature covers the body under the kind's own label, so
one for a kind is worth nothing under another. Most carry one signature, their account's, and a sequence number; what a
committee decides carries a signature of each member that approves; two-party changes carry both parties'. A revealed
rating carries none: the bodies inside are signed, and a commitment made before says whose it is.

Two copies are one transaction when kind and body agree (`tx_id`), whoever signed and in whichever order. Everything
read here comes from a peer: what is wrong with it is a RemoteProtocolError.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from crypto.hashing import tagged_hash
from crypto.identity import Identity, verify
from protocol.consensus import MAX_MEMBERS, MAX_TX_BYTES
from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.fields import MAX_MILLIS, Hash32, Id16, Key32, Signature64, SignedBody, UnixMillis
from protocol.packing import pack, unpack
from protocol.receipts import acceptance_commitment, commitment, open_rating
from protocol.remembered import remembered
from protocol.signed import AcceptanceTerms, AwardTerms, Body, RatingTerms, open_signed

MAX_CREDITS = 10**15
"""As for money: sums of a thousand of these stay inside 64 bits."""
REMEMBERED: Final = 8192
"""Transactions whose id and content are not worked out again, if they are small: what waits in a full pool."""

Credits = Annotated[int, Meta(ge=0, le=MAX_CREDITS)]
PositiveCredits = Annotated[int, Meta(ge=1, le=MAX_CREDITS)]
Sequence53 = Annotated[int, Meta(ge=1, le=2**53)]
Stance = Literal["response", "dispute"]
Objection = Literal["paid_late", "wrong_outcome", "wrong_score", "changed_request", "not_my_client", "other"]


class Transaction(Body, frozen=True, kw_only=True):
    """Base of all: `chain` is the hash of the genesis that it is meant for."""

    chain: Hash32


class Owned(Transaction, frozen=True, kw_only=True):
    """One account's: signed by `signer`, whose `sequence` numbers never come twice (gaps and swaps are fine)."""

    signer: Key32
    sequence: Sequence53


class Approved(Transaction, frozen=True, kw_only=True):
    """The committee's: signed by a quorum of its members. `motion` is random and never comes twice."""

    motion: Id16
    valid_until_unix_ms: UnixMillis


# Ratings


class CommitRating(Owned, frozen=True, kw_only=True):
    """The hash of a rating that its client will reveal in a later epoch (`rating_commitment`)."""

    commitment: Hash32


class RevealRating(Transaction, frozen=True, kw_only=True):
    """A rating that was committed to. Unsigned: anybody who knows the salt may publish it."""

    rating: SignedBody
    rating_signature: Signature64
    salt: Id16


class FileUnrated(Owned, frozen=True, kw_only=True):
    """The contractor's word, after the deadline, that a job was accepted and awarded and never rated.

    The client's signed award proves that it was asked; `salt` opens the acceptance's commitment to the same task.
    """

    acceptance: SignedBody
    acceptance_signature: Signature64
    award: SignedBody
    award_signature: Signature64
    salt: Id16


class AnswerRating(Owned, frozen=True, kw_only=True):
    """The contractor's one answer to a rating; the words themselves stay off the chain."""

    acceptance_id: Hash32
    stance: Stance
    objection: Objection
    text_sha256: Hash32


# Keys and members


class ReportConflict(Owned, frozen=True, kw_only=True):
    """Two signatures by `accused` that no honest key makes both; `label` is what kind of body they are under."""

    accused: Key32
    label: Annotated[str, Meta(min_length=1, max_length=40)]
    body_1: SignedBody
    signature_1: Signature64
    body_2: SignedBody
    signature_2: Signature64


class Join(Owned, frozen=True, kw_only=True):
    """A new account for `key`, its bond paid by `signer`. Signed by both."""

    key: Key32
    bond: Credits
    next_key_sha256: Hash32 | None = None


class Admit(Approved, frozen=True, kw_only=True):
    """A new account for `key` by vote, in place of a bond."""

    key: Key32


class Reconfigure(Approved, frozen=True, kw_only=True):
    """Members that come and go, from the next height on."""

    add: Annotated[tuple[Key32, ...], Meta(max_length=MAX_MEMBERS)] = ()
    remove: Annotated[tuple[Key32, ...], Meta(max_length=MAX_MEMBERS)] = ()


class NameSuccessor(Owned, frozen=True, kw_only=True):
    """The hash of the key that will follow, once for each key: a thief cannot name another (`key_commitment`)."""

    next_key_sha256: Hash32


class Succeed(Owned, frozen=True, kw_only=True):
    """`signer`'s account passes to the key that it had named. Signed by both keys."""

    new_key: Key32
    next_key_sha256: Hash32 | None = None


class Revoke(Transaction, frozen=True, kw_only=True):
    """The end of `key`'s account, signed `by` itself or by its named successor. Its credits stay where they are."""

    key: Key32
    by: Key32


# Credits


class Grant(Approved, frozen=True, kw_only=True):
    """New credits for an account."""

    account: Key32
    credits: PositiveCredits


class Fund(Owned, frozen=True, kw_only=True):
    """The client locks credits for one deal, named by a hash of its own choice."""

    deal: Hash32
    contractor: Key32
    arbiter: Key32
    credits: PositiveCredits
    submit_within_ms: Annotated[int, Meta(ge=1, le=MAX_MILLIS)]


class InDeal(Owned, frozen=True, kw_only=True):
    """Base of what follows in a deal: it is found by its client and its name."""

    client: Key32
    deal: Hash32


class Submit(InDeal, frozen=True, kw_only=True):
    """The contractor has delivered, and asks for this much of what is locked."""

    credits: Credits
    result_commitment: Hash32


class Release(InDeal, frozen=True, kw_only=True):
    """The client pays what the contractor asked; the rest comes back."""


class Refund(InDeal, frozen=True, kw_only=True):
    """The contractor gives everything back."""


class Dispute(InDeal, frozen=True, kw_only=True):
    """The client does not want to pay for what was submitted: the arbiter rules.

    `exhibit_sha256` binds the client to what it shows the arbiter, which is nobody else's business.
    """

    exhibit_sha256: Hash32 | None = None


class Rule(InDeal, frozen=True, kw_only=True):
    """The arbiter's ruling: so much to the contractor, the rest to the client."""

    contractor_credits: Credits


class Expire(InDeal, frozen=True, kw_only=True):
    """Anybody's: a deadline has passed, so what silence means takes effect."""


KINDS: Final[dict[str, type[Transaction]]] = {
    "commit-rating": CommitRating,
    "reveal-rating": RevealRating,
    "file-unrated": FileUnrated,
    "answer-rating": AnswerRating,
    "report-conflict": ReportConflict,
    "join": Join,
    "admit": Admit,
    "reconfigure": Reconfigure,
    "name-successor": NameSuccessor,
    "succeed": Succeed,
    "revoke": Revoke,
    "grant": Grant,
    "fund": Fund,
    "submit": Submit,
    "release": Release,
    "refund": Refund,
    "dispute": Dispute,
    "rule": Rule,
    "expire": Expire,
}
_NAMES: Final = {kind: name for name, kind in KINDS.items()}


class _Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    kind: Annotated[str, Meta(max_length=40)]
    body: Annotated[bytes, Meta(min_length=1, max_length=MAX_TX_BYTES)]
    signatures: Annotated[tuple[tuple[Key32, Signature64], ...], Meta(max_length=MAX_MEMBERS)]


class Rating(msgspec.Struct, frozen=True):
    """What a revealed rating says, its two signatures checked."""

    terms: RatingTerms
    acceptance: AcceptanceTerms
    acceptance_id: bytes
    commitment: bytes


class Delivery(msgspec.Struct, frozen=True):
    """What an unrated job's papers say: the contractor's acceptance and the client's award, of one task."""

    acceptance: AcceptanceTerms
    acceptance_id: bytes
    awarded_unix_ms: int


class Opened(msgspec.Struct, frozen=True):
    """A transaction whose signatures are all good: terms, signers without repetition, and what is inside."""

    terms: Transaction
    signers: tuple[bytes, ...]
    tx_id: bytes
    rating: Rating | None = None
    delivery: Delivery | None = None


def rating_commitment(salt: bytes, rating_body: bytes) -> bytes:
    """What `CommitRating` says in place of the rating."""
    return commitment(b"rating", salt, rating_body)


def acceptance_id(acceptance_body: bytes) -> bytes:
    """How the chain names an acceptance, and with it the one rating that it allows."""
    return tagged_hash(b"acceptance-id", acceptance_body)


def key_commitment(public_key: bytes) -> bytes:
    """How the key that will follow is named before it is shown."""
    return tagged_hash(b"next-key", public_key)


def sign_transaction(terms: Transaction, *signers: Identity) -> bytes:
    """The transaction's bytes with these signatures; more may be added by `cosign`."""
    body = pack(terms)
    kind = _NAMES[type(terms)]
    tx = pack(_Envelope(kind, body, tuple((one.public_key, one.sign(_label(kind), body)) for one in signers)))
    if len(tx) > MAX_TX_BYTES:
        raise LocalProtocolError(f"a {kind} of {len(tx)} bytes is over the limit of {MAX_TX_BYTES}")
    return tx


def cosign(tx: bytes, signer: Identity) -> bytes:
    """`tx` with one more signature; as it was when the signer's is there already."""
    envelope = _envelope(tx)
    if any(key == signer.public_key for key, _ in envelope.signatures):
        return tx
    signature = (signer.public_key, signer.sign(_label(envelope.kind), envelope.body))
    return pack(msgspec.structs.replace(envelope, signatures=(*envelope.signatures, signature)))


@remembered(REMEMBERED)
def transaction_id(tx: bytes) -> bytes:
    """32 bytes that all copies of a transaction share, however they are signed. Total: any bytes have one."""
    try:
        envelope = _envelope(tx)
    except RemoteProtocolError:
        return tagged_hash(b"not-a-transaction", tx)
    return tagged_hash(b"transaction", envelope.kind.encode(), envelope.body)


@remembered(1024)
def _envelope(tx: bytes) -> _Envelope:
    """Taken apart once for what it says and for its id, which are asked for one after the other."""
    return unpack(_Envelope, tx, MAX_TX_BYTES)


@remembered(REMEMBERED)
def open_transaction(tx: bytes) -> Opened:
    """What a transaction says, every signature in it checked; RemoteProtocolError otherwise.

    Remembered, because a replica looks at each several times and signatures are most of the cost: a pool of threads may
    open transactions ahead of the loop that needs them.
    """
    envelope = _envelope(tx)
    kind = KINDS.get(envelope.kind)
    if kind is None:
        raise RemoteProtocolError("bad_transaction", f"{envelope.kind!r} is no kind of transaction")
    terms = unpack(kind, envelope.body)
    signers = tuple(key for key, _ in envelope.signatures)
    if len(set(signers)) != len(signers):
        raise RemoteProtocolError("bad_transaction", f"a {envelope.kind} bears two signatures of one key")
    _check_signers(envelope.kind, terms, signers)
    for key, signature in envelope.signatures:
        if not verify(key, _label(envelope.kind), envelope.body, signature):
            raise RemoteProtocolError("bad_signature", f"a signature on this {envelope.kind} is not its signer's")
    return Opened(
        terms,
        signers,
        transaction_id(tx),
        _open_rating(terms) if isinstance(terms, RevealRating) else None,
        _open_delivery(terms) if isinstance(terms, FileUnrated) else None,
    )


def _label(kind: str) -> bytes:
    return b"transaction/" + kind.encode()


def _check_signers(kind: str, terms: Transaction, signers: Sequence[bytes]) -> None:
    """Who has to sign; of what members approve, only the state knows whether they are enough."""
    match terms:
        case Approved():
            return
        case Join():
            needed = {terms.signer, terms.key}
        case Succeed():
            needed = {terms.signer, terms.new_key}
        case Owned():
            needed = {terms.signer}
        case Revoke():
            needed = {terms.by}
        case _:
            needed = set()
    if set(signers) != needed:
        raise RemoteProtocolError(
            "bad_transaction", f"a {kind} bears {len(signers)} signatures where {len(needed)} named keys have to sign"
        )


def _open_rating(terms: RevealRating) -> Rating:
    rating, acceptance = open_rating(terms.rating, terms.rating_signature)
    return Rating(
        rating.terms,
        acceptance,
        acceptance_id(rating.terms.acceptance),
        rating_commitment(terms.salt, terms.rating),
    )


def _open_delivery(terms: FileUnrated) -> Delivery:
    named = unpack(AcceptanceTerms, terms.acceptance)
    acceptance = open_signed(AcceptanceTerms, terms.acceptance, terms.acceptance_signature, named.contractor)
    award = open_signed(AwardTerms, terms.award, terms.award_signature, acceptance.client)
    if award.contractor != acceptance.contractor or acceptance.client == acceptance.contractor:
        raise RemoteProtocolError("bad_transaction", "the award and the acceptance are not of the same two parties")
    if acceptance.commitment != acceptance_commitment(terms.salt, award.task_id):
        raise RemoteProtocolError("bad_transaction", "the salt does not open the acceptance to the award's task")
    return Delivery(acceptance, acceptance_id(terms.acceptance), award.awarded_unix_ms)
