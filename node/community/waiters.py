"""Who waits for a transaction of this node's own to be committed, and what they are told."""

import asyncio
from dataclasses import dataclass

from node.errors import NodeError
from node.ledger.chain.state import State
from node.ledger.pbft.effects import Commit, Reject
from node.store.ledger_store import LedgerStore
from protocol.transactions import transaction_id

MAX_WAITERS = 16_384
"""Twice what fits into the pool."""


class NotCommittedError(NodeError):
    """A transaction was refused, or was not committed in time; the text says why."""

    code = "not_committed"


@dataclass(frozen=True, slots=True)
class Done:
    """A transaction is final, in the block of this height."""

    tx_id: bytes
    height: int


Outcome = Done | NotCommittedError
"""A value: nobody may be left to take an exception."""


class Waiters:
    """Futures by transaction."""

    def __init__(self) -> None:
        self._futures: dict[bytes, list[asyncio.Future[Outcome]]] = {}
        self._moved = asyncio.Event()

    def __len__(self) -> int:
        return len(self._futures)

    def expect(self, tx_id: bytes) -> "asyncio.Future[Outcome]":
        """What becomes of a transaction, for one who waits; NotCommittedError when too many are waited for.

        Whoever stops waiting says so with `forget`.
        """
        if tx_id not in self._futures and len(self._futures) >= MAX_WAITERS:
            raise NotCommittedError(f"{MAX_WAITERS} transactions of this node wait already: try again later")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._futures.setdefault(tx_id, []).append(future)
        return future

    def forget(self, tx_id: bytes, future: "asyncio.Future[Outcome]") -> None:
        """Nobody waits for this one any more."""
        waiting = self._futures.get(tx_id, [])
        if future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._futures[tx_id]

    async def next_block(self) -> None:
        """Return when one more block is stored, or a state in place of blocks."""
        await self._moved.wait()

    def moved(self) -> None:
        """The head is another."""
        self._moved.set()
        self._moved = asyncio.Event()

    def committed(self, commit: Commit[State]) -> None:
        """A block is stored: tell those who wait for it, or for what is in it."""
        self.moved()
        if self._futures:
            for tx in commit.block.block.txs:
                tx_id = transaction_id(tx)
                self._settle(tx_id, Done(tx_id, commit.block.header.height))

    async def rejected(self, reject: Reject, store: LedgerStore) -> None:
        """The rules refuse it: because it is committed already, or else for the reason that they give."""
        if reject.tx_id not in self._futures:
            return
        place = await store.find(reject.tx_id)
        outcome = NotCommittedError(reject.reason) if place is None else Done(reject.tx_id, place.height)
        self._settle(reject.tx_id, outcome)

    def fail_all(self, error: NodeError) -> None:
        """Nothing can be said of those that still wait."""
        for tx_id in list(self._futures):
            self._settle(tx_id, NotCommittedError(str(error)))

    def _settle(self, tx_id: bytes, outcome: Outcome) -> None:
        for future in self._futures.pop(tx_id, ()):
            if not future.done():
                future.set_result(outcome)
