"""The A2A SDK's own client against real nodes: tasks that are hired out, tasks that stay, questions, prices."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("a2a")

from a2a.client import ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.client.client import Client
from a2a.types import a2a_pb2 as pb
from a2a.utils.constants import TransportProtocol

from coalesced.gateway.a2a.config import A2aConfig
from coalesced.gateway.a2a.economics import QuoteTerms, ReceiptTerms, contract, digest, read
from coalesced.gateway.a2a.http_signatures import SignedRequest, sign_request
from coalesced.gateway.a2a.shared import ECONOMICS
from coalesced.gateway.a2a.words import struct, text_of
from crypto.identity import Identity
from node.outsource.config import ContractorConfig
from tests.harness.nodes import BUILTIN, CHEAP, DEAR, LIMIT_S, Node, World, world

CALLER = Identity(b"c" * 32)
BINDINGS = [TransportProtocol.JSONRPC, TransportProtocol.HTTP_JSON]
TEXT = "Margins held up well."
TALK = """
from coalesced.skill import ask, progress, skill

@skill("talk", price="0.00001")
async def work(text: str) -> str:
    progress(500_000, "half way")
    return await ask(f"{text}?")
"""


class Signing(httpx.Auth):
    """Signs every request of an httpx client (RFC 9421)."""

    requires_request_body = True

    def auth_flow(self, request: httpx.Request) -> Any:
        body = request.content
        to_sign = SignedRequest.to(request.method, str(request.url), dict(request.headers), body)
        nonce = os.urandom(12).hex()
        request.headers.update(sign_request(CALLER, to_sign, created_unix_s=int(time.time()), nonce=nonce))
        yield request


@asynccontextmanager
async def client_of(node: Node, binding: str, *, streaming: bool = True) -> AsyncIterator[Client]:
    """The SDK's client of a node, over one binding."""
    async with httpx.AsyncClient(auth=Signing(), timeout=LIMIT_S) as http:
        card = await A2ACardResolver(http, f"http://{node.endpoint}").get_agent_card()
        config = ClientConfig(httpx_client=http, supported_protocol_bindings=[binding], streaming=streaming)
        yield ClientFactory(config).create(card)


def asked(
    text: str = TEXT, skill: str = "sentiment", task_id: str = "", economics: dict[str, str] | None = None
) -> pb.SendMessageRequest:
    message = pb.Message(
        message_id=os.urandom(8).hex(),
        role=pb.Role.ROLE_USER,
        parts=[pb.Part(text=text)],
        task_id=task_id,
        metadata=struct({"skill": skill, **({ECONOMICS: economics} if economics else {})}),
    )
    return pb.SendMessageRequest(message=message)


async def events(client: Client, request: pb.SendMessageRequest) -> list[pb.StreamResponse]:
    async with asyncio.timeout(LIMIT_S):
        return [event async for event in client.send_message(request)]


async def outcome(client: Client, request: pb.SendMessageRequest) -> pb.Task:
    """The task as it stands when the answer ends."""
    told = await events(client, request)
    task_id = next(
        event.task.id or event.status_update.task_id
        for event in told
        if event.HasField("task") or event.HasField("status_update")
    )
    return await client.get_task(pb.GetTaskRequest(id=task_id))


def gateway(**config: Any) -> dict[str, Any]:
    return {"a2a": A2aConfig(enabled=True, free_budget_micro=10_000_000, **config)}


async def gateway_that_buys(nodes: World) -> Node:
    """An agent that sells what it had better hire: slow, on a dear machine."""
    sections = {**gateway(free_skills=BUILTIN), "machine": DEAR}
    return await nodes.node(speeds=dict.fromkeys(BUILTIN, 0.05), sections=sections)


