"""How many unexpired quotes each client holds: bounds what a flood of quote requests can cost."""

from collections import defaultdict, deque


class QuoteBook:
    """Counts valid quotes by client. Quotes themselves are not kept: each one comes back signed with its award."""

    def __init__(self, max_per_client: int) -> None:
        self._max_per_client = max_per_client
        self._expiries: defaultdict[bytes, deque[int]] = defaultdict(deque)

    def issue(self, client: bytes, now_unix_ms: int, expires_unix_ms: int) -> bool:
        """Count one more quote for `client`; False when it holds the most it may."""
        expiries = self._expiries[client]
        while expiries and expiries[0] <= now_unix_ms:
            expiries.popleft()
        if len(expiries) >= self._max_per_client:
            return False
        expiries.append(expires_unix_ms)
        return True

    def used(self, client: bytes) -> None:
        """A quote of `client` was awarded and no longer counts."""
        if expiries := self._expiries.get(client):
            expiries.popleft()

    def sweep(self, now_unix_ms: int) -> None:
        """Forget clients all of whose quotes have expired."""
        for client in [key for key, expiries in self._expiries.items() if not expiries or expiries[-1] <= now_unix_ms]:
            del self._expiries[client]
