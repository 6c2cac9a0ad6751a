"""The tests' model endpoint for tests without an event loop."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.openai_backend import Backend, backend


@contextmanager
def served() -> Iterator[Backend]:
    """A model's endpoint in a thread of its own."""
    made: list[Backend] = []
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        async with backend() as one:
            made.append(one)
            loops.append(asyncio.get_running_loop())
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert started.wait(60)
    try:
        yield made[0]
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(60)
