"""What is to be verified, as it is said on the command line, in Python and to the OpenAI endpoint."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import coalesced
from coalesced.gateway.openai.names import Target
from coalesced.gateway.openai.requests import ChatBody, chat_of, chat_task, decode
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
