"""Any bytes are either a valid signed value or the other side's error."""

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import RemoteProtocolError
from protocol.receipts import (
    check_acceptance,
    complete_receipt,
    countersign,
    evidence,
    offer_receipt,
    open_evidence,
    open_fault,
    open_rating,
    open_receipt,
    price_bucket,
    rate,
    report_fault,
)
from protocol.signed import QuoteTerms, sign
from tests.harness.jobs import (
    CLIENT,
    CONTRACTOR,
    NOW_UNIX_MS,
    accepted,
    job,
    quote_terms,
    receipt,
    receipt_terms,
    task_id_of,
)

SIGNATURE = bytes(64)
RECEIPT = receipt()
RATING = rate(CLIENT, RECEIPT, check_acceptance(accepted(), quote_terms()), 1)
PIECE = evidence(QuoteTerms, *sign(CONTRACTOR, quote_terms()))
FAULT = report_fault(
    CLIENT,
    task_id=task_id_of(1),
    network="test",
    client=CLIENT.public_key,
    contractor=CONTRACTOR.public_key,
    kind="failed",
    text="it gave up",
    unix_ms=NOW_UNIX_MS,
    pieces=(PIECE,),
)
BODIES = (RECEIPT.body, RATING.body, FAULT.body, PIECE)
PARTIES = (CLIENT.public_key, CONTRACTOR.public_key)


@st.composite
def changed(draw: st.DrawFn) -> bytes:
    """A valid body with some bytes replaced, cut out or put in."""
    body = bytearray(draw(st.sampled_from(BODIES)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(body)


@given(st.one_of(st.binary(max_size=300), changed()))
def test_any_bytes_open_or_are_refused(data: bytes) -> None:
    for attempt in (
        lambda: open_receipt(data, RECEIPT.client_signature, RECEIPT.contractor_signature),
        lambda: open_rating(data, RATING.signature),
        lambda: open_fault(data, FAULT.signature),
        lambda: open_evidence(data, PARTIES),
    ):
        try:
            attempt()
        except RemoteProtocolError:
            continue
        assert data in BODIES


@given(st.integers(0, 10**15), st.integers(1, 2**60))
@settings(max_examples=30)
def test_any_agreed_job_ends_in_one_receipt(price_micro: int, number: int) -> None:
    offer = offer_receipt(CLIENT, receipt_terms(number, price_micro))
    signed = countersign(CONTRACTOR, offer.body, offer.signature, job(number, price_micro))
    assert complete_receipt(offer, signed.contractor_signature) == signed


@given(st.integers(1, 10**15))
def test_a_price_bucket_says_the_price_within_a_factor_of_two(price_micro: int) -> None:
    bucket = price_bucket(price_micro)
    assert 2 ** (bucket - 1) <= price_micro < 2**bucket
