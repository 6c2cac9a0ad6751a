"""What a person reads when a cap refuses, and what a caller may not do with a reservation."""

from collections.abc import AsyncIterator

import pytest

from node.errors import UsageError
from node.store.database import Database
from node.store.migrations import NODE
from node.store.spending import DAY_MS, Caps, Reservation, Spending

PEER, OTHER = b"\x01" * 32, b"\x02" * 32


def task(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.fixture
async def spending() -> AsyncIterator[Spending]:
    database = await Database.open(None, NODE)
    yield Spending(database, Caps(day_micro=1000, peer_micro=600, unverified_days=2))
    await database.close()


async def test_a_refusal_says_the_numbers_and_the_setting(spending: Spending) -> None:
    await spending.reserve(task(1), PEER, 500, DAY_MS)
    assert str(await spending.reserve(task(2), PEER, 200, DAY_MS)) == (
        "the exposure to this peer would be $0.0007 ($0.0005 used and $0.0002 asked), over the cap of $0.0006: "
        "raise caps.peer_micro to allow it"
    )
    assert str(await spending.reserve(task(2), OTHER, 501, DAY_MS)) == (
        "today's spending would be $0.001001 ($0.0005 used and $0.000501 asked), over the cap of $0.0010: "
        "raise caps.day_micro to allow it"
    )


async def test_a_cap_can_be_used_to_the_last_micro_dollar(spending: Spending) -> None:
    assert isinstance(await spending.reserve(task(1), PEER, 600, DAY_MS), Reservation)
    assert isinstance(await spending.reserve(task(2), OTHER, 400, DAY_MS), Reservation)
    assert isinstance(await spending.reserve(task(3), OTHER, 0, DAY_MS), Reservation)


async def test_a_new_day_starts_at_zero_and_open_promises_still_count_against_their_peer(spending: Spending) -> None:
    await spending.reserve(task(1), PEER, 600, DAY_MS)
    assert await spending.day_used_micro(2 * DAY_MS) == 0
    assert not isinstance(await spending.reserve(task(2), PEER, 1, 2 * DAY_MS), Reservation)


async def test_value_taken_unchecked_counts_until_it_is_checked_or_old(spending: Spending) -> None:
    for number, peer in ((1, PEER), (2, OTHER)):
        await spending.reserve(task(number), peer, 100, DAY_MS, unverified_micro=300)
        assert not await spending.mark_verified(task(number), peer)
        await spending.settle(task(number), peer, 90)
        assert await spending.peer_exposure_micro(peer, DAY_MS) == 300
    assert await spending.mark_verified(task(1), PEER)
    assert await spending.peer_exposure_micro(PEER, DAY_MS) == 0
    assert await spending.peer_exposure_micro(OTHER, 2 * DAY_MS) == 300
    assert await spending.peer_exposure_micro(OTHER, 3 * DAY_MS) == 0


async def test_unproven_sellers_of_one_subnet_cost_together_what_the_cap_for_it_allows() -> None:
    database = await Database.open(None, NODE)
    spending, subnet = Spending(database, Caps(day_micro=10_000, peer_micro=600, subnet_micro=700)), "8.8.4.0/24"
    await spending.reserve(task(1), PEER, 100, DAY_MS, unverified_micro=400, subnet=subnet)
    await spending.settle(task(1), PEER, 90)
    assert str(await spending.reserve(task(2), OTHER, 301, DAY_MS, subnet=subnet)) == (
        "the exposure to unproven sellers of its subnet would be $0.000701 ($0.0004 used and $0.000301 asked), "
        "over the cap of $0.0007: raise caps.subnet_micro to allow it"
    )
    assert isinstance(await spending.reserve(task(3), OTHER, 300, DAY_MS, subnet=subnet), Reservation)
    assert isinstance(await spending.reserve(task(4), OTHER, 300, DAY_MS), Reservation), "a proven seller"
    assert isinstance(await spending.reserve(task(5), b"3" * 32, 300, DAY_MS, subnet="8.8.8.0/24"), Reservation)
    assert await spending.subnet_exposures_micro({subnet, "1.1.1.0/24"}, DAY_MS) == {subnet: 700, "1.1.1.0/24": 0}
    await spending.mark_verified(task(1), PEER)
    await spending.release(task(3), OTHER)
    assert await spending.subnet_exposures_micro([subnet], DAY_MS) == {subnet: 0}
    await database.close()


async def test_a_quote_binds(spending: Spending) -> None:
    await spending.reserve(task(1), PEER, 100, DAY_MS)
    for paid in (101, -1):
        with pytest.raises(UsageError, match=r"reserved \$0.0001: \$-?0.000\d+ cannot be paid, a quote binds"):
            await spending.settle(task(1), PEER, paid)
    await spending.settle(task(1), PEER, 100)
    await spending.settle(task(1), PEER, 100)
    with pytest.raises(UsageError, match=r"was settled at \$0.0001, not \$0.000099"):
        await spending.settle(task(1), PEER, 99)
    assert not await spending.release(task(1), PEER)
    assert await spending.day_used_micro(DAY_MS) == 100


async def test_what_makes_no_sense_is_refused(spending: Spending) -> None:
    with pytest.raises(UsageError, match="both are at least 0"):
        await spending.reserve(task(1), PEER, -1, DAY_MS)
    with pytest.raises(UsageError, match="no reservation for this peer"):
        await spending.settle(task(1), PEER, 0)
    await spending.reserve(task(1), PEER, 1, DAY_MS)
    with pytest.raises(UsageError, match="already has a reservation for this peer"):
        await spending.reserve(task(1), PEER, 1, DAY_MS)
    assert await spending.release(task(1), PEER)
    assert isinstance(await spending.reserve(task(1), PEER, 1, DAY_MS), Reservation)
