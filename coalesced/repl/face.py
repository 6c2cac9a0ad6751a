"""The Face that a command gets in the console: its calls run on the session's loop, over its open client."""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TextIO, TypeVar

from coalesced.cli.face import Face
from coalesced.control.client import ControlClient

T = TypeVar("T")


class ConsoleFace(Face):
    """One command's Face. The command runs in a thread and its calls on `loop`, where `cancel` is called, too."""

    def __init__(
        self,
        home: Path | None,
        client: ControlClient,
        loop: asyncio.AbstractEventLoop,
        *,
        as_json: bool,
        out: TextIO,
        err: TextIO,
    ) -> None:
        super().__init__(home=home, as_json=as_json, out=out, err=err)
        self._home_of_client = home
        self._client = client
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False

    def run(self, call: Callable[[ControlClient], Awaitable[T]]) -> T:
        """Run `call` on the loop, to its end. Its cancellation reaches the command as the ^C it is."""
        if self.home != self._home_of_client:
            return super().run(call)
        # Not asyncio.run_coroutine_threadsafe: its future is done as soon as it is cancelled, while the call may
        # still be telling the node to give up the task.
        ended: concurrent.futures.Future[T] = concurrent.futures.Future()

        async def awaited() -> T:
            return await call(self._client)

        def hand_over(task: asyncio.Task[T]) -> None:
            error = KeyboardInterrupt() if task.cancelled() else task.exception()
            if error is not None:
                ended.set_exception(error)
            else:
                ended.set_result(task.result())

        def start() -> None:
            task = self._loop.create_task(awaited())
            task.add_done_callback(hand_over)
            self._task = task
            if self._is_cancelled:
                task.cancel()

        self._loop.call_soon_threadsafe(start)
        return ended.result()

    def cancel(self) -> None:
        """Cancel the call that runs, and any that the command would make after it."""
        self._is_cancelled = True
        if self._task is not None:
            self._task.cancel()
