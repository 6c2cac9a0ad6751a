"""What a session has to send: small envelopes share frames, and the whole is bounded."""

from collections import deque
from typing import Final

from protocol.envelope import MAX_ENVELOPES, join

BATCH_BYTES: Final = 64_000
"""Waiting envelopes share a frame up to this size: one Noise message, one socket write."""


class Outbox:
    """Encoded envelopes in order. Whoever can wait puts only while `has_space`; replies that cannot wait always put."""

    __slots__ = ("_envelopes", "_space_bytes", "size_bytes")

    def __init__(self, space_bytes: int) -> None:
        self._envelopes: deque[bytes] = deque()
        self._space_bytes = space_bytes
        self.size_bytes = 0
        """How much waits; 0 when nothing does. For others to read only."""

    @property
    def has_space(self) -> bool:
        """Whether one more may be put by those who can wait."""
        return self.size_bytes < self._space_bytes

    def put(self, encoded: bytes) -> None:
        """Add one at the end."""
        self._envelopes.append(encoded)
        self.size_bytes += len(encoded)

    def take_payload(self) -> bytes:
        """Remove what goes into the next frame: as many small envelopes as fit, or one large one."""
        first = self._envelopes.popleft()
        size = len(first)
        if not self._envelopes:
            self.size_bytes = 0
            return first
        batch = [first]
        while self._envelopes and len(batch) < MAX_ENVELOPES and size + len(self._envelopes[0]) <= BATCH_BYTES:
            batch.append(self._envelopes.popleft())
            size += len(batch[-1])
        self.size_bytes -= size
        return join(batch)
