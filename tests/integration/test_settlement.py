"""A hired job paid by credits in escrow, between whole nodes and the member of their chain that would arbitrate."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from crypto.identity import Identity, did_key
from node.ledger.chain.state import FUNDED, SUBMITTED
from node.outsource.settlement.config import SettlementConfig
from node.store.former import set_aside
from node.tasks.verify import Judgement
from protocol.transactions import CommitRating, NameSuccessor, Succeed, key_commitment
from tests.harness.nodes import LIMIT_S, Node, snapshot, world
from tests.harness.trios import CREDITS, EACH, SEEDS, TEXT, Trio, fabricate, hold_steps, sections, trio


async def test_the_price_is_locked_before_the_work_and_paid_after_its_check(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path)
        task = await three.buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        deal = await three.closed()
        assert deal.paid_credits == deal.credits == task.cost_micro
        names = [event.name for event in await three.buyer.parts.tasks.events(bytes.fromhex(task.id))]
        assert names.index("awarded") < names.index("settled") < names.index("accepted")


async def test_without_the_adapter_nothing_is_locked(tmp_path: Path) -> None:
    async with world() as made:
        none = SettlementConfig()
        three = await trio(made, tmp_path, settlement=none, seller_settles=none)
        task = await three.buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        assert three.deals() == []
        assert three.credits(three.buyer) == EACH


async def test_a_client_without_the_adapter_is_told_why_such_a_seller_is_out(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path, settlement=SettlementConfig(), seller_settles=CREDITS)
        task = await three.buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "local")
        quotes = await three.buyer.reached(bytes.fromhex(task.id), "quotes")
        assert "settlement.adapter" in quotes.text


async def test_a_seller_whose_result_was_rejected_gives_the_credits_back(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path)
        fabricate(three.seller)
        await three.buyer.ask("sentiment", TEXT, least_level="full")
        deal = await three.closed()
        assert deal.paid_credits == 0


async def test_a_seller_that_insists_on_its_pay_is_judged_by_the_arbiter(tmp_path: Path) -> None:
    async with world() as made:
        insists = SettlementConfig(adapter="credits", margin_s=1.0, refund_rejected=False)
        three = await trio(made, tmp_path, seller_settles=insists)
        fabricate(three.seller)
        task = await three.buyer.ask("sentiment", TEXT, least_level="full")
        deal = await three.closed()
        assert deal.exhibit_sha256
        assert deal.paid_credits == 0
        told = [event.text for event in await three.buyer.parts.tasks.events(bytes.fromhex(task.id))]
        assert any("arbiter" in text for text in told)


async def test_good_work_that_a_client_refuses_is_paid_by_the_arbiters_ruling(tmp_path: Path) -> None:
    async with world() as made:
        insists = SettlementConfig(adapter="credits", margin_s=1.0, refund_rejected=False)
        three = await trio(made, tmp_path, seller_settles=insists)

        async def refuse(*args: Any, **kwargs: Any) -> Judgement:
            return Judgement(accepted=False, score_ppm=0, reasons=("I do not like it",))

        three.buyer.parts.work.verify = refuse  # type: ignore[method-assign]
        await three.buyer.ask("sentiment", TEXT, least_level="full")
        deal = await three.closed()
        assert deal.paid_credits == deal.asked_credits == deal.credits


async def test_a_silent_client_pays_and_a_silent_seller_gives_back_by_time(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path, review_ms=500)
        hold_steps(three.buyer)
        task = await three.buyer.ask("sentiment", TEXT)
        assert (task.state, task.choice) == ("completed", "outsource")
        deal = await three.closed()
        assert deal.paid_credits == deal.credits  # its review ran out, and the seller said so


# --- crashes


async def test_a_client_that_crashes_between_escrow_and_award_gets_its_credits_back(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path)
        buyer, home = three.buyer, tmp_path / "buyer"
        settling = buyer.parts.settling
        locked, lock = asyncio.Event(), settling.lock

        async def lock_and_hang(*args: Any, **kwargs: Any) -> str:
            assert await lock(*args, **kwargs) == ""
            locked.set()
            await asyncio.Event().wait()
            return ""

        settling.lock = lock_and_hang  # type: ignore[method-assign]
        await buyer.submit("sentiment", TEXT, deadline_s=6.0)  # a seller under load promises seconds
        async with asyncio.timeout(LIMIT_S):
            await locked.wait()
        assert [deal.stage for deal in three.deals()] == [FUNDED]
        left = snapshot(home, tmp_path / "left")
        await buyer.stop()
        again = await made.buyer(seed=SEEDS[2], sections=sections(tmp_path), directory=left, port=buyer.endpoint.port)
        three = Trio(three.arbiter, three.seller, again)
        deal = await three.closed()
        assert deal.paid_credits == 0


async def test_a_client_that_crashes_between_result_and_release_pays_once(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path)
        buyer, home = three.buyer, tmp_path / "buyer"
        hold_steps(buyer)
        task = await buyer.ask("sentiment", TEXT)
        assert task.choice == "outsource"
        await three.until(lambda: [deal.stage for deal in three.deals()] == [SUBMITTED], "the seller asks")
        left = snapshot(home, tmp_path / "left")
        await buyer.stop()
        again = await made.buyer(seed=SEEDS[2], sections=sections(tmp_path), directory=left, port=buyer.endpoint.port)
        deal = await Trio(three.arbiter, three.seller, again).closed()
        assert deal.paid_credits == task.cost_micro
        once_more = snapshot(left, tmp_path / "once more")
        await again.stop()
        last = await made.buyer(
            seed=SEEDS[2], sections=sections(tmp_path), directory=once_more, port=buyer.endpoint.port
        )
        await last.ask("sentiment", TEXT[:-1], privacy="secret")
        assert (await Trio(three.arbiter, three.seller, last).closed()).paid_credits == task.cost_micro


async def test_a_seller_that_crashes_at_work_gives_the_credits_back_when_it_is_up_again(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path, pace_s=30.0)
        task_id = await three.buyer.submit("sentiment", TEXT, deadline_s=600.0)
        await three.buyer.reached(task_id, "accepted")
        assert [deal.stage for deal in three.deals()] == [FUNDED]
        left, port = snapshot(tmp_path / "seller", tmp_path / "left"), three.seller.endpoint.port
        await three.seller.stop()
        three.seller = await made.seller(seed=SEEDS[1], sections=sections(tmp_path), directory=left, port=port)
        deal = await three.closed()
        assert deal.paid_credits == 0


async def test_a_client_that_crashes_before_the_dispute_still_has_what_it_shows_the_arbiter(tmp_path: Path) -> None:
    async with world() as made:
        insists = SettlementConfig(adapter="credits", margin_s=1.0, refund_rejected=False)
        three = await trio(made, tmp_path, seller_settles=insists)
        buyer, home = three.buyer, tmp_path / "buyer"
        fabricate(three.seller)
        hold_steps(buyer)
        await buyer.ask("sentiment", TEXT, least_level="full")
        await three.until(lambda: [deal.stage for deal in three.deals()] == [SUBMITTED], "the seller asks")
        left = snapshot(home, tmp_path / "left")
        await buyer.stop()
        again = await made.buyer(seed=SEEDS[2], sections=sections(tmp_path), directory=left, port=buyer.endpoint.port)
        deal = await Trio(three.arbiter, three.seller, again).closed()
        assert deal.exhibit_sha256
        assert deal.paid_credits == 0


# --- keys


async def pass_on(node: Node, seed: bytes) -> Identity:
    """Have the node's account pass to the key of `seed`, as `keys rotate` does."""
    successor, community = Identity(seed), node.parts.community
    following = community.following
    named = key_commitment(successor.public_key)
    await community.submit(following.author.sign(following.state, NameSuccessor, next_key_sha256=named))
    await community.submit(following.author.sign(following.state, Succeed, successor, new_key=successor.public_key))
    return successor


