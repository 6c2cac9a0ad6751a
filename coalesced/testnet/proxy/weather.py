"""What is wrong with the links between nodes, and how one asks the proxy to change it."""

import asyncio
from random import Random
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from coalesced.testnet.manifest import MAX_NODES

MAX_DELAY_MS: Final = 60_000
RETRANSMISSION_S: Final = 0.2
"""The shortest time after which TCP sends again what got lost (Linux); doubled each time."""
MAX_LOSSES: Final = 7
"""In a row, 25 s in all: then the connection breaks, as it would where a kernel gives up."""

Millis = Annotated[int, Meta(ge=0, le=MAX_DELAY_MS)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Pair = tuple[str, str]


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the way between two nodes is, in both directions."""

    delay_ms: Millis = 0
    """One way."""
    jitter_ms: Millis = 0
    """More than that, up to so much, drawn for each chunk or datagram."""
    loss_percent: Percent = 0
    """Of datagrams; a chunk of a connection that is lost comes later, and everything behind it too."""
    is_cut: bool = False
    """A black hole: nothing arrives and nobody is told."""

    def __str__(self) -> str:
        parts = [f"{self.delay_ms} ms each way"] if self.delay_ms else []
        parts += [f"up to {self.jitter_ms} ms more"] if self.jitter_ms else []
        parts += [f"{self.loss_percent} % lost"] if self.loss_percent else []
        return "cut" if self.is_cut else ", ".join(parts) or "fine"

    def delay_s(self, rng: Random) -> float:
        """How long the next chunk or datagram takes."""
        return (self.delay_ms + rng.uniform(0, self.jitter_ms)) / 1000

    def is_lost(self, rng: Random) -> bool:
        """Whether the next one is lost."""
        return rng.uniform(0, 100) < self.loss_percent

    def stall_s(self, rng: Random) -> float | None:
        """How much later a chunk of a connection arrives for what was lost on the way; None when it breaks."""
        losses = 0
        while self.is_lost(rng):
            losses += 1
            if losses == MAX_LOSSES:
                return None
        return RETRANSMISSION_S * float(2**losses - 1)


FINE: Final = Link()


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to change: these links become so; with `heals`, all others become fine."""

    links: Annotated[tuple[tuple[Pair, Link], ...], Meta(max_length=MAX_NODES**2)] = ()
    heals: bool = False


class Forecast(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The proxy's answer: every link that is not fine, or what was wrong with the order."""

    links: tuple[tuple[Pair, Link], ...] = ()
    error: str = ""

    def link(self, one: str, other: str) -> Link:
        """How the way between two nodes is."""
        return dict(self.links).get(ordered(one, other), FINE)


def ordered(one: str, other: str) -> Pair:
    """The pair in its one spelling."""
    return (one, other) if one < other else (other, one)


class Weather:
    """All links as they are now."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._links: dict[Pair, Link] = {}
        self._changed = asyncio.Event()

    def between(self, one: str | None, other: str) -> Link:
        """The link between two nodes; of a stranger's connection, a fine one."""
        return FINE if one is None else self._links.get(ordered(one, other), FINE)

    async def until_open(self, one: str | None, other: str) -> None:
        """Return when the link is not cut."""
        while self.between(one, other).is_cut:
            await self._changed.wait()

    def change(self, order: Order) -> Forecast:
        """Obey; what is to be said afterwards."""
        if unknown := {name for pair, _ in order.links for name in pair} - self._names:
            return Forecast(error=f"no such node: {', '.join(sorted(unknown))}")
        if order.heals:
            self._links.clear()
        for (one, other), link in order.links:
            if one == other:
                return Forecast(error=f"{one} has no link to itself")
            self._links.pop(ordered(one, other), None)
            if link != FINE:
                self._links[ordered(one, other)] = link
        self._changed.set()
        self._changed = asyncio.Event()
        return Forecast(links=tuple(sorted(self._links.items(), key=lambda item: item[0])))
