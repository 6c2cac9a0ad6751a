"""Strangers that attack a listening node over the network, each in one way, until they are cancelled."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from node.net.errors import DialError, NetError
from node.net.websocket import WebSocketTransport
from protocol.messages import Ping
from tests.harness.dealing import Party, buying
from tests.harness.nodes import Node

AT_ONCE = 8
"""Connections, or requests, that one attacker keeps under way."""
PAUSE_S = 0.1
"""Between two blows: all attackers live in the process of their victim, and have to leave it time."""


async def half_open(node: Node) -> None:
    """Connections that never get past the WebSocket: no handshake comes."""
    transport = WebSocketTransport(2**20)

    async def hold() -> None:
        while True:
            with suppress(DialError):
                stream = await transport.dial(node.endpoint)
                await stream.closed.wait()
            await asyncio.sleep(PAUSE_S)

    try:
        await _several(hold)
    finally:
        await transport.close()


async def mute(node: Node) -> None:
    """Plain TCP connections on which nothing is ever said."""

    async def hold() -> None:
        while True:
            with suppress(ConnectionError):
                reader, writer = await asyncio.open_connection(node.endpoint.host, node.endpoint.port)
                try:
                    await reader.read()
                finally:
                    writer.transport.abort()
            await asyncio.sleep(PAUSE_S)

    await _several(hold)


async def sessions(node: Node) -> None:
    """Sessions under one new key after the other, each left open."""
    parties: list[Party] = []
    try:
        while True:
            party = Party()
            await party.peers.start([])
            parties.append(party)
            with suppress(NetError, TimeoutError):
                session = await party.peers.session(node.key, node.endpoint)
                await session.request(Ping(), timeout_s=1.0)
            await asyncio.sleep(PAUSE_S)
    finally:
        await asyncio.gather(*(party.peers.stop() for party in parties))


async def quotes(node: Node) -> None:
    """Requests for quotes, as fast as they are answered."""
    async with buying() as buyer:
        specification = buyer.specify(b"x")

        async def ask() -> None:
            while True:
                with suppress(NetError, TimeoutError):
                    await buyer.ask_quote(node, specification)
                await asyncio.sleep(PAUSE_S)

        await _several(ask)


async def oversized(node: Node) -> None:
    """A frame that no message fits into, over a new session each time."""
    while True:
        async with buying() as buyer:
            with suppress(NetError, TimeoutError):
                session = await buyer.session(node)
                session._stream.write(os.urandom(4 * 2**20))
                await session.request(Ping(), timeout_s=1.0)
        await asyncio.sleep(PAUSE_S)


async def _several(hold: object) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(hold())  # type: ignore[operator]


@asynccontextmanager
async def under_attack(node: Node) -> AsyncIterator[None]:
    """All of them at once while the block runs."""
    attackers = [asyncio.create_task(attack(node)) for attack in (half_open, mute, sessions, quotes, oversized)]
    try:
        yield
    finally:
        for attacker in attackers:
            attacker.cancel()
        ended: Sequence[object] = await asyncio.gather(*attackers, return_exceptions=True)
    broken = [one for one in ended if not isinstance(one, asyncio.CancelledError)]
    assert not broken, f"an attacker ended by itself: {broken}"
