"""A thread that does one thing after the other for an event loop.

What an executor of one thread does, without the two futures, the locks and the second turn of the event loop that each
call of one costs: the way to a thread and back is most of a small read.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from node.store.queued import Done, Failed, Outcome, queued, settle

T = TypeVar("T")
Job = tuple[Callable[[], T], Callable[[T], None], asyncio.AbstractEventLoop]


class Lane:
    """Jobs are done in the order in which they are given."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job[list[Outcome]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def do(self, job: Callable[[], list[Outcome]], then: Callable[[list[Outcome]], None]) -> None:
        """Have `then` called with what `job` gives, which must not raise; on the event loop that this is called on."""
        self._jobs.put((job, then, asyncio.get_running_loop()))

    async def run(self, work: Callable[[], T]) -> T:
        """The value of `work`, or what it raises."""
        waiting = queued(lambda _: work())
        self.do(lambda: [_outcome(work)], lambda outcomes: settle([waiting], outcomes))
        value: T = await waiting.future
        return value

    def end(self) -> None:
        """Do what was given, then no more; returns when the thread has ended."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, then, loop = given
            outcomes = job()
            try:
                loop.call_soon_threadsafe(then, outcomes)
            except RuntimeError:  # The loop is closed: nobody waits any more.
                continue


def _outcome(work: Callable[[], object]) -> Outcome:
    try:
        return Done(work())
    except Exception as error:  # noqa: BLE001 whoever waits gets it
        return Failed(error)
