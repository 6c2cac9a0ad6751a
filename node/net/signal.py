"""Waking everybody who waits for a change, so that each looks again at what it waits for."""

import asyncio


class Signal:
    """`wait` returns at the next `fire`; there is no memory, so waiters loop over their condition.

    An `asyncio.Event` that is set and replaced would do the same; here, firing costs nothing while nobody waits.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], None] = {}

    async def wait(self) -> None:
        """Return when `fire` is next called."""
        fired = asyncio.get_running_loop().create_future()
        self._waiting[fired] = None
        try:
            await fired
        finally:
            self._waiting.pop(fired, None)

    def fire(self) -> None:
        """Wake all that wait now; whoever comes later waits for the next one."""
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            for fired in waiting:
                if not fired.done():
                    fired.set_result(None)
