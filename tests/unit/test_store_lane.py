"""A database's thread: in order, one at a time, what fails is told to who asked, and nothing given is left undone."""

import asyncio
import threading

import pytest

from node.store.lane import Lane
from node.store.queued import Done, Outcome


async def test_jobs_are_done_in_the_order_in_which_they_were_given() -> None:
    lane, done, told = Lane("test"), list[int](), asyncio.Event()

    def job(number: int) -> list[Outcome]:
        done.append(number)
        return [Done(number)]

    for number in range(100):
        lane.do(lambda number=number: job(number), lambda outcomes: told.set() if outcomes == [Done(99)] else None)  # type: ignore[misc]
    async with asyncio.timeout(60):
        await told.wait()
    assert done == list(range(100))
    lane.end()


async def test_who_waits_gets_the_value_or_the_error_and_the_lane_goes_on() -> None:
    def fail() -> None:
        raise ValueError("broken")

    lane = Lane("test")
    with pytest.raises(ValueError, match="broken"):
        await lane.run(fail)
    assert await lane.run(lambda: threading.current_thread().name) == "test"
    lane.end()


async def test_what_was_given_is_done_before_the_end_though_nobody_waits_any_more() -> None:
    lane, goes_on, done = Lane("test"), threading.Event(), list[str]()
    waiting = asyncio.create_task(lane.run(lambda: goes_on.wait(60)))
    abandoned = asyncio.create_task(lane.run(lambda: done.append("done")))
    await asyncio.sleep(0)
    abandoned.cancel()
    goes_on.set()
    assert await waiting
    lane.end()
    assert done == ["done"]


def test_a_loop_that_has_closed_meanwhile_does_not_stop_the_lane() -> None:
    lane, goes_on = Lane("test"), threading.Event()

    async def leave() -> None:
        lane.do(lambda: [Done(goes_on.wait(60))], lambda _: None)

    asyncio.run(leave())
    goes_on.set()
    assert asyncio.run(lane.run(lambda: 7)) == 7
    lane.end()
