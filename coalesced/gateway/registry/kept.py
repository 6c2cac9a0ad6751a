"""What sellers serve of themselves, fetched when it is asked for, and kept for a minute."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

MAX_KEPT: Final = 256
KEPT_MS: Final = 60_000
"""As long as it may be kept by whoever fetched it."""
MAX_FETCHES: Final = 4
"""At once: others are refused, and may come again."""


class FetchError(Exception):
    """There is nothing to show; the text says why."""


@dataclass(frozen=True, slots=True)
class _Document:
    at_unix_ms: int
    body: bytes


class Kept:
    """Documents of one kind, by node."""

    def __init__(self, unix_ms: Callable[[], int]) -> None:
        self._unix_ms = unix_ms
        self._documents: OrderedDict[bytes, _Document] = OrderedDict()
        self._fetches = asyncio.Semaphore(MAX_FETCHES)

    async def of(self, public_key: bytes, fetch: Callable[[], Awaitable[bytes]]) -> bytes:
        """What is kept of this node, or else what `fetch` gives and has checked; FetchError where that raises one."""
        kept = self._documents.get(public_key)
        if kept is not None and self._unix_ms() - kept.at_unix_ms < KEPT_MS:
            return kept.body
        if self._fetches.locked():
            raise FetchError("too many sellers are being asked: ask again")
        async with self._fetches:
            body = await fetch()
        self._documents[public_key] = _Document(self._unix_ms(), body)
        self._documents.move_to_end(public_key)
        if len(self._documents) > MAX_KEPT:
            self._documents.popitem(last=False)
        return body
