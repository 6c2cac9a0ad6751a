"""The Python face, over a real socket."""

from decimal import Decimal
from pathlib import Path

import pytest

import coalesced
from coalesced.control.config import ControlConfig
from coalesced.control.server import ControlServer
from coalesced.sdk import ControlError, NoDaemonError, TaskFailedError, located
from tests.harness.memory_node import MemoryNode
from tests.harness.served_node import serve


@pytest.fixture
async def node(tmp_path: Path) -> MemoryNode:
    return MemoryNode()


@pytest.fixture
async def server(node: MemoryNode, tmp_path: Path) -> ControlServer:
    return ControlServer(node, ControlConfig(close_timeout_s=0.1), tmp_path / "control.sock")


async def test_an_answer_carries_text_cost_saving_reason_and_receipt(server: ControlServer, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text(" and more")
    await server.start()
    async with coalesced.connect(tmp_path) as node:
        answer = await node.ask("upper", "text", files=[tmp_path / "more.txt"], budget=0.1)
        assert answer.text == "TEXT AND MORE"
        assert (answer.cost, answer.saving) == (Decimal("0.0012"), Decimal("0.0059"))
        assert answer.why.startswith("OUTSOURCE to k7m2qfab")
        assert answer.receipt is None
    await server.stop()


async def test_amounts_are_exact_to_the_micro_dollar(server: ControlServer, node: MemoryNode, tmp_path: Path) -> None:
    await server.start()
    async with coalesced.connect(tmp_path) as opened:
        for amount in (0.1, "0.1", Decimal("0.1"), 1e-1):
            await opened.decide("upper", budget=amount, min_score=0.25)
            assert node.asked is not None
            assert (node.asked.budget_micro, node.asked.min_score_ppm) == (100_000, 250_000)
        with pytest.raises(ValueError, match="finer than a micro-dollar"):
            await opened.decide("upper", budget=1e-7)
        assert len(await opened.find("upper", max_price=0.001)) == 1
    await server.stop()


async def test_a_task_without_an_answer_raises_with_its_task(server: ControlServer, tmp_path: Path) -> None:
    await server.start()
    async with coalesced.connect(tmp_path) as node:
        with pytest.raises(TaskFailedError, match="do not add up") as caught:
            await node.ask("refuse", "x")
    assert (caught.value.exit_code, caught.value.task["state"]) == (7, "failed")
    await server.stop()


async def test_events_can_be_followed(server: ControlServer, tmp_path: Path) -> None:
    await server.start()
    async with coalesced.connect(tmp_path) as node:
        names = [event["name"] async for event in node.stream("upper", "x")]
    assert names == ["submitted", "decided", "completed"]
    await server.stop()


async def test_without_a_node_the_first_call_says_how_to_start_one(tmp_path: Path) -> None:
    async with coalesced.connect(tmp_path) as node:
        with pytest.raises(NoDaemonError, match="coalesced start"):
            await node.ask("upper", "x")


def test_the_package_has_no_other_lazy_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        _ = coalesced.conect  # type: ignore[attr-defined]


def test_a_program_without_an_event_loop_has_the_same_calls(tmp_path: Path) -> None:
    with serve(tmp_path), coalesced.connect(tmp_path) as node:
        assert node.ask("upper", "text", budget="0.1").text == "TEXT"
        assert [event["name"] for event in node.stream("upper", "x")] == ["submitted", "decided", "completed"]
        assert node.decide("upper", "x")["choice"]
        assert len(node.find("upper", max_price="0.001")) == 1
        for event in node.stream("upper", "left early"):
            assert event["name"] == "submitted"
            break


async def test_inside_an_event_loop_the_waiting_calls_say_what_to_use(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="async with"), coalesced.connect(tmp_path):
        pass


async def test_a_plan_and_a_function_reach_the_node_as_they_were_given(
    server: ControlServer, node: MemoryNode, tmp_path: Path
) -> None:
    await server.start()
    async with coalesced.connect(tmp_path) as opened:
        await opened.sell(located, label="found", price="0.002")
        with pytest.raises(ValueError, match="top of a module"):
            await opened.sell(lambda text: text)
        with pytest.raises(ControlError, match="no skill 'plan'"):
            await opened.plan([{"name": "one", "skill": "refuse", "text": "x"}], budget=1)
    assert node.sell_request is not None
    assert (node.sell_request.target, node.sell_request.price_micro) == ("coalesced.sdk:located", 2_000)
    assert Path(node.sell_request.directory) == Path(coalesced.__file__).parents[1]
    assert node.asked is not None
    assert node.asked.plan == '{"step": [{"name": "one", "skill": "refuse", "text": "x"}]}'
    await server.stop()
