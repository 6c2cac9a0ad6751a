"""Prices over A2A: a quote that binds this node, the caller's contract over it, and a receipt. Pure.

Each is a compact JWS over canonical JSON (RFC 8785), Ed25519 by the did:key in its `kid`: text that no hop can alter
unnoticed. Money is decimal dollars as text.

    caller   metadata[URI] {"want": "quote"}                -> input-required, metadata[URI] {"quote": JWS}
    caller   metadata[URI] {"contract": JWS over the quote} -> the work -> artifact, metadata[URI] {"receipt": JWS}
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from coalesced.gateway.a2a.shared import dollars, micro_of
from crypto.identity import Identity, did_key
from crypto.jcs import JcsError, canonical, parse_canonical
from crypto.jws import JwsError, sign_compact, verify_compact

QUOTE: Final = "coalesced-a2a-quote+jws"
CONTRACT: Final = "coalesced-a2a-contract+jws"
RECEIPT: Final = "coalesced-a2a-receipt+jws"

Text = Annotated[str, Meta(max_length=256)]
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Millis = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class EconomicsError(ValueError):
    """A quote, contract or receipt is malformed, not its signer's, stale, or about something else."""


class Terms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is signed."""


class QuoteTerms(Terms, frozen=True, kw_only=True):
    """The contractor will do the task of this input for at most this price."""

    task_id: Text
    skill: Text
    input_sha256: Digest
    client: Text
    contractor: Text
    price_usd: Text
    duration_ms: Millis
    p95_ms: Millis
    issued_unix_ms: Millis
    expires_unix_ms: Millis


class ContractTerms(Terms, frozen=True, kw_only=True):
    """The client will owe the quoted price for the result."""

    task_id: Text
    quote_sha256: Digest
    client: Text
    contractor: Text
    agreed_unix_ms: Millis


class ReceiptTerms(Terms, frozen=True, kw_only=True):
    """The contractor delivered this result under this contract and is owed this."""

    task_id: Text
    quote_sha256: Digest
    contract_sha256: Digest
    client: Text
    contractor: Text
    skill: Text
    result_sha256: Digest
    result_bytes: Millis
    paid_usd: Text
    finished_unix_ms: Millis


T = TypeVar("T", bound=Terms)

TYPES: Final[dict[type[Terms], str]] = {QuoteTerms: QUOTE, ContractTerms: CONTRACT, ReceiptTerms: RECEIPT}


@dataclass(frozen=True, slots=True)
class Agreed:
    """A quote and the contract over it, both checked."""

    quote: QuoteTerms
    quote_sha256: str
    contract_sha256: str
    client_key: bytes

    @property
    def price_micro(self) -> int:
        """What was agreed, in micro-dollars."""
        return micro_of(self.quote.price_usd)


def sign(identity: Identity, terms: Terms) -> str:
    """`terms` as a token of this key's."""
    return sign_compact(identity, canonical(msgspec.to_builtins(terms)), typ=TYPES[type(terms)])


def read(kind: type[T], token: object, signer: bytes | None = None) -> tuple[T, bytes]:
    """The terms in a token and who signed it; EconomicsError unless it is a sound one, by `signer` where given."""
    if not isinstance(token, str):
        raise EconomicsError(f"a {TYPES[kind]} must be a text")
    try:
        signed = verify_compact(token, typ=TYPES[kind], signer=signer)
        return msgspec.convert(parse_canonical(signed.payload), kind), signed.signer
    except (JwsError, JcsError, msgspec.ValidationError) as error:
        raise EconomicsError(f"this {TYPES[kind]} cannot be taken: {error}") from error


def digest(token: str) -> str:
    """How one token names another: the SHA-256 of its text."""
    return hashlib.sha256(token.encode()).hexdigest()


def input_digest(parts: bytes) -> str:
    """How a quote names what is to be done."""
    return hashlib.sha256(parts).hexdigest()


def agreement(
    own_key: bytes, quote_token: object, contract_token: object, *, task_id: str, caller: str, now_unix_ms: int
) -> Agreed:
    """What a contract over this node's own quote comes to; EconomicsError when it binds nobody."""
    quote, _ = read(QuoteTerms, quote_token, own_key)
    contract, client_key = read(ContractTerms, contract_token)
    quote_sha256 = digest(str(quote_token))
    if quote.task_id != task_id or contract.task_id != task_id:
        raise EconomicsError("the quote or the contract is for another task")
    if contract.quote_sha256 != quote_sha256:
        raise EconomicsError("the contract is over another quote")
    if quote.client != caller:
        raise EconomicsError("the quote was made to another caller")
    if did_key(client_key) != contract.client or (caller.startswith("did:") and contract.client != caller):
        raise EconomicsError("the contract is not signed by its client")
    if contract.contractor != did_key(own_key):
        raise EconomicsError("the contract is with another contractor")
    if quote.expires_unix_ms <= now_unix_ms:
        raise EconomicsError("the quote has expired: ask for a new one")
    return Agreed(quote, quote_sha256, digest(str(contract_token)), client_key)


def receipt(identity: Identity, agreed: Agreed, data: bytes, *, finished_unix_ms: int) -> str:
    """The contractor's receipt for a result."""
    quote = agreed.quote
    return sign(
        identity,
        ReceiptTerms(
            task_id=quote.task_id,
            quote_sha256=agreed.quote_sha256,
            contract_sha256=agreed.contract_sha256,
            client=did_key(agreed.client_key),
            contractor=quote.contractor,
            skill=quote.skill,
            result_sha256=hashlib.sha256(data).hexdigest(),
            result_bytes=len(data),
            paid_usd=quote.price_usd,
            finished_unix_ms=finished_unix_ms,
        ),
    )


def contract(identity: Identity, quote_token: str, quote: QuoteTerms, *, now_unix_ms: int) -> str:
    """The client's contract over a quote."""
    return sign(
        identity,
        ContractTerms(
            task_id=quote.task_id,
            quote_sha256=digest(quote_token),
            client=did_key(identity.public_key),
            contractor=quote.contractor,
            agreed_unix_ms=now_unix_ms,
        ),
    )


def parameters(
    node_id: str,
    prices_micro: Mapping[str, int],
    levels: Mapping[str, tuple[str, ...]],
    certificates: Sequence[str] = (),
) -> dict[str, Any]:
    """What the card says of this extension: per skill the price of a work unit, and the checks that there are.

    `certificates`: what others certify about this node, as tokens (node/proofs/certificate).
    """
    return {
        "roles": ["contractor"],
        "node_id": node_id,
        "jws_alg": "EdDSA",
        "skills": {
            label: {"unit_price_usd": dollars(micro), "verification": list(levels.get(label, ("none",)))}
            for label, micro in prices_micro.items()
        },
        "certificates": list(certificates),
    }
