"""UDP datagrams between nodes. Every node has one socket here, its front: the others see it as that node's address.

A datagram for a node's front comes from the real address of another one, and leaves from that other one's front. So
both sides know each other by their fronts only, and nothing has to be remembered.
"""

import asyncio
from collections.abc import Mapping
from random import Random
from typing import cast

from coalesced.testnet.manifest import HOST, NodePlan
from coalesced.testnet.proxy.weather import Weather


class Front(asyncio.DatagramProtocol):
    """The socket that stands in for one node."""

    def __init__(self, node: NodePlan, fronts: Mapping[int, "Front"], weather: Weather) -> None:
        """`fronts` holds all of them by the real port of their node."""
        self._node = node
        self._fronts = fronts
        self._weather = weather
        self._rng = Random()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bound."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand it on, later, or not at all. What does not come from a node of this testnet is dropped."""
        source = self._fronts.get(addr[1])
        if source is None:
            return
        link = self._weather.between(source._node.name, self._node.name)
        if link.is_cut or link.is_lost(self._rng):
            return
        asyncio.get_running_loop().call_later(link.delay_s(self._rng), source.send, data, self._node.port)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens at that port: a node that is down."""

    def send(self, data: bytes, port: int) -> None:
        """Send from this front to a node's real address."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, (HOST, port))
