"""Nodes' network layers, wired together in this process, over real sockets or over memory."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from crypto.identity import Identity
from node.net.config import NetConfig
from node.net.endpoint import Endpoint
from node.net.peers import Peers
from node.net.session import Call, Handler, Session
from node.net.websocket import WebSocketTransport
from protocol.messages import Message, Ok, Ping, Pong

LOOPBACK = Endpoint("127.0.0.1", 0)


async def until(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    """Return when the condition holds; TimeoutError when it does not in time."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110  # what it waits for has no event of its own
            await asyncio.sleep(0.002)


async def pong(call: Call) -> Message:
    """The least handler: Pong to Ping, Ok to anything else."""
    return Pong() if isinstance(call.body, Ping) else Ok()


@dataclass
class Member:
    """One network layer that listens."""

    identity: Identity
    peers: Peers
    endpoint: Endpoint

    async def to(self, other: "Member") -> Session:
        """This member's session to another."""
        return await self.peers.session(other.identity.public_key, other.endpoint)


@asynccontextmanager
async def member(
    handler: Handler = pong,
    *,
    config: NetConfig | None = None,
    network: str = "test",
    seed: bytes | None = None,
    listen: Endpoint = LOOPBACK,
) -> AsyncIterator[Member]:
    """A listening network layer on a real socket, stopped at the end."""
    config = config or NetConfig(drain_s=0.2)
    identity = Identity(seed or os.urandom(32))
    transport = WebSocketTransport(config.max_message_bytes)
    peers = Peers(identity, network, transport, handler, os.urandom, config)
    try:
        (endpoint,) = await peers.start([listen])
        yield Member(identity, peers, endpoint)
    finally:
        await peers.stop()


@asynccontextmanager
async def two(
    handler: Handler = pong, config: NetConfig | None = None, *, client_handler: Handler | None = None
) -> AsyncIterator[tuple[Member, Member]]:
    """A client, and a server that answers with `handler`."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(member(client_handler or pong, config=config))
        server = await stack.enter_async_context(member(handler, config=config))
        yield client, server