NEXT_SEED = b"\x77" * 32


async def test_a_sellers_record_follows_its_account_to_the_next_key(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path)
        assert (await three.buyer.ask("sentiment", TEXT)).choice == "outsource"
        await three.closed()
        outcomes = three.buyer.parts.store.outcomes
        before = (await outcomes.totals())[three.seller.key]
        successor = await pass_on(three.seller, NEXT_SEED)
        async with asyncio.timeout(LIMIT_S):
            while successor.public_key not in (totals := await outcomes.totals()):  # noqa: ASYNC110  # a store's row
                await asyncio.sleep(0.01)
        assert totals == {successor.public_key: before}


async def test_offences_and_the_temporary_block_for_them_follow_a_peer_to_its_next_key(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path)
        peers, seller = three.buyer.parts.peers, three.seller.key
        peers.charge(seller, "bad_message")
        successor = (await pass_on(three.seller, NEXT_SEED)).public_key
        async with asyncio.timeout(LIMIT_S):
            while not peers.offences(successor):  # noqa: ASYNC110  # what is waited for tells nobody
                await asyncio.sleep(0.01)
        assert (peers.offences(seller), peers.is_blocked(successor)) == (0, False)
        while not peers.is_blocked(seller):
            peers.charge(seller, "bad_message")
        # At the chain's next block it is looked for again: a former key may go on.
        chain = three.arbiter.parts.community
        promise = chain.following.author.sign(chain.following.state, CommitRating, commitment=bytes(32))
        await chain.submit(promise)
        async with asyncio.timeout(LIMIT_S):
            while not peers.is_blocked(successor):  # noqa: ASYNC110  # what is waited for tells nobody
                await asyncio.sleep(0.01)
        assert await three.buyer.parts.store.peers.blocked() == [], "it ends by itself"


