"""Finding, sharing, refusing and replacing sessions, over real sockets."""

import asyncio
import itertools
import os
import socket
from contextlib import AsyncExitStack, suppress

import aiohttp
import pytest

from crypto.identity import Identity, short_id
from crypto.noise import KeyPair
from node.net.config import NetConfig
from node.net.endpoint import Endpoint
from node.net.errors import DialError, ListenError, SessionClosed, StreamClosed
from node.net.handshake import initiate, respond
from node.net.peers import Peers
from node.net.session import Call
from node.net.transport import FrameStream
from node.net.websocket import WebSocketTransport
from protocol.channel import Channel
from protocol.envelope import Request, Response, encode_envelope
from protocol.errors import RemoteProtocolError
from protocol.handshake import Opening
from protocol.hello import Hello
from protocol.messages import Message, Ok, Ping, Pong, ResultPart
from tests.harness.peering import LOOPBACK, Member, member, pong, two, until
from tests.harness.relay import relay

LOW, HIGH = sorted((bytes([number]) * 32 for number in (1, 2)), key=lambda seed: Identity(seed).public_key)
"""Seeds of two identities, in the order of their keys."""


def opening(identity: Identity | None = None, hello: Hello | None = None) -> Opening:
    return Opening(
        identity=identity or Identity(os.urandom(32)),
        static=KeyPair(os.urandom(32)),
        ephemeral=KeyPair(os.urandom(32)),
        hello=hello or Hello("test"),
    )


async def raw_channel(
    server: Member, identity: Identity | None = None
) -> tuple[WebSocketTransport, FrameStream, Channel]:
    """A peer of our own making, which can then send anything at all."""
    transport = WebSocketTransport(2**24)
    stream = await transport.dial(server.endpoint)
    return transport, stream, await initiate(stream, opening(identity), server.identity.public_key)


# --- Dialling


async def test_a_peer_is_dialled_once_however_many_ask() -> None:
    async with two() as (client, server):
        sessions = await asyncio.gather(*(client.to(server) for _ in range(20)))
        assert len(set(map(id, sessions))) == 1
        assert await client.to(server) is sessions[0]
        await sessions[0].probe(60)
        assert len(server.peers.open_sessions()) == 1


async def test_one_session_serves_both_sides() -> None:
    async with two() as (client, server):
        await (await client.to(server)).probe(60)
        back = await server.to(client)
        assert not back.is_initiator
        assert await back.request(Ping(), timeout_s=60) == Pong()
        assert len(client.peers.open_sessions()) == len(server.peers.open_sessions()) == 1


