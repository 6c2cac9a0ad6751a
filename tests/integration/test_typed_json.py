"""A skill that takes JSON gets what is typed in as JSON, whichever door it comes in by: real nodes, real clients."""

import json
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

import coalesced
from coalesced.control.config import ControlConfig
from coalesced.control.server import ControlServer
from coalesced.gateway.openai.config import OpenAiConfig
from coalesced.gateway.openai.server import OpenAiServer
from coalesced.gateway.openai.token import read_token
from node.execute.builtin.risk.task import EXAMPLE
from node.tasks.content import Content, as_taken
from node.views import AskRequest, InputFile, TaskView
from tests.harness.nodes import BUILTIN, Node, world

TYPED = EXAMPLE.decode()
FAST = dict.fromkeys(BUILTIN, 1e-8)
SLOW = {**dict.fromkeys(BUILTIN, 0.05), "risk": 1e-5}
"""Seconds a unit: what the seller does in a moment is worth buying, and the buyer could do it itself."""
AS_JSON = "Sent as application/json: who sells it takes no text/plain."
WISHES = {"budget": "0.2", "privacy": "public"}


async def test_every_builtin_skills_example_is_hired_out_in_the_form_that_skills_show_tells() -> None:
    async with world() as made:
        await made.seller(speeds=FAST)
        buyer = await made.buyer(speeds=SLOW)
        for row in (await buyer.owner.skills()).skills:
            if row.example.startswith("{") and "text/plain" in row.input_media_types:
                stdin = InputFile(name="stdin", media_type="application/json", data=row.example.encode())
                task = await buyer.ask(row.label, files=(stdin,))
            else:
                task = await buyer.ask(row.label, row.example)
            assert (row.label, task.state, task.choice) == (row.label, "completed", "outsource")


async def test_json_typed_in_at_the_sdk_over_mcp_or_in_a_chat_is_hired_out(tmp_path: Path) -> None:
    async with world() as made:
        await made.seller(speeds=FAST)
        buyer = await made.buyer(speeds=SLOW)
        control = ControlServer(buyer.owner, ControlConfig(close_timeout_s=0.1), tmp_path / "control.sock")
        door = OpenAiServer(buyer.owner, OpenAiConfig(port=0), tmp_path / "openai.token")
        await control.start()
        await door.start()
        async with coalesced.connect(tmp_path) as node:
            answer = await node.ask("risk", TYPED, budget=0.2, privacy="public")
        assert answer.task["choice"] == "outsource"
        command = ["-m", "coalesced", "--home", str(tmp_path), "mcp"]
        async with Client(stdio_client(StdioServerParameters(command=sys.executable, args=command))) as client:
            told = await client.call_tool("ask", {"skill": "risk", "text": TYPED, "budget_usd": 0.2})
        assert told.structured_content["done_by"].startswith("peer ")
        async with openai.AsyncOpenAI(base_url=door.url, api_key=read_token(tmp_path / "openai.token")) as chat:
            messages: Any = [{"role": "user", "content": TYPED}]
            reply: Any = await chat.chat.completions.create(
                model="skill:risk", messages=messages, extra_body={"coalesced": WISHES}
            )
        assert reply.coalesced["decision"] == "outsource"
        assert json.loads(reply.choices[0].message.content)["value_at_risk"] > 0
        await door.stop()
        await control.stop()


TOTAL = """
from coalesced.skill import skill
@skill("total", price="0.0001")
def work(rows: dict[str, int]) -> int:
    return sum(rows.values())
"""
LENGTH = """
from coalesced.skill import skill
@skill("length", price="0.0001")
def work(text: str) -> int:
    return len(text)
"""
ROWS = ' {"a": 1, "b": 2}'


async def test_what_only_a_peer_can_do_gets_typed_json_as_that_peer_takes_it(tmp_path: Path) -> None:
    async with world() as made:
        seller, buyer = await made.trade(tmp_path, TOTAL)
        length, total = await seller.sell(tmp_path, LENGTH), "total"
        tried = await buyer.parts.client.decide(AskRequest(skill=total, text=ROWS, privacy="public"))
        assert (tried.choice, tried.reasons[0]) == ("outsource", AS_JSON)
        task = await buyer.ask(total, ROWS)
        assert (task.state, (await result(buyer, task))) == ("completed", b"3"), task.error
        assert any(event.text == AS_JSON[:-1] for event in await buyer.parts.tasks.events(bytes.fromhex(task.id)))
        assert await result(buyer, await buyer.ask(length, ROWS)) == str(len(ROWS)).encode()
        steps = json.dumps({"step": [{"name": "only", "skill": total, "text": ROWS}]})
        assert await result(buyer, await buyer.ask("plan", plan=steps)) == b"3"
        refused = await buyer.ask(total, "no JSON")
        assert "I take application/json, not text/plain" in str(refused.error)


async def result(node: Node, task: TaskView) -> bytes:
    return (await node.parts.client.result(bytes.fromhex(task.id))).data


@pytest.mark.parametrize(
    ("text", "takes", "becomes"),
    [
        ('{"a": 1}', ("application/json",), "application/json"),
        (" [1, 2]", ("application/json", "text/csv"), "application/json"),
        ('{"a": 1}', ("text/plain", "application/json"), "text/plain"),
        ('{"a": 1}', ("text/csv",), "text/plain"),
        ('{"a": 1', ("application/json",), "text/plain"),
        ("17", ("application/json",), "text/plain"),
        ("[" * 100_000, ("application/json",), "text/plain"),
    ],
)
def test_a_text_is_json_only_where_it_is_and_where_no_text_is_taken(
    text: str, takes: tuple[str, ...], becomes: str
) -> None:
    assert as_taken(Content("text/plain", text.encode()), takes).media_type == becomes
    assert as_taken(Content("text/markdown", text.encode()), takes).media_type == "text/markdown"
