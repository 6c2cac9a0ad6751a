"""A2A agents on sale between real nodes: an agent built with the SDK, sold by one node, bought by another."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("a2a")

from coalesced.control.config import ControlConfig
from coalesced.control.server import ControlServer
from coalesced.gateway.a2a.config import A2aConfig
from crypto.identity import Identity, did_key
from node.errors import NodeError, UsageError
from node.execute.job import Job
from node.outsource.config import ContractorConfig
from node.views import AgentSource, InputFile, OfferView, SellRequest
from tests.harness.commandline import Ran
from tests.harness.nodes import BUILTIN, DEAR, Node, World, world
from tests.harness.sdk_agent import SKILL, SdkAgent, counted, sdk_agent

TEXT = "the cat and the dog and the bird"
LABEL = "agent/count-words"
BUDGET = {"budget_micro": 200_000}


@pytest.fixture
async def agent() -> AsyncIterator[SdkAgent]:
    async with sdk_agent() as one:
        yield one


@pytest.fixture
async def some() -> AsyncIterator[World]:
    async with world() as made:
        yield made


async def sell(node: Node, agent: SdkAgent, *, timeout_s: float | None = None, **fields: Any) -> OfferView:
    source = AgentSource(**{"card": agent.url, "usual_s": 0.2, **fields})
    return await node.owner.sell(SellRequest(target=agent.url, remote=source, price_micro=500, timeout_s=timeout_s))


async def traded(some: World, agent: SdkAgent, **fields: Any) -> tuple[Node, Node]:
    """A node that sells nothing but the agent, and a buyer without it."""
    seller = await some.seller(sections={"contractor": ContractorConfig(skills=())})
    await sell(seller, agent, **fields)
    return seller, await some.buyer()


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
async def test_an_agent_that_is_sold_does_a_buyers_task(some: World, binding: str) -> None:
    async with sdk_agent(binding=binding) as agent:
        seller, buyer = await traded(some, agent)
        task = await buyer.ask(LABEL, TEXT, **BUDGET)
        assert (task.state, task.choice) == ("completed", "outsource"), task.error
        assert task.cost_micro == 425, "the price of an idle seller (eq. 7)"
        assert await buyer.owner.result(task.id) == (counted(TEXT).encode(), "text/plain")
        await seller.written("receipt")
        (offer,) = (await seller.owner.offers()).offers
        assert (offer.label, offer.source) == (LABEL, f"agent {agent.url}, its skill {SKILL}")
        assert (offer.sold, offer.earned_micro) == (1, 425)


async def test_files_reach_the_agent_as_parts(some: World, agent: SdkAgent) -> None:
    _, buyer = await traded(some, agent)
    files = (InputFile(name="a.md", media_type="text/markdown", data=b"# one"),)
    task = await buyer.ask(LABEL, TEXT, files=files, **BUDGET)
    assert task.state == "completed", task.error
    (message,) = agent.work.seen
    assert [(part.text, part.media_type, part.filename) for part in message.parts] == [
        (TEXT, "", ""),
        ("# one", "text/markdown", "a.md"),
    ]


async def test_an_agent_may_answer_with_a_message_instead_of_a_task(some: World, agent: SdkAgent) -> None:
    _, buyer = await traded(some, agent)
    task = await buyer.ask(LABEL, f"message {TEXT}", **BUDGET)
    assert task.state == "completed", task.error
    assert (await buyer.owner.result(task.id))[0].decode() == counted(f"message {TEXT}")


async def test_an_agents_question_reaches_the_buyer_and_the_answer_the_agent(some: World, agent: SdkAgent) -> None:
    _, buyer = await traded(some, agent)
    task_id = await buyer.submit(LABEL, "ask me", **BUDGET)
    question = await buyer.reached(task_id, "input_required")
    assert "which words?" in question.text
    await buyer.owner.answer(task_id.hex(), "these words these")
    task = await buyer.ended(task_id)
    assert task.state == "completed", task.error
    assert (await buyer.owner.result(task.id))[0].decode() == counted("these words these")


async def test_a_task_that_takes_long_is_followed_to_its_end(some: World, agent: SdkAgent) -> None:
    _, buyer = await traded(some, agent)
    task_id = await buyer.submit(LABEL, f"slowly {TEXT}", **BUDGET)
    told = await buyer.reached(task_id, "progress")
    assert told.text.startswith("counting")
    agent.work.go.set()
    assert (await buyer.ended(task_id)).state == "completed"


async def test_an_agent_that_does_not_stream_is_asked_until_it_is_done(some: World) -> None:
    async with sdk_agent(streaming=False) as agent:
        _, buyer = await traded(some, agent)
        task_id = await buyer.submit(LABEL, f"slowly {TEXT}", **BUDGET)
        async with asyncio.timeout(60):
            await agent.work.began.wait()
        agent.work.go.set()
        assert (await buyer.ended(task_id)).state == "completed"


async def test_a_task_that_its_buyer_cancels_is_cancelled_at_the_agent(some: World, agent: SdkAgent) -> None:
    _, buyer = await traded(some, agent)
    task_id = await buyer.submit(LABEL, f"slowly {TEXT}", **BUDGET)
    async with asyncio.timeout(60):
        await agent.work.began.wait()
        await buyer.owner.cancel(task_id.hex())
        while not agent.work.cancelled:  # noqa: ASYNC110  # the agent has no event for it
            await asyncio.sleep(0.01)
    assert (await buyer.ended(task_id)).state == "cancelled"


async def test_a_task_over_its_sellers_limit_is_given_up_and_cancelled(some: World, agent: SdkAgent) -> None:
    _, buyer = await traded(some, agent, timeout_s=0.5)
    task = await buyer.ask(LABEL, f"slowly {TEXT}", **BUDGET)
    assert task.state == "failed"
    assert "did not end within 0.5 s" in str(task.error)
    assert len(agent.work.cancelled) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("fail", "did not complete the task"),
        ("credentials", "wants credentials"),
        ("paint", "gave no usable result"),
    ],
)
async def test_a_failure_says_how_it_failed_and_nothing_that_the_agent_says(
    some: World, agent: SdkAgent, text: str, why: str
) -> None:
    _, buyer = await traded(some, agent)
    task = await buyer.ask(LABEL, f"{text} {TEXT}", **BUDGET)
    assert task.state == "failed"
    assert why in str(task.error)
    assert "acme" not in str(task.error)
    assert (await buyer.owner.status()).spent_today_micro == 0


async def test_an_agent_that_is_gone_closes_its_shop_for_a_while(some: World) -> None:
    async with sdk_agent() as agent:
        seller, buyer = await traded(some, agent)
    assert (await buyer.ask(LABEL, TEXT, **BUDGET)).state == "failed"
    assert seller.parts.executor.lane(LABEL).closed_s > 0


async def test_what_is_on_sale_is_on_sale_after_a_restart_whether_or_not_the_agent_is_up(
    some: World, tmp_path: Path
) -> None:
    async with sdk_agent() as agent:
        seller = await some.seller(sections={"contractor": ContractorConfig(skills=())}, directory=tmp_path / "n")
        await sell(seller, agent)
    await seller.restart()
    assert seller.parts.shop.sells(LABEL)
    assert seller.parts.executor.skill(LABEL).input_media_types == (
        "text/plain",
        "text/markdown",
        "application/json",
    )


async def test_a_signed_card_must_be_signed_by_the_key_that_its_seller_names(some: World) -> None:
    signer = Identity(b"s" * 32)
    async with sdk_agent(identity=signer) as agent:
        seller = await some.seller(sections={"contractor": ContractorConfig(skills=())})
        with pytest.raises(UsageError, match="none of its signatures is that of the configured key"):
            await sell(seller, agent, key=did_key(b"\7" * 32))
        await sell(seller, agent, key=did_key(signer.public_key))


async def test_what_cannot_be_sold_is_refused_with_the_reason(some: World) -> None:
    async with sdk_agent(skills=("paint",)) as agent:
        seller = await some.seller(sections={"contractor": ContractorConfig(skills=())})
        with pytest.raises(UsageError, match="say which of its skills with --skill"):
            await sell(seller, agent)
        with pytest.raises(UsageError, match="offers no skill 'dance'"):
            await sell(seller, agent, skill="dance")
        with pytest.raises(UsageError, match="cannot be reached"):
            await sell(seller, SdkAgent("http://127.0.0.1:1", agent.work))
        with pytest.raises(UsageError, match="write https"):
            await sell(seller, SdkAgent("http://agent.example", agent.work))
        with pytest.raises(UsageError, match="--cost"):
            await sell(seller, SdkAgent("https://agent.example", agent.work))
        await sell(seller, agent, skill="paint")


async def test_an_input_of_a_kind_that_the_agent_does_not_take_is_refused(some: World, agent: SdkAgent) -> None:
    seller = await some.seller(sections={"contractor": ContractorConfig(skills=())})
    await sell(seller, agent)
    skill = seller.parts.executor.skill(LABEL)
    with pytest.raises(UsageError, match="takes text/plain, text/markdown, not application/json"):
        skill.size(json.dumps({"a": 1}).encode(), "application/json")


async def test_the_command_line_sells_an_agent_and_lists_it_by_its_address(
    some: World, agent: SdkAgent, tmp_path: Path
) -> None:
    seller = await some.seller(sections={"contractor": ContractorConfig(skills=())})
    control = ControlServer(seller.owner, ControlConfig(close_timeout_s=0.1), tmp_path / "control.sock")
    await control.start()
    try:
        options = ("--a2a", agent.url, "--label", "words", "--price", "0.001", "--usually", "2s", "--timeout", "1m")
        sold = await asyncio.to_thread(Ran, tmp_path, "sell", *options)
        assert sold.code == 0, sold.out
        listed = await asyncio.to_thread(Ran, tmp_path, "sell", "ls", "--json")
        (offer,) = json.loads(listed.out)["offers"]
        assert (offer["label"], offer["price_micro"]) == ("words", 1000)
        assert offer["source"] == f"agent {agent.url}, its skill {SKILL}"
        skill = seller.parts.executor.skill("words")
        assert (skill.usual_s, skill.time_limit_s) == (2.0, 60.0)
        wrong = await asyncio.to_thread(Ran, tmp_path, "sell", "--a2a", agent.url, "--skill", "dance")
        assert (wrong.code, "offers no skill 'dance'" in wrong.out + wrong.err) == (2, True)
    finally:
        await control.stop()


@pytest.mark.parametrize(("text", "spent_micro"), [("fail", 90), ("paint", 90), ("slowly", 90)])
async def test_a_failed_attempt_costs_its_seller_what_the_agent_charges(
    some: World, agent: SdkAgent, text: str, spent_micro: int
) -> None:
    seller = await some.seller(sections={"contractor": ContractorConfig(skills=())})
    await sell(seller, agent, cost_micro=90)
    with pytest.raises(NodeError) as failed:
        await seller.parts.executor.run(Job(LABEL, f"{text} {TEXT}".encode(), "text/plain", timeout_s=1.0))
    assert failed.value.spent_micro == spent_micro


@pytest.mark.parametrize(("cost_micro", "is_done"), [(100_000, True), (1, False), (None, False)])
async def test_an_agent_that_wants_a_contract_is_sold_for_what_its_seller_lets_it_charge(
    some: World, cost_micro: int | None, is_done: bool
) -> None:
    sections = {"machine": DEAR, "a2a": A2aConfig(enabled=True)}
    agent = await some.node(bootstrap=(), speeds=dict.fromkeys(BUILTIN, 0.05), sections=sections)
    seller = await some.seller(sections={"contractor": ContractorConfig(skills=())})
    source = AgentSource(card=f"http://{agent.endpoint}", skill="sentiment", cost_micro=cost_micro, usual_s=0.2)
    await seller.owner.sell(SellRequest(target=source.card, remote=source, price_micro=500))
    run = seller.parts.executor.run(Job("agent/sentiment", TEXT.encode(), "text/plain", timeout_s=20.0))
    if is_done:
        assert (await run).media_type == "application/json"
        assert (await agent.owner.status()).earned_today_micro > 0
    else:
        with pytest.raises(NodeError) as failed:
            await run
        assert not failed.value.spent_micro
        assert await agent.parts.store.a2a.unfinished() == []
