"""How long a job may take: a clock that stands still while the other side waits for an answer of ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

FACTOR: Final = 3.0
"""A job may take this many times its quoted p95 ..."""
LEAST_S: Final = 10.0
"""... and at least this long: a p95 of milliseconds says little about a busy machine."""
SHORTEST_S: Final = 0.05
CHECKING_SHARE: Final = 0.05
"""Part of the time left that a contractor does not get: its result has to be checked before the deadline too."""


def limit_s(p95_s: float) -> float:
    """How long a job with this quoted p95 may take before either side gives it up."""
    return max(LEAST_S, FACTOR * p95_s)


def client_patience_s(p95_s: float, remaining_s: float, local_p95_s: float | None) -> float:
    """How long the client waits for a contractor.

    Time to do the work here is kept back (`local_p95_s`; None = not possible here), unless the contractor would
    then get less than it quoted: that would blame it for keeping its word.
    """
    most = remaining_s * (1.0 - CHECKING_SHARE)
    if local_p95_s is not None and most - local_p95_s >= p95_s:
        most -= local_p95_s
    return max(SHORTEST_S, min(most, limit_s(p95_s)))


def is_time_for(p95_s: float, remaining_s: float) -> bool:
    """Whether a contractor can be given the time that it quoted: hired with less, it is blamed for keeping its word."""
    return remaining_s * (1.0 - CHECKING_SHARE) >= max(SHORTEST_S, p95_s)


class Patience:
    """The running clock; see `patience`."""

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self._timeout = timeout

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time that this block takes."""
        loop = asyncio.get_running_loop()
        ends = self._timeout.when()
        assert ends is not None, "the clock runs, and is paused by one block at a time"
        left_s = ends - loop.time()
        self._timeout.reschedule(None)
        try:
            yield
        finally:
            self._timeout.reschedule(loop.time() + left_s)


@asynccontextmanager
async def patience(limit_s: float) -> AsyncIterator[Patience]:
    """TimeoutError once the block has run for `limit_s` in all, pauses not counted."""
    async with asyncio.timeout(limit_s) as timeout:
        yield Patience(timeout)
