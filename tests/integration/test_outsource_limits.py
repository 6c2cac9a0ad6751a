"""The limits of a task between whole nodes: sizes, money, numbers, sold functions, redundant checks."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from node.errors import UsageError
from node.outsource.client.running import TooManyTasksError
from node.outsource.config import ClientConfig, ContractorConfig
from node.store.spending import Caps
from node.views import InputFile, SellRequest
from tests.harness import hostile
from tests.harness.dealing import Seller, on_sale
from tests.harness.nodes import LIMIT_S, Node, world
from tests.harness.peering import until

TEXT = "The room was not clean, but the staff were wonderful."
STALL = """
import time
from coalesced.skill import skill

@skill("stall", price="0.00001")
def work(text: str) -> str:
    time.sleep(float(text))
    return "done"
"""
BIG = """
from coalesced.skill import skill

@skill("big", price="0.00001")
def work(data: bytes) -> bytes:
    return data[::-1]
"""


# --- large contents


async def test_three_mebibytes_travel_in_parts_both_ways(tmp_path: Path) -> None:
    data = bytes(range(256)) * (3 * 2**20 // 256)
    async with world() as made:
        _, buyer = await made.trade(tmp_path, BIG)
        file = InputFile(name="data.bin", media_type="application/octet-stream", data=data)
        task = await buyer.ask("big", files=(file,))
        assert (task.state, task.choice, task.input_bytes) == ("completed", "outsource", len(data)), task.error
        result, _ = await buyer.owner.result(task.id)
        assert result == data[::-1]


async def test_a_result_over_the_clients_limit_is_not_sent(tmp_path: Path) -> None:
    async with world() as made:
        seller = await made.seller(functions=True, sections={"contractor": ContractorConfig(skills=())})
        await seller.sell(tmp_path, BIG)
        buyer = await made.buyer(sections={"client": ClientConfig(max_output_bytes=1024)})
        file = InputFile(name="data.bin", media_type="application/octet-stream", data=bytes(2000))
        task = await buyer.ask("big", files=(file,))
        assert task.error is not None
        assert "too_large" in task.error.text
        sold = await seller.ended(buyer.order_of(task.id, seller.key))
        assert sold.error is not None
        assert sold.error.code == "too_large"


async def test_an_input_over_the_limit_is_refused_before_it_is_stored() -> None:
    async with world() as made:
        node = await made.node(sections={"client": ClientConfig(max_input_bytes=1024)})
        with pytest.raises(UsageError, match=r"over the limit of 1024: .*client\.max_input_bytes"):
            await node.submit("sentiment", "x" * 2000)
        assert await node.parts.store.blobs.used_bytes() == 0


# --- limits of money and number


async def test_the_day_cap_stops_buying_and_says_so() -> None:
    seller = Seller(price_micro=600)
    async with world() as made:
        buyer = await made.buyer(sections={"caps": Caps(day_micro=1000)})
        async with on_sale(seller, [buyer.endpoint]):
            assert (await buyer.ask("sentiment", TEXT)).choice == "outsource"
            task = await buyer.ask("sentiment", TEXT)
            assert task.choice == "local"
            why = await buyer.owner.why(task.id)
            assert why.decision is not None
            assert any("cap" in option.note for option in why.decision.options)


async def test_the_peer_cap_bounds_what_one_seller_may_take_unchecked() -> None:
    seller = Seller(price_micro=600)
    async with world() as made:
        buyer = await made.buyer(sections={"caps": Caps(peer_micro=1000)})
        async with on_sale(seller, [buyer.endpoint]):
            first = await buyer.ask("sentiment", TEXT)
            tasks = [await buyer.ask("sentiment", TEXT) for _ in range(3)]
            exposure = await buyer.parts.store.spending.peer_exposure_micro(seller.key, buyer.parts.env.unix_ms())
            assert first.choice == "outsource"
            assert exposure <= 1000
            assert [task.state for task in tasks] == ["completed"] * 3


async def test_tasks_at_once_never_promise_more_than_the_cap_together() -> None:
    seller = hostile.Slow(price_micro=600)
    async with world() as made:
        buyer = await made.buyer(sections={"caps": Caps(day_micro=1000)})
        async with on_sale(seller, [buyer.endpoint]):
            ids = [await buyer.submit("sentiment", TEXT) for _ in range(4)]
            await until(seller.was_awarded.is_set)
            done = [task for task in await asyncio.gather(*(settled(buyer, task_id) for task_id in ids)) if task]
            assert done.count("local") == 3
            assert len(seller.awards) == 1
            for task_id in ids:
                buyer.parts.running.cancel(task_id)


async def settled(node: Node, task_id: bytes) -> str:
    """`local` once it ended here, or `awarded`."""
    async with asyncio.timeout(LIMIT_S):
        async for event in node.parts.tasks.watch(task_id):
            if event.name in ("awarded", "completed"):
                return "awarded" if event.name == "awarded" else "local"
    return ""


async def test_a_budget_of_nothing_buys_nothing() -> None:
    async with world() as made:
        buyer = await made.buyer()
        async with on_sale(Seller(), [buyer.endpoint]):
            task = await buyer.ask("sentiment", TEXT, budget_micro=0)
            assert (task.state, task.choice) == ("completed", "local")
        async with on_sale(Seller(label="translation"), [buyer.endpoint]):
            refused = await buyer.ask("translation", TEXT, budget_micro=0)
            assert refused.error is not None
            assert (refused.state, refused.error.exit_code) == ("rejected", 5)


async def test_the_same_idempotency_key_gives_the_same_task() -> None:
    async with world() as made:
        node = await made.node()
        first = await node.submit("sentiment", TEXT, idempotency_key="monday")
        again = await node.submit("sentiment", TEXT, idempotency_key="monday")
        assert first == again
        await node.ended(first)
        assert await node.submit("sentiment", TEXT, idempotency_key="monday") == first
        with pytest.raises(UsageError, match="'monday' was used for another task"):
            await node.submit("sentiment", "something else", idempotency_key="monday")
        assert len((await node.owner.tasks(limit=10)).tasks) == 1


async def test_a_flood_of_tasks_is_bounded_even_when_they_come_at_once() -> None:
    async with world() as made:
        node = await made.node(pace_s=600.0, sections={"client": ClientConfig(max_running_tasks=3)})
        outcomes = await asyncio.gather(*(node.submit("sentiment", TEXT) for _ in range(8)), return_exceptions=True)
        refused = [one for one in outcomes if isinstance(one, TooManyTasksError)]
        assert len(refused) == 5
        assert len(node.parts.running) == 3
        assert "client.max_running_tasks" in str(refused[0])


# --- limits of sold functions


async def test_a_sold_functions_own_time_limit_kills_it(tmp_path: Path) -> None:
    async with world() as made:
        seller, buyer = await made.trade(tmp_path, STALL, timeout_s=0.5)
        task_id = await buyer.submit("stall", "600")
        task = await buyer.ended(task_id)
        assert task.error is not None
        assert "did not end within 0.5 s" in task.error.text
        assert (await seller.ended(buyer.order_of(task_id, seller.key))).error.code == "timed_out"  # type: ignore[union-attr]


async def test_limits_and_names_of_builtin_skills_cannot_be_changed_by_selling_them() -> None:
    async with world() as made:
        node = await made.node()
        for wrong in ({"timeout_s": 5.0}, {"memory_bytes": 2**26}, {"label": "feelings"}):
            with pytest.raises(UsageError, match="sentiment is builtin"):
                await node.owner.sell(SellRequest(target="sentiment", **wrong))


# --- redundant checks


async def redundant(*sellers: Seller) -> tuple[dict[str, object], list[str]]:
    """What a task with a redundant check comes to with these sellers, and what each receipt says."""
    async with world() as made, AsyncExitStack() as stack:
        # So slow that two strangers' prices and the risk with both are worth it.
        buyer = await made.buyer(speeds={"sentiment": 5.0})
        for seller in sellers:
            await stack.enter_async_context(on_sale(seller, [buyer.endpoint]))
        task = await buyer.ask("sentiment", TEXT, least_level="redundant")
        await until(lambda: all(seller.receipts for seller in sellers if seller.awards))
        verdicts = [seller.receipts[0].verdict if seller.receipts else "unasked" for seller in sellers]
        assert await buyer.parts.store.spending.open_reservations() == []
        paid = await buyer.parts.store.spending.day_used_micro(buyer.parts.env.unix_ms())
        found = {"state": task.state, "choice": task.choice, "level": task.level, "paid": paid}
        if task.state == "completed":
            found["score"] = json.loads((await buyer.owner.result(task.id))[0])["score"]
        return found, verdicts


async def test_two_sellers_that_agree_are_both_paid() -> None:
    found, verdicts = await redundant(Seller(price_micro=10), Seller(price_micro=20))
    assert (found["state"], found["choice"], found["level"], found["paid"]) == (
        "completed",
        "outsource",
        "redundant",
        30,
    )
    assert verdicts == ["accepted", "accepted"]


async def test_of_two_that_differ_the_one_that_local_work_confirms_is_paid() -> None:
    honest, subtle = Seller(price_micro=10), Subtle(price_micro=20)
    found, verdicts = await redundant(honest, subtle)
    assert (found["state"], found["paid"]) == ("completed", 10)
    assert verdicts == ["accepted", "rejected"]


async def test_a_redundant_check_with_one_seller_compares_with_local_work() -> None:
    found, verdicts = await redundant(Seller(price_micro=10))
    assert found["state"] == "completed"
    assert verdicts in (["accepted"], ["unasked"])


class Subtle(Seller):
    """A result that passes the check of the form and of the sentences, with another summary."""

    def output(self, award: object) -> bytes:
        plain = json.loads(super().output(award))  # type: ignore[arg-type]
        plain["summary"] = plain["summary"] + " "
        return json.dumps(plain).encode()


# --- what nobody sells, and what every seller declines


async def test_an_unknown_label_is_refused_with_the_nearest_ones() -> None:
    async with world() as made:
        alone = await made.node()
        task = await alone.ask("sentimnt", TEXT)
        assert task.error is not None
        assert task.error.exit_code == 4
        assert "did you mean sentiment" in task.error.text


@pytest.mark.parametrize(
    ("wish", "exit_code", "said"),
    [
        ({"budget_micro": 0}, 5, "over_budget"),
        ({"regions": ("mars",)}, 5, "region"),
        ({"effort": "cheapest"}, 4, "effort"),
    ],
)
async def test_a_task_that_every_seller_declines_says_why(
    tmp_path: Path, wish: dict[str, object], exit_code: int, said: str
) -> None:
    async with world() as made:
        _, buyer = await made.trade(tmp_path, STALL)
        task = await buyer.ask("stall", "0", **wish)
        assert task.error is not None
        assert task.error.exit_code == exit_code
        assert said in task.error.text
        assert "Nobody" not in task.error.text


async def test_a_function_without_a_declared_price_is_sold_at_its_measured_cost(tmp_path: Path) -> None:
    async with world() as made:
        seller = await made.seller(functions=True, sections={"contractor": ContractorConfig(skills=())})
        (tmp_path / "bare.py").write_text("def bare(text: str) -> str:\n    return text\n")
        offer = await seller.owner.sell(SellRequest(target="bare:bare", directory=str(tmp_path)))
        assert offer.price_micro is None
        assert offer.price_hint_micro is not None
        assert offer.price_hint_micro > 0
