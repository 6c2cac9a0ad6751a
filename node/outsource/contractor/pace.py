"""How fast quotes are given: a known client has a pace of its own, strangers share one. Pure."""

import math
from collections import OrderedDict
from typing import Final

BURST_S: Final = 2.0
"""Requests that come at once are answered at once, up to what the pace allows in so long."""
LONGEST_S: Final = 2.0
"""Nobody is kept waiting longer for an answer: clients wait three seconds for a quote by default."""
MAX_REMEMBERED: Final = 4096


class Pace:
    """When a request may be answered, by the moment at which the one before it in its line may."""

    def __init__(self, per_s: float) -> None:
        self._interval_s = 1.0 / per_s
        self._next_s: OrderedDict[bytes, float] = OrderedDict()

    def wait_s(self, line: bytes, now_s: float) -> float | None:
        """How long the next request in this line has to wait, which takes its place; None when that is too long."""
        due_s = max(self._next_s.pop(line, -math.inf), now_s - BURST_S)
        wait_s = max(0.0, due_s + self._interval_s - now_s)
        self._next_s[line] = due_s + self._interval_s if wait_s <= LONGEST_S else due_s
        if len(self._next_s) > MAX_REMEMBERED:
            self._next_s.popitem(last=False)
        return wait_s if wait_s <= LONGEST_S else None
