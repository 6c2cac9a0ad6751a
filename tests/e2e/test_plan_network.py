"""A plan over many documents on a testnet of real processes: done by several, within its budget, while some die."""

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coalesced.control.client import ControlClient
from coalesced.control.shapes import AskRequest, InputFile, Why
from coalesced.paths import find_paths
from coalesced.testnet import chaos, processes
from coalesced.testnet.manifest import Manifest, load
from coalesced.testnet.runner import homes_below
from node.execute.corpus import risk_case
from tests.harness.processes import run_cli

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
BUDGET_MICRO = 240_000


@pytest.fixture
def place() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="cp-"))
    yield parent / "net"
    processes.stop_all(homes_below(parent / "net"), grace_s=0.5)
    shutil.rmtree(parent, ignore_errors=True)


@dataclass(frozen=True)
class Ran:
    """One plan, done."""

    why: Why
    parts: list[dict[str, Any]]
    wall_s: float

    @property
    def makers(self) -> set[str]:
        return {part["by"] for part in self.parts}


def up(place: Path, nodes: int) -> Manifest:
    finished = run_cli("testnet", "up", "-n", str(nodes), "--no-proxy", "--dir", str(place), timeout_s=280)
    assert finished.returncode == 0, finished.stderr
    return load(place)


def plan_over(count: int, paths: int, **fields: Any) -> AskRequest:
    """One subtask a document, then merged."""
    cases = [risk_case(seed, assets=12, paths=paths) for seed in range(count)]
    files: list[InputFile] = [
        {"name": f"{at}.json", "media_type": case.media_type, "data": case.input} for at, case in enumerate(cases)
    ]
    asked: dict[str, Any] = {
        "skill": "risk",
        "files": files,
        "split": True,
        "privacy": "public",
        "budget_micro": BUDGET_MICRO,
        "deadline_s": 280.0,
        **fields,
    }
    return asked  # type: ignore[return-value]


def run(manifest: Manifest, request: AskRequest, *, kill: int = 0) -> Ran:
    """Have it done by the buyer; once some steps are done, kill so many of the sellers that are at work or were."""
    home = manifest.home(manifest.nodes[-1])
    names = {}
    for node in manifest.nodes:
        names[json.loads(run_cli("status", "--json", home=manifest.home(node)).stdout)["node"]] = node.name

    async def done() -> Ran:
        began, killed, task_id = time.monotonic(), 0, ""
        async with ControlClient(find_paths(home, environ={}).socket) as client:
            async with aclosing(client.ask(request)) as events:
                async for event in events:
                    task_id = event["task_id"] or task_id
                    if killed < kill and (event["done_ppm"] or 0) >= 100_000:
                        steps = (await client.why(task_id))["steps"]
                        for peer in sorted({step["by"] for step in steps} & names.keys())[: kill - killed]:
                            await chaos.kill(manifest, names.pop(peer))
                            killed += 1
            wall_s = time.monotonic() - began
            why = await client.why(task_id)
            assert why["task"]["state"] == "completed", why["task"]["error"]
            assert killed == kill
            return Ran(why, json.loads((await client.result(task_id))[0])["parts"], wall_s)

    return asyncio.run(done())


def check(ran: Ran, count: int) -> None:
    assert [part["source"] for part in ran.parts] == [f"part-{number}" for number in range(1, count + 1)]
    assert all("result" in part for part in ran.parts)
    paid = sum(step["cost_micro"] or 0 for step in ran.why["steps"] if step["by"] != "this node")
    assert paid <= BUDGET_MICRO
    assert len(ran.why["steps"]) == count + 1


def told(name: str, ran: Ran) -> str:
    cost = sum(step["cost_micro"] or 0 for step in ran.why["steps"])
    tried = sum(len(sub["tried"]) for sub in ran.why["subtasks"])
    makers = len(ran.makers - {"this node"})
    here = sum(part["by"] == "this node" for part in ran.parts)
    return (
        f"{name}: {ran.wall_s:.1f} s, ${cost / 1e6:.6f}, {here} here, the others by {makers} peers, {tried} fell back"
    )


def test_a_plan_is_done_by_several_nodes_and_drawn_with_what_ran_where(place: Path) -> None:
    manifest = up(place, 4)
    ran = run(manifest, plan_over(6, 300_000))
    check(ran, 6)
    assert ran.makers - {"this node"}, ran.parts
    home = manifest.home(manifest.nodes[-1])
    drawn = run_cli("task", "watch", ran.why["task"]["id"], home=home)
    assert drawn.returncode == 0, drawn.stderr
    assert "  + merge <- 6 steps" in drawn.stderr
    assert "6 of 6 steps done" in drawn.stderr
    maker = next(iter(ran.makers - {"this node"}))
    assert maker in drawn.stderr


@pytest.mark.long
def test_a_plan_over_40_documents_on_8_nodes_is_completed_while_two_sellers_die(place: Path) -> None:
    manifest = up(place, 8)
    alone = run(manifest, plan_over(40, 300_000, prefer="local"))
    check(alone, 40)
    assert alone.makers == {"this node"}
    shared = run(manifest, plan_over(40, 300_000))
    check(shared, 40)
    disturbed = run(manifest, plan_over(40, 300_000), kill=2)
    check(disturbed, 40)
    lines = [told("alone", alone), told("eight nodes", shared), told("two killed", disturbed)]
    print("\n".join([*lines, f"load {os.getloadavg()}"]))
    home = manifest.home(manifest.nodes[-1])
    print(run_cli("task", "watch", disturbed.why["task"]["id"], home=home).stderr)
