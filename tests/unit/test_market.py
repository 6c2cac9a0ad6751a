"""Prices by eq. (7) in whole micro-dollars, and what a quote binds."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.market.pricing import (
    MAX_PRICE_MICRO,
    Load,
    PricingConfig,
    base_price_micro,
    demand_factor_ppm,
    listed_price_micro,
    quote_price_micro,
)
from node.market.quotes import (
    MAX_LIFETIME_MS,
    QuoteAsked,
    award,
    binds,
    check_quote,
    hold_issued,
    hold_received,
    state,
)
from protocol.signed import QuoteTerms

CONFIG = PricingConfig()
ASKED = QuoteAsked(
    task_id=b"t" * 16,
    specification_sha256=b"s" * 32,
    network="main",
    client=b"c" * 32,
    contractor=b"k" * 32,
    skill="risk",
    effort="full",
)
TERMS = QuoteTerms(
    quote_id=b"q" * 16,
    task_id=ASKED.task_id,
    specification_sha256=ASKED.specification_sha256,
    network="main",
    client=ASKED.client,
    contractor=ASKED.contractor,
    skill="risk",
    effort="full",
    price_micro=1_000,
    duration_ms=500,
    p95_ms=900,
    success_ppm=980_000,
    issued_unix_ms=1_000_000,
    expires_unix_ms=1_060_000,
)


def test_the_price_follows_demand_by_equation_seven() -> None:
    # 4 slots, 6 jobs, none free: 1 + .5 * 6/4 = 1.75. Half busy: 1 + .5 * (2-2)/4 = 1.
    assert quote_price_micro(100, Load(6, 4), CONFIG) == 175
    assert quote_price_micro(100, Load(2, 4), CONFIG) == 100
    assert quote_price_micro(100, Load(2, 4), CONFIG, complexity_ppm=1_500_000) == 150


def test_the_demand_factor_stays_in_its_stated_range() -> None:
    assert demand_factor_ppm(Load(0, 4), CONFIG) == CONFIG.least_factor_ppm
    assert demand_factor_ppm(Load(10**9, 4), CONFIG) == CONFIG.most_factor_ppm


def test_an_idle_seller_still_covers_its_cost() -> None:
    assert quote_price_micro(base_price_micro(1_000.0, CONFIG), Load(0, 1), CONFIG) >= 1_000


def test_a_base_price_is_the_cost_and_the_margin_and_never_rounds_to_free() -> None:
    assert base_price_micro(1_000.0, CONFIG) == 1_200
    assert base_price_micro(0.001, CONFIG) == 1
    assert listed_price_micro(2_000, 40) == 80_000
    assert listed_price_micro(2_000, 0) == 2_000
    for wrong in (math.nan, math.inf, -1.0):
        with pytest.raises(ValueError, match="cost_micro is"):
            base_price_micro(wrong, CONFIG)


def test_free_work_stays_free_under_any_load() -> None:
    assert quote_price_micro(0, Load(9, 1), CONFIG) == 0


def test_a_load_without_slots_or_with_negative_demand_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Load\.slots is 0"):
        Load(0, 0)
    with pytest.raises(ValueError, match=r"Load\.demand is -1"):
        Load(-1, 1)
    with pytest.raises(ValueError, match="neither may be negative"):
        quote_price_micro(-1, Load(0, 1), CONFIG)


@given(st.integers(0, 10**15), st.integers(0, 1_000), st.integers(1, 64))
def test_a_price_never_falls_when_demand_rises_and_always_fits_a_quote(base: int, demand: int, slots: int) -> None:
    now, busier = (quote_price_micro(base, Load(jobs, slots), CONFIG) for jobs in (demand, demand + 1))
    assert 0 <= now <= busier <= MAX_PRICE_MICRO


def test_a_quote_that_answers_what_was_asked_is_usable() -> None:
    assert check_quote(TERMS, ASKED) is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"task_id": b"x" * 16}, "it is for task 7878"),
        ({"specification_sha256": b"x" * 32}, "another specification"),
        ({"network": "other"}, "it is for network 'other', not 'main'"),
        ({"client": b"x" * 32}, "another client"),
        ({"contractor": b"x" * 32}, "another contractor"),
        ({"skill": "ocr"}, "it offers skill 'ocr', not 'risk'"),
        ({"effort": "cheap"}, "it offers cheap effort, not full"),
        ({"p95_ms": 499}, "p95 of 499 ms is below its expected 500 ms"),
        ({"expires_unix_ms": 1_000_000}, "it is valid for 0 ms"),
        ({"expires_unix_ms": 1_000_001 + MAX_LIFETIME_MS}, "the limits are 1 and 86400000"),
    ],
)
def test_a_quote_for_anything_else_is_refused_with_the_difference(changes: dict[str, Any], says: str) -> None:
    problem = check_quote(msgspec.structs.replace(TERMS, **changes), ASKED)
    assert problem is not None
    assert says in problem


def test_the_client_counts_a_quotes_lifetime_by_its_own_clock() -> None:
    held = hold_received(TERMS, received_unix_ms=5)
    assert state(held, 5 + 59_999) == "open"
    assert state(held, 5 + 60_000) == "expired"


def test_the_seller_counts_by_the_moment_that_it_signed() -> None:
    assert state(hold_issued(TERMS), 1_059_999) == "open"
    assert state(hold_issued(TERMS), 1_060_000) == "expired"


def test_a_quote_is_awarded_once_and_in_time_and_stays_awarded() -> None:
    awarded = award(hold_issued(TERMS), 1_059_999)
    assert state(awarded, 2_000_000) == "awarded"
    with pytest.raises(ValueError, match="is awarded: ask for a new one"):
        award(awarded, 1_059_999)
    with pytest.raises(ValueError, match="is expired: ask for a new one"):
        award(hold_issued(TERMS), 1_060_000)


def test_a_quote_binds_an_invoice_up_to_its_price() -> None:
    assert [binds(TERMS, invoice) for invoice in (0, 1_000, 1_001, -1)] == [True, True, False, False]
