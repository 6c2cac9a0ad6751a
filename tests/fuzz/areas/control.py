"""The control API: any request over a real socket to a real node gets its view or an error in JSON, never a bug.

An input is a JSON object {"method", "path", "body"}; anything else is sent as the body of a POST to /ask.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import aiohttp
import structlog
from yarl import URL

from coalesced.compose.ground import Ground
from coalesced.compose.node import build
from coalesced.config import Config, Source
from coalesced.control.config import ControlConfig
from coalesced.control.routes import PREFIX
from coalesced.control.server import ControlServer
from coalesced.paths import Paths
from coalesced.reload import Reloader
from node.env import Env
from node.execute.config import ExecuteConfig
from node.execute.processes import ProcessExecutor
from node.net.addresses import Addresses
from node.net.endpoint import Endpoint
from node.net.memory import MemoryNetwork, MemoryTransport
from node.owner.network import Network
from node.owner.owner import Owner
from node.owner.status import StatusDesk
from node.store.store import Store
from node.store.tasks import TaskRow
from node.views import AskRequest, DoctorView, EventView, OfferView, SellRequest
from protocol.packing import pack
from tests.fuzz.areas.messages import specification
from tests.fuzz.areas.records import records
from tests.fuzz.target import Parse, Target
from tests.harness.jobs import CLIENT, CONTRACTOR, NOW_UNIX_MS, receipt_terms

TASK_ID = receipt_terms().task_id
TIMEOUT_S = 10.0
MAX_ERROR_BYTES = 2**14
"""An error may quote a part of what was sent, not all of it."""
SAFE = "/%?&=:@!$'()*+,;~-._[]"


class CarefulOwner(Owner):
    """The node's own facade, except for what would start processes: that ends once the request was understood."""

    async def ask(self, request: AskRequest) -> AsyncIterator[EventView]:
        """Decide, as `ask` does first."""
        decision = await self.decide(request)
        yield EventView(name="decided", at_unix_ms=NOW_UNIX_MS, decision=decision)

    async def events(self) -> AsyncIterator[EventView]:
        """One event: a real stream begins with a heartbeat, which comes late."""
        yield EventView(name="reloaded", at_unix_ms=NOW_UNIX_MS)

    async def sell(self, request: SellRequest) -> OfferView:
        """Nothing is put on sale."""
        return OfferView(label=request.label or request.target)

    async def doctor(self) -> DoctorView:
        """Its checks have no input."""
        return DoctorView(checks=())


class Served:
    """A node with an owner, a past, and a control socket; the loop that it lives on."""

    def __init__(self, runner: asyncio.Runner, home: Path) -> None:
        self._runner = runner
        self._home = home
        self._ready, self._stop = asyncio.Event(), asyncio.Event()
        self.session: aiohttp.ClientSession

    async def open(self) -> None:
        """Start living."""
        self._life = asyncio.create_task(self._live())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait([self._life, ready], return_when=asyncio.FIRST_COMPLETED)
        if self._life.done():
            await self._life

    async def close(self) -> None:
        """End."""
        self._stop.set()
        await self._life

    async def _live(self) -> None:
        config = Config(source=Source(Paths(self._home, self._home / "config.toml")))
        async with AsyncExitStack() as stack:
            store = await Store.open(None, CLIENT, caps=config.caps, retention=config.retention)
            stack.push_async_callback(store.close)
            group = await stack.enter_async_context(asyncio.TaskGroup())
            built = build(config, _ground(store, group))
            await _fill(store, built.daemon.parts.tasks)
            parts, daemon = built.daemon.parts, built.daemon
            owner = CarefulOwner(
                daemon,
                status=StatusDesk(daemon, version="0.0.0", home=str(self._home)),
                network=Network(parts, built.listings, config.decision),
                doctor=None,  # type: ignore[arg-type]  # never asked: see above
                reload=Reloader(config, parts).reload,
            )
            path = self._home / "control.sock"
            server = ControlServer(owner, ControlConfig(max_request_bytes=2**20, heartbeat_s=1.0), path)
            await server.start()
            stack.push_async_callback(server.stop)
            self.session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path)), auto_decompress=False)
            stack.push_async_callback(self.session.close)
            self._ready.set()
            await self._stop.wait()

    async def send(self, method: str, path: str, body: bytes) -> None:
        """One call, whose answer is checked."""
        url = URL("http://node" + quote(path, safe=SAFE, errors="replace"), encoded=True)
        async with asyncio.timeout(TIMEOUT_S), self.session.request(method, url, data=body) as response:
            if response.status == 200 and response.content_type == "application/x-ndjson":
                text = await response.content.readline()
            else:
                text = await response.read()
            _check(response, text)


def _ground(store: Store, group: asyncio.TaskGroup) -> Ground:
    rng = random.Random(1)
    env = Env(unix_ms=lambda: NOW_UNIX_MS, rng=rng, entropy=rng.randbytes)
    where = Endpoint("127.0.0.1", 7733)
    return Ground(
        identity=CLIENT,
        env=env,
        store=store,
        executor=ProcessExecutor(ExecuteConfig(), env),
        addresses=Addresses((where,), where, "for the fuzzer"),
        bootstrap=(),
        transport=MemoryTransport(MemoryNetwork(), "127.0.0.1"),
        group=group,
    )


