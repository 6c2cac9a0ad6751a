"""Deadlines of many things, most of which end before theirs comes."""

import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")

SPARE = 64
"""So many timers of ended things are kept before they are swept out."""


class Timers(Generic[K]):
    """A heap of (deadline, key); a timer whose key `is_running` denies counts for nothing.

    Nothing is removed when a thing ends early, which is cheap; the sweep keeps the heap in proportion to what runs.
    """

    def __init__(self, is_running: Callable[[K], bool]) -> None:
        self._is_running = is_running
        self._heap: list[tuple[float, int, K]] = []
        self._added = 0

    def add(self, at: float, key: K, running: int) -> None:
        """Set a deadline; `running` is how many things run, this one included."""
        self._added += 1
        heapq.heappush(self._heap, (at, self._added, key))
        if len(self._heap) > SPARE + 2 * running:
            self._heap = [timer for timer in self._heap if self._is_running(timer[2])]
            heapq.heapify(self._heap)

    def next_at(self) -> float | None:
        """The earliest deadline of what still runs."""
        while self._heap and not self._is_running(self._heap[0][2]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> K | None:
        """One key whose deadline has come and that still runs; it is then forgotten here."""
        at = self.next_at()
        return heapq.heappop(self._heap)[2] if at is not None and at <= now else None

    def __len__(self) -> int:
        return len(self._heap)
