"""Receipts, ratings and fault reports: what is signed holds, and everything wrong is the other side's error."""

import msgspec
import pytest

from protocol.errors import LocalProtocolError, RemoteProtocolError
from protocol.messages import Accepted
from protocol.packing import pack
from protocol.receipts import (
    Receipt,
    Signed,
    accept,
    acceptance_commitment,
    check_acceptance,
    check_rating,
    complete_receipt,
    countersign,
    evidence,
    offer_receipt,
    open_evidence,
    open_fault,
    open_rating,
    open_receipt,
    open_receipt_offer,
    outcome_of,
    price_bucket,
    rate,
    receipt_commitment,
    report_fault,
)
from protocol.signed import FaultTerms, QuoteTerms, RatingTerms, ReceiptTerms, ResultTerms, sign
from tests.harness.jobs import (
    CLIENT,
    CONTRACTOR,
    NOW_UNIX_MS,
    SALT,
    STRANGER,
    accepted,
    job,
    quote_terms,
    receipt,
    receipt_terms,
    task_id_of,
)


def rating_of(made: Receipt) -> Signed[RatingTerms]:
    return rate(CLIENT, made, check_acceptance(accepted(), quote_terms()), 1)


def test_both_parties_end_with_the_same_receipt() -> None:
    offer = offer_receipt(CLIENT, receipt_terms())
    theirs = countersign(CONTRACTOR, offer.body, offer.signature, job())
    ours = complete_receipt(offer, theirs.contractor_signature)
    assert ours == theirs == open_receipt(ours.body, ours.client_signature, ours.contractor_signature)
    assert len(ours.digest) == 32


def test_any_changed_byte_of_a_receipt_is_refused() -> None:
    made = receipt()
    for index in range(len(made.body)):
        body = bytearray(made.body)
        body[index] ^= 1
        with pytest.raises(RemoteProtocolError):
            open_receipt(bytes(body), made.client_signature, made.contractor_signature)
    for index in range(64):
        bad = bytearray(made.client_signature)
        bad[index] ^= 1
        with pytest.raises(RemoteProtocolError, match="signature"):
            open_receipt(made.body, bytes(bad), made.contractor_signature)
        bad = bytearray(made.contractor_signature)
        bad[index] ^= 1
        with pytest.raises(RemoteProtocolError, match="signature"):
            open_receipt(made.body, made.client_signature, bytes(bad))


def test_the_two_signatures_cannot_stand_for_each_other() -> None:
    made = receipt()
    with pytest.raises(RemoteProtocolError, match="signature"):
        open_receipt(made.body, made.contractor_signature, made.client_signature)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task_id", task_id_of(9)),
        ("network", "other"),
        ("skill", "sentiment"),
        ("effort", "cheap"),
        ("specification_sha256", b"\x99" * 32),
        ("quote_sha256", b"\x99" * 32),
        ("result_sha256", b"\x99" * 32),
        ("price_micro", 2000),
        ("paid_micro", 999),
        ("awarded_unix_ms", NOW_UNIX_MS - 1),
        ("explored", True),
    ],
)
def test_a_contractor_signs_only_what_it_knows(field: str, value: object) -> None:
    terms = msgspec.structs.replace(receipt_terms(), **{field: value})
    offer = offer_receipt(CLIENT, terms)
    with pytest.raises(RemoteProtocolError, match=field):
        countersign(CONTRACTOR, offer.body, offer.signature, job())


def test_a_rejected_result_is_countersigned_unpaid() -> None:
    offer = offer_receipt(CLIENT, msgspec.structs.replace(receipt_terms(), verdict="rejected", paid_micro=0))
    assert countersign(CONTRACTOR, offer.body, offer.signature, job()).terms.verdict == "rejected"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"paid_micro": 1001}, "1001 micro-dollars paid is over the quoted 1000"),
        ({"verdict": "rejected"}, "paid for a rejected result"),
        ({"finished_unix_ms": NOW_UNIX_MS - 1}, "before its award"),
        ({"contractor": CLIENT.public_key}, "same key"),
    ],
)
def test_a_receipt_that_contradicts_itself_is_refused(changes: dict[str, object], text: str) -> None:
    terms = msgspec.structs.replace(receipt_terms(), **changes)
    with pytest.raises(RemoteProtocolError, match=text):
        offer_receipt(CLIENT, terms)
    with pytest.raises(RemoteProtocolError, match=text):
        open_receipt_offer(*sign(CLIENT, terms))


