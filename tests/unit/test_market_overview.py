"""The market of a skill as one node has seen it: counts, spread, shares, and which screens speak."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from crypto.identity import short_id
from node.market.error_rates import RATES
from node.market.overview import LEAST_AWARDS, Answer, Round, flags, overview
from node.market.screens import CARTEL_TASKS, LEAST_OFFERS

KEYS = tuple(bytes([number]) * 32 for number in range(1, 6))
PAGE = Path(__file__).parents[2] / "docs" / "reproduction.md"


def asked(*prices: int | None, withheld: bool = True, load_ppm: int = 0) -> Round:
    """One round; None is a seller that made no offer."""
    return Round(
        1,
        tuple(
            Answer(
                seller=key,
                price_micro=price,
                is_withheld=withheld and price is None,
                load_ppm=0 if price else load_ppm,
                duration_ms=None if price is None else 1000,
                success_ppm=None if price is None else 950_000,
            )
            for key, price in zip(KEYS, prices, strict=False)
        ),
    )


def screens(rounds: list[Round], awards: list[bytes] | None = None) -> list[tuple[str, str]]:
    return [(flag.screen, flag.seller) for flag in flags(rounds, awards or [])]


def test_a_market_is_counted_and_its_latest_quotes_are_named() -> None:
    seen = overview("risk", [asked(10, 20, None), asked(None, None), asked(30, 60, 45)], [KEYS[0], KEYS[0], KEYS[1]])
    assert (seen.rounds, seen.sellers, seen.quotes, seen.awards) == (3, 3, 5, 3)
    assert (seen.lowest_micro, seen.highest_micro, seen.spread) == (30, 60, 2.0)
    assert seen.variation == pytest.approx((np.std([10, 20], ddof=1) / 15 + np.std([30, 60, 45], ddof=1) / 45) / 2)
    assert [(share.seller, share.awards) for share in seen.shares] == [(short_id(KEYS[0]), 2), (short_id(KEYS[1]), 1)]
    assert seen.hhi is None  # three awards are no shares of a market
    assert seen.flags == ()


def test_a_market_that_was_never_asked_is_empty() -> None:
    seen = overview("risk", [], [])
    assert (seen.rounds, seen.quotes, seen.variation, seen.spread, seen.lowest_micro) == (0, 0, None, None, None)
    assert (seen.shares, seen.flags) == ((), ())


def test_free_offers_have_no_spread_and_break_nothing() -> None:
    seen = overview("risk", [asked(0, 0, 0)] * CARTEL_TASKS, [])
    assert (seen.variation, seen.spread, seen.lowest_micro, seen.flags) == (None, None, 0, ())


def test_agreed_prices_are_flagged_with_how_often_that_is_wrong() -> None:
    (flag,) = flags([asked(100_000, 105_000, 105_200, 104_900)] * CARTEL_TASKS, [])  # always the same one below
    assert (flag.screen, flag.seller) == ("cartel", "")
    assert (flag.false_alarms, flag.detected) == (0.0, 100.0)


def test_prices_that_differ_are_not_flagged() -> None:
    rng = np.random.default_rng(1)
    rounds = [asked(*(int(1000 * price) for price in rng.normal(20, 2, 5))) for _ in range(100)]
    assert screens(rounds) == []


def test_a_seller_that_undercuts_those_that_promise_the_same_is_named() -> None:
    assert screens([asked(10, 40, 50, 60)] * CARTEL_TASKS) == [("predation", short_id(KEYS[0]))]


def test_a_seller_that_promises_less_may_ask_less() -> None:
    (first, *others) = asked(10, 40, 50, 60).answers
    slow = msgspec.structs.replace(first, duration_ms=10_000)
    assert screens([Round(1, (slow, *others))] * CARTEL_TASKS) == []


def test_answers_kept_before_promises_were_are_read_and_compared_with_nobody() -> None:
    answer = msgspec.json.decode(b'["AQEB", 10, false, 5]', type=Answer)
    assert (answer.price_micro, answer.load_ppm, answer.duration_ms) == (10, 5, None)
    silent = tuple(Answer(seller=key, price_micro=price) for key, price in zip(KEYS, (10, 40, 50), strict=False))
    assert screens([Round(1, silent)] * CARTEL_TASKS) == []


def test_sellers_that_take_turns_are_flagged_by_name() -> None:
    rounds = [
        asked(*(10_000 if place == turn % 4 else 10_500 + 10 * place for place in range(4)), 90_000)
        for turn in range(CARTEL_TASKS)
    ]
    assert [screen for screen, _ in screens(rounds)] == ["ring"]
    assert all(short_id(key) in flags(rounds, [])[0].text for key in KEYS[:4])


def test_a_seller_that_advertises_capacity_and_withholds_it_is_named() -> None:
    rounds = [asked(10, None) if turn % 3 else asked(10, 11) for turn in range(LEAST_OFFERS)]
    assert screens(rounds) == [("hoarding", short_id(KEYS[1]))]


@pytest.mark.parametrize(
    "rounds",
    [
        [asked(10, None, withheld=False)] * 90,  # declines that are about the task and not about capacity
        [asked(10, None)] * (LEAST_OFFERS - 1),  # too few
        [asked(10, None, load_ppm=1_000_000)] * 90,  # it said that it was busy
        [asked(10, None if turn % 12 == 0 else 11) for turn in range(60)],  # busy now and then, and an old advert
    ],
)
def test_a_seller_with_a_reason_is_not_called_a_hoarder(rounds: list[Round]) -> None:
    assert screens(rounds) == []


def test_one_sellers_share_is_flagged_once_there_are_awards_enough() -> None:
    assert screens([], [KEYS[0]] * (LEAST_AWARDS - 1)) == []
    assert screens([], [KEYS[0]] * LEAST_AWARDS) == [("share", "")]


def test_a_rise_in_concentration_is_measured_against_a_full_period_only() -> None:
    even = list(KEYS) * 10
    tight = [KEYS[0]] * 14 + [KEYS[1]] * 14 + [KEYS[2]] * 14 + [KEYS[3]] * 8
    assert screens([], [*tight, *even]) == [("concentration", "")]
    assert screens([], [*tight, *even[:-1]]) == []


def test_the_stated_error_rates_are_those_of_the_reproduction() -> None:
    """When a screen is changed and the page regenerated, node/market/error_rates.py must say what the page says."""
    page = PAGE.read_text(encoding="utf-8")
    for screen in ("cartel", "ring", "hoarding", "predation"):
        found = re.search(rf"^\| {screen} \| [^|]+ \| ([\d.]+) % \| ([\d.]+) % \|", page, re.M)
        assert found is not None, f"{PAGE} has no row for {screen}"
        assert RATES[screen] == (float(found[1]), float(found[2])), f"write the page's rates of {screen} down"
    honest = re.search(r"^\| parity \| expected-cost \| (\d+) % \|", page, re.M)
    assert honest is not None
    assert RATES["concentration"].false_alarms == RATES["share"].false_alarms == float(honest[1])
