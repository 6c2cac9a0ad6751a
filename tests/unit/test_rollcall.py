"""Who rests after it could not be reached, and who is tried again: whoever published since; all, where all are away."""

import asyncio

import pytest

from node.net.endpoint import Endpoint
from node.outsource.client.rollcall import FIRST_REST_MS, MOST_KNOWN, MOST_REST_MS, Absences, answers_in_time
from node.outsource.client.seller import Seller

WHERE = Endpoint("192.0.2.1", 7733)
GONE, OTHER = Seller(b"g" * 32, WHERE, 1_000), Seller(b"o" * 32, WHERE, 1_000)


def test_who_was_missed_rests_a_minute_and_twice_as_long_each_time() -> None:
    absences, now = Absences(), 0
    for times in range(10):
        absences.missed(GONE, now)
        rest_ms = min(MOST_REST_MS, FIRST_REST_MS * 2**times)
        assert absences.is_away(GONE, now + rest_ms - 1)
        now += rest_ms
        assert not absences.is_away(GONE, now)
    absences.met(GONE.key, now)
    assert absences.met_unix_ms(GONE.key) == now
    absences.missed(GONE, now)
    assert not absences.is_away(GONE, now + FIRST_REST_MS), "it begins anew"


def test_who_has_published_since_is_tried_at_once() -> None:
    absences = Absences()
    absences.missed(GONE, 0)
    assert absences.is_away(Seller(GONE.key, WHERE, 1_000), 1)
    assert not absences.is_away(Seller(GONE.key, WHERE, 1_001), 1)


def test_where_all_are_away_all_are_tried_for_it_may_be_our_own_connection() -> None:
    absences = Absences()
    absences.missed(GONE, 0)
    assert absences.worth_asking([GONE, OTHER], 1) == [OTHER]
    absences.missed(OTHER, 0)
    assert absences.worth_asking([GONE, OTHER], 1) == [GONE, OTHER]
    assert absences.worth_asking([], 1) == []


def test_what_is_remembered_is_bounded() -> None:
    absences = Absences()
    absences.met(GONE.key, 7)
    for number in range(MOST_KNOWN):
        absences.met(number.to_bytes(32, "big"), 8)
    assert absences.met_unix_ms(GONE.key) is None
    assert len(absences._known) == MOST_KNOWN


async def test_a_few_silent_ones_do_not_delay_all_and_what_is_given_up_is_cancelled() -> None:
    cancelled: list[str] = []

    async def silent(name: str) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(name)
            raise
        return name

    async def prompt(name: str) -> str:
        return name

    began = asyncio.get_running_loop().time()
    answers = await answers_in_time({"a": prompt("a"), "b": prompt("b"), "c": silent("c")}, 60.0)
    assert answers == {"a": "a", "b": "b"}
    assert cancelled == ["c"]
    assert asyncio.get_running_loop().time() - began < 30
    assert await answers_in_time({}, 60.0) == {}


async def test_one_alone_has_its_time_and_no_more() -> None:
    async def silent() -> str:
        await asyncio.Event().wait()
        return ""

    async def prompt() -> str:
        return "here"

    async def broken() -> str:
        raise TimeoutError("its own")

    assert await answers_in_time({"a": prompt()}, 60.0) == {"a": "here"}
    assert await answers_in_time({"a": silent()}, 0.01) == {}
    with pytest.raises(TimeoutError, match="its own"):
        await answers_in_time({"a": broken()}, 60.0)