def test_nobody_offers_or_countersigns_for_another() -> None:
    with pytest.raises(LocalProtocolError):
        offer_receipt(STRANGER, receipt_terms())
    offer = offer_receipt(CLIENT, receipt_terms())
    with pytest.raises(LocalProtocolError):
        countersign(STRANGER, offer.body, offer.signature, job())
    with pytest.raises(LocalProtocolError):
        accept(STRANGER, quote_terms(), SALT, NOW_UNIX_MS)
    with pytest.raises(LocalProtocolError):
        rate(CONTRACTOR, receipt(), check_acceptance(accepted(), quote_terms()), 1)


@pytest.mark.parametrize(("price_micro", "bucket"), [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (1023, 10), (10**15, 50)])
def test_a_price_bucket_is_a_power_of_two(price_micro: int, bucket: int) -> None:
    assert price_bucket(price_micro) == bucket


def test_a_commitment_depends_on_purpose_salt_and_content() -> None:
    made = {
        acceptance_commitment(SALT, task_id_of(1)),
        acceptance_commitment(b"\x06" * 16, task_id_of(1)),
        acceptance_commitment(SALT, task_id_of(2)),
        receipt_commitment(SALT, task_id_of(1)),
    }
    assert len(made) == 4
    with pytest.raises(LocalProtocolError, match="16 bytes"):
        acceptance_commitment(b"short", task_id_of(1))


# Acceptances and ratings


def test_an_acceptance_is_of_exactly_one_quote() -> None:
    assert check_acceptance(accepted(), quote_terms()).terms.skill == "risk"
    with pytest.raises(RemoteProtocolError, match="commitment"):
        check_acceptance(accepted(2), quote_terms(1))
    with pytest.raises(RemoteProtocolError, match="price bucket"):
        check_acceptance(accepted(price_micro=5000), quote_terms())
    wrong_salt = msgspec.structs.replace(accepted(), salt=b"\x06" * 16)
    with pytest.raises(RemoteProtocolError, match="commitment"):
        check_acceptance(wrong_salt, quote_terms())
    forged = accepted()
    with pytest.raises(RemoteProtocolError, match="signature"):
        check_acceptance(Accepted(terms=forged.terms, signature=b"\0" * 64, salt=SALT), quote_terms())


def test_a_published_rating_shows_neither_task_nor_price() -> None:
    rating = rating_of(receipt())
    assert task_id_of(1) not in rating.body
    assert pack(1000) not in rating.body
    opened, acceptance = open_rating(rating.body, rating.signature)
    assert opened == rating
    assert (acceptance.client, acceptance.contractor) == (CLIENT.public_key, CONTRACTOR.public_key)
    assert (rating.terms.score, rating.terms.outcome, acceptance.price_bucket) == (91, "ok", 10)


def test_a_rating_needs_the_contractors_acceptance() -> None:
    rating = rating_of(receipt())
    forged = msgspec.structs.replace(rating.terms, acceptance_signature=b"\0" * 64)
    with pytest.raises(RemoteProtocolError, match="signature"):
        open_rating(*sign(CLIENT, forged))


def test_a_rating_is_the_clients_alone() -> None:
    rating = rating_of(receipt())
    with pytest.raises(RemoteProtocolError, match="signature"):
        open_rating(*sign(STRANGER, rating.terms))
    with pytest.raises(RemoteProtocolError, match="signature"):
        open_rating(*sign(CONTRACTOR, rating.terms))


def test_nobody_rates_itself() -> None:
    own = msgspec.structs.replace(quote_terms(), contractor=CLIENT.public_key)
    made = accept(CLIENT, own, SALT, NOW_UNIX_MS)
    terms = msgspec.structs.replace(
        rating_of(receipt()).terms, acceptance=made.terms, acceptance_signature=made.signature
    )
    with pytest.raises(RemoteProtocolError, match="nobody rates itself"):
        open_rating(*sign(CLIENT, terms))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outcome", "late"),
        ("score", 90),
        ("deadline_met", False),
        ("explored", True),
        ("receipt_commitment", b"\1" * 32),
    ],
)
def test_a_rating_must_say_what_its_receipt_says(field: str, value: object) -> None:
    rating = rating_of(receipt())
    check_rating(rating, receipt())
    terms = msgspec.structs.replace(rating.terms, **{field: value})
    with pytest.raises(RemoteProtocolError, match="the rating's"):
        check_rating(Signed(terms, *sign(CLIENT, terms)), receipt())


