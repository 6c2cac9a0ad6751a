"""Sequential tests, item sets, canaries, honeytokens and drift, held against simulation where they promise a rate."""

import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.examination.canaries import SIZE_RATIO, delay_s, is_followed, like, orders_to_find
from node.examination.drift import DriftConfig, drift, slower, worse
from node.examination.honeytokens import honeytoken, planted, tokens_in
from node.examination.items import Shown, check_all_shown, check_shown, read_items
from node.examination.sequential import SequentialTest
from node.proofs.errors import ProofError

KEY = b"k" * 32
ITEMS = "\n".join(f'{{"input": "question {at}", "expected": "{{\\"answer\\": {at}}}"}}' for at in range(9))


# --- sequential test


def run_of(truth: float, rng: random.Random) -> tuple[str, int]:
    plan, right, asked = SequentialTest(), 0, 0
    while (verdict := plan.verdict(right, asked - right)) == "open":
        asked += 1
        right += rng.random() < truth
    return verdict, asked


def test_a_claim_of_80_percent_against_60_takes_31_items_on_average_and_72_in_one_of_twenty() -> None:
    rng = random.Random(7)
    runs = [run_of(0.8, rng) for _ in range(20_000)]
    sizes = sorted(size for _, size in runs)
    assert 30.5 <= statistics.mean(sizes) <= 31.5
    assert 70 <= sizes[int(0.95 * len(sizes))] <= 74
    assert statistics.mean(verdict == "falls" for verdict, _ in runs) <= 0.05


def test_a_false_claim_stands_in_at_most_one_of_twenty_tests() -> None:
    rng = random.Random(8)
    assert statistics.mean(run_of(0.6, rng)[0] == "stands" for _ in range(5_000)) <= 0.055  # of 5,000 runs


@pytest.mark.parametrize("wrong", [{"too_low": 0.9}, {"claimed": 1.0}, {"alpha": 0.0}])
def test_a_test_that_tells_nothing_apart_cannot_be_written(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="SequentialTest"):
        SequentialTest(**wrong)


# --- items


def test_an_asked_item_is_shown_to_be_of_the_committed_set_and_another_is_not() -> None:
    items, others = read_items(ITEMS, KEY), read_items(ITEMS, b"another" * 5)
    assert items.root == read_items(ITEMS, KEY).root != others.root
    assert [check_shown(items.show(at), items.root, 9) for at in range(9)] == list(items.items)
    for shown in (others.show(3), Shown(items.leaves[2], 3, items.show(3).path)):
        with pytest.raises(ProofError, match="not of the set") as refused:
            check_shown(shown, items.root, 9)
        assert refused.value.reason == "not_in_root"


def test_an_item_that_leaked_is_refused_and_a_set_of_leaked_items_too() -> None:
    items = read_items(ITEMS, KEY)
    leaked = {items.items[3].input_sha256}
    with pytest.raises(ProofError, match="asked before") as refused:
        check_shown(items.show(3), items.root, 9, leaked)
    assert refused.value.reason == "leaked_item"
    with pytest.raises(ProofError, match="asked before"):
        check_all_shown([items.show(1), items.show(1)], items.root, 9)
    assert items.unasked(leaked) == [0, 1, 2, 4, 5, 6, 7, 8]
    with pytest.raises(ProofError, match="write new ones"):
        items.unasked({item.input_sha256 for item in items.items})


@pytest.mark.parametrize("text", ["", "{}", '{"input": "a"}', "[]", ITEMS + "\n" + ITEMS, '{"input":"","expected":""}'])
def test_an_items_file_that_is_none_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|items"):
        read_items(text, KEY)


# --- canaries


@settings(max_examples=25)
@given(st.floats(0.03, 0.3), st.floats(0.3, 1.0), st.floats(0.5, 1.0), st.integers(0, 2**32))
def test_a_fabricator_is_found_after_as_many_orders_as_the_formula_says(
    share: float, fabricated: float, detection: float, seed: int
) -> None:
    rng, after = random.Random(seed), orders_to_find(share, fabricated, detection)
    runs = 2_000

    def found(orders: int) -> bool:
        for order in range(orders):
            followed = is_followed(seed.to_bytes(8, "big"), rng.randbytes(8) + bytes([order % 256]), share)
            if followed and rng.random() < fabricated and rng.random() < detection:
                return True
        return False

    orders = min(round(after), 60)
    expected = 1 - (1 - share * fabricated * detection) ** orders
    hits = sum(found(orders) for _ in range(runs // 10))
    assert abs(hits / (runs // 10) - expected) < 0.16


def test_nothing_is_found_where_nothing_is_sent_fabricated_or_detected() -> None:
    assert orders_to_find(0, 1, 1) == orders_to_find(1, 0, 1) == orders_to_find(1, 1, 0) == float("inf")
    assert orders_to_find(1, 1, 1) == 1
    assert round(orders_to_find(0.05, 1, 0.98)) == 60
    with pytest.raises(ValueError, match="shares are"):
        orders_to_find(2, 1, 1)


def test_canaries_are_sent_at_times_and_sizes_like_those_of_real_orders() -> None:
    rng = random.Random(1)
    delays = [delay_s(KEY, rng.randbytes(16)) for _ in range(4_000)]
    assert 28 < statistics.mean(delays) < 32
    assert like(1000, [10, 900, 5000]) == 1
    assert like(1000, [10, 5000]) is None
    assert like(1000, []) is None
    assert like(1000, [int(1000 * SIZE_RATIO)]) == 0


# --- honeytokens


@given(st.binary(min_size=16, max_size=16), st.text())
def test_a_honeytoken_is_found_again_in_whatever_it_was_copied_to(task_id: bytes, text: str) -> None:
    token = honeytoken(KEY, task_id)
    assert token == honeytoken(KEY, task_id) != honeytoken(b"other", task_id)
    assert token in tokens_in(planted(text.encode("utf-8", "replace"), token).decode().lower())


# --- drift


def test_a_seller_that_does_not_change_raises_an_alarm_in_few_of_fifty_jobs() -> None:
    rng = random.Random(3)
    alarms = sum(slower([rng.lognormvariate(0, 0.3) for _ in range(70)], DriftConfig()) for _ in range(1_000))
    assert alarms <= 60
    alarms = sum(worse([rng.random() < 0.95 for _ in range(70)], DriftConfig()) for _ in range(1_000))
    assert alarms <= 100


def test_a_seller_that_becomes_slower_or_worse_is_seen_within_thirty_jobs() -> None:
    rng = random.Random(4)
    times = [
        [rng.lognormvariate(0, 0.3) for _ in range(20)] + [rng.lognormvariate(0.6, 0.3) for _ in range(30)]
        for _ in range(200)
    ]
    assert sum(slower(one, DriftConfig()) for one in times) >= 195
    good = [[rng.random() < 0.95 for _ in range(20)] + [rng.random() < 0.5 for _ in range(30)] for _ in range(200)]
    assert sum(worse(one, DriftConfig()) for one in good) >= 190


def test_drift_names_what_changed() -> None:
    config = DriftConfig()
    assert drift([1.0] * 30, [True] * 30, {"model": "a"}, {"model": "a", "new": "x"}, config) == ""
    said = drift([1.0] * 20 + [3.0] * 10, [True] * 20 + [False] * 10, {"model": "a"}, {"model": "b"}, config)
    assert said == (
        "its model was a and is b; its jobs take longer than they did; its jobs fail more often than they did"
    )
    assert drift([0.0] * 50, [True] * 5, {}, {}, config) == ""
