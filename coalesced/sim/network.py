"""An in-memory network of hosts: seeded loss, delay, reordering and duplication; hosts can be unplugged or apart.

Datagrams are carried here; `frames.py` carries connections over the same hosts and the same weather.
"""

import asyncio
import random
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coalesced.sim.trace import Trace

if TYPE_CHECKING:
    from coalesced.sim.loop import SimLoop

Address = tuple[str, int]
FIRST_EPHEMERAL_PORT = 49_152


@dataclass(slots=True)
class Link:
    """How what is sent fares, everywhere in the network. Delays are one way, drawn uniformly."""

    loss: float = 0.0
    min_delay_s: float = 0.005
    max_delay_s: float = 0.05
    duplication: float = 0.0
    straggling: float = 0.0
    """Share that is held up by another `straggle_s`, and so overtaken by what was sent later."""
    straggle_s: float = 1.0


class SimTransport(asyncio.DatagramTransport):
    """One bound socket of the simulated network."""

    def __init__(self, network: "SimNetwork", address: Address, protocol: asyncio.DatagramProtocol) -> None:
        super().__init__({"sockname": address})
        self._network = network
        self._is_closed = False
        self.address = address
        self.protocol = protocol
        self.context: Context = copy_context()
        """Whoever bound it also runs what arrives: a receiver's tasks are its own, not the sender's."""

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send into the network; nothing tells whether it arrives."""
        if not self._is_closed:
            self._network.carry(bytes(data), self.address, addr)

    def close(self) -> None:
        """Free the address."""
        if not self._is_closed:
            self._is_closed = True
            self._network.free(self.address)

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._is_closed


class SimNetwork:
    """The hosts of one world, the weather between them, and their datagrams."""

    def __init__(self, loop: "SimLoop", rng: random.Random, link: Link) -> None:
        self._loop = loop
        self.rng = rng
        self.link = link
        self.trace = Trace()
        self.unplugged: set[str] = set()
        """Hosts that neither send nor receive, as if their machine had died."""
        self.sides: dict[str, int] = {}
        """Partition: hosts of different sides do not reach each other; who is not named is on side 0."""
        self.tampering: dict[str, Callable[[bytes], bytes]] = {}
        """What happens to datagrams that these hosts send."""
        self.sent = 0
        self._sockets: dict[Address, SimTransport] = {}

    def bind(self, address: Address, protocol: asyncio.DatagramProtocol) -> SimTransport:
        """Take an address; port 0 takes the first free ephemeral one."""
        host, port = address
        if not port:
            port = next(p for p in range(FIRST_EPHEMERAL_PORT, 2**16) if (host, p) not in self._sockets)
        if (host, port) in self._sockets:
            raise OSError(f"{host}:{port} is taken")
        transport = SimTransport(self, (host, port), protocol)
        self._sockets[host, port] = transport
        return transport

    def free(self, address: Address) -> None:
        """Give the address back."""
        self._sockets.pop(address, None)

    def close_sockets(self, host: str) -> None:
        """Close every socket of a host: the process that held them is gone."""
        for transport in [socket for (at, _), socket in self._sockets.items() if at == host]:
            transport.close()

    def reaches(self, source: str, target: str) -> bool:
        """Whether anything gets from one host to another now."""
        return (
            source not in self.unplugged
            and target not in self.unplugged
            and self.sides.get(source, 0) == self.sides.get(target, 0)
        )

    def delay_s(self) -> float:
        """How long the next thing sent is under way."""
        delay_s = self.rng.uniform(self.link.min_delay_s, self.link.max_delay_s)
        if self.link.straggling and self.rng.random() < self.link.straggling:
            delay_s += self.rng.uniform(0, self.link.straggle_s)
        return delay_s

    def carry(self, data: bytes, source: Address, target: Address) -> None:
        """Take a datagram from `source` (which may be forged) and deliver it, or not."""
        self.sent += 1
        self.trace.note(self._loop.time(), f"datagram {source} {target}", data)
        if source[0] in self.unplugged:
            return
        if source[0] in self.tampering:
            data = self.tampering[source[0]](data)
        copies = 2 if self.rng.random() < self.link.duplication else 1
        for _ in range(copies):
            if self.rng.random() >= self.link.loss:
                self._loop.call_later(self.delay_s(), self._deliver, data, source, target)

    def trace_hash(self) -> str:
        """A digest of all that was sent so far, with its time and addresses: equal runs have equal digests."""
        return self.trace.digest()

    def _deliver(self, data: bytes, source: Address, target: Address) -> None:
        there = self._sockets.get(target)
        if there is not None and target[0] not in self.unplugged and self._is_one_side(source[0], target[0]):
            there.context.run(there.protocol.datagram_received, data, source)

    def _is_one_side(self, source: str, target: str) -> bool:
        # What an unplugged host sent before still arrives; what crosses a partition does not.
        return self.sides.get(source, 0) == self.sides.get(target, 0)
