"""How often sellers that seem to have changed are attested again: a few a day, each less often, not at once again."""

from hypothesis import given
from hypothesis import strategies as st

from node.examination.again import DAY_MS, Asking, ExaminationConfig, why_not_now

ONE, OTHER = b"1" * 32, b"2" * 32
NOW = 10 * DAY_MS
CONFIG = ExaminationConfig(again_per_day=3, again_per_seller_per_day=2, backoff_s=100)


def asked(peer: bytes, ago_s: int, *, holds: bool = True) -> Asking:
    return Asking(peer, NOW - ago_s * 1000, holds)


def test_a_seller_is_asked_so_often_a_day_and_all_together_are() -> None:
    assert why_not_now([asked(ONE, 9)], ONE, NOW, CONFIG) == ""
    twice = [asked(ONE, 9), asked(ONE, 8)]
    assert "again_per_seller_per_day" in why_not_now(twice, ONE, NOW, CONFIG)
    assert why_not_now(twice, OTHER, NOW, CONFIG) == ""
    assert "again_per_day" in why_not_now([*twice, asked(OTHER, 7)], OTHER, NOW, CONFIG)
    assert why_not_now(twice, ONE, NOW + DAY_MS, CONFIG) == ""
    assert why_not_now([], ONE, NOW, ExaminationConfig(again_per_day=0))


def test_after_one_that_came_to_nothing_it_is_left_alone_for_longer_each_time() -> None:
    config = ExaminationConfig(again_per_seller_per_day=9, backoff_s=100)
    failed = [asked(ONE, 99, holds=False)]
    assert "again in 1" in why_not_now(failed, ONE, NOW, config)
    assert why_not_now(failed, ONE, NOW + 1000, config) == ""
    twice = [asked(ONE, 500, holds=False), asked(ONE, 199, holds=False)]
    assert why_not_now(twice, ONE, NOW, config)
    assert why_not_now(twice, ONE, NOW + 1000, config) == ""
    assert why_not_now([*twice, asked(ONE, 1)], ONE, NOW, config) == "", "one that held ends it"


@given(
    st.lists(st.tuples(st.sampled_from([ONE, OTHER]), st.integers(0, 3 * DAY_MS), st.booleans()), max_size=30),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_whoever_asks_whenever_it_may_never_exceeds_either_limit(
    drawn: list[tuple[bytes, int, bool]], per_day: int, per_seller: int
) -> None:
    config = ExaminationConfig(again_per_day=per_day, again_per_seller_per_day=per_seller, backoff_s=1)
    made: list[Asking] = []
    for peer, at, holds in sorted(drawn, key=lambda one: one[1]):
        if not why_not_now(made, peer, at, config):
            made.append(Asking(peer, at, holds))
    for one in made:
        day = [other for other in made if 0 <= one.unix_ms - other.unix_ms < DAY_MS]
        assert len(day) <= per_day
        assert sum(other.peer == one.peer for other in day) <= per_seller
