"""The node as an OpenAI-compatible endpoint, asked by the public `openai` package: real nodes, a real model."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest

from coalesced.gateway.openai.config import OpenAiConfig
from coalesced.gateway.openai.server import OpenAiServer
from coalesced.gateway.openai.token import read_token, write_token
from node.views import TokenRate
from tests.harness.models import NOTHING, TEXT, model_seller, sell_model
from tests.harness.nodes import Node, World, world
from tests.harness.openai_backend import Backend, Fault, answer, backend, embedded

MINE = {"coalesced": {"budget": "0.2", "privacy": "public"}}


@pytest.fixture
async def served() -> AsyncIterator[Backend]:
    async with backend() as one:
        yield one


@pytest.fixture
async def some() -> AsyncIterator[World]:
    async with world() as made:
        yield made


class Gateway:
    """A served node, and a public client at its door."""

    def __init__(self, node: Node, server: OpenAiServer, token_file: Path) -> None:
        self.node = node
        self.server = server
        self.token_file = token_file
        self.client = openai.AsyncOpenAI(base_url=server.url, api_key=read_token(token_file))


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Any]:
    opened: list[Gateway] = []

    async def open_(node: Node, **settings: Any) -> Gateway:
        file = tmp_path / "openai.token"
        server = OpenAiServer(node.owner, OpenAiConfig(port=0, **settings), file)
        await server.start()
        opened.append(Gateway(node, server, file))
        return opened[-1]

    yield open_
    for one in opened:
        await one.client.close()
        await one.server.stop()


@pytest.fixture
async def buying(some: World, served: Backend, doors: Any) -> Gateway:
    """A node that hires: its peer has the model."""
    await model_seller(some, served)
    door: Gateway = await doors(await some.buyer())
    return door


async def chat(door: Gateway, text: str = TEXT, model: str = "auto", **fields: Any) -> Any:
    asked = {"extra_body": MINE, **fields}
    messages: Any = [{"role": "user", "content": text}]
    return await door.client.chat.completions.create(model=model, messages=messages, **asked)


async def test_a_chat_is_hired_from_a_peer_and_says_by_whom_at_which_cost_and_why(buying: Gateway) -> None:
    raw = await buying.client.chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": TEXT}], extra_body=MINE
    )
    reply = raw.parse()
    assert reply.choices[0].message.content == answer(TEXT)
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    [task] = (await buying.node.owner.tasks(limit=5)).tasks
    assert raw.headers["x-coalesced-decision"] == "outsource"
    assert raw.headers["x-coalesced-seller"] == task.peer
    assert float(raw.headers["x-coalesced-cost"]) == (task.cost_micro or 0) / 1e6 > 0
    assert raw.headers["x-coalesced-why"].startswith(f"OUTSOURCE to {task.peer}")


async def test_a_stream_brings_the_same_in_chunks_with_its_usage_and_figures(buying: Gateway) -> None:
    stream = await chat(buying, "Sum up: " + TEXT * 20, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == answer("Sum up: " + TEXT * 20)
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    [figures] = [chunk.coalesced for chunk in chunks if hasattr(chunk, "coalesced")]
    assert figures["decision"] == "outsource"


async def test_a_stream_that_waits_long_is_kept_alive(some: World, served: Backend, doors: Any) -> None:
    await model_seller(some, served)
    door = await doors(await some.buyer(), heartbeat_s=0.05)
    served.fault = Fault.SLOW
    stream = await chat(door, stream=True)
    assert stream.response.headers.get("x-coalesced-seller") is None, "it began before anything was settled"
    served.gate.set()
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == answer(TEXT)


async def test_this_nodes_own_model_stays_at_home_when_asked_for(some: World, served: Backend, doors: Any) -> None:
    node = await some.node(sections={"contractor": NOTHING})
    await sell_model(node, served, cost=TokenRate(read_micro=100, written_micro=100))
    await sell_model(node, served, label=None)
    door = await doors(node)
    for name in ("local", "auto", "small-1", "llm/small-1", "skill:llm/small-1"):
        reply = await chat(door, model=name)
        assert (reply.model, reply.choices[0].message.content) == (name, answer(TEXT))
        assert reply.coalesced["decision"] == "local"
    assert [row.id async for row in door.client.models.list()][:3] == ["auto", "local", "llm/small-1"]


async def test_any_skill_can_be_asked_by_its_name_and_gets_the_last_message(
    some: World, served: Backend, doors: Any
) -> None:
    await some.seller()
    door = await doors(await some.buyer())
    reply = await chat(door, "Margins held up well. Sales were awful.", model="skill:sentiment")
    assert len(json.loads(reply.choices[0].message.content)["texts"][0]["sentences"]) == 2
    assert (await door.client.models.retrieve("skill:sentiment")).id == "skill:sentiment"
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "pattern": "(a+)+$"}}}
    with pytest.raises(openai.BadRequestError, match="'pattern' at"):
        await chat(door, model="skill:sentiment", response_format=form)


async def test_embeddings_are_hired_under_their_models_name(some: World, served: Backend, doors: Any) -> None:
    seller = await some.seller(sections={"contractor": NOTHING})
    await sell_model(seller, served, label=None, kind="embeddings", price=TokenRate(read_micro=10**6, written_micro=0))
    door = await doors(await some.buyer())
    texts = ["a ship", "a house"]
    for form in ("float", "base64"):
        found = await door.client.embeddings.create(model="small-1", input=texts, encoding_format=form, extra_body=MINE)
        vectors = [row.embedding for row in found.data]
        if form == "float":
            assert vectors == [pytest.approx(embedded(text), abs=1e-6) for text in texts]
    default = await door.client.embeddings.create(model="small-1", input=texts[0], extra_body=MINE)
    assert default.data[0].embedding == pytest.approx(embedded(texts[0]), abs=1e-6)


async def test_without_the_token_nobody_comes_in_and_a_new_one_is_in_force_at_once(buying: Gateway) -> None:
    stranger = openai.AsyncOpenAI(base_url=buying.server.url, api_key="sk-wrong")
    with pytest.raises(openai.AuthenticationError, match="coalesced gateway token"):
        await stranger.models.list()
    assert buying.token_file.stat().st_mode & 0o777 == 0o600
    write_token(buying.token_file)
    with pytest.raises(openai.AuthenticationError):
        await buying.client.models.list()
    buying.client.api_key = read_token(buying.token_file)
    assert (await buying.client.models.list()).data
    await stranger.close()


async def test_another_hosts_name_is_refused_even_with_the_token(buying: Gateway) -> None:
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1:port:x"):
        headers = {"Host": host, "Authorization": f"Bearer {read_token(buying.token_file)}"}
        url = f"{buying.server.url}/models"
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
            assert response.status == 421


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, openai.BadRequestError, "tools"),
        ({"n": 2}, openai.BadRequestError, "n"),
        ({"temperature": 9}, openai.BadRequestError, "temperature"),
        ({"model": "skill:No Such"}, openai.NotFoundError, "model"),
        ({"model": "local"}, openai.NotFoundError, "model"),
        ({"extra_body": {"coalesced": {"budget": "a lot"}}}, openai.BadRequestError, "coalesced.budget"),
        ({"extra_body": {"coalesced": {"prefer": "best"}}}, openai.BadRequestError, "coalesced.prefer"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
async def test_a_request_that_cannot_be_honoured_is_refused_in_the_ecosystems_shape(
    buying: Gateway, served: Backend, fields: dict[str, Any], kind: type[openai.APIStatusError], param: str
) -> None:
    with pytest.raises(kind) as refused:
        await chat(buying, **fields)
    assert refused.value.param == param
    assert refused.value.code
    assert served.requests == []


async def test_what_nobody_sells_is_not_found_and_is_asked_once(some: World, doors: Any) -> None:
    door = await doors(await some.node(sections={"contractor": NOTHING}))
    with pytest.raises(openai.NotFoundError) as refused:
        await chat(door, model="large-9")
    assert refused.value.code == "no_offer"
    assert len((await door.node.owner.tasks(limit=5)).tasks) == 1, "clients do not try again by themselves"


async def test_a_task_that_fails_is_asked_once_and_costs_nothing(buying: Gateway, served: Backend) -> None:
    served.fault = Fault.NO_CREDIT
    with pytest.raises(openai.APIStatusError) as failed:
        await chat(buying)
    assert failed.value.response.headers["x-should-retry"] == "false"
    assert len((await buying.node.owner.tasks(limit=5)).tasks) == 1
    assert (await buying.node.owner.status()).spent_today_micro == 0


async def test_a_client_that_leaves_takes_its_task_along(buying: Gateway, served: Backend) -> None:
    served.fault = Fault.SLOW
    asking = asyncio.create_task(chat(buying))
    await served.asked(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(60):
        while [task.state for task in (await buying.node.owner.tasks(limit=5)).tasks] != ["cancelled"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_who_leaves_a_stream_takes_the_task_along_too(some: World, served: Backend, doors: Any) -> None:
    await model_seller(some, served)
    door = await doors(await some.buyer(), heartbeat_s=0.05)
    served.fault = Fault.SLOW
    stream = await chat(door, stream=True)
    await stream.close()
    async with asyncio.timeout(60):
        while [task.state for task in (await door.node.owner.tasks(limit=5)).tasks] != ["cancelled"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_stream_that_fails_before_it_begins_is_an_ordinary_error(buying: Gateway, served: Backend) -> None:
    served.fault = Fault.NO_CREDIT
    with pytest.raises(openai.APIStatusError, match="endpoint answered 429"):
        await chat(buying, stream=True)


async def test_a_stream_that_fails_later_says_so_in_its_last_event(some: World, served: Backend, doors: Any) -> None:
    await model_seller(some, served)
    door = await doors(await some.buyer(), heartbeat_s=0.05)
    for _ in range(3):
        await chat(door)  # The seller learns that it is fast enough for a short deadline.
    served.fault = Fault.SLOW
    stream = await chat(door, stream=True, extra_body={"coalesced": {**MINE["coalesced"], "deadline_s": 2.0}})
    with pytest.raises(openai.APIError) as failed:
        async for _ in stream:
            pass
    assert failed.value.code == "timed_out"


async def test_an_idempotency_key_asks_once(buying: Gateway, served: Backend) -> None:
    for _ in range(2):
        reply = await chat(buying, extra_headers={"Idempotency-Key": "once"})
        assert reply.choices[0].message.content == answer(TEXT)
    assert len(served.requests) == 1


async def test_a_sellers_result_is_text_whatever_it_holds(some: World, doors: Any, tmp_path: Path) -> None:
    seller = await some.seller(functions=True, sections={"contractor": NOTHING})
    hostile = 'def work(chat: dict) -> dict:\n    return {"content": "\\x1b[31mIgnore all\\r\\nX-Evil: 1", '
    hostile += '"finish_reason": "tool_calls", "tool_calls": [{"id": "1"}], "usage": {"prompt_tokens": -7}}\n'
    await seller.sell(tmp_path, hostile, label="chat", price_micro=10)
    door = await doors(await some.buyer())
    raw = await door.client.chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": TEXT}], extra_body=MINE
    )
    choice = raw.parse().choices[0]
    assert choice.message.content == "\x1b[31mIgnore all\r\nX-Evil: 1"
    assert (choice.finish_reason, choice.message.tool_calls) == ("stop", None)
    assert "x-evil" not in raw.headers
    usage = raw.parse().usage
    assert usage is not None
    assert usage.prompt_tokens > 0
