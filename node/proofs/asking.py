"""How often one peer may ask for "at least X": a sliding count over 24 hours, by asker."""

from collections import OrderedDict, deque
from typing import Final

from node.proofs.errors import ProofError

WINDOW_MS: Final = 86_400_000
MAX_ASKERS: Final = 4096
"""Remembered; the longest silent is forgotten first. Keys are free, so this bounds memory and not learning: that, the
fixed tiers do."""


class Questions:
    """Counts what was asked. `now` is handed in."""

    def __init__(self, per_day: int) -> None:
        self._per_day = per_day
        self._asked: OrderedDict[bytes, deque[int]] = OrderedDict()

    def count(self, asker: bytes, now_unix_ms: int) -> None:
        """Note one question; ProofError, and nothing noted, when the asker has had its share."""
        times = self._asked.setdefault(asker, deque())
        self._asked.move_to_end(asker)
        while times and times[0] <= now_unix_ms - WINDOW_MS:
            times.popleft()
        if len(times) >= self._per_day:
            raise ProofError(
                "too_many_questions", f"{self._per_day} questions in 24 hours are answered to one node, and no more"
            )
        times.append(now_unix_ms)
        while len(self._asked) > MAX_ASKERS:
            self._asked.popitem(last=False)
