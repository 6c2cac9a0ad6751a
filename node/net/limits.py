"""Who may connect: counts of inbound connections, of offences, and the blocklist. Pure; `now` is passed in."""

from collections import Counter, OrderedDict
from typing import Final

from node.net.config import NetConfig
from node.net.endpoint import Endpoint

MAX_REMEMBERED: Final = 4096
"""Peers whose offences or blocks are remembered; beyond it the oldest is forgotten, so that keys cannot fill memory."""


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


class Conduct:
    """Offences per peer, and who is blocked until when."""

    def __init__(self, config: NetConfig) -> None:
        self._config = config
        self._offences: OrderedDict[bytes, int] = OrderedDict()
        self._blocked_until: OrderedDict[bytes, float] = OrderedDict()

    def offended(self, peer_key: bytes, now: float) -> int:
        """Count one offence and give the new number; at the limit the peer is blocked and its count starts again."""
        count = self._offences.pop(peer_key, 0) + 1
        self._offences[peer_key] = count
        if count >= self._config.max_offences:
            del self._offences[peer_key]
            self.block(peer_key, now + self._config.block_s)
        _forget_oldest(self._offences)
        return count

    def offences(self, peer_key: bytes) -> int:
        """How many are counted against the peer now."""
        return self._offences.get(peer_key, 0)

    def block(self, peer_key: bytes, until: float) -> None:
        """Refuse this peer until then."""
        self._blocked_until.pop(peer_key, None)
        self._blocked_until[peer_key] = until
        _forget_oldest(self._blocked_until)

    def unblock(self, peer_key: bytes) -> None:
        """Accept this peer again; no matter if it was not blocked."""
        self._blocked_until.pop(peer_key, None)

    def is_blocked(self, peer_key: bytes, now: float) -> bool:
        """Whether the peer is refused now."""
        until = self._blocked_until.get(peer_key)
        if until is not None and until <= now:
            del self._blocked_until[peer_key]
            return False
        return until is not None

    def blocked(self, now: float) -> list[bytes]:
        """All peers that are refused now."""
        return [key for key, until in self._blocked_until.items() if until > now]


def _forget_oldest(remembered: "OrderedDict[bytes, int] | OrderedDict[bytes, float]") -> None:
    if len(remembered) > MAX_REMEMBERED:
        remembered.popitem(last=False)
