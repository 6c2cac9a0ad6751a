"""The transport without sockets carries the same sessions."""

import asyncio
import os

import pytest

from crypto.identity import Identity
from node.net.config import NetConfig
from node.net.endpoint import Endpoint
from node.net.errors import DialError, ListenError, StreamClosed
from node.net.handshake import initiate
from node.net.memory import MAX_FRAMES_IN_FLIGHT, MemoryNetwork, MemoryTransport, memory_pair
from node.net.peers import Peers
from node.net.session import Call
from node.net.transport import FrameStream
from protocol.envelope import MAX_ENVELOPES, KeepAlive, encode_envelope, join
from protocol.messages import Message, Ok, Ping, Pong, Progress
from tests.harness.channels import ALICE, opening
from tests.harness.peering import pong

HERE, THERE = Endpoint("10.0.0.1", 1), Endpoint("10.0.0.2", 2)


async def test_requests_and_streams_work_over_memory() -> None:
    async def handler(call: Call) -> Message:
        if isinstance(call.body, Ping):
            return Pong()
        await call.emit(Progress(done_ppm=1))
        return Ok()

    network = MemoryNetwork()
    server_identity = Identity(os.urandom(32))
    server = Peers(server_identity, "test", MemoryTransport(network, "10.0.0.2"), handler, os.urandom)
    client = Peers(Identity(os.urandom(32)), "test", MemoryTransport(network, "10.0.0.1"), pong, os.urandom)
    (endpoint,) = await server.start([Endpoint("10.0.0.2", 0)])
    await client.start([])
    session = await client.session(server_identity.public_key, endpoint)
    assert await session.request(Ping(), timeout_s=60) == Pong()
    async with session.stream(Ok(), timeout_s=60) as stream:
        assert [event async for event in stream] == [Progress(done_ppm=1)]
    await server.stop()
    assert not session.is_open
    with pytest.raises(DialError, match="nobody listens"):
        await client.session(server_identity.public_key, endpoint)
    await client.stop()


async def test_a_flood_that_must_be_answered_ends_the_session_when_nobody_reads_the_answers() -> None:
    network, identity = MemoryNetwork(), Identity(os.urandom(32))
    config = NetConfig(outbox_bytes=4096, max_message_bytes=2**17, drain_s=0.1)
    server = Peers(identity, "test", MemoryTransport(network, "10.0.0.2"), pong, os.urandom, config)
    (endpoint,) = await server.start([Endpoint("10.0.0.2", 0)])
    stream = await MemoryTransport(network, "10.0.0.1").dial(endpoint)
    channel = await initiate(stream, opening(ALICE), identity.public_key)
    questions = join([encode_envelope(KeepAlive())] * MAX_ENVELOPES)
    with pytest.raises(StreamClosed, match="slow"):
        async with asyncio.timeout(60):
            while True:
                await stream.send(channel.seal(questions))
    assert server.open_sessions() == []
    await server.stop()


async def test_frames_sent_before_a_close_still_arrive_and_then_its_reason() -> None:
    one, other = memory_pair(HERE, THERE)
    await one.send(b"last words")
    await one.close("busy")
    assert await other.receive() == b"last words"
    with pytest.raises(StreamClosed, match="busy"):
        await other.receive()
    with pytest.raises(StreamClosed):
        await other.send(b"into the void")
    with pytest.raises(StreamClosed, match="this side"):
        await one.receive()
    assert (one.remote, other.remote) == (THERE, HERE)


async def test_a_sender_waits_for_a_slow_reader() -> None:
    one, other = memory_pair(HERE, THERE)
    for number in range(MAX_FRAMES_IN_FLIGHT):
        await one.send(bytes([number]))
    blocked = asyncio.get_running_loop().create_task(one.send(b"one more"))
    await asyncio.sleep(0)
    assert not blocked.done()
    assert await other.receive() == b"\0"
    await asyncio.wait_for(blocked, 60)


async def test_a_sender_that_waits_is_told_of_the_close() -> None:
    one, other = memory_pair(HERE, THERE)
    for _ in range(MAX_FRAMES_IN_FLIGHT):
        await one.send(b"")
    blocked = asyncio.get_running_loop().create_task(one.send(b"one more"))
    await asyncio.sleep(0)
    await other.close()
    with pytest.raises(StreamClosed):
        await asyncio.wait_for(blocked, 60)


async def test_an_address_has_one_listener() -> None:
    def ignore(_: FrameStream) -> None: ...

    network = MemoryNetwork()
    first, second = MemoryTransport(network, "10.0.0.1"), MemoryTransport(network, "10.0.0.1")
    await first.listen([HERE], ignore)
    with pytest.raises(ListenError, match="in use"):
        await second.listen([HERE], ignore)
    await first.close()
    assert await second.listen([HERE], ignore) == [HERE]
