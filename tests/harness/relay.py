"""A TCP relay on loopback that a test puts between two nodes: it records, stalls, and cuts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from node.net.endpoint import Endpoint


class Relay:
    """Everything that passed, in `recorded`; `stall` holds back bytes both ways, `cut` resets every connection."""

    def __init__(self, target: Endpoint) -> None:
        self.endpoint = Endpoint("127.0.0.1", 0)
        self.recorded = bytearray()
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def stall(self) -> None:
        """Let nothing through until the end: the connections stay open and are silent."""
        self._flowing.clear()

    def cut(self) -> None:
        """Drop every connection, without the closing words of any protocol."""
        for writer in self._writers:
            writer.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect onward and copy both ways."""
        onward_reader, onward_writer = await asyncio.open_connection(self._target.host, self._target.port)
        self._writers += [writer, onward_writer]
        for source, sink in ((reader, onward_writer), (onward_reader, writer)):
            task = asyncio.get_running_loop().create_task(self._copy(source, sink))
            self._tasks.add(task)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                await self._flowing.wait()
                self.recorded += data
                sink.write(data)
                await sink.drain()
        await self._flowing.wait()
        sink.close()

    async def stop(self) -> None:
        """Drop everything."""
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def relay(target: Endpoint) -> AsyncIterator[Relay]:
    """A relay in front of `target`; dial its `endpoint`."""
    made = Relay(target)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.endpoint = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    try:
        yield made
    finally:
        server.close()
        await made.stop()
        await server.wait_closed()