@pytest.fixture
async def nodes() -> AsyncIterator[World]:
    async with world() as made:
        yield made


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("streaming", [True, False])
async def test_a_task_is_hired_out_to_a_peer(nodes: World, binding: str, streaming: bool) -> None:
    await nodes.seller()
    node = await gateway_that_buys(nodes)
    async with client_of(node, binding, streaming=streaming) as client:
        task = await outcome(client, asked())
    assert task.status.state == pb.TaskState.TASK_STATE_COMPLETED
    assert "Positive" in task.artifacts[0].parts[0].text
    assert [text_of(one) for one in task.history][1] == "another agent was hired for it"
    assert await node.journal("award") == ["award"]


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_task_stays_where_that_is_cheaper(nodes: World, binding: str) -> None:
    await nodes.seller()
    node = await nodes.node(sections={**gateway(free_skills=BUILTIN), "machine": CHEAP})
    async with client_of(node, binding) as client:
        told = await events(client, asked())
        listed = await client.list_tasks(pb.ListTasksRequest(include_artifacts=True))
    assert told[0].HasField("task")
    assert any(event.HasField("artifact_update") for event in told)
    assert told[-1].status_update.status.state == pb.TaskState.TASK_STATE_COMPLETED
    assert [len(task.artifacts) for task in listed.tasks] == [1]
    assert await node.journal("award") == []


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_task_is_cancelled_here_and_with_the_peer_who_does_it(nodes: World, binding: str) -> None:
    seller = await nodes.seller(pace_s=LIMIT_S)
    node = await gateway_that_buys(nodes)
    async with client_of(node, binding) as client:
        stream = client.send_message(asked())
        async for event in stream:
            if text_of(event.status_update.status.message).startswith("another agent"):
                break
        task_id = event.status_update.task_id
        (row,) = await node.parts.store.tasks.select(role="client")
        await node.reached(row.task_id, "accepted")
        cancelled = await client.cancel_task(pb.CancelTaskRequest(id=task_id))
        again = await client.get_task(pb.GetTaskRequest(id=task_id))
    assert cancelled.status.state == again.status.state == pb.TaskState.TASK_STATE_CANCELED
    assert (await node.ended(row.task_id)).state == "cancelled"
    async with asyncio.timeout(LIMIT_S):
        while seller.parts.executor.running:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_question_is_put_to_the_caller_and_its_answer_to_who_asked(
    nodes: World, binding: str, tmp_path: Path
) -> None:
    sections = {**gateway(free_skills=("talk",)), "contractor": ContractorConfig(skills=())}
    node = await nodes.node(functions=True, sections=sections)
    await node.sell(tmp_path, TALK)
    async with client_of(node, binding) as client:
        task = await outcome(client, asked("tea", "talk"))
        assert task.status.state == pb.TaskState.TASK_STATE_INPUT_REQUIRED
        assert text_of(task.status.message) == "tea?"
        done = await outcome(client, asked("with milk", "talk", task.id))
    assert done.status.state == pb.TaskState.TASK_STATE_COMPLETED
    assert done.artifacts[0].parts[0].text == "with milk"


async def test_an_answer_that_comes_too_late_is_told_so(nodes: World, tmp_path: Path) -> None:
    sections = {**gateway(free_skills=("talk",), deadline_s=1.5), "contractor": ContractorConfig(skills=())}
    node = await nodes.node(functions=True, sections=sections)
    await node.sell(tmp_path, TALK)
    async with client_of(node, TransportProtocol.JSONRPC) as client:
        task = await outcome(client, asked("tea", "talk"))
        (row,) = await node.parts.store.tasks.select(role="client")
        assert (await node.ended(row.task_id)).state == "failed"
        late = await outcome(client, asked("with milk", "talk", task.id))
    assert late.status.state == pb.TaskState.TASK_STATE_FAILED
    assert "not done in time" in text_of(late.status.message)


@pytest.mark.parametrize("binding", BINDINGS)
async def test_a_price_a_contract_and_a_receipt(nodes: World, binding: str) -> None:
    node = await nodes.node(sections=gateway())
    async with client_of(node, binding) as client:
        quoted = await outcome(client, asked(economics={"want": "quote"}))
        assert quoted.status.state == pb.TaskState.TASK_STATE_INPUT_REQUIRED
        token = quoted.status.message.metadata[ECONOMICS]["quote"]
        terms, signer = read(QuoteTerms, token)
        assert signer == node.key
        agreed = contract(CALLER, token, terms, now_unix_ms=node.parts.env.unix_ms())
        done = await outcome(client, asked("agreed", "sentiment", quoted.id, {"contract": agreed}))
    assert done.status.state == pb.TaskState.TASK_STATE_COMPLETED
    receipt, by = read(ReceiptTerms, done.artifacts[0].metadata[ECONOMICS]["receipt"])
    assert (by, receipt.quote_sha256, receipt.paid_usd) == (node.key, digest(token), terms.price_usd)


async def test_a_quote_outlives_a_restart_and_binds_still(nodes: World, tmp_path: Path) -> None:
    node = await nodes.node(directory=tmp_path, sections=gateway())
    async with client_of(node, TransportProtocol.JSONRPC) as client:
        quoted = await outcome(client, asked(economics={"want": "quote"}))
        await node.restart()
        token = quoted.status.message.metadata[ECONOMICS]["quote"]
        terms, _ = read(QuoteTerms, token)
        agreed = contract(CALLER, token, terms, now_unix_ms=node.parts.env.unix_ms())
        done = await outcome(client, asked("", "sentiment", quoted.id, {"contract": agreed}))
    assert done.status.state == pb.TaskState.TASK_STATE_COMPLETED


async def test_a_contract_over_nothing_is_rejected(nodes: World) -> None:
    node = await nodes.node(sections=gateway())
    async with client_of(node, TransportProtocol.JSONRPC) as client:
        quoted = await outcome(client, asked(economics={"want": "quote"}))
        refused = await outcome(client, asked("", "sentiment", quoted.id, {"contract": "no.such.token"}))
    assert refused.status.state == pb.TaskState.TASK_STATE_REJECTED
