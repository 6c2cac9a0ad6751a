"""Sessions over real loopback WebSockets: what they carry, and how they end."""

import asyncio

import pytest

from node.net.config import NetConfig
from node.net.endpoint import Endpoint
from node.net.errors import Refusal, RemoteRefused, SessionClosed
from node.net.session import Call
from protocol.errors import LocalProtocolError
from protocol.messages import MAX_PART_BYTES, Message, Ok, Ping, Pong, Progress, ResultPart
from tests.harness.peering import member, two, until
from tests.harness.relay import relay


class Probing:
    """A handler that never answers, and shows when it was started and when it was cancelled."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, call: Call) -> Message:
        self.started.set()
        try:
            await call.emit(Progress(done_ppm=1))
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Ok()


async def test_a_request_is_answered() -> None:
    async with two() as (client, server):
        session = await client.to(server)
        assert await session.request(Ping(), timeout_s=60) == Pong()
        assert session.peer_key == server.identity.public_key


async def test_both_sides_agree_on_the_handshake_hash_and_on_each_others_keys() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def handler(call: Call) -> Message:
        seen.append((call.peer_key, call.session.handshake_hash))
        return Ok()

    async with two(handler) as (client, server):
        session = await client.to(server)
        await session.request(Ping(), timeout_s=60)
        assert seen == [(client.identity.public_key, session.handshake_hash)]


async def test_a_stream_gives_its_events_in_order_and_then_the_answer() -> None:
    async def handler(call: Call) -> Message:
        for done in range(5):
            await call.emit(Progress(done_ppm=done))
        return Ok()

    async with two(handler) as (client, server):
        session = await client.to(server)
        async with session.stream(Ping(), timeout_s=60) as stream:
            with pytest.raises(RuntimeError, match="not been answered"):
                _ = stream.final
            assert [event async for event in stream] == [Progress(done_ppm=done) for done in range(5)]
            assert stream.final == Ok()
        assert await session.request(Ping(), timeout_s=60) == Ok(), "a plain request passes events over"


async def test_the_dialled_side_can_ask_as_well() -> None:
    async def handler(call: Call) -> Message:
        return await call.session.request(Ping(), timeout_s=call.remaining_s())

    async with two(handler) as (client, server):
        session = await client.to(server)
        assert await session.request(Ping(), timeout_s=60) == Pong()


async def test_many_requests_at_once_each_get_their_own_answer() -> None:
    async def handler(call: Call) -> Message:
        await asyncio.sleep(0)
        return call.body

    async with two(handler) as (client, server):
        session = await client.to(server)
        bodies = [Progress(done_ppm=number) for number in range(500)]
        assert await asyncio.gather(*(session.request(body, timeout_s=10) for body in bodies)) == bodies


async def test_a_refusal_carries_its_code_and_text() -> None:
    async def handler(call: Call) -> Message:
        raise Refusal("unknown_skill", "this node sells nothing of the kind")

    async with two(handler) as (client, server):
        session = await client.to(server)
        with pytest.raises(RemoteRefused, match="sells nothing") as refused:
            await session.request(Ping(), timeout_s=60)
        assert refused.value.code == "unknown_skill"


async def test_an_error_in_a_handler_is_answered_and_harms_nothing_else() -> None:
    async def handler(call: Call) -> Message:
        if isinstance(call.body, Progress):
            raise ZeroDivisionError("secret detail")
        return Pong()

    async with two(handler) as (client, server):
        session = await client.to(server)
        with pytest.raises(RemoteRefused) as refused:
            await session.request(Progress(done_ppm=1), timeout_s=60)
        assert refused.value.code == "internal"
        assert "secret" not in str(refused.value)
        assert await session.request(Ping(), timeout_s=60) == Pong()


async def test_an_answer_that_cannot_be_sent_is_an_internal_error_for_the_peer() -> None:
    async def handler(call: Call) -> Message:
        return Progress(done_ppm=7_000_000)

    async with two(handler) as (client, server):
        session = await client.to(server)
        with pytest.raises(RemoteRefused) as refused:
            await session.request(Ping(), timeout_s=60)
        assert refused.value.code == "internal"


async def test_a_request_that_cannot_be_sent_is_refused_here_and_the_session_goes_on() -> None:
    async with two() as (client, server):
        session = await client.to(server)
        with pytest.raises(LocalProtocolError, match="not fit to send"):
            await session.request(Progress(done_ppm=7_000_000), timeout_s=60)
        assert await session.request(Ping(), timeout_s=60) == Pong()


async def test_leaving_a_stream_early_cancels_the_handler_at_the_peer() -> None:
    handler = Probing()
    async with two(handler) as (client, server):
        session = await client.to(server)
        async with session.stream(Ping(), timeout_s=60) as stream:
            assert await anext(stream) == Progress(done_ppm=1)
        await asyncio.wait_for(handler.cancelled.wait(), 60)
        assert session.is_idle
        assert session.is_open


@pytest.mark.parametrize("from_dialled_side", [False, True])
async def test_cancelling_a_request_cancels_the_handler_at_the_peer(from_dialled_side: bool) -> None:
    handler = Probing()
    client_handler = handler if from_dialled_side else None
    async with two(Probing() if from_dialled_side else handler, client_handler=client_handler) as (client, server):
        session = await client.to(server)
        if from_dialled_side:
            await session.probe(60)
            (session,) = server.peers.open_sessions()
        asking = asyncio.get_running_loop().create_task(session.request(Ping(), timeout_s=60))
        await asyncio.wait_for(handler.started.wait(), 60)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.wait_for(handler.cancelled.wait(), 60)


async def test_a_request_cancelled_in_the_same_instant_leaves_nothing_behind() -> None:
    handler = Probing()
    async with two(handler) as (client, server):
        session = await client.to(server)
        async with session.stream(Ping(), timeout_s=60):
            pass  # Request and Cancel share a frame: the handler's task is cancelled before its first step.
        await session.probe(60)
        (other,) = server.peers.open_sessions()
        await until(lambda: other.is_idle)
        assert not handler.started.is_set()


async def test_a_deadline_ends_the_request_here_and_the_handler_there() -> None:
    handler = Probing()
    async with two(handler) as (client, server):
        session = await client.to(server)
        with pytest.raises(TimeoutError, match="did not answer in time"):
            await session.request(Ping(), timeout_s=0.05)
        await asyncio.wait_for(handler.cancelled.wait(), 60)
        assert session.is_open


async def test_requests_beyond_the_limit_wait_here_and_are_refused_there() -> None:
    handler = Probing()
    few, many = NetConfig(max_calls=2, drain_s=0.2), NetConfig(max_calls=8, drain_s=0.2)
    async with member(handler, config=few) as server, member(config=few) as patient, member(config=many) as pushing:
        session = await pushing.to(server)
        async with session.stream(Ping(), timeout_s=60) as one, session.stream(Ping(), timeout_s=60) as two_:
            await asyncio.gather(anext(one), anext(two_))
            with pytest.raises(RemoteRefused) as refused:
                await session.request(Ping(), timeout_s=60)
            assert refused.value.code == "busy"
        session = await patient.to(server)
        asking = [asyncio.get_running_loop().create_task(session.request(Ping(), timeout_s=60)) for _ in range(5)]
        await asyncio.wait_for(handler.started.wait(), 60)
        handler.release.set()
        assert await asyncio.gather(*asking) == [Ok()] * 5


async def test_a_request_that_finds_no_place_in_time_says_so() -> None:
    handler = Probing()
    async with two(handler, NetConfig(max_calls=1, drain_s=0.2)) as (client, server):
        session = await client.to(server)
        async with session.stream(Ping(), timeout_s=60) as stream:
            await anext(stream)
            with pytest.raises(TimeoutError, match="1 are under way"):
                await session.request(Ping(), timeout_s=0.05)
        handler.release.set()
        assert await session.request(Ping(), timeout_s=60) == Ok(), "the place was given back"


async def test_a_probe_of_a_silent_peer_says_how_long_it_waited() -> None:
    async with two() as (client, server), relay(server.endpoint) as wire:
        session = await client.peers.session(server.identity.public_key, wire.endpoint)
        assert 0 < await session.probe(60) < 60
        wire.stall()
        with pytest.raises(TimeoutError, match=r"did not answer within 0.05 s"):
            await session.probe(0.05)


async def test_goodbye_lets_what_is_under_way_finish() -> None:
    handler = Probing()
    async with two(handler) as (client, server):
        session = await client.to(server)
        async with session.stream(Ping(), timeout_s=60) as stream:
            await anext(stream)
            (other,) = server.peers.open_sessions()
            closing = asyncio.get_running_loop().create_task(other.close("renewed", drain_s=60))
            await until(lambda: not session.accepts_requests)
            with pytest.raises(SessionClosed, match="closing"):
                await session.request(Ping(), timeout_s=60)
            handler.release.set()
            assert await stream.result() == Ok()
        await asyncio.wait_for(closing, 60)
        await until(lambda: not session.is_open)
        with pytest.raises(SessionClosed, match="renewed"):
            await session.request(Ping(), timeout_s=60)


async def test_goodbye_does_not_wait_longer_than_it_was_given() -> None:
    handler = Probing()
    async with two(handler) as (client, server):
        session = await client.to(server)
        async with session.stream(Ping(), timeout_s=60) as stream:
            await anext(stream)
            (other,) = server.peers.open_sessions()
            await other.close("stopping", drain_s=0.01)
            with pytest.raises(SessionClosed, match="stopping"):
                await stream.result()
        assert handler.cancelled.is_set()


async def test_a_stopping_node_ends_its_sessions_and_says_so() -> None:
    async with member() as client:
        async with member() as server:
            session = await client.to(server)
            assert await session.request(Ping(), timeout_s=60) == Pong()
        await until(lambda: not session.is_open)
        assert "stopping" in session.end_reason
        assert client.peers.open_sessions() == []


async def test_a_peer_that_vanishes_mid_stream_ends_the_stream_at_once_on_both_sides() -> None:
    handler = Probing()
    async with two(handler) as (client, server), relay(server.endpoint) as wire:
        session = await client.peers.session(server.identity.public_key, wire.endpoint)
        async with session.stream(Ping(), timeout_s=60) as stream:
            await anext(stream)
            wire.cut()
            with pytest.raises(SessionClosed, match=str(wire.endpoint)):
                await asyncio.wait_for(stream.result(), 60)
        await asyncio.wait_for(handler.cancelled.wait(), 60)
        await until(lambda: not client.peers.open_sessions())
        again = await client.to(server)
        assert again is not session
        await again.probe(60)


async def test_a_peer_that_falls_silent_is_given_up() -> None:
    config = NetConfig(keep_alive_s=0.1, silence_s=0.3, drain_s=0.2)
    handler = Probing()
    async with two(handler, config) as (client, server), relay(server.endpoint) as wire:
        session = await client.peers.session(server.identity.public_key, wire.endpoint)
        async with session.stream(Ping(), timeout_s=60) as stream:
            await anext(stream)
            wire.stall()
            with pytest.raises(SessionClosed, match="nothing was heard"):
                await asyncio.wait_for(stream.result(), 60)
        await asyncio.wait_for(handler.cancelled.wait(), 60)


async def test_an_idle_session_stays_open_by_its_keep_alive() -> None:
    config = NetConfig(keep_alive_s=0.05, silence_s=0.2, drain_s=0.2)
    async with two(config=config) as (client, server), relay(server.endpoint) as wire:
        session = await client.peers.session(server.identity.public_key, wire.endpoint)
        before = len(wire.recorded)
        loop = asyncio.get_running_loop()
        started = loop.time()
        await until(lambda: loop.time() - started > 0.5)
        assert session.is_open
        assert len(wire.recorded) > before


async def test_nothing_that_is_said_can_be_read_on_the_wire() -> None:
    secret = "the merger closes on Friday"

    async def handler(call: Call) -> Message:
        return call.body

    async with two(handler) as (client, server), relay(server.endpoint) as wire:
        session = await client.peers.session(server.identity.public_key, wire.endpoint)
        answer = await session.request(Progress(done_ppm=1, text=secret), timeout_s=60)
        assert answer == Progress(done_ppm=1, text=secret)
        assert len(wire.recorded) > 500
        for private in (secret.encode(), client.identity.public_key, server.identity.public_key):
            assert private not in wire.recorded


async def test_the_largest_parts_pass_and_a_slow_reader_holds_the_sender_back() -> None:
    parts = 24
    emitted = 0

    async def handler(call: Call) -> Message:
        nonlocal emitted
        for number in range(parts):
            await call.emit(ResultPart(offset=number * MAX_PART_BYTES, data=bytes([number]) * MAX_PART_BYTES))
            emitted += 1
        return Ok()

    async with two(handler) as (client, server):
        session = await client.to(server)
        async with session.stream(Ping(), timeout_s=60) as stream:
            received = 0
            async for event in stream:
                assert event == ResultPart(offset=received * MAX_PART_BYTES, data=bytes([received]) * MAX_PART_BYTES)
                received += 1
                await session.probe(60)  # gives the sender every chance to run ahead
                assert emitted - received <= 3, "a window of one part, one event over it, one in the outbox"
            assert (received, stream.final) == (parts, Ok())


async def test_a_stream_that_nobody_reads_does_not_hold_up_other_requests() -> None:
    async def handler(call: Call) -> Message:
        if isinstance(call.body, Ping):
            return Pong()
        while True:
            await call.emit(ResultPart(offset=0, data=bytes(2**18)))

    async with two(handler) as (client, server):
        session = await client.to(server)
        async with session.stream(Ok(), timeout_s=60) as unread:
            await anext(unread)
            for _ in range(20):
                assert await session.request(Ping(), timeout_s=60) == Pong()


async def test_sessions_work_over_ipv6() -> None:
    async with member(listen=Endpoint("::1", 0)) as server, member() as client:
        assert server.endpoint.host == "::1"
        assert server.endpoint.port > 0
        session = await client.to(server)
        assert str(session.remote) == f"[::1]:{server.endpoint.port}"
        assert await session.request(Ping(), timeout_s=60) == Pong()
