"""What an arbiter is shown: taken only when the seller's two signatures bind all of it together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.identity import Identity
from node.outsource.settlement.adapter import Exhibit
from node.outsource.settlement.deals import deal_name
from node.outsource.settlement.exhibits import exhibit_hash, open_exhibit, pack_exhibit
from node.tasks.content import Content
from node.tasks.spec import digest, encode_specification
from protocol.errors import RemoteProtocolError
from protocol.messages import MAX_PART_BYTES, Quote
from protocol.receipts import Signed
from protocol.signed import QuoteTerms, ResultTerms, sign
from protocol.specification import Constraints, InputDescriptor, Specification

SELLER, CLIENT = Identity(b"\x01" * 32), Identity(b"\x02" * 32)


def exhibit(
    work: bytes = b"the input", delivered: bytes = b"the output", signed_output: bytes | None = None
) -> Exhibit:
    """A job of SELLER for CLIENT."""
    specification = encode_specification(
        Specification(
            skills=("sentiment",),
            input=InputDescriptor(media_type="text/plain", size_bytes=len(work), sha256=digest(work)),
            constraints=Constraints(deadline_ms=1000, budget_micro=10),
        )
    )
    quote = QuoteTerms(
        quote_id=bytes(16),
        task_id=bytes(16),
        specification_sha256=digest(specification),
        network="test",
        client=CLIENT.public_key,
        contractor=SELLER.public_key,
        skill="sentiment",
        effort="full",
        price_micro=5,
        duration_ms=1,
        p95_ms=2,
        success_ppm=1,
        issued_unix_ms=0,
        expires_unix_ms=1,
        escrow_chain=bytes(32),
    )
    quote_body, quote_signature = sign(SELLER, quote)
    output = delivered if signed_output is None else signed_output
    result = ResultTerms(
        task_id=bytes(16),
        quote_sha256=digest(quote_body),
        session_hash=bytes(32),
        result_sha256=digest(output),
        result_bytes=len(output),
        invoice_micro=5,
        started_unix_ms=0,
        finished_unix_ms=1,
    )
    return Exhibit(
        quote=Quote(terms=quote_body, signature=quote_signature),
        specification=specification,
        work=Content("text/plain", work),
        result=Signed(result, *sign(SELLER, result)),
        delivered=delivered,
    )


WHOLE = exhibit()
NAME = deal_name(WHOLE.quote.terms)
PACKED = pack_exhibit(WHOLE) or b""


def test_an_exhibit_that_hangs_together_is_taken() -> None:
    shown = open_exhibit(PACKED, NAME)
    assert (shown.quote.contractor, shown.work, shown.delivered) == (SELLER.public_key, WHOLE.work, WHOLE.delivered)


def test_another_output_than_the_seller_signed_is_refused() -> None:
    packed = pack_exhibit(exhibit(delivered=b"slander", signed_output=b"the output"))
    assert packed is not None
    with pytest.raises(RemoteProtocolError, match="not what was delivered"):
        open_exhibit(packed, NAME)


def test_an_exhibit_of_another_deal_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="another deal"):
        open_exhibit(PACKED, bytes(32))


def test_what_is_too_large_to_travel_is_not_packed() -> None:
    assert pack_exhibit(exhibit(work=bytes(MAX_PART_BYTES))) is None


@given(at=st.integers(0, len(PACKED) - 1), to=st.integers(0, 255))
def test_no_changed_byte_is_taken_for_what_the_seller_signed(at: int, to: int) -> None:
    changed = PACKED[:at] + bytes([to]) + PACKED[at + 1 :]
    try:
        shown = open_exhibit(changed, NAME)
    except RemoteProtocolError:
        return
    assert (shown.quote, shown.work, shown.delivered) == (open_exhibit(PACKED, NAME).quote, WHOLE.work, WHOLE.delivered)
    assert changed == PACKED or exhibit_hash(changed) != exhibit_hash(PACKED)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_exhibit_or_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        open_exhibit(data, NAME)
