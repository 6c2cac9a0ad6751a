"""What waits to be judged: bounded in all, in bytes, and by sender; what does not fit is dropped and counted."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from node.community.config import LedgerConfig

MAX_BYTES: Final = 32 * 2**20
"""About sixteen full blocks."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A packed consensus message from a peer, or (`sender` is None) a transaction of this node's own."""

    sender: bytes | None
    data: bytes


class Inbox:
    """Filled by sessions, emptied as a whole by the one task that steps the core."""

    def __init__(self, config: LedgerConfig) -> None:
        self._config = config
        self._waiting: list[Incoming] = []
        self._by_sender: Counter[bytes | None] = Counter()
        self._bytes = 0
        self._filled = asyncio.Event()
        self.dropped = 0
        """Messages that found no room; those who sent them say again what still counts."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, sender: bytes | None, data: bytes) -> bool:
        """Add a message; False when there is no room for it."""
        config = self._config
        is_full = (
            len(self._waiting) >= config.inbox_messages
            or self._by_sender[sender] >= config.inbox_messages_per_peer
            or self._bytes + len(data) > MAX_BYTES
        )
        if is_full:
            self.dropped += 1
            return False
        self._waiting.append(Incoming(sender, data))
        self._by_sender[sender] += 1
        self._bytes += len(data)
        self._filled.set()
        return True

    def drain(self) -> list[Incoming]:
        """Everything that waits, in the order in which it came."""
        drained, self._waiting = self._waiting, []
        self._by_sender.clear()
        self._bytes = 0
        self._filled.clear()
        return drained

    async def wait(self, until_s: float | None) -> None:
        """Return when something waits, or at `until_s` of the loop's clock."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                await self._filled.wait()
