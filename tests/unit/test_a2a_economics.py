"""A quote, a contract and a receipt over A2A bind exactly those who signed, for exactly what they say."""

import pytest

from coalesced.gateway.a2a.economics import (
    ContractTerms,
    EconomicsError,
    QuoteTerms,
    ReceiptTerms,
    agreement,
    contract,
    digest,
    read,
    receipt,
    sign,
)
from coalesced.gateway.a2a.shared import dollars, micro_of
from crypto.identity import Identity, did_key

SELLER, CLIENT, OTHER = (Identity(bytes([number]) * 32) for number in (1, 2, 3))
NOW_MS = 1_800_000_000_000


def quote(**changes: object) -> tuple[str, QuoteTerms]:
    fields: dict[str, object] = {
        "task_id": "t1",
        "skill": "risk",
        "input_sha256": "0" * 64,
        "client": did_key(CLIENT.public_key),
        "contractor": did_key(SELLER.public_key),
        "price_usd": "0.001234",
        "duration_ms": 10,
        "p95_ms": 20,
        "issued_unix_ms": NOW_MS,
        "expires_unix_ms": NOW_MS + 1000,
        **changes,
    }
    terms = QuoteTerms(**fields)  # type: ignore[arg-type]
    return sign(SELLER, terms), terms


def agree(quote_token: object, contract_token: object, *, caller: str = "", now_unix_ms: int = NOW_MS) -> int:
    caller = caller or did_key(CLIENT.public_key)
    return agreement(
        SELLER.public_key, quote_token, contract_token, task_id="t1", caller=caller, now_unix_ms=now_unix_ms
    ).price_micro


def test_a_contract_over_a_quote_agrees_on_its_price() -> None:
    token, terms = quote()
    assert agree(token, contract(CLIENT, token, terms, now_unix_ms=NOW_MS)) == 1234


def test_a_receipt_names_quote_contract_and_result() -> None:
    token, terms = quote()
    signed = contract(CLIENT, token, terms, now_unix_ms=NOW_MS)
    agreed = agreement(
        SELLER.public_key, token, signed, task_id="t1", caller=did_key(CLIENT.public_key), now_unix_ms=NOW_MS
    )
    told, signer = read(ReceiptTerms, receipt(SELLER, agreed, b"result", finished_unix_ms=NOW_MS))
    assert signer == SELLER.public_key
    assert (told.quote_sha256, told.contract_sha256) == (digest(token), digest(signed))
    assert (told.paid_usd, told.result_bytes) == ("0.001234", 6)


def test_what_binds_nobody_is_refused() -> None:
    token, terms = quote()
    good = contract(CLIENT, token, terms, now_unix_ms=NOW_MS)
    other_token, other_terms = quote(price_usd="0.5")
    elsewhere, _ = quote(task_id="t2")
    foreign = sign(OTHER, terms)
    cases = {
        "over another quote": (token, contract(CLIENT, other_token, other_terms, now_unix_ms=NOW_MS)),
        "another task": (elsewhere, good),
        "not signed by its client": (token, contract(OTHER, token, terms, now_unix_ms=NOW_MS)),
        "cannot be taken": (foreign, good),
        "must be a text": (token, None),
    }
    for reason, (first, second) in cases.items():
        with pytest.raises(EconomicsError, match=reason):
            agree(first, second)
    with pytest.raises(EconomicsError, match="expired"):
        agree(token, good, now_unix_ms=NOW_MS + 1000)
    with pytest.raises(EconomicsError, match="another caller"):
        agree(token, good, caller="token:bob")


def test_one_kind_of_token_is_never_taken_for_another() -> None:
    token, _ = quote()
    with pytest.raises(EconomicsError):
        read(ContractTerms, token)


@pytest.mark.parametrize("micro", [0, 1, 10, 1_234_567, 10**14, 999_999_999_999_999])
def test_money_is_exact_as_text(micro: int) -> None:
    assert micro_of(dollars(micro)) == micro
    assert "e" not in dollars(micro).lower()


@pytest.mark.parametrize("text", ["", "1e3x", "NaN", "-1", "0.0000001", 1, None, "1" * 30, "Infinity"])
def test_what_is_no_amount_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="amount"):
        micro_of(text)
