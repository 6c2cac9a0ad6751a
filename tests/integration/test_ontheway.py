"""Tasks that are decided at the same moment do not all go to the same seller."""

import asyncio
from typing import Any

from node.net.session import Call
from node.outsource.client.ontheway import Ahead, OnTheWay
from node.outsource.config import ClientConfig
from protocol.messages import Award, Message, QuoteRequest
from tests.harness.dealing import Seller
from tests.harness.hostile import market
from tests.harness.nodes import LIMIT_S

TASKS = 4
PATIENT = {"client": ClientConfig(quote_timeout_s=LIMIT_S)}


class Gathering(Seller):
    """Quotes to nobody before all have asked, and works for nobody before all have hired somebody."""

    label = "oracle"
    answer = b'"yes"'
    duration_ms = 60_000
    p95_ms = 61_000

    def __init__(self, hired: asyncio.Barrier, **changes: Any) -> None:
        super().__init__(**changes)
        self.asked = asyncio.Barrier(TASKS)
        self.hired = hired

    async def quote(self, call: Call, request: QuoteRequest) -> Message:
        await self.asked.wait()
        return await super().quote(call, request)

    async def work(self, call: Call, award: Award) -> Message:
        await self.hired.wait()
        return await super().work(call, award)


async def test_tasks_that_are_quoted_for_together_spread_over_equal_sellers_and_say_why() -> None:
    hired = asyncio.Barrier(TASKS)
    sellers = [Gathering(hired, price_micro=price) for price in (40, 41)]
    async with market(*sellers, sections=PATIENT) as buyer:
        asked = (buyer.ask("oracle", "Will it?", deadline_s=240.0, value_micro=50_000) for _ in range(TASKS))
        tasks = await asyncio.gather(*asked)
        assert [task.state for task in tasks] == ["completed"] * TASKS
        assert [len(seller.awards) for seller in sellers] == [2, 2]
        whys = [str((await buyer.owner.why(task.id)).decision) for task in tasks]
        assert any("1 order of this node's own on the way to " in why for why in whys)


async def test_where_waiting_costs_less_than_the_next_price_all_go_to_the_cheaper_seller() -> None:
    hired = asyncio.Barrier(TASKS)
    sellers = [Gathering(hired, price_micro=price, duration_ms=10, p95_ms=20) for price in (40, 40_000)]
    async with market(*sellers, sections=PATIENT) as buyer:
        asked = (buyer.ask("oracle", "Will it?", deadline_s=240.0, value_micro=50_000) for _ in range(TASKS))
        await asyncio.gather(*asked)
        assert [len(seller.awards) for seller in sellers] == [TASKS, 0]


def test_only_what_a_quote_cannot_know_of_counts_as_ahead() -> None:
    on_the_way = OnTheWay()
    on_the_way.set_out(b"1", b"seller", 3.0)
    on_the_way.set_out(b"2", b"seller", 4.0)
    on_the_way.set_out(b"3", b"other", 5.0)
    on_the_way.accepted(b"1", b"seller", 10.0)
    on_the_way.accepted(b"2", b"other", 10.0)
    assert on_the_way.ahead(b"seller", 9.0) == Ahead(2, 7.0), "asked before the first was accepted"
    assert on_the_way.ahead(b"seller", 11.0) == Ahead(1, 4.0)
    on_the_way.ended(b"2")
    on_the_way.set_out(b"3", b"seller", 6.0)
    assert on_the_way.ahead(b"seller", 11.0) == Ahead(1, 6.0), "a task is on its way to one seller"
    assert on_the_way.ahead(b"other", 11.0) == Ahead()
