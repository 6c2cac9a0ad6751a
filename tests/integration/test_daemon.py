"""A daemon's edges: starting where it cannot, stopping, telling systemd and listeners, reading its settings again."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from coalesced.config import ConfigError, Source, load
from coalesced.paths import find_paths
from coalesced.reload import Reloader
from coalesced.sdnotify import notify
from node.errors import NodeError
from node.events import QUEUE_EVENTS, EventHub
from node.net.errors import ListenError
from node.views import EventView, SellRequest
from tests.harness.dealing import Seller, on_sale
from tests.harness.nodes import Node, Plan, world
from tests.harness.peering import until

SECRET_TEXT = "The quick brown fox was wonderful, said Mrs Featherstonehaugh."


async def test_a_taken_port_is_a_clear_error_and_leaves_nothing_behind() -> None:
    async with world() as made:
        node = await made.node()
        before = len(asyncio.all_tasks())
        other = Node(Plan(seed=b"\x44" * 32, port=node.endpoint.port))
        with pytest.raises(BaseExceptionGroup) as caught:
            await other.start()
        assert caught.group_contains(ListenError, match=str(node.endpoint.port))
        await until(lambda: len(asyncio.all_tasks()) <= before)
        assert (await node.ask("sentiment", SECRET_TEXT)).state == "completed"


async def test_two_nodes_start_find_each_other_and_stop_leaving_no_task_behind() -> None:
    before = len(asyncio.all_tasks())
    async with world() as made:
        await made.seller()
        await made.buyer()
    await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_no_log_line_holds_the_text_the_result_or_a_key() -> None:
    with structlog.testing.capture_logs() as lines:
        async with world() as made:
            seller, buyer = await made.seller(), await made.buyer()
            task = await buyer.ask("sentiment", SECRET_TEXT)
            result, _ = await buyer.owner.result(task.id)
            failed = await buyer.ask("translation", SECRET_TEXT)
            assert (task.choice, failed.state) == ("outsource", "failed")
    written = repr(lines)
    assert len(lines) > 5
    for secret in ("Featherstonehaugh", "wonderful", result.decode(), repr(seller.plan.seed), seller.plan.seed.hex()):
        assert secret not in written


async def test_what_happens_to_the_node_is_told_to_listeners() -> None:
    async with world() as made:
        seller = await made.seller()
        with seller.parts.hub.subscribe() as queue:
            buyer = await made.buyer()
            await buyer.ask("sentiment", SECRET_TEXT)
            await seller.written("receipt")
            await seller.owner.unsell("risk")
            await seller.owner.sell(SellRequest(target="risk"))
            names = [queue.get_nowait().name for _ in range(queue.qsize())]
        for name in ("peer_connected", "task_received", "task_served", "receipt", "offer_changed"):
            assert name in names


async def test_what_was_sold_and_earned_is_counted() -> None:
    async with world() as made:
        seller, buyer = await made.seller(), await made.buyer()
        task = await buyer.ask("sentiment", SECRET_TEXT)
        await seller.written("receipt")
        status = await seller.owner.status()
        assert status.earned_today_micro == task.cost_micro
        offers = {offer.label: offer for offer in (await seller.owner.offers()).offers}
        assert (offers["sentiment"].sold, offers["sentiment"].earned_micro) == (1, task.cost_micro)
        assert offers["risk"].sold == 0


async def test_an_offer_says_how_many_nodes_know_it_now() -> None:
    async with world() as made:
        seller = await made.seller()
        assert {offer.published_to for offer in (await seller.owner.offers()).offers} == {0}, "it is alone"
        await made.buyer()
        await until(lambda: all(seller.parts.shop.published_to(ware.label) == 1 for ware in seller.parts.shop.wares))
        assert {offer.published_to for offer in (await seller.owner.offers()).offers} == {1}


# --- events


def event(number: int) -> EventView:
    return EventView(name="progress", at_unix_ms=number)


async def test_a_slow_listener_loses_the_oldest_events_and_hinders_nobody() -> None:
    hub = EventHub(lambda: 7)
    with hub.subscribe() as slow:
        for number in range(QUEUE_EVENTS + 5):
            hub.publish(event(number))
        assert (hub.dropped, slow.get_nowait().at_unix_ms) == (5, 5)
    hub.publish(event(1))
    assert hub.dropped == 5, "who has left is not waited for"


async def test_a_watcher_that_lost_the_ending_event_still_sees_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.outsource.tasklog.RECHECK_S", 0.05)
    async with world() as made:
        node = await made.node(pace_s=600.0)
        task_id = await node.submit("sentiment", SECRET_TEXT)
        await node.reached(task_id, "decided")
        watching = node.parts.tasks.watch(task_id)
        seen = [(await anext(watching)).name]
        node.parts.running.cancel(task_id)
        await until(lambda: not len(node.parts.running))
        for number in range(QUEUE_EVENTS + 1):
            node.parts.hub.publish(event(number))
        async with asyncio.timeout(60):
            seen += [one.name async for one in watching]
        assert seen[-1] == "cancelled"
        assert len(seen) == len(set(seen)), "each event once"


# --- reload


def settings(directory: Path, toml: str) -> Source:
    (directory / "config.toml").write_text(toml)
    return Source(find_paths(directory, environ={}))


async def test_caps_change_at_once_and_the_rest_names_what_needs_a_restart(tmp_path: Path) -> None:
    async with world() as made:
        node = await made.node()
        source = settings(tmp_path, "")
        reloader = Reloader(load(source), node.parts)
        assert await reloader.reload() == "nothing has changed"
        settings(tmp_path, "[caps]\nday_micro = 5\n[client]\nmax_sellers = 3\n")
        with node.parts.hub.subscribe() as queue:
            text = await reloader.reload()
            assert queue.get_nowait().name == "reloaded"
        assert text == "in force now: caps.day_micro; needs a restart: client.max_sellers"
        assert await reloader.reload() == "needs a restart: client.max_sellers"
        assert node.parts.store.spending.caps.day_micro == 5
        async with on_sale(Seller(price_micro=10), [node.endpoint]):
            assert (await node.ask("sentiment", SECRET_TEXT)).choice == "local"


async def test_a_wrong_setting_changes_nothing_and_says_where(tmp_path: Path) -> None:
    async with world() as made:
        node = await made.node()
        reloader = Reloader(load(settings(tmp_path, "")), node.parts)
        before = node.parts.store.spending.caps
        settings(tmp_path, "[caps]\nday_micro = -1\n")
        with capture_logs() as logged:
            with pytest.raises(ConfigError, match=r"config\.toml:2"):
                await reloader.reload()
            await reloader.reload_on_signal()
        assert [line["event"] for line in logged] == ["config.refused"] * 2
        assert "config.toml:2: caps.day_micro = -1: write a whole number from 0" in logged[1]["error"]
        assert node.parts.store.spending.caps is before


# --- systemd


def test_systemd_is_told_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in (str(tmp_path / "notify"), f"@coalesced-test-{os.getpid()}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(address.replace("@", "\0"))
            listener.settimeout(5)
            monkeypatch.setenv("NOTIFY_SOCKET", address)
            notify("READY=1")
            assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "not-an-address"])
def test_without_systemd_nothing_happens(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")


# --- the edge of one task


async def test_a_task_that_hits_a_bug_ends_as_failed_and_the_node_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as made:
        node = await made.node()

        def broken(*_: Any, **__: Any) -> Any:
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(node.parts.work, "option", broken)
            task = await node.ask("sentiment", SECRET_TEXT)
        assert task.error is not None
        assert (task.state, task.error.code) == ("failed", "internal")
        assert "internal error" in task.error.text
        assert (await node.ask("sentiment", SECRET_TEXT)).state == "completed"


async def test_background_work_that_fails_is_logged_and_ends_nothing() -> None:
    async def fail() -> None:
        raise NodeError("on purpose")

    async with world() as made:
        node = await made.node()
        with structlog.testing.capture_logs() as lines:
            await node.parts.in_background(fail())
        assert [line["event"] for line in lines] == ["background.failed"]
        assert (await node.ask("sentiment", SECRET_TEXT)).state == "completed"


def test_event_views_can_be_compared_and_hashed() -> None:
    one = msgspec.json.decode(msgspec.json.encode(event(1)), type=EventView)
    assert one == event(1)
    assert hash(one) == hash(event(1))
