"""What a node knows and owes after it stopped, crashed, or lost its journal's end."""

import sqlite3
from pathlib import Path

import pytest

from crypto.identity import Identity
from node.errors import UsageError
from node.outsource.client.running import StoppingError
from node.outsource.config import ClientConfig
from node.store.spending import Caps
from protocol.messages import Decline, ReceiptSigned
from tests.harness import hostile
from tests.harness.dealing import Seller, buying, on_sale
from tests.harness.nodes import snapshot, world
from tests.harness.peering import until

TEXT = "The room was not clean, but the staff were wonderful."
DATA = TEXT.encode()
CHEER = """
from coalesced.skill import skill

@skill("cheer", price="0.00001")
def work(text: str) -> str:
    return text + "!"
"""


def home(tmp_path: Path, name: str) -> Path:
    directory = tmp_path / name
    directory.mkdir(mode=0o700)
    return directory


async def test_both_sides_know_their_history_after_a_restart(tmp_path: Path) -> None:
    async with world() as made:
        seller = await made.seller(directory=home(tmp_path, "seller"))
        buyer = await made.buyer(directory=home(tmp_path, "buyer"))
        task = await buyer.ask("sentiment", TEXT)
        await seller.written("receipt")
        sides = ((seller, buyer.order_of(task.id, seller.key).hex()), (buyer, task.id))
        before = [(await side.owner.receipt(known_as)).digest for side, known_as in sides]
        await seller.restart()
        await buyer.restart()
        assert [(await side.owner.receipt(known_as)).digest for side, known_as in sides] == before
        for side in (seller, buyer):
            assert (await side.owner.journal_verify()).ok
        kept = await buyer.owner.task(task.id)
        assert (kept.state, kept.choice, kept.cost_micro) == (task.state, task.choice, task.cost_micro)
        assert (await buyer.owner.result(task.id))[0]
        totals = (await buyer.parts.store.outcomes.totals())[seller.key]
        assert totals.successes == 1
        again = await buyer.ask("sentiment", TEXT)
        assert again.choice == "outsource"


async def test_what_was_under_way_ends_as_interrupted(tmp_path: Path) -> None:
    buyer_home, key = home(tmp_path, "buyer"), b"\x42" * 32
    async with world() as made:
        buyer = await made.buyer(seed=key, directory=buyer_home)
        async with on_sale(hostile.Slow(), [buyer.endpoint]):
            task_id = await buyer.submit("sentiment", TEXT)
            await buyer.reached(task_id, "accepted")
            crashed = snapshot(buyer_home, tmp_path / "crashed")
        after = await made.node(seed=key, directory=crashed, bootstrap=())
        task = await after.ended(task_id)
        assert task.error is not None
        assert (task.state, task.error.code, task.error.exit_code) == ("failed", "interrupted", 1)
        assert await after.parts.store.spending.open_reservations() == []
        assert await after.parts.store.blobs.live_tasks() == []


async def test_a_crash_between_receipt_and_settlement_counts_what_was_signed(tmp_path: Path) -> None:
    buyer_home, key = home(tmp_path, "buyer"), b"\x42" * 32
    seller = hostile.LateReceipt(price_micro=700)
    async with world() as made:
        client = ClientConfig(receipt_timeout_s=15.0)
        buyer = await made.buyer(seed=key, directory=buyer_home, sections={"client": client})
        async with on_sale(seller, [buyer.endpoint]):
            await buyer.submit("sentiment", TEXT)
            await seller.was_offered.wait()
            crashed = snapshot(buyer_home, tmp_path / "crashed")
            reopen_reservation(crashed)
            seller.release.set()
        await buyer.stop()
        caps = {"caps": Caps(day_micro=1000)}
        after = await made.buyer(seed=key, directory=crashed, bootstrap=(), sections=caps)
        spending = after.parts.store.spending
        assert await spending.open_reservations() == []
        assert await spending.day_used_micro(after.parts.env.unix_ms()) == 700
        async with on_sale(Seller(price_micro=700), [after.endpoint]):
            task = await after.ask("sentiment", TEXT)
            assert task.choice == "local", "700 are spent, and the cap of the day is 1000"


def reopen_reservation(directory: Path) -> None:
    """The moment before: the receipt's offer is in the journal, the promise of money still open."""
    with sqlite3.connect(directory / "node.db") as connection:
        connection.execute("UPDATE spending SET paid_micro = NULL")
    connection.close()


async def test_caps_hold_across_a_restart(tmp_path: Path) -> None:
    async with world() as made:
        buyer = await made.buyer(directory=home(tmp_path, "buyer"), sections={"caps": Caps(day_micro=1000)})
        async with on_sale(Seller(price_micro=600), [buyer.endpoint]):
            assert (await buyer.ask("sentiment", TEXT)).choice == "outsource"
            await buyer.restart()
        async with on_sale(Seller(price_micro=600), [buyer.endpoint]):
            assert (await buyer.ask("sentiment", TEXT)).choice == "local"


