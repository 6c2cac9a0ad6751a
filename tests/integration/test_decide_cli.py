"""`coalesced decide` with a policy, with something otherwise, and with a stored decision."""

import io
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from coalesced.cli.face import Face
from coalesced.cli.main import run
from tests.harness.served_node import ServedNode, serve


def decide(home: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, what is printed, and the errors."""
    out, err = io.StringIO(), io.StringIO()
    code = run(("decide", *arguments), Face(home=home, out=out, err=err))
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serve(tmp_path_factory.mktemp("home")) as node:
        yield node


@pytest.fixture(scope="module")
def task_id(served: ServedNode) -> str:
    """The id of a completed task."""
    run(("ask", "upper", "a task"), Face(home=served.home, out=io.StringIO(), err=io.StringIO()))
    return served.on_loop(lambda node: list(node.by_id)[-1])


def test_a_stored_decision_is_shown_with_whether_it_is_the_same(served: ServedNode, task_id: str) -> None:
    code, out, _ = decide(served.home, "--replay", task_id)
    assert code == 0
    assert out.splitlines()[0].endswith("the same to the last bit (inputs abababababab).")
    assert "OUTSOURCE to k7m2qfab" in out


def test_a_replay_as_json_is_its_view(served: ServedNode, task_id: str) -> None:
    code, out, _ = decide(served.home, "--replay", task_id, "--number", "1", "--what-if", "price=-20%", "--json")
    replay = msgspec.json.decode(out)
    assert (code, replay["schema"], replay["same"], replay["number"]) == (0, "coalesced.replay/1", True, 1)
    assert replay["decision"]["schema"] == "coalesced.decision/1"


def test_a_replay_takes_no_skill_and_a_number_needs_a_replay(served: ServedNode) -> None:
    assert decide(served.home, "upper", "x", "--replay", "ab")[0] == 2
    code, _, err = decide(served.home, "upper", "x", "--number", "2")
    assert (code, "it goes with --replay" in err) == (2, True)


def test_policy_and_what_if_reach_the_node(served: ServedNode) -> None:
    code, out, _ = decide(served.home, "upper", "x", "--policy", "paper", "--what-if", "price=1", "--json")
    assert (code, msgspec.json.decode(out)["schema"]) == (0, "coalesced.decision/1")
