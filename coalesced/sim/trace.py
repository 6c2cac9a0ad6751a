"""A running digest of everything that happens in a simulated world: equal runs have equal digests."""

import hashlib


class Trace:
    """Takes note of events in their order. `digest` may be read at any time."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.events = 0

    def note(self, now_s: float, what: str, data: bytes = b"") -> None:
        """One event: when (virtual seconds), what, and its bytes if it has any."""
        self.events += 1
        # Lengths first: no two different sequences of events give the same bytes.
        self._hash.update(f"{now_s:.9f} {len(what)} {len(data)} {what}".encode())
        self._hash.update(data)

    def digest(self) -> str:
        """SHA-256 of all events so far, hexadecimal."""
        return self._hash.hexdigest()
