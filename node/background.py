"""Work beside the work: for as long as a block of code runs, or for as long as the node lives; waiting for its end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import structlog

from node.errors import NodeError

log = structlog.get_logger()
T = TypeVar("T")


class Background:
    """Does what nobody waits for, in the node's own task group; a failure is logged."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._under_way: set[asyncio.Task[None]] = set()

    def __call__(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start `work`; its task, for those who want to know when it has ended.

        Where the node is being torn down already, nothing can be started: CancelledError, as for all that runs.
        """
        logged = _logged(work)
        try:
            task = self._group.create_task(logged)
        except RuntimeError as error:
            logged.close()
            work.close()
            raise asyncio.CancelledError("the node is being torn down") from error
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def end(self, timeout_s: float) -> None:
        """Wait for what is under way and what comes of it, for so long; then cancel what still is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._under_way:
                    await asyncio.wait(list(self._under_way))
        for task in self._under_way:
            log.info("background.given_up", work=task.get_name())
            task.cancel()


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except NodeError as error:
        log.warning("background.failed", error=str(error))


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run `work` while the block runs. Unlike a TaskGroup, the block's own exception leaves as it is.

    An exception of `work` itself is raised when the block ends without one.
    """
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


async def completed(work: Coroutine[Any, Any, T]) -> T:
    """Carry out `work` to its end; a cancellation that comes meanwhile is raised afterwards.

    For writing down together what must not be written by half. Milliseconds: who cancels has to wait.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error from None
        raise


async def came(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for `event`; False when it was not set in time."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
