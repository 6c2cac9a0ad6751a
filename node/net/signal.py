"""Waking everybody who waits for a change, so that each looks again at what it waits for."""

import asyncio


class Signal:
    """`wait` returns at the next `fire`; there is no memory, so waiters loop over their condition."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Return when `fire` is next called."""
        await self._event.wait()

    def fire(self) -> None:
        """Wake all that wait now; whoever comes later waits for the next one."""
        self._event.set()
        self._event = asyncio.Event()