async def test_a_seller_countersigns_after_its_own_restart(tmp_path: Path) -> None:
    async with world() as made, buying() as buyer:
        node = await made.seller(directory=home(tmp_path, "seller"))
        award, result = await buyer.job(node, DATA)
        await node.restart()
        offer = buyer.receipt(award, result)
        assert isinstance(await (await buyer.session(node)).request(offer, timeout_s=60), ReceiptSigned)
        assert await node.journal() == ["note", "receipt"]
        (task,) = (await node.owner.tasks(limit=10)).tasks
        assert task.receipt


async def test_a_sold_function_is_on_sale_again_after_a_restart(tmp_path: Path) -> None:
    async with world() as made:
        seller = await made.seller(directory=home(tmp_path, "seller"), functions=True)
        assert await seller.sell(tmp_path, CHEER, timeout_s=7.0, memory_bytes=2**27) == "cheer"
        await seller.restart()
        skill = seller.parts.executor.skill("cheer")
        assert (skill.time_limit_s, skill.memory_limit_bytes) == (7.0, 2**27)
        buyer = await made.buyer()
        task = await buyer.ask("cheer", "hurrah")
        assert await buyer.owner.result(task.id) == (b"hurrah!", "text/plain")
        await seller.owner.unsell("cheer")
        with pytest.raises(UsageError, match="not on sale"):
            await seller.owner.unsell("cheer")
        await seller.restart()
        assert "cheer" not in [offer.label for offer in (await seller.owner.offers()).offers]


async def test_a_function_that_is_gone_after_a_restart_is_a_problem_with_a_fix(tmp_path: Path) -> None:
    async with world() as made:
        seller = await made.seller(directory=home(tmp_path, "seller"), functions=True)
        await seller.sell(tmp_path, CHEER)
        for module in tmp_path.glob("sold_*.py"):
            module.unlink()
        await seller.restart()
        status = await seller.owner.status()
        (problem,) = status.problems
        assert problem.text.startswith("cheer is not on sale")
        assert problem.fix == "coalesced sell rm cheer"
        await seller.owner.unsell("cheer")
        assert (await seller.owner.status()).problems == ()


async def test_a_damaged_journal_is_a_problem_and_nothing_is_bought_or_sold(tmp_path: Path) -> None:
    directory = home(tmp_path, "buyer")
    async with world() as made, buying() as client:
        buyer = await made.buyer(directory=directory)
        async with on_sale(Seller(), [buyer.endpoint]):
            assert (await buyer.ask("sentiment", TEXT)).choice == "outsource"
            await buyer.written("receipt")
            await buyer.stop()
            with sqlite3.connect(directory / "journal.db") as connection:
                connection.execute("DELETE FROM entries WHERE height = (SELECT max(height) FROM entries)")
            connection.close()
            buyer.plan.sections = {key: value for key, value in buyer.plan.sections.items() if key != "contractor"}
            await buyer.start()
            status = await buyer.owner.status()
            assert "nothing is bought or sold" in status.problems[0].text
            assert status.problems[0].fix == "coalesced journal verify"
            assert not (await buyer.owner.journal_verify()).ok
        async with on_sale(Seller(), [buyer.endpoint]):
            task = await buyer.ask("sentiment", TEXT)
            assert (task.state, task.choice) == ("completed", "local")
            refused = await buyer.ask("translation", TEXT)
            assert refused.error is not None
            assert (refused.state, refused.error.exit_code) == ("rejected", 5)
            assert "journal" in refused.error.text
        answer = await client.ask_quote(buyer, client.specify(DATA))
        assert isinstance(answer, Decline)
        assert "journal" in answer.text


async def test_a_node_that_drains_sees_its_own_tasks_through_and_takes_on_none() -> None:
    async with world() as made:
        node = await made.node(pace_s=0.4)
        task_id = await node.submit("sentiment", TEXT)
        await node.reached(task_id, "decided")
        node.daemon.ask_to_stop(drain=True)
        await until(lambda: node.daemon.is_stopping)
        with pytest.raises(StoppingError, match="stopping"):
            await node.submit("sentiment", TEXT)
        assert (await node.ended(task_id)).state == "completed"
        await node.stop()


async def test_a_node_that_is_stopped_at_once_writes_down_what_it_cancelled(tmp_path: Path) -> None:
    directory = home(tmp_path, "node")
    async with world() as made:
        node = await made.node(directory=directory, pace_s=600.0)
        task_id = await node.submit("sentiment", TEXT)
        await node.reached(task_id, "decided")
        await node.stop()
        await node.start()
        assert (await node.ended(task_id)).state == "cancelled"


async def test_a_key_that_is_not_the_journals_cannot_open_it(tmp_path: Path) -> None:
    directory = home(tmp_path, "node")
    async with world() as made:
        node = await made.node(directory=directory)
        async with buying() as buyer:
            await buyer.job(node, DATA)
        await node.stop()
        node.identity = Identity(b"\x77" * 32)
        with pytest.raises(Exception, match="another key"):
            await node.start()
