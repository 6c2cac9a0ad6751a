"""Whose sold job runs next: known clients before strangers, and among either each client in turn, not each job.

So a client with many jobs waits for itself, and one with a single job waits for one job of everybody else at most.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from node.execute.lanes import Lane

Line = OrderedDict[bytes, deque[asyncio.Future[None]]]
"""Who waits, by client; the first client is served next, by its first job."""


class Turns:
    """At most `slots` jobs run at once."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._known: Line = OrderedDict()
        self._strangers: Line = OrderedDict()

    @property
    def waiting(self) -> int:
        """Jobs that wait for their turn."""
        return sum(len(jobs) for line in (self._known, self._strangers) for jobs in line.values())

    @asynccontextmanager
    async def turn(self, client: bytes, *, is_known: bool) -> AsyncIterator[None]:
        """Wait for this client's turn, and hold it."""
        if self._free > 0:
            self._free -= 1
        else:
            await self._wait(self._known if is_known else self._strangers, client)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, line: Line, client: bytes) -> None:
        mine = asyncio.get_running_loop().create_future()
        line.setdefault(client, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():
                self._pass_on()  # It came at this moment, and nobody takes it.
            elif mine in (jobs := line.get(client, deque())):
                jobs.remove(mine)
                if not jobs:
                    del line[client]
            raise

    def _pass_on(self) -> None:
        for line in (self._known, self._strangers):
            while line:
                client, jobs = line.popitem(last=False)
                next_one = jobs.popleft()
                if jobs:
                    line[client] = jobs
                if not next_one.cancelled():
                    next_one.set_result(None)
                    return
        self._free += 1


class Queues:
    """The turns before each lane of an executor; what is done elsewhere does not wait for this node's workers."""

    def __init__(self) -> None:
        self._turns: WeakKeyDictionary[Lane, Turns] = WeakKeyDictionary()

    def of(self, lane: Lane) -> Turns:
        """Whose turn it is before that lane."""
        if lane not in self._turns:
            self._turns[lane] = Turns(lane.slots)
        return self._turns[lane]
