"""A member that has lost its log of votes: when it may vote again.

It may have voted at one height beyond its last block, and nobody but itself knew at which. So it follows as an
observer and has a transaction committed that nobody could have made before the loss was noticed. The block that holds
it was proposed after the loss. All blocks that this member had committed were decided before, and agreement leaves one
block at a height: the new block is above every one of those, so at or above every height at which it may have voted.
Beyond that block it has said nothing, and votes. No clock, and no word of another member, has a part in this.

The others must be enough to go on without it meanwhile; it is one of the f that may fail.
"""

from collections.abc import Iterable

from node.ledger.pbft.effects import NeedProof, Recovered
from node.ledger.pbft.state import Now, Replica, S

MAX_PROOFS = 64
"""Remembered: one is made every few seconds until one is committed."""


def is_due(r: Replica[S], now: Now) -> bool:
    """Whether it is time for another proof."""
    return waits(r) and now.s >= r.prove_s


def waits(r: Replica[S]) -> bool:
    """Whether a proof would help: for who is no member now, there is nothing to vote on."""
    return r.forgot and r.me in r.committee


def ask(r: Replica[S], now: Now) -> None:
    """Have a proof made."""
    r.prove_s = now.s + r.config.view_timeout_ms / 1000
    r.emit(NeedProof())


def note(r: Replica[S], tx_id: bytes) -> None:
    """This transaction was made just now, with something in it that nobody can guess."""
    r.proofs[tx_id] = None
    if len(r.proofs) > MAX_PROOFS:
        del r.proofs[next(iter(r.proofs))]


def settle(r: Replica[S], tx_ids: Iterable[bytes]) -> None:
    """A block with these transactions is committed: beyond it, nothing was forgotten."""
    if r.forgot and any(tx_id in r.proofs for tx_id in tx_ids):
        r.forgot, r.proofs = False, {}
        r.emit(Recovered())
