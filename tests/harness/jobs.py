"""One finished job between two fixed identities, for tests that need its quote, acceptance, receipt or rating."""

import hashlib

from crypto.identity import Identity
from protocol.messages import Accepted
from protocol.receipts import Job, Receipt, accept, countersign, offer_receipt
from protocol.signed import AwardTerms, QuoteTerms, ReceiptTerms

CLIENT = Identity(b"\x01" * 32)
CONTRACTOR = Identity(b"\x02" * 32)
STRANGER = Identity(b"\x03" * 32)
SALT = b"\x05" * 16
NOW_UNIX_MS = 1_790_000_000_000


def task_id_of(number: int) -> bytes:
    """A task id that tells its number."""
    return number.to_bytes(16, "big")


def quote_terms(number: int = 1, price_micro: int = 1000) -> QuoteTerms:
    """The contractor's offer for task `number`."""
    return QuoteTerms(
        quote_id=task_id_of(number),
        task_id=task_id_of(number),
        specification_sha256=b"\x11" * 32,
        network="test",
        client=CLIENT.public_key,
        contractor=CONTRACTOR.public_key,
        skill="risk",
        effort="full",
        price_micro=price_micro,
        duration_ms=1000,
        p95_ms=2000,
        success_ppm=980_000,
        issued_unix_ms=NOW_UNIX_MS,
        expires_unix_ms=NOW_UNIX_MS + 60_000,
    )


def award_terms(number: int = 1) -> AwardTerms:
    """The client's order for it."""
    return AwardTerms(
        task_id=task_id_of(number),
        quote_sha256=hashlib.sha256(b"quote").digest(),
        client=CLIENT.public_key,
        contractor=CONTRACTOR.public_key,
        awarded_unix_ms=NOW_UNIX_MS,
    )


def receipt_terms(number: int = 1, price_micro: int = 1000) -> ReceiptTerms:
    """What both sides sign in the end: accepted, in time, paid as quoted."""
    return ReceiptTerms(
        task_id=task_id_of(number),
        salt=b"\x07" * 16,
        network="test",
        client=CLIENT.public_key,
        contractor=CONTRACTOR.public_key,
        skill="risk",
        effort="full",
        specification_sha256=b"\x11" * 32,
        quote_sha256=hashlib.sha256(b"quote").digest(),
        result_sha256=b"\x22" * 32,
        price_micro=price_micro,
        paid_micro=price_micro,
        awarded_unix_ms=NOW_UNIX_MS,
        finished_unix_ms=NOW_UNIX_MS + 900,
        deadline_met=True,
        level="cheap",
        verdict="accepted",
        score_ppm=912_345,
        explored=False,
    )


def job(number: int = 1, price_micro: int = 1000) -> Job:
    """What the contractor knows of that job by itself."""
    terms = receipt_terms(number, price_micro)
    shared = {name: getattr(terms, name) for name in Job.__slots__ if name != "invoice_micro"}
    return Job(**shared, invoice_micro=price_micro)


def receipt(number: int = 1, price_micro: int = 1000) -> Receipt:
    """The receipt with both signatures."""
    offer = offer_receipt(CLIENT, receipt_terms(number, price_micro))
    return countersign(CONTRACTOR, offer.body, offer.signature, job(number, price_micro))


def accepted(number: int = 1, price_micro: int = 1000) -> Accepted:
    """The contractor's acceptance message."""
    return accept(CONTRACTOR, quote_terms(number, price_micro), SALT, NOW_UNIX_MS)
