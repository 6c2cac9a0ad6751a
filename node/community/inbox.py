"""What waits to be judged: bounded in all, in bytes, by sender and for strangers; what does not fit is dropped.

Strangers may have any number of keys, and send what takes long to check. So members' messages come first, and strangers
find room in half of what there is. A member may lie, too: of each so much is taken at a time that the others' votes
are not held up for long.
"""

import asyncio
from collections import Counter, deque
from typing import Final

import msgspec

from node.community.config import LedgerConfig

MAX_BYTES: Final = 32 * 2**20
"""About sixteen full blocks."""
MAX_PEER_BYTES: Final = 2**22
"""Of one peer: two of the largest messages, so that a liar leaves the others room."""
MEMBER_BYTES: Final = 2**20
"""Of each member at a time: a full block, or 10,000 signatures of a liar, a second to check."""
STRANGERS_BYTES: Final = 2**16
"""Of strangers' messages at a time: 250 transactions, and never more than 650 signatures to check, some 60 ms."""


class Incoming(msgspec.Struct, frozen=True, gc=False):
    """A packed consensus message from a peer, or (`sender` is None) a transaction of this node's own."""

    sender: bytes | None
    data: bytes


class Inbox:
    """Filled by sessions, emptied by the one task that steps the core."""

    def __init__(self, config: LedgerConfig) -> None:
        self._config = config
        self._waiting: list[Incoming] = []
        self._strangers: deque[Incoming] = deque()
        self._by_sender: Counter[bytes | None] = Counter()
        self._bytes_by_sender: Counter[bytes | None] = Counter()
        self._bytes = 0
        self._wanted: asyncio.Future[None] | None = None
        """Of whoever waits for something to come."""
        self.dropped = 0
        """Messages that found no room; those who sent them say again what still counts."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._strangers)

    def put(self, sender: bytes | None, data: bytes, *, from_stranger: bool = False) -> bool:
        """Add a message; False when there is no room for it."""
        config, share = self._config, 2 if from_stranger else 1
        is_full = (
            len(self) >= config.inbox_messages // share
            or self._by_sender[sender] >= config.inbox_messages_per_peer
            or self._bytes + len(data) > MAX_BYTES // share
            or (sender is not None and self._bytes_by_sender[sender] + len(data) > MAX_PEER_BYTES)
        )
        if is_full:
            self.dropped += 1
            return False
        one = Incoming(sender, data)
        (self._strangers if from_stranger else self._waiting).append(one)
        self._count(one)
        self._wake()
        return True

    def drain(self) -> list[Incoming]:
        """All of this node, most of members, then some of strangers, of each in the order in which it came."""
        drained, self._waiting = self._waiting, []
        if self._bytes > MEMBER_BYTES:
            drained, self._waiting = _shared_out(drained)
        room = STRANGERS_BYTES
        while self._strangers and (room == STRANGERS_BYTES or len(self._strangers[0].data) <= room):
            drained.append(self._strangers.popleft())
            room -= len(drained[-1].data)
        self._by_sender.clear()
        self._bytes_by_sender.clear()
        self._bytes = 0
        for one in (*self._waiting, *self._strangers):
            self._count(one)
        return drained

    def _count(self, one: Incoming) -> None:
        self._by_sender[one.sender] += 1
        self._bytes_by_sender[one.sender] += len(one.data)
        self._bytes += len(one.data)

    async def wait(self, until_s: float | None) -> None:
        """Return when something waits, or at `until_s` of the loop's clock. For one caller at a time."""
        loop = asyncio.get_running_loop()
        if len(self) or (until_s is not None and until_s <= loop.time()):
            await asyncio.sleep(0)  # others have a turn even where there is always more to do
            return
        # By hand: asyncio's event and timeout cost more than many a batch.
        self._wanted = loop.create_future()
        timer = None if until_s is None else loop.call_at(until_s, self._wake)
        try:
            await self._wanted
        finally:
            self._wanted = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)


def _shared_out(waiting: list[Incoming]) -> tuple[list[Incoming], list[Incoming]]:
    """What there is a share for now, and what is left: of each member at least one message, and nothing overtakes."""
    taken, left, sizes = list[Incoming](), list[Incoming](), Counter[bytes]()
    for one in waiting:
        if one.sender is None:
            taken.append(one)
        elif (size := sizes[one.sender]) and size + len(one.data) > MEMBER_BYTES:
            sizes[one.sender] = MEMBER_BYTES
            left.append(one)
        else:
            sizes[one.sender] += len(one.data)
            taken.append(one)
    return taken, left
