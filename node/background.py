"""Work beside the work: for as long as a block of code runs, or for as long as the node lives; waiting for its end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog

from node.errors import NodeError

log = structlog.get_logger()


class Background:
    """Does what nobody waits for, in the node's own task group; a failure is logged."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group

    def __call__(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start `work`; its task, for those who want to know when it has ended."""
        return self._group.create_task(_logged(work))


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


async def came(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for `event`; False when it was not set in time."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
