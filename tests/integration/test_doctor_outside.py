"""The doctor on what is outside: models and agents on sale, agents to hire, servers of tools, the judge, the planner,
embeddings."""

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("a2a")
pytest.importorskip("mcp")


from coalesced.gateway.a2a.config import A2aConfig, A2aSeller
from coalesced.gateway.checks import SOLD_TOOL
from node.decision.verification import JudgeConfig, VerificationConfig
from node.outsource.client.reader import MeaningConfig
from node.outsource.config import ClientConfig, ContractorConfig
from node.views import AgentSource, Check, SellRequest
from tests.harness.models import sell_model
from tests.harness.nodes import Node, World, world
from tests.harness.openai_backend import Backend, backend
from tests.harness.sdk_agent import SKILL, sdk_agent

NOTHING = ContractorConfig(skills=())
SERVER = """
import json, pathlib, sys

if pathlib.Path("broken").exists():
    print("starting", file=sys.stderr, flush=True)
    sys.exit("the weather service wants a key")
for line in sys.stdin:
    asked = json.loads(line)
    told = {"error": {"code": -32601, "message": "no such method"}}
    if asked["method"] == "initialize":
        about = {"capabilities": {"tools": {}}, "serverInfo": {"name": "hall", "version": "1"}}
        told = {"result": {"protocolVersion": asked["params"]["protocolVersion"], **about}}
    elif asked["method"] == "tools/list":
        told = {"result": {"tools": [{"name": "shout", "inputSchema": {"type": "object"}}]}}
    if "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **told}), flush=True)
"""
"""A server of tools, without the SDK: that takes a second to load."""


@pytest.fixture
async def some() -> AsyncIterator[World]:
    async with world() as made:
        yield made


async def checked(node: Node, name: str) -> Check:
    checks = {check.name: check for check in (await node.owner.doctor()).checks}
    return checks[name]


async def seller(some: World, **plan: Any) -> Node:
    return await some.node(sections={"contractor": NOTHING}, **plan)


async def test_what_is_not_configured_is_skipped(some: World) -> None:
    node = await seller(some)
    names = ("models", "agents on sale", "agents to hire", "tools", "judge", "planner", "embeddings")
    assert {(await checked(node, name)).status for name in names} == {"skip"}


async def test_a_model_that_is_gone_or_whose_key_is_missing_fails_with_the_reason(
    some: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = await seller(some)
    monkeypatch.setenv("SOME_KEY", "k" * 20)
    async with backend() as served:
        await sell_model(node, served, key_env="SOME_KEY")
        assert (await checked(node, "models")).status == "pass"
        monkeypatch.delenv("SOME_KEY")
        no_key = await checked(node, "models")
        assert (no_key.status, "SOME_KEY" in no_key.text) == ("fail", True)
        monkeypatch.setenv("SOME_KEY", "k" * 20)
    gone = await checked(node, "models")
    assert (gone.status, bool(gone.fix)) == ("fail", True)
    assert "no answer from the endpoint" in gone.text


async def test_an_agent_on_sale_that_is_gone_fails(some: World) -> None:
    node = await seller(some)
    async with sdk_agent() as agent:
        await node.owner.sell(SellRequest(target=agent.url, remote=AgentSource(card=agent.url), price_micro=5))
        assert (await checked(node, "agents on sale")).status == "pass"
    gone = await checked(node, "agents on sale")
    assert (gone.status, "cannot be reached" in gone.text) == ("fail", True)


async def test_an_agent_to_hire_must_be_there_and_have_a_price(some: World) -> None:
    async with sdk_agent() as agent:
        priced = A2aSeller(card=agent.url, skill="words", agent_skill=SKILL, price_micro=5)
        unpriced = A2aSeller(card=agent.url, skill="words", agent_skill=SKILL)
        good = await some.node(sections={"contractor": NOTHING, "a2a": A2aConfig(sellers=(priced,))})
        assert (await checked(good, "agents to hire")).status == "pass"
        bad = await some.node(sections={"contractor": NOTHING, "a2a": A2aConfig(sellers=(unpriced,))})
        check = await checked(bad, "agents to hire")
        assert (check.status, "set price_micro" in check.text) == ("fail", True)


async def test_a_sold_tool_whose_server_does_not_come_up_fails_with_what_it_said(some: World, tmp_path: Path) -> None:
    node = await seller(some, functions=True)
    (tmp_path / "hall.py").write_text(SERVER)
    sold = {"command": [sys.executable, "hall.py"], "tool": "shout", "argument": "text"}
    environment = {**os.environ, "COALESCED_SOLD_TOOL": json.dumps(sold)}
    request = SellRequest(
        target=f"{SOLD_TOOL}:call_with_text", label="tool/shout", directory=str(tmp_path), environment=environment
    )
    await node.owner.sell(request)
    first = await checked(node, "tools")
    assert first.status == "pass", first.text
    (tmp_path / "broken").touch()
    check = await checked(node, "tools")
    assert check.status == "fail"
    assert "does not come up: the weather service wants a key" in check.text, check.text


async def test_a_judge_that_is_gone_or_whose_key_or_model_is_missing_fails(
    some: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def judged(served: Backend, **fields: Any) -> Check:
        judge = JudgeConfig(**{"url": served.url, "model": "small-1", **fields})
        sections = {"contractor": NOTHING, "verification": VerificationConfig(judge=judge)}
        return await checked(await some.node(sections=sections), "judge")

    monkeypatch.delenv("NO_KEY", raising=False)
    async with backend() as served:
        good = await judged(served)
        assert (good.status, good.text) == ("pass", "small-1: in order")
        no_key, no_model = await judged(served, key_env="NO_KEY"), await judged(served, model="other")
        assert [(one.status, "[verification.judge]" in one.fix) for one in (no_key, no_model)] == [("fail", True)] * 2
        assert ("NO_KEY" in no_key.text, "has no model 'other'" in no_model.text) == (True, True)
    assert "no answer from the endpoint" in (await judged(served)).text


async def test_a_planner_that_is_no_model_on_sale_here_fails(some: World) -> None:
    sections = {"contractor": NOTHING, "client": ClientConfig(planner="llm/small-1")}
    node = await some.node(sections=sections)
    missing = await checked(node, "planner")
    assert (missing.status, "llm/small-1 is no model that this node has" in missing.text) == ("fail", True)
    async with backend() as served:
        await sell_model(node, served, "llm/small-1")
        assert (await checked(node, "planner")).status == "pass"


async def test_a_model_of_meaning_that_is_gone_fails(some: World) -> None:
    meaning = MeaningConfig(embeddings_url="http://127.0.0.1:1/v1", embeddings_model="m")
    node = await some.node(sections={"contractor": NOTHING, "meaning": meaning})
    assert (await checked(node, "embeddings")).status == "fail"