async def test_one_who_gives_up_waiting_does_not_end_the_dial_of_the_others() -> None:
    async with two() as (client, server):
        loop = asyncio.get_running_loop()
        first, second = (loop.create_task(client.to(server)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).is_open


@pytest.mark.parametrize("attempt", range(3))
async def test_simultaneous_dials_end_in_the_same_session_on_both_sides(attempt: int) -> None:
    config = NetConfig(spare_close_s=0.2, drain_s=0.2)
    async with member(seed=LOW, config=config) as low, member(seed=HIGH, config=config) as high:
        dialled = await asyncio.gather(low.to(high), high.to(low))
        assert await asyncio.gather(*(session.request(Ping(), timeout_s=60) for session in dialled)) == [Pong()] * 2
        await until(lambda: len(low.peers.open_sessions()) == len(high.peers.open_sessions()) == 1)
        (left,), (right,) = low.peers.open_sessions(), high.peers.open_sessions()
        assert left.handshake_hash == right.handshake_hash
        if dialled[0].handshake_hash != dialled[1].handshake_hash:
            assert left.is_initiator, "the lower key's dial wins"
        assert await low.to(high) is left
        assert await high.to(low) is right


async def test_nobody_there_is_an_error_that_names_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with member() as client:
        with pytest.raises(DialError, match=f"127.0.0.1:{port} cannot be reached"):
            await client.peers.session(bytes(32), Endpoint("127.0.0.1", port))


async def test_a_listener_that_never_answers_is_given_up() -> None:
    config = NetConfig(connect_timeout_s=0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint("127.0.0.1", silent.getsockname()[1])
        async with member(config=config) as client:
            with pytest.raises(DialError, match=f"{endpoint} did not accept a connection within 0.1 s"):
                await client.peers.session(bytes(32), endpoint)


async def test_another_web_server_is_recognised_as_such() -> None:
    async with member() as client, AsyncExitStack() as stack:
        runner = aiohttp.web.AppRunner(aiohttp.web.Application())
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        with pytest.raises(DialError, match="is no coalesced node: it answered 404"):
            await client.peers.session(bytes(32), Endpoint("127.0.0.1", port))


async def test_the_wrong_key_is_refused_by_the_dialler() -> None:
    async with two() as (client, server):
        other = Identity(os.urandom(32)).public_key
        with pytest.raises(DialError) as refused:
            await client.peers.session(other, server.endpoint)
        text = str(refused.value)
        assert f"peer at {server.endpoint} is {short_id(server.identity.public_key)}, not {short_id(other)}" in text
        await until(lambda: not server.peers.open_sessions())


async def test_a_node_does_not_talk_to_itself() -> None:
    async with member() as node:
        with pytest.raises(DialError, match="is this node itself"):
            await node.peers.session(node.identity.public_key, node.endpoint)


async def test_another_network_is_named_with_both_names() -> None:
    async with member(network="main") as client, member(network="test-7") as server:
        with pytest.raises(DialError) as refused:
            await client.to(server)
        assert str(refused.value) == f"peer at {server.endpoint} is on the network 'test-7', this node is on 'main'"


async def test_another_version_is_named_with_both_versions() -> None:
    learnt: asyncio.Queue[str] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:

        async def answer(stream: FrameStream) -> None:
            try:
                await respond(stream, opening(hello=Hello("test", 2, 2)))
            except RemoteProtocolError as error:
                learnt.put_nowait(error.text)
            await stream.close()

        newer = WebSocketTransport(2**20)
        (endpoint,) = await newer.listen([LOOPBACK], lambda stream: void(group.create_task(answer(stream))))
        async with member() as client:
            with pytest.raises(DialError) as refused:
                await client.peers.session(bytes(32), endpoint)
        assert str(refused.value) == f"peer at {endpoint} speaks protocol 2, this node speaks 1"
        assert await learnt.get() == "the peer speaks protocol 1, this node speaks 2"
        await newer.close()


def void(_: object) -> None: ...


async def test_a_handshake_that_stalls_is_given_up_by_the_dialler() -> None:
    config = NetConfig(handshake_timeout_s=0.1)
    silent = WebSocketTransport(2**20)
    (endpoint,) = await silent.listen([LOOPBACK], void)
    async with member(config=config) as client:
        with pytest.raises(DialError, match=f"peer at {endpoint} did not finish the handshake within 0.1 s"):
            await client.peers.session(bytes(32), endpoint)
    await silent.close()


# --- Listening


async def test_a_taken_port_is_an_error_that_names_it() -> None:
    async with member() as first:
        with pytest.raises(ListenError, match=f"cannot listen on {first.endpoint}: Address already in use"):
            async with member(listen=first.endpoint):
                pass


async def test_an_address_of_another_machine_is_an_error_that_names_it() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on 192.0.2.1:0: Cannot assign"):
        async with member(listen=Endpoint("192.0.2.1", 0)):
            pass


async def test_one_node_listens_on_ipv4_and_ipv6_with_the_same_port() -> None:
    async with member(listen=Endpoint("0.0.0.0", 0)) as any4:
        transport = WebSocketTransport(2**20)
        peers = Peers(Identity(os.urandom(32)), "test", transport, pong, os.urandom)
        bound = await peers.start([Endpoint("::", any4.endpoint.port)])
        assert bound == [Endpoint("::", any4.endpoint.port)]
        await peers.stop()


async def test_other_routes_share_the_port() -> None:
    async def livez(_: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(text="alive")

    transport = WebSocketTransport(2**20)
    transport.app.router.add_get("/livez", livez)
    identity = Identity(os.urandom(32))
    peers = Peers(identity, "test", transport, pong, os.urandom)
    (endpoint,) = await peers.start([LOOPBACK])
    async with aiohttp.ClientSession() as http, http.get(f"http://{endpoint}/livez") as answer:
        assert await answer.text() == "alive"
    async with member() as client:
        assert await (await client.peers.session(identity.public_key, endpoint)).request(Ping(), timeout_s=60) == Pong()
    await peers.stop()


async def test_a_node_without_a_listener_can_dial() -> None:
    async with member() as server:
        peers = Peers(Identity(os.urandom(32)), "test", WebSocketTransport(2**20), pong, os.urandom)
        assert await peers.start([]) == []
        session = await peers.session(server.identity.public_key, server.endpoint)
        assert await session.request(Ping(), timeout_s=60) == Pong()
        await peers.stop()


async def test_stopping_a_node_that_never_started_is_harmless_and_a_stopped_one_dials_nobody() -> None:
    async with member() as server:
        peers = Peers(Identity(os.urandom(32)), "test", WebSocketTransport(2**20), pong, os.urandom)
        await peers.stop()
        with pytest.raises(DialError, match="stopping"):
            await peers.session(server.identity.public_key, server.endpoint)


# --- Those who come in


async def test_a_connection_that_says_nothing_is_closed_after_the_handshake_time() -> None:
    async with member(config=NetConfig(handshake_timeout_s=0.1)) as server:
        transport = WebSocketTransport(2**20)
        stream = await transport.dial(server.endpoint)
        with pytest.raises(StreamClosed, match="handshake"):
            await asyncio.wait_for(stream.receive(), 60)
        await transport.close()


async def test_half_open_connections_are_capped_and_honest_ones_get_in_afterwards() -> None:
    config = NetConfig(max_half_open=4, max_half_open_per_address=3, handshake_timeout_s=0.5, drain_s=0.2)
    async with member(config=config) as server, member() as client:
        transport = WebSocketTransport(2**20)
        streams = [await transport.dial(server.endpoint) for _ in range(3)]
        with pytest.raises(StreamClosed, match="busy"):
            await asyncio.wait_for((await transport.dial(server.endpoint)).receive(), 60)
        with pytest.raises(DialError, match="busy"):
            await client.to(server)
        for stream in streams:
            with pytest.raises(StreamClosed):
                await asyncio.wait_for(stream.receive(), 60)
        assert await (await client.to(server)).request(Ping(), timeout_s=60) == Pong()
        await transport.close()


async def test_open_connections_are_capped_per_address() -> None:
    async with member(config=NetConfig(max_inbound_per_address=2, drain_s=0.2)) as server, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(member()) for _ in range(3)]
        for client in clients[:2]:
            await (await client.to(server)).probe(60)
        with pytest.raises(DialError, match="busy"):
            await clients[2].to(server)
        await clients[0].peers.stop()
        await until(lambda: len(server.peers.open_sessions()) == 1)
        await (await clients[2].to(server)).probe(60)


@pytest.mark.parametrize("frame", [b"", b"GET / HTTP/1.1", bytes(600), Hello("test").encode() + bytes(32)])
async def test_garbage_instead_of_a_handshake_is_closed_and_harms_nobody(frame: bytes) -> None:
    async with two() as (client, server):
        transport = WebSocketTransport(2**20)
        stream = await transport.dial(server.endpoint)
        await stream.send(frame)
        with pytest.raises(StreamClosed):
            await asyncio.wait_for(stream.receive(), 60)
        assert await (await client.to(server)).request(Ping(), timeout_s=60) == Pong()
        await transport.close()


async def test_failed_handshakes_are_counted_against_the_address_which_is_then_refused_for_a_while() -> None:
    config = NetConfig(max_failed_handshakes_per_address=3, block_s=1.0, handshake_timeout_s=0.1, drain_s=0.2)
    async with member(config=config) as server, member() as client:
        transport = WebSocketTransport(2**20)
        garbled, silent, leaving = [await transport.dial(server.endpoint) for _ in range(3)]
        await garbled.send(b"garbage")
        await leaving.close()
        for stream in (garbled, silent):
            with pytest.raises(StreamClosed, match="handshake"):
                await asyncio.wait_for(stream.receive(), 60)
        with pytest.raises(DialError, match="blocked"):
            await client.to(server)
        async with asyncio.timeout(60):
            while not client.peers.open_sessions():
                with suppress(DialError):
                    await client.to(server)
        await transport.close()


async def test_text_instead_of_binary_ends_the_connection() -> None:
    async with (
        member() as server,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"http://{server.endpoint}/channel") as websocket,
    ):
        await websocket.send_str("hello")
        assert (await websocket.receive(60)).type == aiohttp.WSMsgType.CLOSE


async def test_a_frame_over_the_limit_ends_the_session() -> None:
    async with member() as server:
        transport, stream, channel = await raw_channel(server)
        await until(lambda: len(server.peers.open_sessions()) == 1)
        await stream.send(channel.seal(bytes(3 * 2**20)))
        with pytest.raises(StreamClosed):
            await asyncio.wait_for(stream.receive(), 60)
        await until(lambda: not server.peers.open_sessions())
        await transport.close()


async def test_a_frame_at_the_limit_passes_the_transport() -> None:
    async with member() as server:
        transport, stream, channel = await raw_channel(server)
        await stream.send(channel.seal(bytes(NetConfig().max_message_bytes)))
        with pytest.raises(StreamClosed, match="bad_message"):
            await asyncio.wait_for(stream.receive(), 60)
        await transport.close()


async def test_what_breaks_the_protocol_is_counted_and_the_third_time_blocks() -> None:
    identity = Identity(os.urandom(32))
    key = identity.public_key
    async with member() as server, member() as client:
        for offences in (1, 2):
            transport, stream, channel = await raw_channel(server, identity)
            await stream.send(channel.seal(encode_envelope(Response(id=9, body=Ok()))))
            with pytest.raises(StreamClosed, match="bad_id"):
                await asyncio.wait_for(stream.receive(), 60)
            await until(lambda count=offences: server.peers.offences(key) == count)  # type: ignore[misc]
            await transport.close()
        transport, stream, channel = await raw_channel(server, identity)
        await stream.send(channel.seal(b"garbage"))
        await until(lambda: server.peers.is_blocked(key))
        await transport.close()
        assert server.peers.offences(key) == 0
        assert server.peers.blocked() == [key]
        transport, stream, _ = await raw_channel(server, identity)
        with pytest.raises(StreamClosed, match="blocked"):
            await asyncio.wait_for(stream.receive(), 60)
        await transport.close()
        assert await (await client.to(server)).request(Ping(), timeout_s=60) == Pong(), "nobody else is"


async def test_blocking_ends_what_is_open_and_unblocking_lets_it_return() -> None:
    async with two() as (client, server):
        session = await client.to(server)
        await session.probe(60)
        server.peers.block(client.identity.public_key, duration_s=60)
        await until(lambda: not session.is_open)
        with pytest.raises(DialError, match="is blocked on this node"):
            await server.to(client)
        with pytest.raises((SessionClosed, DialError), match=r"blocked|clos"):
            await (await client.to(server)).request(Ping(), timeout_s=60)
        server.peers.unblock(client.identity.public_key)
        await until(lambda: not client.peers.open_sessions())
        assert await (await client.to(server)).request(Ping(), timeout_s=60) == Pong()


async def test_a_peer_that_asks_and_never_reads_is_dropped_before_it_fills_memory() -> None:
    async def echo(call: Call) -> Message:
        return call.body

    async with member(echo, config=NetConfig(send_timeout_s=0.3, drain_s=0.2)) as server:
        transport, stream, channel = await raw_channel(server)
        await until(lambda: len(server.peers.open_sessions()) == 1)
        (session,) = server.peers.open_sessions()
        body = ResultPart(offset=0, data=bytes(2**18))
        with pytest.raises(StreamClosed):
            async with asyncio.timeout(60):
                for number in itertools.count(1):
                    request = Request(id=number, deadline_ms=60_000, body=body)
                    await stream.send(channel.seal(encode_envelope(request)))
        await until(lambda: not session.is_open)
        assert "took no data for 0.3 s" in session.end_reason
        await transport.close()


# --- Replacing


async def test_an_old_session_is_replaced_by_a_young_one_and_then_closed() -> None:
    started, release = asyncio.Event(), asyncio.Event()

    async def handler(call: Call) -> Message:
        if isinstance(call.body, Ok):
            started.set()
            await release.wait()
        return Pong()

    config = NetConfig(session_max_age_s=0.2, spare_close_s=0.05, drain_s=0.2)
    async with two(handler, config) as (client, server):
        old = await client.to(server)
        slow = asyncio.get_running_loop().create_task(old.request(Ok(), timeout_s=60))
        await started.wait()
        async with asyncio.timeout(60):
            while (young := await client.to(server)) is old:  # noqa: ASYNC110  # until the upkeep has replaced it
                await asyncio.sleep(0.01)
        assert young.handshake_hash != old.handshake_hash
        assert await young.request(Ping(), timeout_s=60) == Pong()
        assert old.is_open, "a request is under way on it"
        release.set()
        assert await slow == Pong()
        await until(lambda: not old.is_open)


async def test_a_session_that_nobody_uses_is_closed() -> None:
    async with two(config=NetConfig(idle_close_s=0.1, drain_s=0.2)) as (client, server):
        session = await client.to(server)
        await until(lambda: not client.peers.open_sessions() and not server.peers.open_sessions())
        assert session.end_reason == "unused"


async def test_a_dead_session_gives_way_when_the_peer_comes_back_on_another() -> None:
    config = NetConfig(drain_s=0.1, probe_timeout_s=0.2)
    async with (
        member(seed=LOW, config=config) as low,
        member(seed=HIGH, config=config) as high,
        relay(high.endpoint) as wire,
    ):
        dead = await low.peers.session(high.identity.public_key, wire.endpoint)
        await dead.probe(60)
        wire.stall()
        for session in high.peers.open_sessions():
            session.abort("the process dies")
        await until(lambda: not high.peers.open_sessions())
        fresh = await high.to(low)
        assert await fresh.request(Ping(), timeout_s=60) == Pong()
        assert await low.to(high) is dead, "the lower key dialled it, and nothing is known against it yet"
        await until(lambda: not dead.is_open)
        assert await (await low.to(high)).request(Ping(), timeout_s=60) == Pong()
