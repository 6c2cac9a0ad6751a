"""TCP connections between nodes, carried chunk by chunk as the weather allows."""

import asyncio
from random import Random
from typing import Final

from coalesced.testnet.manifest import HOST
from coalesced.testnet.proxy.weather import Weather

CHUNK_BYTES: Final = 2**16
MAX_CHUNKS: Final = 64
"""On their way in one direction: 4 MiB, more than a send buffer, so that a slow link is not a narrow one."""


class Broken(Exception):
    """The connection is to be ended at both sides."""


class Pipe:
    """One direction of a connection from `source` (None: a stranger) to `target`."""

    def __init__(self, weather: Weather, source: str | None, target: str, rng: Random) -> None:
        self._weather = weather
        self._ends = source, target
        self._rng = rng
        self._due_s = 0.0
        self._chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MAX_CHUNKS)

    async def fill(self, reader: asyncio.StreamReader) -> None:
        """Take what is sent until its end. Order is kept: what is late makes everything behind it late."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = await reader.read(CHUNK_BYTES)
            except OSError:
                data = b""  # a reset ends it as well
            link = self._weather.between(*self._ends)
            stall_s = link.stall_s(self._rng) if data else 0.0
            if stall_s is None:
                raise Broken
            self._due_s = max(self._due_s, loop.time() + link.delay_s(self._rng) + stall_s)
            await self._chunks.put((self._due_s, data))
            if not data:
                return

    async def empty(self, writer: asyncio.StreamWriter) -> None:
        """Hand it on when it is due and the link is open; Broken at its end."""
        loop = asyncio.get_running_loop()
        while True:
            due_s, data = await self._chunks.get()
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            await self._weather.until_open(*self._ends)
            if not data:
                raise Broken  # whoever closes reads no more: what is on its way back is lost to nobody
            try:
                writer.write(data)
                await writer.drain()
            except OSError as error:
                raise Broken from error


async def carry(
    weather: Weather,
    source: str | None,
    target: str,
    port: int,
    near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Carry a connection `near` that `source` has opened to the node `target` at `port`, until either side ends it."""
    rng = Random()
    there, back = Pipe(weather, source, target, rng), Pipe(weather, source, target, rng)
    reader, writer = near
    far: asyncio.StreamWriter | None = None
    filling = asyncio.ensure_future(there.fill(reader))
    try:
        if not await _is_let_through(weather, source, target, filling, rng):
            return
        far_reader, far = await asyncio.open_connection(HOST, port)
        async with asyncio.TaskGroup() as group:
            group.create_task(_whole(filling))
            group.create_task(there.empty(far))
            group.create_task(back.fill(far_reader))
            group.create_task(back.empty(writer))
    except* (Broken, OSError):
        pass
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        for end in (writer, far):
            if end is not None:
                end.transport.abort()


async def _is_let_through(
    weather: Weather, source: str | None, target: str, filling: "asyncio.Future[None]", rng: Random
) -> bool:
    """Wait until the link is open, as long as the caller does: behind a cut one, the other side never hears of it."""
    opening = asyncio.ensure_future(weather.until_open(source, target))
    try:
        await asyncio.wait([opening, filling], return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            return False
    finally:
        opening.cancel()
    await asyncio.sleep(weather.between(source, target).delay_s(rng))
    return True


async def _whole(filling: "asyncio.Future[None]") -> None:
    await filling
