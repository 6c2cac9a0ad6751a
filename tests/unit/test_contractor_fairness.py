"""Who is served when many want the same seller: turns, standing, pace."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.outsource.config import ContractorConfig
from node.outsource.contractor.admission import decline_client, queue_limit
from node.outsource.contractor.clients import FORGIVEN_S, MAX_REMEMBERED, Clients, Standing
from node.outsource.contractor.pace import BURST_S, LONGEST_S, Pace
from node.outsource.contractor.turns import Turns

ONE, OTHER, PAYER = b"1" * 32, b"2" * 32, b"p" * 32


async def passed_on(turns: Turns, order: list[bytes], client: bytes, *, is_known: bool = False) -> None:
    """Take one turn, and note it."""
    async with turns.turn(client, is_known=is_known):
        order.append(client)
        await asyncio.sleep(0)


async def waiting(turns: Turns, count: int) -> None:
    while turns.waiting < count:  # noqa: ASYNC110  # they come by themselves
        await asyncio.sleep(0)


async def served(*jobs: bytes) -> list[bytes]:
    """The order in which these jobs run on one slot; PAYER's client is known."""
    turns, order = Turns(1), list[bytes]()
    async with asyncio.TaskGroup() as group, turns.turn(b"before", is_known=False):
        for client in jobs:
            group.create_task(passed_on(turns, order, client, is_known=client == PAYER))
        await waiting(turns, len(jobs))
    assert turns.waiting == 0
    return order


async def test_clients_take_turns_and_not_their_jobs() -> None:
    assert await served(ONE, ONE, ONE, ONE, OTHER, OTHER) == [ONE, OTHER, ONE, OTHER, ONE, ONE]


async def test_who_has_paid_comes_before_strangers() -> None:
    assert await served(ONE, OTHER, PAYER, PAYER) == [PAYER, PAYER, ONE, OTHER]


async def test_who_leaves_the_line_holds_nobody_up() -> None:
    turns, order = Turns(1), list[bytes]()
    async with turns.turn(b"before", is_known=False):
        leaving = asyncio.create_task(passed_on(turns, order, ONE))
        staying = asyncio.create_task(passed_on(turns, order, OTHER))
        await waiting(turns, 2)
        leaving.cancel()
    await staying
    assert order == [OTHER]
    async with asyncio.timeout(60):
        await passed_on(turns, order, ONE)


async def test_a_turn_that_comes_to_one_who_leaves_at_that_moment_is_passed_on() -> None:
    turns, order = Turns(1), list[bytes]()
    async with turns.turn(b"before", is_known=False):
        leaving = asyncio.create_task(passed_on(turns, order, ONE))
        staying = asyncio.create_task(passed_on(turns, order, OTHER))
        await waiting(turns, 2)
    leaving.cancel()  # Its turn has come, and it has not run since.
    async with asyncio.timeout(60):
        await staying
    assert order == [OTHER]
    assert turns.waiting == 0


def test_who_signs_nothing_is_declined_until_it_does_or_long_enough_has_passed() -> None:
    config, clients = ContractorConfig(max_unsigned_jobs=2), Clients()
    for task_id in (b"a", b"b"):
        assert decline_client(clients.standing(ONE, 0.0), config) is None
        clients.took(ONE, task_id, 0.0)
    declined = decline_client(clients.standing(ONE, 0.0), config)
    assert declined is not None
    assert (declined.code, "2 jobs" in declined.text) == ("unsigned", True)
    assert decline_client(clients.standing(OTHER, 0.0), config) is None
    assert decline_client(clients.standing(ONE, FORGIVEN_S + 1), config) is None
    clients.signed(ONE, b"a", 0)
    assert clients.standing(ONE, 0.0) == Standing(receipts=0, unsigned=1)
    clients.signed(ONE, b"b", 10)
    assert clients.standing(ONE, 0.0) == Standing(receipts=1, unsigned=0)


def test_strangers_may_fill_half_of_the_queue() -> None:
    known, stranger = Standing(receipts=1, unsigned=0), Standing(receipts=0, unsigned=0)
    for queue, theirs in ((8, 4), (1, 1), (0, 0), (3, 2)):
        config = ContractorConfig(max_queued_jobs=queue)
        assert (queue_limit(known, config), queue_limit(stranger, config)) == (queue, theirs)


def test_a_flood_of_keys_does_not_fill_memory() -> None:
    clients, pace = Clients(), Pace(1.0)
    for number in range(MAX_REMEMBERED + 10):
        key = number.to_bytes(32, "big")
        clients.took(key, b"t", float(number))
        clients.signed(key, b"t", 1)
        clients.took(key, b"u", float(number))
        pace.wait_s(key, float(number))
    assert max(len(clients._receipts), len(clients._unsigned), len(pace._next_s)) <= MAX_REMEMBERED


@given(st.floats(0.5, 1000.0), st.lists(st.floats(0.0, 0.5), max_size=200))
def test_no_line_is_answered_faster_than_its_pace_after_the_burst(per_s: float, gaps_s: list[float]) -> None:
    pace, now_s, answered_s = Pace(per_s), 0.0, list[float]()
    for gap_s in gaps_s:
        now_s += gap_s
        if (wait_s := pace.wait_s(ONE, now_s)) is not None:
            assert wait_s <= LONGEST_S
            answered_s.append(now_s + wait_s)
    assert answered_s == sorted(answered_s)
    for count, at_s in enumerate(answered_s, 1):
        assert count <= per_s * (BURST_S + at_s) + 1 + 1e-6


def test_lines_do_not_wait_for_each_other_and_a_flood_leaves_no_backlog() -> None:
    pace = Pace(10.0)
    flooded = [pace.wait_s(ONE, 0.0) for _ in range(1000)]
    assert flooded[:20] == pytest.approx([0.0] * 20)
    assert flooded[20] == pytest.approx(0.1)
    assert flooded[-1] is None
    assert pace.wait_s(OTHER, 0.0) == 0.0
    assert pace.wait_s(ONE, LONGEST_S + BURST_S + 0.1) == 0.0, "what was not answered is forgotten"
    assert [pace.wait_s(PAYER, second / 5) for second in range(50)] == [0.0] * 50
