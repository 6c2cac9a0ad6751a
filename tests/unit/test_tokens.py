"""Tokens: what is expected, learnt and charged."""

import pytest

from node.decision.tokens import (
    Tariff,
    TokenBelief,
    Usage,
    charge_micro,
    doubt,
    expected_usage,
    observe_usage,
    work_units,
)
from node.views import TokenRate

TARIFF = Tariff(model="m", max_written=1000)


def learnt(runs: int, size_bytes: int, usage: Usage) -> TokenBelief:
    belief = TokenBelief()
    for _ in range(runs):
        belief = observe_usage(belief, size_bytes, usage)
    return belief


def test_before_anything_was_seen_four_bytes_are_a_token_and_a_quarter_of_the_allowance_is_written() -> None:
    assert expected_usage(TARIFF, TokenBelief(), work_units(TARIFF, 4000)) == Usage(1000, 250)


def test_a_model_with_another_vocabulary_is_learnt_within_a_few_runs() -> None:
    belief = learnt(5, 3000, Usage(1500, 20))
    assert belief.bytes_per_token == pytest.approx(2.0, rel=0.05)
    expected = expected_usage(TARIFF, belief, work_units(TARIFF, 3000))
    assert expected.read == pytest.approx(1500, rel=0.05)
    # Two runs' weight stays with the first guess of 250.
    assert expected.written == pytest.approx((2 * 250 + 5 * 20) / 7, rel=0.05)


def test_a_model_that_is_replaced_is_learnt_anew() -> None:
    belief = learnt(500, 4000, Usage(1000, 900))
    for _ in range(300):
        belief = observe_usage(belief, 4000, Usage(2000, 10))
    assert belief.bytes_per_token == pytest.approx(2.0, rel=0.1)
    assert expected_usage(TARIFF, belief, work_units(TARIFF, 4000)).written < 100


def test_no_more_is_expected_than_a_reply_may_hold() -> None:
    assert expected_usage(TARIFF, learnt(50, 100, Usage(25, 5000)), work_units(TARIFF, 100)).written == 1000


@pytest.mark.parametrize(
    ("usage", "is_doubted"),
    [
        (Usage(25, 10), False),
        (Usage(25 + 1000, 10), False),  # the endpoint's own instructions
        (Usage(0, 10), True),
        (Usage(-1, 10), True),
        (Usage(25, 0), True),  # a reply without a token
        (Usage(25, -5), True),
        (Usage(10**12, 10), True),
        (Usage(25, 10**9), True),
    ],
)
def test_a_count_that_cannot_be_of_this_task_is_doubted(usage: Usage, is_doubted: bool) -> None:
    assert bool(doubt(usage, size_bytes=100, written_bytes=40, max_written=1000)) is is_doubted


def test_a_rate_is_for_a_million_tokens() -> None:
    rate = TokenRate(read_micro=150_000, written_micro=600_000)
    assert charge_micro(rate, Usage(1_000_000, 0)) == 150_000
    assert charge_micro(rate, Usage(1000, 500)) == pytest.approx(450)
