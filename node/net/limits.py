"""Who may connect: counts of inbound connections, of offences, and the blocklist. Pure; `now` is passed in."""

import math
from collections import Counter, OrderedDict
from typing import Final, Generic, TypeVar

from node.net.config import NetConfig
from node.net.endpoint import Endpoint

MAX_REMEMBERED: Final = 4096
"""Peers, or addresses, whose offences or blocks are remembered; the oldest is forgotten, so that none fill memory."""


class Admission:
    """Counts inbound connections: in all and per address, half-open and open."""

    def __init__(self, config: NetConfig) -> None:
        self._config = config
        self._half_open: Counter[str] = Counter()
        self._inbound: Counter[str] = Counter()
        self._half_open_count = 0
        self._inbound_count = 0

    def refusal(self, remote: Endpoint) -> str | None:
        """Why one more connection from there is refused now; None when it is admitted."""
        config, group = self._config, remote.address_group
        if self._half_open_count >= config.max_half_open:
            return f"{config.max_half_open} handshakes are under way, the limit in all"
        if self._half_open[group] >= config.max_half_open_per_address:
            return f"{config.max_half_open_per_address} handshakes are under way from {group}, the limit per address"
        if self._inbound_count >= config.max_inbound:
            return f"{config.max_inbound} inbound connections are open, the limit in all"
        if self._inbound[group] >= config.max_inbound_per_address:
            return f"{config.max_inbound_per_address} connections are open from {group}, the limit per address"
        return None

    def connected(self, remote: Endpoint) -> None:
        """A connection came in, and its handshake begins."""
        group = remote.address_group
        self._half_open[group] += 1
        self._inbound[group] += 1
        self._half_open_count += 1
        self._inbound_count += 1

    def handshake_ended(self, remote: Endpoint) -> None:
        """Its handshake is over, whether it succeeded or not."""
        self._half_open_count -= 1
        _decrease(self._half_open, remote.address_group)

    def disconnected(self, remote: Endpoint) -> None:
        """The connection is gone."""
        self._inbound_count -= 1
        _decrease(self._inbound, remote.address_group)


def _decrease(counts: Counter[str], group: str) -> None:
    counts[group] -= 1
    if counts[group] == 0:
        del counts[group]


K = TypeVar("K", bytes, str)


class Conduct(Generic[K]):
    """Offences per peer key, or per address, and who is blocked until when."""

    def __init__(self, *, max_offences: int, block_s: float, remember_s: float = math.inf) -> None:
        """At `max_offences` within `remember_s` of the first, one is blocked for `block_s`."""
        self._max_offences = max_offences
        self._block_s = block_s
        self._remember_s = remember_s
        self._offences: OrderedDict[K, tuple[int, float]] = OrderedDict()  # how many, since when
        self._blocked_until: OrderedDict[K, float] = OrderedDict()

    def offended(self, who: K, now: float) -> int:
        """Count one offence and give the new number; at the limit `who` is blocked and the count starts again."""
        count, since = self._offences.pop(who, (0, now))
        if now - since >= self._remember_s:
            count, since = 0, now
        self._count(who, count + 1, since, now)
        return count + 1

    def pass_on(self, who: K, to: K, now: float) -> bool:
        """Have what counts against `who` count against `to`, who is the same; whether that made it blocked."""
        until, count = self._blocked_until.get(who, 0.0), self.offences(who)
        if count:
            since = self._offences.pop(who)[1]
            others, first = self._offences.pop(to, (0, since))
            self._count(to, others + count, min(first, since), now)
        if until > max(now, self._blocked_until.get(to, 0.0)):
            self.block(to, until)
            return True
        return bool(count) and self.is_blocked(to, now)

    def _count(self, who: K, count: int, since: float, now: float) -> None:
        self._offences[who] = count, since
        if count >= self._max_offences:
            del self._offences[who]
            self.block(who, now + self._block_s)
        _forget_oldest(self._offences)

    def offences(self, who: K) -> int:
        """How many are counted now."""
        return self._offences.get(who, (0, 0.0))[0]

    def block(self, who: K, until: float) -> None:
        """Refuse `who` until then."""
        self._blocked_until.pop(who, None)
        self._blocked_until[who] = until
        _forget_oldest(self._blocked_until)

    def unblock(self, who: K) -> None:
        """Accept `who` again; no matter if it was not blocked."""
        self._blocked_until.pop(who, None)

    def is_blocked(self, who: K, now: float) -> bool:
        """Whether `who` is refused now."""
        until = self._blocked_until.get(who)
        if until is not None and until <= now:
            del self._blocked_until[who]
            return False
        return until is not None

    def blocked(self, now: float) -> list[K]:
        """All who are refused now."""
        return [who for who, until in self._blocked_until.items() if until > now]


def _forget_oldest(remembered: "OrderedDict[K, tuple[int, float]] | OrderedDict[K, float]") -> None:
    if len(remembered) > MAX_REMEMBERED:
        remembered.popitem(last=False)