def test_a_rating_cannot_stand_on_the_acceptance_of_a_dearer_job() -> None:
    dear = check_acceptance(accepted(price_micro=90_000), quote_terms(price_micro=90_000))
    with pytest.raises(RemoteProtocolError, match="price bucket"):
        rate(CLIENT, receipt(), dear, 1)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "ok"),
        ({"deadline_met": False}, "late"),
        ({"verdict": "rejected", "paid_micro": 0}, "fail"),
        ({"paid_micro": 0}, "refund"),
        ({"price_micro": 0, "paid_micro": 0}, "ok"),
    ],
)
def test_outcomes(changes: dict[str, object], outcome: str) -> None:
    assert outcome_of(msgspec.structs.replace(receipt_terms(), **changes)) == outcome


# Fault reports


def fault(pieces: tuple[bytes, ...] = (), text: str = "nothing came") -> Signed[FaultTerms]:
    return report_fault(
        CLIENT,
        task_id=task_id_of(1),
        network="test",
        client=CLIENT.public_key,
        contractor=CONTRACTOR.public_key,
        kind="overcharge",
        text=text,
        unix_ms=NOW_UNIX_MS,
        pieces=pieces,
    )


def test_a_fault_report_carries_the_others_signed_words() -> None:
    quote = evidence(QuoteTerms, *sign(CONTRACTOR, quote_terms()))
    result = ResultTerms(
        task_id=task_id_of(1),
        quote_sha256=b"\1" * 32,
        session_hash=b"\2" * 32,
        result_sha256=b"\3" * 32,
        result_bytes=10,
        invoice_micro=1500,
        started_unix_ms=1,
        finished_unix_ms=2,
    )
    report = fault((quote, evidence(ResultTerms, *sign(CONTRACTOR, result))))
    opened = open_fault(report.body, report.signature)
    assert opened == report
    parties = (CLIENT.public_key, CONTRACTOR.public_key)
    assert [open_evidence(piece, parties) for piece in opened.terms.evidence] == [
        (CONTRACTOR.public_key, quote_terms()),
        (CONTRACTOR.public_key, result),
    ]


def test_a_fault_report_is_always_small_enough_to_send() -> None:
    pieces = tuple(evidence(QuoteTerms, *sign(CONTRACTOR, quote_terms(number))) for number in range(1, 30))
    report = fault(pieces, text="x" * 5000)
    assert len(report.body) <= 4096
    assert 1 <= len(report.terms.evidence) <= 8
    assert report.terms.text == "x" * 500


def test_evidence_of_a_stranger_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="neither party"):
        report = fault((evidence(QuoteTerms, *sign(STRANGER, quote_terms())),))
        open_fault(report.body, report.signature)


def test_evidence_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="no kind of signed body"):
        open_evidence(pack(["gossip", b"x", b"\0" * 64]), (CLIENT.public_key,))
    with pytest.raises(RemoteProtocolError):
        open_evidence(b"garbage", (CLIENT.public_key,))


def test_only_a_party_reports() -> None:
    with pytest.raises(LocalProtocolError):
        report_fault(
            STRANGER,
            task_id=task_id_of(1),
            network="test",
            client=CLIENT.public_key,
            contractor=CONTRACTOR.public_key,
            kind="timeout",
            text="",
            unix_ms=1,
        )
    terms = msgspec.structs.replace(fault().terms, reporter=STRANGER.public_key)
    with pytest.raises(RemoteProtocolError, match="not one of the two parties"):
        open_fault(*sign(STRANGER, terms))


@pytest.mark.parametrize("junk", [b"", b"\x00", b"\xc1", b"\x80", b"x" * 5000])
def test_junk_is_the_other_sides_error(junk: bytes) -> None:
    signature = b"\0" * 64
    for attempt in (
        lambda: open_receipt(junk, signature, signature),
        lambda: open_rating(junk, signature),
        lambda: open_fault(junk, signature),
        lambda: open_evidence(junk, ()),
    ):
        with pytest.raises(RemoteProtocolError):
            attempt()


def test_a_receipt_fits_into_a_message() -> None:
    longest = msgspec.structs.replace(
        receipt_terms(), skill="a" * 64, network="n" * 48, price_micro=10**15, paid_micro=10**15
    )
    assert len(pack(longest)) < 1000
    assert isinstance(longest, ReceiptTerms)