async def _fill(store: Store, log: Any) -> None:
    """A task with a receipt, one that runs, a known peer, a journal."""
    for number, state in ((0, "completed"), (1, "working")):
        row = TaskRow(
            task_id=TASK_ID if number == 0 else bytes([0xAB] * 16),
            role="client",
            specification=pack(specification()),
            skill="risk",
            created_unix_ms=NOW_UNIX_MS,
            deadline_unix_ms=NOW_UNIX_MS + 60_000,
            peer=CONTRACTOR.public_key,
            price_micro=1000,
        )
        await log.open(row)
        await log.move(row.task_id, "working")
        if state == "completed":
            await log.end(row.task_id, "completed", "done")
    for kind, body in records():
        await store.journal.append(kind, body, NOW_UNIX_MS)


def _check(response: aiohttp.ClientResponse, text: bytes) -> None:
    """The answer is one of ours: a view, a line of a stream, a probe's text, or an error object."""
    assert response.status < 500 or response.status in (503, 504), f"{response.status}: {text[:300]!r}"
    assert b"Traceback" not in text
    if response.status >= 400:
        # What aiohttp's own parser refuses never reaches a handler: plain text, and the connection ends.
        if response.content_type == "application/json":
            error = json.loads(text)
            assert len(text) <= MAX_ERROR_BYTES, f"an error of {len(text)} bytes"
            assert error["schema"] == "coalesced.error/1"
            assert error["code"] != "internal"
            assert error["text"]
            assert error["exit_code"]
        else:
            assert response.status == 400 or response.content_type == "text/plain", text[:200]
    elif response.content_type == "application/json":
        assert json.loads(text)["schema"].startswith("coalesced.")


@contextmanager
def served() -> Iterator[Parse]:
    """A node and its socket."""
    # What a handler logs of its own bug is also in its answer, which is checked.
    with TemporaryDirectory(prefix="cf-") as home, asyncio.Runner() as runner, structlog.testing.capture_logs():
        world = Served(runner, Path(home))
        runner.run(world.open())

        def parse(data: bytes) -> None:
            with contextlib.suppress(ConnectionError, aiohttp.ServerDisconnectedError):
                runner.run(world.send(*_call(data)))

        try:
            yield parse
        finally:
            runner.run(world.close())


def _call(data: bytes) -> tuple[str, str, bytes]:
    """Method, path and body of an input."""
    try:
        plain = json.loads(data)
        method, path, body = plain["method"], plain["path"], plain.get("body")
        if isinstance(method, str) and isinstance(path, str):
            letters = "".join(char for char in method if char.isascii() and char.isalpha())[:12]
            return letters or "GET", PREFIX + "/" + path.lstrip("/"), b"" if body is None else json.dumps(body).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return "POST", f"{PREFIX}/ask", data


def _seeds() -> Iterator[bytes]:
    asked = {
        "schema": "coalesced.ask/1",
        "skill": "sentiment",
        "text": "The service was good.",
        "files": [{"name": "a.txt", "media_type": "text/plain", "data": "dGV4dA=="}],
        "budget_micro": 1000,
        "value_micro": 2000,
        "deadline_s": 5.5,
        "prefer": "auto",
        "privacy": "public",
        "regions": ["eu"],
        "effort": "full",
        "least_level": "cheap",
        "min_score_ppm": 900_000,
        "idempotency_key": "k",
    }
    work = {"name": "a", "skill": "risk", "text": "x", "files": ["a.txt"]}
    plan = json.dumps({"step": [work, {"name": "m", "merge": True, "needs": ["a"]}]})
    task = TASK_ID.hex()
    calls: list[tuple[str, str, object]] = [
        ("GET", "/status", None),
        ("GET", "/events", None),
        ("POST", "/reload", None),
        ("POST", "/stop", {"schema": "coalesced.stop-request/1", "drain": False}),
        ("GET", "/peers", None),
        ("POST", "/peers/k7m2qfab/ping", None),
        ("POST", "/peers/did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK/block", None),
        ("POST", "/peers/did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK/unblock", None),
        ("GET", "/skills", None),
        ("GET", "/sellers?skill=risk&max_price_micro=100", None),
        ("GET", "/offers", None),
        ("POST", "/offers", {"schema": "coalesced.sell/1", "target": "risk", "label": "risk", "price_micro": 5}),
        ("DELETE", "/offers?skill=risk", None),
        ("POST", "/ask", asked),
        ("POST", "/decide", asked),
        ("POST", "/decide", {"schema": "coalesced.ask/1", "skill": "plan", "plan": plan, "files": asked["files"]}),
        ("POST", "/ask", {"schema": "coalesced.ask/1", "skill": "sentiment", "split": True, "files": asked["files"]}),
        ("GET", "/tasks?limit=5&state=completed", None),
        ("GET", f"/tasks/{task}", None),
        ("GET", f"/tasks/{task[:12]}/events", None),
        ("GET", f"/tasks/{task}/result", None),
        ("GET", f"/tasks/{task}/receipt", None),
        ("GET", f"/tasks/{task}/why", None),
        ("POST", "/tasks/abababab/cancel", None),
        ("POST", "/tasks/abababab/answer", {"schema": "coalesced.answer-request/1", "text": "1999"}),
        ("GET", "/journal?limit=3", None),
        ("POST", "/journal/verify", None),
        ("GET", "/journal/2", None),
    ]  # fmt: skip
    for method, path, body in calls:
        yield json.dumps({"method": method, "path": path, "body": body}).encode()
    yield json.dumps(asked).encode()


TARGETS = (Target(name="control-call", form="json", opened=served, seeds=_seeds, share=0.4, max_bytes=2**17),)
