"""Sessions over real loopback WebSockets."""

from node.net.session import Call
from protocol.messages import Message, Ok, Ping, Pong, Progress
from tests.harness.peering import two


async def test_a_request_is_answered() -> None:
    async with two() as (client, server):
        session = await client.to(server)
        assert await session.request(Ping(), timeout_s=5) == Pong()
        assert session.peer_key == server.identity.public_key


async def test_both_sides_agree_on_the_handshake_hash_and_on_each_others_keys() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def handler(call: Call) -> Message:
        seen.append((call.peer_key, call.session.handshake_hash))
        return Ok()

    async with two(handler) as (client, server):
        session = await client.to(server)
        await session.request(Ping(), timeout_s=5)
        assert seen == [(client.identity.public_key, session.handshake_hash)]


async def test_a_stream_gives_its_events_in_order_and_then_the_answer() -> None:
    async def handler(call: Call) -> Message:
        for done in range(5):
            await call.emit(Progress(done_ppm=done))
        return Ok()

    async with two(handler) as (client, server):
        session = await client.to(server)
        async with session.stream(Ping(), timeout_s=5) as stream:
            assert [event async for event in stream] == [Progress(done_ppm=done) for done in range(5)]
            assert stream.final == Ok()
