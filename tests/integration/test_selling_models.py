"""Models on sale between real nodes: what they cost, what is learnt, and a flaky endpoint behind a seller."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.decision.internal_cost import MachineRates
from node.errors import RefusedError, UsageError
from node.views import AskRequest, DecisionView, TokenRate
from tests.harness.models import NOTHING, TEXT, model_seller, sell_model
from tests.harness.nodes import World, world
from tests.harness.openai_backend import Backend, Fault, answer, backend


@pytest.fixture
async def served() -> AsyncIterator[Backend]:
    async with backend() as one:
        yield one


@pytest.fixture
async def some() -> AsyncIterator[World]:
    async with world() as made:
        yield made


async def test_a_chat_is_bought_from_a_peer_whose_model_does_it(some: World, served: Backend) -> None:
    seller = await model_seller(some, served)
    buyer = await some.buyer()
    task = await buyer.ask("chat", TEXT, budget_micro=200_000)
    assert (task.state, task.choice) == ("completed", "outsource")
    data, media_type = await buyer.owner.result(task.id)
    assert (data.decode(), media_type) == (answer(TEXT), "text/plain")
    assert task.cost_micro is not None
    assert 0 < task.cost_micro <= 200_000
    await seller.written("receipt")
    assert served.completed == 1


async def test_the_price_is_by_the_token_and_follows_what_the_model_usually_writes(
    some: World, served: Backend
) -> None:
    seller = await model_seller(some, served)
    buyer = await some.buyer()
    asked = AskRequest(skill="chat", text=TEXT, privacy="public", budget_micro=200_000, dry_run=True)
    first = await buyer.owner.decide(asked)
    for _ in range(3):
        assert (await buyer.ask("chat", TEXT, budget_micro=200_000)).state == "completed"
    then = await buyer.owner.decide(asked)
    belief = seller.parts.work.tokens.belief("small-1")
    # 256 tokens were expected of a model that may write 1,024, and it writes about 60.
    assert belief.runs == 3
    assert quoted(then) < quoted(first)


async def test_what_was_learnt_about_tokens_and_what_is_on_sale_outlive_a_restart(
    some: World, served: Backend, tmp_path: Path
) -> None:
    seller = await model_seller(some, served, directory=tmp_path / "seller")
    buyer = await some.buyer()
    assert (await buyer.ask("chat", TEXT, budget_micro=200_000)).state == "completed"
    belief = seller.parts.work.tokens.belief("small-1")
    await seller.restart()
    assert seller.parts.work.tokens.belief("small-1") == belief
    assert seller.parts.shop.sells("chat")


async def test_a_flaky_endpoint_neither_loses_a_task_nor_charges_it_twice(some: World, served: Backend) -> None:
    seller = await model_seller(some, served)
    buyer = await some.buyer()
    served.next_faults.extend([Fault.CUT, Fault.SERVER_ERROR, Fault.RATE_LIMIT])
    task = await buyer.ask("chat", TEXT, budget_micro=200_000)
    assert task.state == "completed"
    await buyer.written("receipt")
    await seller.written("receipt")
    spent = (await buyer.owner.status()).spent_today_micro
    earned = (await seller.owner.status()).earned_today_micro
    assert spent == earned == task.cost_micro
    assert (len(served.requests), served.completed) == (4, 1)
    assert (len(await buyer.journal("receipt")), len(await seller.journal("receipt"))) == (1, 1)


async def test_a_broken_endpoint_costs_its_seller_the_job_and_the_buyer_nothing(some: World, served: Backend) -> None:
    broken = await model_seller(some, served)
    async with backend() as sound_endpoint:
        buyer = await some.buyer()
        served.fault = Fault.NO_CREDIT
        sound = await some.seller(sections={"contractor": NOTHING})
        await sell_model(sound, sound_endpoint, price=TokenRate(read_micro=3_000_000, written_micro=12_000_000))
        task = await buyer.ask("chat", TEXT, budget_micro=200_000)
        assert task.state == "completed"
        assert (await buyer.owner.status()).spent_today_micro == (await sound.owner.status()).earned_today_micro
        assert (await broken.owner.status()).earned_today_micro == 0
        assert sound_endpoint.completed == 1
        assert (await buyer.ask("chat", TEXT, budget_micro=200_000)).state == "completed"
        assert len(served.requests) == 1, "what is out of order is not offered for a while"


async def test_a_node_with_its_own_model_and_no_seller_does_the_chat_itself(some: World, served: Backend) -> None:
    node = await some.node(sections={"contractor": NOTHING})
    await sell_model(node, served, cost=TokenRate(read_micro=2_000_000, written_micro=8_000_000))
    task = await node.ask("chat", TEXT, budget_micro=200_000)
    assert (task.state, task.choice) == ("completed", "local")
    usage = node.parts.work.tokens.belief("small-1")
    written = round(usage.written_tokens)
    read = round(usage.read_tokens - 200 * (1 - (usage.read_tokens - 200) / 200_000))
    assert task.cost_micro == pytest.approx(2 * read + 8 * written, abs=2), "what the endpoint's own count comes to"


async def test_no_more_chats_run_at_once_than_the_model_takes(some: World, served: Backend) -> None:
    seller = await some.seller(sections={"contractor": NOTHING})
    await sell_model(seller, served, at_once=2)
    buyer = await some.buyer()
    served.fault = Fault.SLOW
    tasks = [await buyer.submit("chat", TEXT, budget_micro=200_000) for _ in range(4)]
    await served.asked(2)
    served.gate.set()
    ended = await asyncio.gather(*(buyer.ended(task) for task in tasks))
    assert [task.state for task in ended] == ["completed"] * 4
    assert served.most_at_once == 2


async def test_the_first_guess_of_a_models_speed_is_the_rooflines_where_its_figures_are_known(
    some: World, served: Backend
) -> None:
    node = await some.seller(sections={"contractor": NOTHING, "machine": MachineRates(gpu="rtx-4090")})
    await sell_model(node, served, figures="llama-3-8b", price=None)
    # 256 tokens at 16 GB each through 605 GB/s.
    assert node.parts.work.predict("chat", "full", 1044).expected_s == pytest.approx(6.9, rel=0.1)
    with pytest.raises(UsageError, match="no model 'llama-9'"):
        await sell_model(node, served, figures="llama-9")


@pytest.mark.parametrize(
    ("url", "kind", "text"),
    [
        ("https://chatgpt.com/backend-api", RefusedError, "ChatGPT subscription"),
        ("https://api.individual.githubcopilot.com", RefusedError, "Copilot subscription"),
        ("https://models.example.com/v1", UsageError, "say it with --cost"),
        ("http://models.example.com/v1", UsageError, "write https://"),
        ("https://key@models.example.com/v1", UsageError, "no key"),
        ("ftp://127.0.0.1/v1", UsageError, "not an endpoint's address"),
    ],
)
async def test_what_may_not_or_cannot_be_sold_is_refused_with_the_reason(
    some: World, served: Backend, url: str, kind: type[Exception], text: str
) -> None:
    node = await some.seller(sections={"contractor": NOTHING})
    with pytest.raises(kind, match=text):
        await sell_model(node, served, url=url)
    assert not node.parts.shop.wares


async def test_a_subscriptions_sign_in_is_refused_and_not_told(
    some: World, served: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await some.seller(sections={"contractor": NOTHING})
    monkeypatch.setenv("MY_KEY", "sk-ant-oat01-secret")
    with pytest.raises(RefusedError, match="forbid resale") as refused:
        await sell_model(node, served, key_env="MY_KEY")
    assert "secret" not in str(refused.value)


def quoted(decision: DecisionView) -> int:
    return min(row.quoted_micro for row in decision.options if row.quoted_micro is not None)
