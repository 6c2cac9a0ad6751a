"""Deals of one name: anybody may call a deal as another's is called, and it changes nothing for that one."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from node.community.waiters import NotCommittedError
from node.ledger.chain.state import DISPUTED, SUBMITTED
from node.outsource.settlement.config import SettlementConfig
from node.outsource.settlement.steward import Steward
from protocol.messages import DealExhibit
from protocol.transactions import Expire, Fund
from tests.harness.communities import until
from tests.harness.nodes import Node, world
from tests.harness.trios import TEXT, Trio, fabricate, hold_steps, let_step, trio

INSISTS = SettlementConfig(adapter="credits", margin_s=1.0, refund_rejected=False)


def has_seen_one(steward: Steward) -> bool:
    """Whether it knows of a deal that it has a part in."""
    return len(steward.open_deals()) == 1


async def copied(three: Trio, by: Node, contractor: Node, arbiter: Node) -> tuple[bytes, Callable[[], Awaitable[int]]]:
    """Somebody calls a deal of its own as the one deal there is. The name, and how the copy is closed."""
    (key,) = (key for key, _ in three.state.trie.items(b"\x09"))
    community, name = by.parts.community, key[33:]
    author, parties = community.following.author, {"contractor": contractor.key, "arbiter": arbiter.key}
    await community.submit(author.sign(three.state, Fund, deal=name, credits=1, submit_within_ms=1, **parties))

    async def close() -> int:
        with suppress(NotCommittedError):  # its own steward may be first
            await community.submit(author.sign(three.state, Expire, client=by.key, deal=name))
        return await three.paid(by, name)

    return name, close


async def test_a_client_does_not_forget_its_deal_over_one_of_the_same_name(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path, seller_settles=INSISTS)
        fabricate(three.seller)
        hold_steps(three.buyer)
        await three.buyer.ask("sentiment", TEXT, least_level="full")
        await three.until(lambda: [deal.stage for deal in three.deals()] == [SUBMITTED], "the seller asks")
        name, close = await copied(three, three.seller, three.arbiter, three.buyer)
        assert await close() == 0
        let_step(three.buyer)
        assert await three.paid(three.buyer, name) == 0


async def test_a_seller_does_not_forget_its_work_over_a_deal_of_the_same_name(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path)
        hold_steps(three.seller)
        task = await three.buyer.ask("sentiment", TEXT)
        name, close = await copied(three, three.arbiter, three.seller, three.buyer)
        assert await close() == 0
        let_step(three.seller)
        assert await three.paid(three.buyer, name) == task.cost_micro
        assert task.cost_micro


async def test_nobody_elses_exhibit_takes_the_place_of_a_clients(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path, seller_settles=INSISTS, rule_ms=60_000)
        judge = three.arbiter.parts.steward
        assert judge is not None
        fabricate(three.seller)
        hold_steps(three.arbiter)
        await three.buyer.ask("sentiment", TEXT, least_level="full")
        await three.until(lambda: [deal.stage for deal in three.deals()] == [DISPUTED], "the arbiter is called")
        await until(lambda: bool(judge._shown), "the client has shown it what there is to see")
        name, close = await copied(three, three.seller, three.buyer, three.arbiter)
        assert await judge.take_exhibit(three.seller.key, DealExhibit(deal=name, exhibit=b"another")) == ""
        assert await close() == 0
        let_step(three.arbiter)
        assert await three.paid(three.buyer, name) == 0


async def test_deals_that_somebody_makes_with_a_node_by_itself_cost_it_no_looks(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path)
        community = three.buyer.parts.community
        author, parties = community.following.author, {"contractor": three.seller.key, "arbiter": three.arbiter.key}
        deal = author.sign(three.state, Fund, deal=bytes(32), credits=1, submit_within_ms=60_000, **parties)
        await community.submit(deal)
        stewards = [node.parts.steward for node in (three.seller, three.arbiter)]
        for steward in stewards:
            assert steward is not None
            await until(partial(has_seen_one, steward), "it has seen the deal")
            assert steward._due(three.state) == []
