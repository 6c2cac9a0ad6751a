"""How many datagrams an address group may have checked: a signature costs 0.1 ms, a forged one nothing."""

from collections import OrderedDict

from dht.config import DhtConfig
from dht.contacts import address_group

RATE_PER_S = 100.0
BURST = 200.0
MAX_GROUPS = 4_096
"""Groups remembered; the one longest unheard is forgotten, which gives it a full burst again."""


class TokenBuckets:
    """One token bucket an address group. Pure: time is passed in."""

    def __init__(self, config: DhtConfig) -> None:
        self._limit_private = config.limit_private_addresses
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, host: str, now_s: float) -> bool:
        """Whether one more datagram from `host` may pass; addresses in no group always may."""
        group = address_group(host, self._limit_private)
        if group is None:
            return True
        level, since_s = self._levels.pop(group, (BURST, now_s))
        level = min(BURST, level + (now_s - since_s) * RATE_PER_S)
        is_allowed = level >= 1
        self._levels[group] = (level - 1 if is_allowed else level, now_s)
        if len(self._levels) > MAX_GROUPS:
            self._levels.popitem(last=False)
        return is_allowed
