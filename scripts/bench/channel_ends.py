"""The variants that scripts/bench/channel.py compares: each a way to connect to a server that acknowledges.

`aiohttp_server` is aiohttp's WebSocket as it comes, plain or over TLS. `stream_server` is what a session stands on here
(node/net: stream, sender, delivered frames), over the encrypted channel, or over TLS in the channel's place.
"""

import asyncio
import os
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import aiohttp
from aiohttp import web

from crypto.identity import Identity
from crypto.noise import CipherState, KeyPair
from node.net.config import NetConfig
from node.net.endpoint import Endpoint
from node.net.errors import StreamClosed
from node.net.handshake import initiate, respond
from node.net.outbox import Outbox
from node.net.sender import Sender
from node.net.signal import Signal
from node.net.transport import Frame
from node.net.websocket import PATH, upgrade
from node.net.wsframes import SHARED_BYTES
from node.net.wsstream import WebSocketStream
from protocol.channel import Channel, ReceiveBuffer
from protocol.envelope import LENGTH
from protocol.handshake import Opening
from protocol.hello import Hello
from scripts.bench.tls import HOST

MAX_BYTES = 2**21
WANTS_ACK, WANTS_NONE = b"\1", b"\0"
ACK = bytes(16)


@dataclass(frozen=True, slots=True)
class End:
    """The client's end of an open connection."""

    send: Callable[[Sequence[bytes]], Awaitable[None]]
    """Sends these messages, in order."""
    receive: Callable[[], Awaitable[object]]
    """Returns when an acknowledgement has come."""
    close: Callable[[], Awaitable[object]]


Connect = Callable[[], Awaitable[End]]


@dataclass(frozen=True, slots=True)
class Tls:
    """The contexts of both sides."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@asynccontextmanager
async def web_server(
    serve: Callable[[web.Request], Awaitable[web.StreamResponse]], tls: Tls | None
) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A web server, and a client and an address to reach it; set up as node/net sets them up."""
    app = web.Application()
    app.router.add_get(PATH, serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0, ssl_context=tls.server if tls else None).start()
    port = runner.addresses[0][1]
    connector = aiohttp.TCPConnector(limit=0, force_close=True, ssl=tls.client if tls else True)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as client:
        yield client, f"{'https' if tls else 'http'}://{HOST}:{port}{PATH}"
    await runner.cleanup()


def parts(payload: bytes | memoryview) -> list[memoryview]:
    """The messages that share a frame, each behind its length."""
    found, view, at = [], memoryview(payload), 0
    while at < len(view):
        start = at + LENGTH.size
        at = start + LENGTH.unpack_from(view, at)[0]
        found.append(view[start:at])
    return found


# --- aiohttp's


@asynccontextmanager
async def aiohttp_server(*, tls: Tls | None = None, shares_frames: bool = False) -> AsyncIterator[Connect]:
    """aiohttp's WebSocket; `shares_frames` puts messages that wait together into one, as a session does."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(compress=False, max_msg_size=MAX_BYTES)
        await websocket.prepare(request)
        with suppress(TypeError, aiohttp.WebSocketError):  # aiohttp's way to say that the client has closed.
            while True:
                payload = await websocket.receive_bytes()
                for message in parts(payload) if shares_frames else [payload]:
                    if message[:1] == WANTS_ACK:
                        await websocket.send_bytes(ACK)
        return websocket

    async with web_server(serve, tls) as (client, url):

        async def connect() -> End:
            websocket = await client.ws_connect(url, compress=0, max_msg_size=MAX_BYTES)

            async def send(messages: Sequence[bytes]) -> None:
                if shares_frames:
                    outbox = Outbox(MAX_BYTES)
                    for message in messages:
                        outbox.put(LENGTH.pack(len(message)) + message)
                    while outbox.size_bytes:
                        await websocket.send_bytes(outbox.take_payload())
                else:
                    for message in messages:
                        await websocket.send_bytes(message)

            return End(send, websocket.receive_bytes, websocket.close)

        yield connect


# --- Ours


class Unsealed(Channel):
    """What stands in the channel's place where TLS encrypts, or nothing does."""

    def __init__(self) -> None:
        nothing = CipherState(bytes(32))
        super().__init__(nothing, nothing, peer_key=b"", handshake_hash=b"")

    def seal(self, payload: bytes) -> bytes:
        """As it is."""
        return payload

    def open(self, frame: Frame | memoryview) -> memoryview:
        """As it is."""
        return memoryview(frame)


