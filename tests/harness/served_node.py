"""A MemoryNode behind a real control socket, in a thread of its own: what synchronous code can call."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from coalesced.control.config import ControlConfig
from coalesced.control.server import ControlServer
from tests.harness.memory_node import MemoryNode

T = TypeVar("T")


class ServedNode:
    """The node, its home, and a way to touch it on its own loop."""

    def __init__(self, node: MemoryNode, home: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.node = node
        self.home = home
        self.loop = loop

    def on_loop(self, touch: Callable[[MemoryNode], T]) -> T:
        """Run `touch` where the node lives."""

        async def touched() -> T:
            return touch(self.node)

        return asyncio.run_coroutine_threadsafe(touched(), self.loop).result(60)


@contextmanager
def serve(home: Path, make: Callable[[], Any] = MemoryNode) -> Iterator[ServedNode]:
    """Serve a fresh node in `home` until the block ends."""
    started = threading.Event()
    served: list[ServedNode] = []
    failed: list[BaseException] = []
    stop = asyncio.Event()

    async def main() -> None:
        node = make()
        server = ControlServer(node, ControlConfig(close_timeout_s=0.1), home / "control.sock")
        node.on_stop = stop.set
        await server.start()
        served.append(ServedNode(node, home, asyncio.get_running_loop()))
        started.set()
        await stop.wait()
        await server.stop()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            started.set()

    thread = threading.Thread(target=run, name="served-node")
    thread.start()
    try:
        started.wait(60)
        if failed:
            raise failed[0]
        yield served[0]
    finally:
        if served:
            # The test itself may have stopped the node: then its loop is closed, or about to be.
            with suppress(RuntimeError):
                served[0].loop.call_soon_threadsafe(stop.set)
        thread.join(60)
