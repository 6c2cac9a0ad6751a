"""Real UDP sockets on loopback that lose datagrams, and nodes that can be unplugged, for any user of asyncio."""

import asyncio
import random
from typing import Any

Address = tuple[str, int]


class LossyLoop(asyncio.SelectorEventLoop):
    """An event loop whose datagrams are lost at random, and all of them from and to unplugged ports."""

    def __init__(self, loss: float, seed: int) -> None:
        super().__init__()
        self.sent = 0
        self.unplugged: set[int] = set()
        self._loss = loss
        self._rng = random.Random(seed)

    async def create_datagram_endpoint(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """As asyncio's, with the transport that the protocol sees wrapped."""
        _, protocol = await super().create_datagram_endpoint(
            lambda: _Filter(self, protocol_factory()), *args, **options
        )
        return protocol.transport, protocol.inner

    def is_lost(self, port: int) -> bool:
        """Whether one datagram from this local port gets lost."""
        self.sent += 1
        return port in self.unplugged or self._rng.random() < self._loss


class _Filter(asyncio.DatagramProtocol):
    """Between a socket and the protocol that uses it."""

    def __init__(self, loop: LossyLoop, inner: Any) -> None:
        self._loop = loop
        self.inner = inner

    def connection_made(self, transport: Any) -> None:
        """Hand on the wrapped transport."""
        self.transport = _Transport(self._loop, transport)
        self.inner.connection_made(self.transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Hand on what arrives, unless unplugged."""
        if self.transport.port not in self._loop.unplugged:
            self.inner.datagram_received(data, addr)


class _Transport(asyncio.DatagramTransport):
    """Sends, or loses."""

    def __init__(self, loop: LossyLoop, real: Any) -> None:
        super().__init__()
        self._loop = loop
        self._real = real
        self.port: int = real.get_extra_info("sockname")[1]

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The real transport's."""
        return self._real.get_extra_info(name, default)

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send, or lose."""
        if not self._loop.is_lost(self.port):
            self._real.sendto(data, addr)

    def close(self) -> None:
        """Close the real one."""
        self._real.close()

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return bool(self._real.is_closing())