class StreamEnd:
    """One end of ours, with the parts that a session has: frames delivered, what is sent put into a sender."""

    def __init__(self, stream: WebSocketStream, channel: Channel, *, is_client: bool, shares_frames: bool) -> None:
        self._stream = stream
        self._channel = channel
        self._is_client = is_client
        self._shares_frames = shares_frames
        self._acks: deque[memoryview] = deque()
        self._changed = Signal()
        self._ended = asyncio.Event()
        self._sender = Sender(
            stream,
            channel,
            NetConfig(max_message_bytes=MAX_BYTES),
            on_sent=self._changed.fire,
            on_broken=lambda reason, _: self._end(reason),
        )
        stream.deliver(self._received, self._end)

    async def run(self) -> None:
        """Serve until the connection ends."""
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._sender.run())
            await self._ended.wait()
            sending.cancel()
        await self._stream.close()

    async def send(self, messages: Sequence[bytes]) -> None:
        """All in one turn of the event loop, unless the peer is behind."""
        self._sender.hold()
        for message in messages:
            self._sender.put(LENGTH.pack(len(message)) + message)
            if not (self._shares_frames and self._sender.has_space):
                self._sender.flush()
            while not self._sender.has_space:
                await self._changed.wait()
        self._sender.flush()

    async def receive(self) -> memoryview:
        """The next acknowledgement."""
        while not self._acks:
            await self._changed.wait()
        return self._acks.popleft()

    async def close(self) -> None:
        """Close the connection."""
        await self._stream.close()
        self._end("")

    def _received(self, frame: Frame) -> None:
        self._sender.hold()
        for message in parts(self._channel.open(frame)):
            if self._is_client:
                self._acks.append(message)
                self._changed.fire()
            elif message[:1] == WANTS_ACK:
                self._sender.put(LENGTH.pack(len(ACK)) + ACK)
        self._sender.flush()

    def _end(self, _: str) -> None:
        self._ended.set()


def opening(identity: Identity, static: KeyPair, buffer: ReceiveBuffer) -> Opening:
    """What one side brings to a handshake: a static key per process, an ephemeral one per connection."""
    ephemeral = KeyPair(os.urandom(32))
    return Opening(identity=identity, static=static, ephemeral=ephemeral, hello=Hello("bench"), buffer=buffer)


@asynccontextmanager
async def stream_server(
    *, tls: Tls | None = None, encrypts: bool = True, shares_frames: bool = True
) -> AsyncIterator[Connect]:
    """node/net's stream and sender, over the encrypted channel, or without it, as when TLS stands in its place."""
    server, client_identity = Identity(os.urandom(32)), Identity(os.urandom(32))
    server_side = partial(opening, server, KeyPair(os.urandom(32)), ReceiveBuffer())
    client_side = partial(opening, client_identity, KeyPair(os.urandom(32)), ReceiveBuffer())
    shared = bytearray(SHARED_BYTES)
    take_over = partial(WebSocketStream, max_frame_bytes=MAX_BYTES, shared=shared)

    async def serve(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(compress=False)
        await websocket.prepare(request)
        assert request.transport is not None
        stream = take_over(request.transport, Endpoint(HOST, 0), is_client=False, on_lost=lambda _: None)
        with suppress(StreamClosed):
            channel = await respond(stream, server_side()) if encrypts else Unsealed()
            await StreamEnd(stream, channel, is_client=False, shares_frames=shares_frames).run()
        return websocket

    async with web_server(serve, tls) as (client, url), asyncio.TaskGroup() as group:

        async def connect() -> End:
            upgraded = await upgrade(client, url)
            close = upgraded.response.close
            stream = take_over(upgraded.transport, Endpoint(HOST, 0), is_client=True, on_lost=lambda _: close())
            channel = await initiate(stream, client_side(), server.public_key) if encrypts else Unsealed()
            end = StreamEnd(stream, channel, is_client=True, shares_frames=shares_frames)
            group.create_task(end.run())
            return End(end.send, end.receive, end.close)

        yield connect
