"""Progress from a worker to the client: the latest state, at a bounded rate."""

import asyncio

from node.net.session import Call
from protocol.messages import Progress

LEAST_INTERVAL_S = 0.2
"""Five updates a second are as many as a person can follow."""


class ProgressRelay:
    """`put` never waits; `run` sends the latest progress and skips what was overtaken."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._latest: Progress | None = None
        self._news = asyncio.Event()

    def put(self, done_ppm: int, text: str) -> None:
        """Take note of progress."""
        self._latest = Progress(done_ppm=max(0, min(1_000_000, done_ppm)), text=text[:500])
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._latest is not None:
                await self._call.emit(self._latest)
            await asyncio.sleep(LEAST_INTERVAL_S)