async def test_a_block_follows_its_peer_to_the_next_key_and_is_lifted_from_both(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path)
        owner, peers = three.buyer.owner, three.buyer.parts.peers
        await owner.block(did_key(three.seller.key))
        successor = (await pass_on(three.seller, NEXT_SEED)).public_key
        async with asyncio.timeout(LIMIT_S):
            while not peers.is_blocked(successor):  # noqa: ASYNC110  # what is waited for tells nobody
                await asyncio.sleep(0.01)
        kept = three.buyer.parts.store.peers
        assert {one.public_key for one in await kept.blocked()} == {three.seller.key, successor}
        await owner.unblock(did_key(successor))
        assert await kept.blocked() == []
        assert not peers.is_blocked(successor)
        assert not peers.is_blocked(three.seller.key)
        # By either name, both are meant from now on.
        await owner.block(did_key(three.seller.key))
        assert peers.is_blocked(successor)


async def renewed(node: Node, make: Callable[..., Awaitable[Node]], directory: Path) -> Node:
    """The node under another key, on the same directory: what `keys rotate` comes to."""
    await pass_on(node, NEXT_SEED)
    await node.stop()
    home = node.plan.directory
    assert home is not None
    set_aside(home / "journal.db", "former")
    return await make(seed=NEXT_SEED, sections=sections(directory), directory=home, port=node.endpoint.port)


async def test_a_client_with_a_new_key_pays_for_what_it_accepted_under_the_old_one(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path)
        hold_steps(three.buyer)
        task = await three.buyer.ask("sentiment", TEXT)
        assert task.choice == "outsource"
        await three.until(lambda: [deal.stage for deal in three.deals()] == [SUBMITTED], "the seller asks")
        three.buyer = await renewed(three.buyer, made.buyer, tmp_path)
        assert (await three.closed()).paid_credits == task.cost_micro
        assert (await three.buyer.owner.receipt(task.id)).verdict == "accepted"


async def test_a_seller_with_a_new_key_is_paid_for_what_it_delivered_under_the_old_one(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path)
        hold_steps(three.seller)
        task = await three.buyer.ask("sentiment", TEXT)
        assert (task.choice, [deal.stage for deal in three.deals()]) == ("outsource", [FUNDED])
        three.seller = await renewed(three.seller, made.seller, tmp_path)
        assert (await three.closed()).paid_credits == task.cost_micro


async def test_a_seller_with_a_new_key_gives_back_what_was_locked_for_unfinished_work(tmp_path: Path) -> None:
    async with world() as made:
        three = await trio(made, tmp_path, pace_s=30.0)
        await three.buyer.reached(await three.buyer.submit("sentiment", TEXT, deadline_s=600.0), "accepted")
        three.seller = await renewed(three.seller, made.seller, tmp_path)
        assert (await three.closed()).paid_credits == 0
