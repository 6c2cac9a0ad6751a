"""What is to be verified, as it is said on the command line, in Python, over MCP and A2A, in plans and to the OpenAI
endpoint."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coalesced
from coalesced.control.errors import ControlError
from coalesced.gateway.mcp.arguments import Ask, parse, request_of
from coalesced.gateway.openai.names import Target
from coalesced.gateway.openai.requests import ChatBody, chat_of, chat_task, decode
from node.errors import UsageError
from node.outsource.client.request import of_step, wishes_of
from node.outsource.config import ClientConfig
from node.tasks.plan import parse_plan
from node.views import AskRequest, CheckMadeView, TaskView, WhyView
from tests.harness.commandline import Ran
from tests.harness.hostile_views import HostileNode
from tests.harness.served_node import ServedNode, serve

SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serve(tmp_path_factory.mktemp("home")) as node:
        yield node


def asked(served: ServedNode) -> AskRequest:
    return served.on_loop(lambda node: node.asked)  # type: ignore[return-value]


def test_levels_and_checks_may_be_said_together_on_the_command_line(served: ServedNode, tmp_path: Path) -> None:
    file = tmp_path / "answer.schema.json"
    file.write_text(json.dumps(SCHEMA))
    words = ["--verify", "full", "--verify", "citations", "--verify", "redundant:3", "--verify", f"schema:{file}"]
    assert Ran(served.home, "ask", "upper", "x", *words).code == 0
    request = asked(served)
    assert (request.least_level, request.verify) == ("full", ("citations", "redundant:3"))
    assert json.loads(request.result_schema) == SCHEMA


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trust"], "write one of none, cheap"),
        (["schema:"], "write one of"),
        (["full", "cheap"], "contradict each other"),
        (["schema:/does/not/exist"], "cannot read /does/not/exist"),
        (["schema:a", "schema:b"], "give schema:FILE once"),
        (["redundant:9"], "write one of"),
    ],
)
def test_a_wrong_word_is_a_usage_error(served: ServedNode, words: list[str], said: str) -> None:
    ran = Ran(served.home, "ask", "upper", "x", *(part for word in words for part in ("--verify", word)))
    assert (ran.code, said in ran.err) == (2, True), ran.err


def test_python_says_the_same(served: ServedNode) -> None:
    with coalesced.connect(home=served.home) as node:
        node.decide("upper", "x", verify=["citations", "judge"], schema=SCHEMA)
    request = asked(served)
    assert request.verify == ("citations", "judge")
    assert json.loads(request.result_schema) == SCHEMA


def test_a_chat_of_the_openai_endpoint_says_it_among_the_nodes_own_parameters() -> None:
    body = {
        "model": "auto",
        "messages": [{"role": "user", "content": "x"}],
        "coalesced": {"verify": ["citations", "redundant:2"]},
    }
    chat, plain = decode(ChatBody, json.dumps(body).encode())
    request = chat_task(Target("chat"), chat_of(chat, plain), chat.coalesced, "")
    assert request.verify == ("citations", "redundant:2")


class Checked(HostileNode):
    """A node whose one task was checked in two ways."""

    async def why(self, task_id: str) -> Any:
        checks = (
            CheckMadeView(name="citations", passed=True, score_ppm=1_000_000, text="2 of 2 citations stand in it"),
            CheckMadeView(name="judge", passed=False, score_ppm=350_000, text="m says: no \x1b[31m", cost_micro=700),
        )
        task = TaskView(id="ab" * 16, state="failed", skill="chat", created_unix_ms=1, checks=checks)
        return WhyView(task=task, decision=None)


def test_why_says_which_checks_were_made_with_outcome_and_cost(tmp_path: Path) -> None:
    with serve(tmp_path, lambda: Checked("x")) as node:
        lines = Ran(node.home, "why", "ab" * 16, terminal=True).lines
    assert lines[1:3] == [
        "  citations: passed (1.00) 2 of 2 citations stand in it",
        "  judge: failed (0.35, $0.000700) m says: no \\x1b[31m",
    ]


def test_an_mcp_client_says_the_same() -> None:
    given = {"skill": "chat", "text": "x", "verify": ["full", "citations"], "result_schema": SCHEMA}
    request = request_of(parse(given, Ask), max_budget_micro=None)
    assert request["verify"] == ["full", "citations"]
    assert json.loads(request["result_schema"]) == SCHEMA
    assert request_of(parse({"skill": "chat", "verify": "cheap"}, Ask), max_budget_micro=None)["verify"] == ["cheap"]
    with pytest.raises(ControlError, match="truth"):
        parse({"skill": "chat", "verify": ["truth"]}, Ask)


def test_a_level_among_the_words_goes_before_the_nodes_own() -> None:
    config = ClientConfig(default_least_level="cheap")
    assert wishes_of(AskRequest(skill="chat", verify=("none",)), config).least_level == "none"
    assert wishes_of(AskRequest(skill="chat", verify=("citations",)), config).least_level == "cheap"
    with pytest.raises(UsageError, match="contradict each other"):
        wishes_of(AskRequest(skill="chat", verify=("none", "full")), config)


def test_a_step_of_a_plan_says_the_same_beside_what_its_plan_says() -> None:
    [step] = parse_plan(
        {"step": [{"name": "a", "skill": "chat", "text": "x", "verify": ["full", "judge"], "result_schema": SCHEMA}]},
        (),
    ).step
    assert step.least_level == "full"
    request = of_step(AskRequest(skill="plan", verify=("citations",), result_schema="{}"), step)
    assert request.verify == ("citations", "judge")
    assert json.loads(request.result_schema) == SCHEMA
    [plain] = parse_plan({"step": [{"name": "a", "skill": "chat", "text": "x"}]}, ()).step
    assert (plain.least_level, plain.checks) == ("none", ())
    assert of_step(request, plain) == request


def test_a_caller_over_a2a_says_the_same() -> None:
    orders = pytest.importorskip("coalesced.gateway.a2a.orders")
    words = pytest.importorskip("coalesced.gateway.a2a.words")
    pb = pytest.importorskip("a2a.types.a2a_pb2")

    def request(**metadata: Any) -> AskRequest:
        message = pb.Message(parts=[pb.Part(text="x")], metadata=words.struct(metadata))
        made: AskRequest = orders.request_of(message, "chat", budget_micro=0, deadline_s=1.0)
        return made

    assert request().verify == ()
    assert request(verify="full").verify == ("full",)
    made = request(verify=["cheap", "citations"], result_schema=SCHEMA)
    assert made.verify == ("cheap", "citations")
    assert json.loads(made.result_schema) == SCHEMA
    for wrong in ({"verify": ["truth"]}, {"verify": 7}, {"verify": ["none", "full"]}, {"result_schema": "no schema"}):
        with pytest.raises(orders.OrderError, match="the message is no task"):
            request(**wrong)
