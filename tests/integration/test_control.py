"""The control API over a real Unix socket: what goes in comes out, and whatever else goes in is an error in JSON."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import aiohttp
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coalesced.control import shapes
from coalesced.control.client import ControlClient
from coalesced.control.config import ControlConfig
from coalesced.control.connection import wait_gone
from coalesced.control.errors import ControlError, LostDaemonError, NoDaemonError
from coalesced.control.facade import Node
from coalesced.control.lock import AlreadyRunningError, hold_lock, holder
from coalesced.control.server import ControlServer
from node.errors import NodeError
from node.views import EventView
from tests.harness.memory_node import MemoryNode


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


@pytest.fixture
async def server(node: MemoryNode, home: Path) -> AsyncIterator[ControlServer]:
    facade: Node = node
    config = ControlConfig(admin_port=0, max_request_bytes=2**20, heartbeat_s=0.05, close_timeout_s=0.1)
    running = ControlServer(facade, config, home / "control.sock")
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def client(server: ControlServer, home: Path) -> AsyncIterator[ControlClient]:
    async with ControlClient(home / "control.sock") as opened:
        yield opened


async def test_an_ask_streams_its_events_and_leaves_its_result(client: ControlClient) -> None:
    files: list[shapes.InputFile] = [{"name": "a.txt", "media_type": "text/plain", "data": b" and more"}]
    events = [event async for event in client.ask({"skill": "upper", "text": "some text", "files": files})]
    assert [event["name"] for event in events] == ["submitted", "decided", "completed"]
    task = events[-1]["task"]
    assert task is not None
    assert await client.result(task["id"]) == (b"SOME TEXT AND MORE", "text/plain")
    assert (await client.why(task["id"]))["decision"] is not None
    assert (await client.tasks(limit=5, state="completed"))["tasks"][0]["id"] == task["id"]
    assert (await client.receipt(task["id"]))["countersigned"] is True


async def test_leaving_the_stream_does_not_cancel_the_task(client: ControlClient, node: MemoryNode) -> None:
    async with aclosing(client.ask({"skill": "slow", "text": "x"})) as events:
        task_id = (await anext(events))["task_id"]
    await asyncio.wait_for(node.left.wait(), 60)
    assert node.open_streams == 0
    assert (await client.task(task_id))["state"] == "submitted"
    node.release.set()
    assert [event["name"] async for event in client.watch(task_id)][-1] == "completed"


async def test_a_cancelled_task_ends_its_stream(client: ControlClient) -> None:
    names = []
    async for event in client.ask({"skill": "slow", "text": "x"}):
        names.append(event["name"])
        if event["name"] == "progress":
            await client.cancel(event["task_id"])
    assert names[-1] == "cancelled"


async def test_a_question_is_answered_from_elsewhere(client: ControlClient) -> None:
    async for event in client.ask({"skill": "quiz", "text": "x"}):
        if event["name"] == "input_required":
            assert (await client.answer(event["task_id"], "1999"))["state"] == "working"
    assert event["name"] == "completed"


async def test_a_node_where_nothing_happens_still_beats(server: ControlServer, node: MemoryNode, home: Path) -> None:
    """Its listeners give up after a minute without a byte."""

    async def nothing() -> AsyncIterator[EventView]:
        await asyncio.Event().wait()
        yield EventView(name="stopping", at_unix_ms=0)

    node.events = nothing  # type: ignore[method-assign]
    connector = aiohttp.UnixConnector(str(home / "control.sock"))
    async with (
        asyncio.timeout(60),
        aiohttp.ClientSession(connector=connector) as session,
        session.get("http://node/control/1/events") as response,
    ):
        assert await response.content.readline() == b"\n"


async def test_every_other_call_answers_with_its_schema(client: ControlClient) -> None:
    answers = [
        (await client.status())["schema"],
        (await client.doctor())["schema"],
        (await client.peers())["schema"],
        (await client.ping("k7m2qfab"))["schema"],
        (await client.block("a/b c"))["schema"],
        (await client.unblock("a/b c"))["schema"],
        (await client.skills())["schema"],
        (await client.find_skill("nlp/upper", max_price_micro=1000))["schema"],
        (await client.find_meaning("loud letters", max_price_micro=1000, min_trust_ppm=1))["schema"],
        (await client.sell({"target": "mod:fn", "label": "nlp/up"}))["schema"],
        (await client.market())["schema"],
        (await client.offers())["schema"],
        (await client.unsell("nlp/up"))["schema"],
        (await client.decide({"skill": "upper"}))["schema"],
        (await client.journal_tail(2))["schema"],
        (await client.journal_show(1))["schema"],
        (await client.journal_verify())["schema"],
        (await client.ledger_head())["schema"],
        (await client.ledger_members())["schema"],
        (await client.ledger_verify())["schema"],
        (await client.ledger_blocks())["schema"],
        (await client.ledger_proof("k7m2qfab"))["schema"],
        (await client.ledger_account())["schema"],
        (await client.ledger_submit(b"tx"))["schema"],
        (await client.trust("k7m2qfab"))["schema"],
        (await client.reload())["schema"],
        (await client.stop(drain=False))["schema"],
    ]
    names = "status doctor peers ping ok ok skills sellers matches offer market offers ok"
    own = "decision journal journal-entry verify"
    ledger = "ledger-head ledger-members ledger-verify ledger-blocks ledger-proof ledger-account ledger-done trust"
    assert answers == [f"coalesced.{name}/1" for name in [*names.split(), *own.split(), *ledger.split(), "ok", "ok"]]


async def test_a_peer_name_with_any_characters_arrives_as_it_was_sent(client: ControlClient, node: MemoryNode) -> None:
    await client.block("[::1]:7400/ ä?#%2F")
    assert node.blocked == {"[::1]:7400/ ä?#%2F"}


async def test_the_price_limit_reaches_the_search(client: ControlClient) -> None:
    assert len((await client.find_skill("upper"))["sellers"]) == 2
    assert len((await client.find_skill("upper", max_price_micro=1000))["sellers"]) == 1


async def test_a_refused_ask_is_an_error_with_its_exit_code(client: ControlClient) -> None:
    with pytest.raises(ControlError, match="nearest: upper") as caught:
        await anext(client.ask({"skill": "summarise 40 pages"}))
    assert (caught.value.code, caught.value.exit_code) == ("usage", 2)


async def test_a_bug_in_the_node_is_told_without_a_traceback(client: ControlClient) -> None:
    with pytest.raises(ControlError, match=r"a bug in the daemon \(RuntimeError\)") as caught:
        await anext(client.ask({"skill": "bug"}))
    assert caught.value.code == "internal"


async def test_a_quiet_stream_is_kept_alive_by_empty_lines(server: ControlServer, home: Path) -> None:
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(home / "control.sock"))) as http,
        http.get("http://localhost/control/1/events") as response,
    ):
        assert response.content_type == "application/x-ndjson"
        lines = [await asyncio.wait_for(response.content.readline(), 60) for _ in range(3)]
    assert msgspec.json.decode(lines[0])["schema"] == "coalesced.event/1"
    assert lines[1:] == [b"\n", b"\n"]


async def test_a_caller_that_leaves_frees_the_stream(client: ControlClient, node: MemoryNode) -> None:
    async with aclosing(client.ask({"skill": "slow"})) as events:
        await anext(events)
        assert node.open_streams == 1
    await asyncio.wait_for(node.left.wait(), 60)
    assert node.open_streams == 0


async def test_a_daemon_that_stops_mid_stream_is_reported_as_lost(server: ControlServer, client: ControlClient) -> None:
    async with aclosing(client.events()) as events:
        await anext(events)
        await server.stop()
        with pytest.raises(LostDaemonError, match="went away"):
            await anext(events)


async def test_open_streams_do_not_hold_up_the_end(node: MemoryNode, home: Path) -> None:
    server = ControlServer(node, ControlConfig(close_timeout_s=60), home / "control.sock")
    await server.start()
    async with ControlClient(home / "control.sock") as client, aclosing(client.events()) as events:
        await anext(events)
        await asyncio.wait_for(server.stop(), 60)
        with pytest.raises(LostDaemonError):
            await anext(events)


async def test_no_daemon_is_exit_code_3_and_says_how_to_start_one(tmp_path: Path) -> None:
    async with ControlClient(tmp_path / "none.sock") as client:
        with pytest.raises(NoDaemonError, match="coalesced start") as caught:
            await client.status()
    assert caught.value.exit_code == 3


async def post(home: Path, path: str, body: bytes, method: str = "POST") -> tuple[int, dict[str, object]]:
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(home / "control.sock"))) as http,
        http.request(method, "http://localhost" + path, data=body) as response,
    ):
        return response.status, msgspec.json.decode(await response.read(), type=dict[str, object])


HOSTILE_BODIES = [
    b"",
    b"null",
    b"[]",
    b"\xff\xfe",
    b'{"skill": 3}',
    b'{"skill": "upper", "unknown": 1}',
    b'{"skill": "upper", "budget_micro": -1}',
    b'{"skill": "upper", "budget_micro": 1e400}',
    b'{"skill": "upper", "deadline_s": "soon"}',
    b'{"skill": "upper", "files": [{"name": "a", "media_type": "text/plain", "data": "!!!"}]}',
    b'{"skill": "upper", "files": [{"name": "a", "media_type": "no type", "data": ""}]}',
    b'{"schema": "coalesced.sell/1", "skill": "upper"}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("body", HOSTILE_BODIES, ids=lambda body: repr(body[:40]))
async def test_a_malformed_ask_is_a_usage_error(server: ControlServer, home: Path, body: bytes) -> None:
    status, answer = await post(home, "/control/1/ask", body)
    assert (status, answer["schema"], answer["code"]) == (400, "coalesced.error/1", "usage")


async def test_any_body_gives_a_view_or_an_error_in_json(server: ControlServer, home: Path) -> None:
    bodies = st.binary(max_size=200) | st.recursive(
        st.none() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["skill", "text", "x"]), inner),
        max_leaves=8,
    ).map(msgspec.json.encode)
    loop = asyncio.get_running_loop()

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(bodies, st.sampled_from(["/decide", "/offers", "/stop", "/tasks/x/answer", "/nothing", "/tasks/%00"]))
    def answers_in_json(body: bytes, path: str) -> None:
        _, answer = asyncio.run_coroutine_threadsafe(post(home, "/control/1" + path, body), loop).result(60)
        assert str(answer["schema"]).startswith("coalesced.")
        assert "Traceback" not in str(answer)

    await asyncio.to_thread(answers_in_json)


async def test_a_body_above_the_limit_is_refused_with_the_limit(client: ControlClient) -> None:
    files: list[shapes.InputFile] = [{"name": "a", "media_type": "text/plain", "data": bytes(3 * 2**20)}]
    with pytest.raises(ControlError, match=r"larger than 1048576 bytes \(control\.max_request_bytes\)") as caught:
        await anext(client.ask({"skill": "upper", "files": files}))
    assert (caught.value.code, caught.value.exit_code) == ("too_large", 2)


async def test_a_body_just_below_the_limit_arrives(client: ControlClient) -> None:
    events = [event async for event in client.ask({"skill": "upper", "text": "x" * (2**20 - 200)})]
    assert events[-1]["name"] == "completed"


@pytest.mark.parametrize(
    "path",
    ["/tasks?limit=0", "/tasks?limit=x", "/tasks?state=odd", "/sellers", "/journal/-1", "/journal/9", "/tasks/none"],
)
async def test_a_bad_query_is_a_usage_error_that_names_the_value(server: ControlServer, home: Path, path: str) -> None:
    status, answer = await post(home, "/control/1" + path, b"", "GET")
    assert (status, answer["code"]) == (400, "usage")


# --- who may come in ---


async def test_the_socket_and_its_directory_are_closed_to_others(server: ControlServer, home: Path) -> None:
    assert stat.S_IMODE((home / "control.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


async def test_over_tcp_there_are_probes_and_nothing_else(server: ControlServer, node: MemoryNode) -> None:
    base = f"http://127.0.0.1:{server.admin_port}"
    async with aiohttp.ClientSession() as http:
        assert [(await http.get(base + path)).status for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 200]
        node.ready = False
        assert (await http.get(base + "/readyz")).status == 503
        refused = await http.get(base + "/control/1/status")
        assert (refused.status, (await refused.json())["code"]) == (404, "usage")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]:80", ""])
async def test_a_rebound_host_name_is_refused_over_tcp(server: ControlServer, host: str) -> None:
    async with aiohttp.ClientSession() as http:
        answer = await http.get(f"http://127.0.0.1:{server.admin_port}/metrics", headers={"Host": host})
        assert answer.status in (400, 421)


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "[::1]:80", "[::1]"])
async def test_a_loopback_host_name_is_served_over_tcp(server: ControlServer, host: str) -> None:
    async with aiohttp.ClientSession() as http:
        answer = await http.get(f"http://127.0.0.1:{server.admin_port}/livez", headers={"Host": host})
        assert answer.status == 200


async def test_a_taken_admin_port_is_named(node: MemoryNode, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = ControlServer(node, ControlConfig(admin_port=port), home / "control.sock")
        with pytest.raises(NodeError, match=rf"{port} is not free .*control\.admin_port"):
            await server.start()
    assert not (home / "control.sock").exists()


# --- one daemon a home ---


async def test_a_stale_socket_is_replaced(node: MemoryNode, home: Path) -> None:
    home.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(home / "control.sock"))
    server = ControlServer(node, ControlConfig(), home / "control.sock")
    await server.start()
    async with ControlClient(home / "control.sock") as client:
        assert (await client.status())["pid"] == os.getpid()
    await server.stop()
    assert not (home / "control.sock").exists()


async def test_a_live_socket_is_left_alone(server: ControlServer, node: MemoryNode, home: Path) -> None:
    second = ControlServer(node, ControlConfig(), home / "control.sock")
    with pytest.raises(AlreadyRunningError, match="already running"):
        await second.start()
    async with ControlClient(home / "control.sock") as client:
        assert (await client.status())["node"] == "k7m2qfab"


async def test_a_file_that_is_no_socket_is_left_alone(node: MemoryNode, home: Path) -> None:
    home.mkdir()
    (home / "control.sock").write_text("mine")
    with pytest.raises(NodeError, match="is not a socket"):
        await ControlServer(node, ControlConfig(), home / "control.sock").start()
    assert (home / "control.sock").read_text() == "mine"


async def test_a_path_that_no_socket_can_have_is_refused(node: MemoryNode, home: Path) -> None:
    with pytest.raises(NodeError, match="longer than 103 bytes"):
        await ControlServer(node, ControlConfig(), home / ("x" * 100) / "control.sock").start()


def test_a_second_holder_of_the_lock_is_told_the_first_ones_process(tmp_path: Path) -> None:
    lock = tmp_path / "daemon.lock"
    assert holder(lock) is None
    with hold_lock(lock):
        assert holder(lock) == os.getpid()
        with pytest.raises(AlreadyRunningError, match=f"already running, pid {os.getpid()},"), hold_lock(lock):
            pass
    assert holder(lock) is None
    with hold_lock(lock):
        pass


async def test_waiting_for_the_end_ends_with_the_socket(server: ControlServer, home: Path) -> None:
    assert not await wait_gone(home / "control.sock", timeout_s=0)
    await server.stop()
    assert await wait_gone(home / "control.sock", timeout_s=60)
