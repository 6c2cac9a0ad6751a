"""How a node gets into the network and stays in it: bootstrap addresses, the join look-up, bucket refresh."""

import asyncio
import ipaddress
import random
import socket
from typing import assert_never

from dht.config import DhtConfig
from dht.contacts import UNKNOWN_ID, Address, ContactEvent, ContactJoined, ContactLeft, NodeAddress
from dht.datagram import Ping
from dht.endpoint import Endpoint
from dht.routing import Routing
from dht.search import Searcher

LOOK_AROUND_PAUSES_S = (0.0, 1.0, 4.0)
RESOLVE_TIMEOUT_S = 5.0
MAX_ADDRESSES_PER_NAME = 4
"""A host name may have many addresses; this many are tried."""


class Joiner:
    """Knocks at bootstrap addresses until they answer, then looks up our own surroundings."""

    def __init__(
        self,
        own_id: bytes,
        endpoint: Endpoint,
        routing: Routing,
        searcher: Searcher,
        config: DhtConfig,
        *,
        rng: random.Random,
    ) -> None:
        self._own_id = own_id
        self._endpoint = endpoint
        self._routing = routing
        self._searcher = searcher
        self._config = config
        self._rng = rng
        self._lonely = asyncio.Event()
        self._lonely.set()
        self._has_news = asyncio.Event()

    def contact_changed(self, event: ContactEvent) -> None:
        """Note that a contact came or went."""
        match event:
            case ContactJoined():
                if self._lonely.is_set():
                    self._has_news.set()
                self._lonely.clear()
            case ContactLeft():
                if not len(self._routing):
                    self._lonely.set()
            case _ as unreachable:
                assert_never(unreachable)

    async def knock(self, address: Address) -> None:
        """Ping a bootstrap address until it answers; again whenever we are alone, and once a refresh period.

        Returns only when the address turns out to be our own.
        """
        backoff_s = self._config.bootstrap_backoff_s
        while True:
            answered_ids = await self._ping_all(await self._resolved(address))
            if self._own_id in answered_ids:
                return
            await asyncio.sleep(backoff_s * self._rng.uniform(0.8, 1.2))
            if answered_ids:
                backoff_s = self._config.bootstrap_backoff_s
                await self._wait_until_lonely()
            else:
                backoff_s = min(2 * backoff_s, self._config.max_bootstrap_backoff_s)

    async def run(self) -> None:
        """Look around whenever we got into a network; again, a few times, while few contacts are known.

        Whom we joined through may itself have been joining, or our queries may have been lost.
        """
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            for pause_s in LOOK_AROUND_PAUSES_S:
                await asyncio.sleep(pause_s)
                await self._look_around()
                if len(self._routing) >= self._config.k:
                    break

    async def _look_around(self) -> None:
        """Look up our own id, then fill the buckets that this left untouched."""
        start_s = asyncio.get_running_loop().time()
        await self._searcher.surroundings()
        await self._refresh(start_s)

    async def refresh(self) -> None:
        """Refresh, for ever, the buckets in which nothing was looked up for a refresh period."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._config.refresh_s / 4 * self._rng.uniform(0.8, 1.2))
            await self._refresh(loop.time() - self._config.refresh_s)

    async def _refresh(self, before_s: float) -> None:
        for low, high in self._routing.stale_ranges(before_s):
            if len(self._routing):
                await self._searcher.refresh(low, high)

    async def _wait_until_lonely(self) -> None:
        try:
            async with asyncio.timeout(self._config.refresh_s):
                await self._lonely.wait()
        except TimeoutError:
            return

    async def _ping_all(self, addresses: list[Address]) -> set[bytes]:
        futures = [self._endpoint.request(NodeAddress(UNKNOWN_ID, *address), Ping()) for address in addresses]
        answers = [await future for future in futures]
        return {answer.node.id for answer in answers if answer is not None}

    async def _resolved(self, address: Address) -> list[Address]:
        """The IP addresses behind a bootstrap address; none when the name cannot be resolved now."""
        host, port = address
        try:
            return [(str(ipaddress.ip_address(host)), port)]
        except ValueError:
            pass
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT_S):
                infos = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (OSError, TimeoutError, UnicodeError):
            return []
        addresses = [(str(info[4][0]), port) for info in infos]
        return list(dict.fromkeys(addresses))[:MAX_ADDRESSES_PER_NAME]
