"""Transactions that wait for a block, in the order in which they came; bounded in number, bytes, and by sender."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from node.ledger.pbft.config import PbftConfig


@dataclass(slots=True)
class Pending:
    """One that waits. `since_s` is when it came, or when the present primary began if that was later."""

    tx: bytes
    tx_id: bytes
    sender: bytes
    since_s: float


@dataclass(slots=True)
class Pool:
    """What waits. Oldest first."""

    config: PbftConfig
    _waiting: dict[bytes, Pending] = field(default_factory=dict)
    _bytes: int = 0
    _by_sender: dict[bytes, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, tx_id: bytes) -> bool:
        return tx_id in self._waiting

    def __iter__(self) -> Iterator[Pending]:
        return iter(list(self._waiting.values()))

    def refused(self, tx: bytes, sender: bytes) -> str | None:
        """Why there is no room for one more of `sender`'s; None when there is."""
        config, mine = self.config, self._by_sender.get(sender, 0)
        if mine >= config.pool_txs_per_sender:
            return f"{mine} transactions of this sender wait already: the limit is {config.pool_txs_per_sender}"
        if len(self._waiting) >= config.pool_txs or self._bytes + len(tx) > config.pool_bytes:
            return f"the pool is full: {len(self._waiting)} transactions of {self._bytes} bytes wait; try again later"
        return None

    def add(self, pending: Pending) -> None:
        """Put one at the end; refused() was asked."""
        self._waiting[pending.tx_id] = pending
        self._bytes += len(pending.tx)
        self._by_sender[pending.sender] = self._by_sender.get(pending.sender, 0) + 1

    def remove(self, tx_ids: Iterable[bytes]) -> None:
        """Forget those that wait among these."""
        for tx_id in tx_ids:
            if (pending := self._waiting.pop(tx_id, None)) is None:
                continue
            self._bytes -= len(pending.tx)
            self._by_sender[pending.sender] -= 1
            if not self._by_sender[pending.sender]:
                del self._by_sender[pending.sender]

    def head(self, max_txs: int, max_bytes: int) -> list[Pending]:
        """The oldest, as many as fit."""
        chosen: list[Pending] = []
        for pending in self._waiting.values():
            max_bytes -= len(pending.tx)
            if len(chosen) == max_txs or max_bytes < 0:
                break
            chosen.append(pending)
        return chosen

    @property
    def oldest_since_s(self) -> float | None:
        """Since when the one waits that waits longest: the first, as clocks go on. None when nothing waits."""
        return next((pending.since_s for pending in self._waiting.values()), None)

    def wait_afresh(self, now_s: float) -> None:
        """A new primary has the whole time again."""
        for pending in self._waiting.values():
            pending.since_s = now_s
