"""How many requests a caller may send: a bucket of tokens a caller, refilled by the minute."""

from collections import OrderedDict
from typing import Final

MAX_CALLERS: Final = 10_000
"""Buckets remembered; the one untouched for longest goes first, and its caller begins with a full one."""


class RequestRates:
    """Counts requests. Pure: times are passed in, in seconds of any clock that only goes forward."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By caller: tokens left, and when that was."""

    def wait_s(self, caller: str, now_s: float) -> float:
        """Take one token and give 0; or, when there is none, the seconds until there is."""
        left, since_s = self._buckets.pop(caller, (float(self._per_minute), now_s))
        left = min(float(self._per_minute), left + (now_s - since_s) * self._per_minute / 60)
        taken = left >= 1
        self._buckets[caller] = (left - 1 if taken else left, now_s)
        if len(self._buckets) > MAX_CALLERS:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - left) * 60 / self._per_minute
