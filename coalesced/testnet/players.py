"""Who plays in the demo, and how one task is asked for and watched."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field

from coalesced.control.client import ControlClient
from coalesced.control.shapes import AskRequest, Event, Task
from coalesced.testnet import chaos
from coalesced.testnet.manifest import Manifest, NodePlan, TestnetError
from coalesced.testnet.stage import Stage

TASK_TIMEOUT_S = 120.0
SHOW_EVERY_PPM = 200_000
KILL_AT_PPM = 100_000
"""The third task's seller dies at a tenth of the work: late enough to be seen at work, early enough to be quick."""
SETTLE_TIMEOUT_S = 10.0
"""A seller writes its half of a receipt a moment after the buyer has its answer."""


@dataclass
class Demo:
    """The network, a client of every node, and what has been asked so far."""

    stage: Stage
    manifest: Manifest
    clients: dict[str, ControlClient] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Node name by short id."""
    granted: int = 0
    """Credits that each of them had at the start."""

    @property
    def buyer(self) -> ControlClient:
        """The node that has the tasks: the last."""
        return self.clients[self.manifest.nodes[-1].name]

    def node_called(self, peer: str) -> NodePlan:
        """The node of this testnet that `peer`, a short id, is."""
        return self.manifest.node(self.names[peer])


async def ask(demo: Demo, request: AskRequest, *, kill_seller: bool = False) -> tuple[Task, list[Event]]:
    """Have one task done on the buyer, its events printed; kills the seller once it is seen at work."""
    seen: list[Event] = []
    next_ppm = 0
    killed = not kill_seller
    async with asyncio.timeout(TASK_TIMEOUT_S), aclosing(demo.buyer.ask(request)) as events:
        async for event in events:
            seen.append(event)
            done_ppm = event["done_ppm"] or 0
            if event["name"] != "progress":
                demo.stage.event(event)
                next_ppm = 0
            elif done_ppm >= next_ppm:
                demo.stage.event(event)
                next_ppm = done_ppm + SHOW_EVERY_PPM
            if event["decision"] is not None:
                demo.stage.show(event["decision"])
            if not killed and event["name"] == "progress" and done_ppm >= KILL_AT_PPM:
                killed = True
                hired = next(e["peer"] for e in reversed(seen) if e["name"] in ("awarded", "accepted"))
                demo.stage.say(f"  >> {await chaos.kill(demo.manifest, demo.node_called(hired).name)}")
            if event["task"] is not None and event["name"] != "submitted":
                return event["task"], seen
    raise TestnetError("the buyer's event stream ended before the task did")


def risk_request(*, seed: int, paths: int) -> AskRequest:
    """A portfolio whose value at risk takes some seconds to simulate."""
    from node.execute.corpus import risk_case

    case = risk_case(seed, assets=12, paths=paths, horizon=10)
    return {
        "skill": case.label,
        "files": [{"name": "book.json", "media_type": case.media_type, "data": case.input}],
        "privacy": "public",
        "deadline_s": TASK_TIMEOUT_S,
    }
