"""What a session has to send: small envelopes share frames, and the whole is bounded."""

from collections import deque
from typing import Final

from protocol.envelope import MAX_ENVELOPES

BATCH_BYTES: Final = 64_000
"""Waiting envelopes share a frame up to this size: one Noise message, one socket write."""


class Outbox:
    """Encoded envelopes in order. Whoever can wait puts only while `has_space`; replies that cannot wait always put."""

    __slots__ = ("_bytes", "_envelopes", "_space_bytes")

    def __init__(self, space_bytes: int) -> None:
        self._envelopes: deque[bytes] = deque()
        self._bytes = 0
        self._space_bytes = space_bytes

    def __bool__(self) -> bool:
        return bool(self._envelopes)

    @property
    def size_bytes(self) -> int:
        """How much waits."""
        return self._bytes

    @property
    def has_space(self) -> bool:
        """Whether one more may be put by those who can wait."""
        return self._bytes < self._space_bytes

    def put(self, encoded: bytes) -> None:
        """Add one at the end."""
        self._envelopes.append(encoded)
        self._bytes += len(encoded)

    def take_batch(self) -> list[bytes]:
        """Remove what goes into the next frame: as many small envelopes as fit, or one large one."""
        batch = [self._envelopes.popleft()]
        size = len(batch[0])
        while self._envelopes and len(batch) < MAX_ENVELOPES and size + len(self._envelopes[0]) <= BATCH_BYTES:
            batch.append(self._envelopes.popleft())
            size += len(batch[-1])
        self._bytes -= size
        return batch
