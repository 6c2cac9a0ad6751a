"""WebSocket streams against another implementation, aiohttp's, and against peers that do not behave."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from node.net.endpoint import Endpoint
from node.net.errors import DialError, StreamClosed
from node.net.transport import Frame, FrameStream
from node.net.websocket import PATH, WebSocketTransport
from tests.harness.peering import LOOPBACK, until

LIMIT_S = 60.0


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Endpoint, asyncio.Queue[FrameStream]]]:
    """A listener of ours, and the streams that come in."""
    accepted: asyncio.Queue[FrameStream] = asyncio.Queue()
    transport = WebSocketTransport(2**20)
    (endpoint,) = await transport.listen([LOOPBACK], accepted.put_nowait)
    yield endpoint, accepted
    await transport.close()


@asynccontextmanager
async def from_aiohttp() -> AsyncIterator[tuple[aiohttp.ClientWebSocketResponse, FrameStream]]:
    """aiohttp's client, and our end of its connection."""
    async with (
        listening() as (endpoint, accepted),
        aiohttp.ClientSession() as http,
        http.ws_connect(f"http://{endpoint}{PATH}", autoclose=False, autoping=False) as websocket,
    ):
        yield websocket, await accepted.get()


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[FrameStream, FrameStream]]:
    """Both ends ours: the dialler's, the listener's."""
    dialler = WebSocketTransport(2**20)
    async with listening() as (endpoint, accepted):
        yield await dialler.dial(endpoint), await accepted.get()
        await dialler.close()


class Delivered:
    """What a stream delivers."""

    def __init__(self, stream: FrameStream) -> None:
        self.frames: list[bytes] = []
        self.end: list[str] = []
        stream.deliver(self._take, self.end.append)

    def _take(self, frame: Frame) -> None:
        self.frames.append(bytes(frame))


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536, 2**20])
async def test_frames_pass_to_aiohttp_and_back(size: int) -> None:
    async with from_aiohttp() as (websocket, stream):
        payload = bytes(number % 251 for number in range(size))
        await websocket.send_bytes(payload)
        assert await stream.receive() == payload
        await stream.send(payload)
        assert await websocket.receive_bytes(timeout=LIMIT_S) == payload


async def test_pings_are_answered() -> None:
    async with from_aiohttp() as (websocket, stream):
        await websocket.ping(b"there?")
        await websocket.send_bytes(b"x")
        assert await stream.receive() == b"x", "and nothing of it is seen above"
        answer = await websocket.receive(LIMIT_S)
        assert (answer.type, answer.data) == (aiohttp.WSMsgType.PONG, b"there?")


async def test_an_aiohttp_server_can_be_dialled_and_its_early_words_are_heard() -> None:
    async def serve(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        await websocket.send_bytes(b"early")
        await websocket.send_bytes(await websocket.receive_bytes())
        await websocket.close(message=b"done")
        return websocket

    app = web.Application()
    app.router.add_get(PATH, serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    transport = WebSocketTransport(2**20)
    stream = await transport.dial(Endpoint("127.0.0.1", runner.addresses[0][1]))
    assert await stream.receive() == b"early"
    await stream.send(bytes(200_000))
    assert await stream.receive() == bytes(200_000)
    with pytest.raises(StreamClosed, match="done"):
        await asyncio.wait_for(stream.receive(), LIMIT_S)
    await transport.close()
    await runner.cleanup()


async def test_a_server_that_does_not_answer_the_key_is_refused() -> None:
    gone = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
        )
        await writer.drain()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    transport = WebSocketTransport(2**20)
    with pytest.raises(DialError, match="no coalesced node"):
        await transport.dial(Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]))
    await asyncio.wait_for(gone.wait(), LIMIT_S)
    await transport.close()
    server.close()


async def test_frames_are_delivered_in_order_those_before_the_asking_too_and_then_the_end() -> None:
    async with pair() as (ours, theirs):
        for number in range(10):
            await ours.send(bytes([number]))
        assert await theirs.receive() == b"\0"
        delivered = Delivered(theirs)
        assert delivered.frames == [], "nothing comes before deliver has returned"
        for number in range(10, 300):
            await ours.send(bytes([number % 256]))
        await ours.close("that is all")
        await until(lambda: bool(delivered.end))
        assert delivered.frames == [bytes([number % 256]) for number in range(1, 300)]
        assert delivered.end == ["that is all"]


async def test_a_writer_is_told_that_the_peer_does_not_read_and_goes_on_when_it_does() -> None:
    async with pair() as (ours, theirs):
        written = 0
        while ours.write(bytes(2**16)):
            written += 1
        draining = asyncio.get_running_loop().create_task(ours.drain())
        for _ in range(written + 1):
            assert len(await asyncio.wait_for(theirs.receive(), LIMIT_S)) == 2**16
        await asyncio.wait_for(draining, LIMIT_S)
        assert ours.write(b"x")


async def test_what_nobody_receives_stops_the_sender_before_it_fills_memory() -> None:
    async with pair() as (ours, theirs):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                for _ in itertools.repeat(None, 1000):
                    await ours.send(bytes(2**18))
        assert isinstance(await theirs.receive(), bytearray)


async def test_closing_towards_a_peer_that_does_not_read_takes_seconds_at_most() -> None:
    async with pair() as (ours, _):
        while ours.write(bytes(2**18)):
            pass
        await asyncio.wait_for(ours.close("enough"), LIMIT_S)
        with pytest.raises(StreamClosed, match="this side"):
            ours.write(b"x")
        with pytest.raises(StreamClosed, match="this side"):
            await ours.receive()


async def test_a_peer_that_breaks_the_rules_is_told_so() -> None:
    async with from_aiohttp() as (websocket, stream):
        await websocket.send_bytes(bytes(2**21))
        with pytest.raises(StreamClosed, match="over the limit"):
            await stream.receive()
        message = await websocket.receive(LIMIT_S)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1009)


async def test_a_connection_that_is_cut_ends_the_stream_at_both_sides() -> None:
    async with pair() as (ours, theirs):
        delivered = Delivered(ours)
        theirs.cut()  # type: ignore[attr-defined]  # a WebSocketStream
        await until(lambda: bool(delivered.end))
        with pytest.raises(StreamClosed):
            await theirs.receive()
