"""Building a block, and executing one before voting for it."""

from collections.abc import Sequence
from itertools import takewhile

from node.ledger.machine import InvalidBlock
from node.ledger.pbft.effects import Reject
from node.ledger.pbft.opened import OpenBlock, open_block
from node.ledger.pbft.pool import Pending
from node.ledger.pbft.quorum import change_refused
from node.ledger.pbft.state import Candidate, Now, Replica, S
from protocol.consensus import Block, Header, members_hash, tx_root
from protocol.errors import RemoteProtocolError
from protocol.packing import pack


class OffTheClock(InvalidBlock):
    """A new block's time is too far from this replica's clock. Which of the two is wrong only people can say."""


def build(r: Replica[S], now: Now) -> Candidate[S] | None:
    """The next block from the pool's oldest transactions; None when none of them may be in one.

    What does not fit beside the others waits for the next block; what may be in no block is thrown out.
    """
    time_unix_ms = max(now.unix_ms, r.head.time_unix_ms + 1)
    oldest = r.pool.head(r.config.max_block_txs, r.config.max_block_bytes)
    fitting, state = _fit(r, oldest, time_unix_ms)
    if not fitting:
        return None
    txs = tuple(pending.tx for pending in fitting)
    header = Header(
        chain=r.chain,
        height=r.height,
        view=r.view,
        previous=r.head.hash,
        time_unix_ms=time_unix_ms,
        tx_root=tx_root(txs),
        state_root=r.machine.root(state),
        members_hash=members_hash(r.machine.members(state)),
        proposer=r.me,
    )
    return Candidate(open_block(Block(header=pack(header), txs=txs)), state)


def keep_admissible(r: Replica[S], pending: Pending, time_unix_ms: int) -> bool:
    """Whether it may still be in the next block; thrown out of the pool if not."""
    if (reason := r.machine.admit(r.state, pending.tx, time_unix_ms=time_unix_ms)) is None:
        return True
    r.pool.remove([pending.tx_id])
    r.emit(Reject(pending.tx_id, reason))
    return False


def _fit(r: Replica[S], pendings: Sequence[Pending], time_unix_ms: int) -> tuple[Sequence[Pending], S]:
    """As many of `pendings` as go together, and the state after them; those that go not even alone are thrown out."""
    if not pendings:
        return (), r.state
    try:
        return pendings, _apply(r, [pending.tx for pending in pendings], time_unix_ms)
    except InvalidBlock:
        # Only now is each looked at by itself: mostly all that was let into the pool is still good.
        pendings = [pending for pending in pendings if keep_admissible(r, pending, time_unix_ms)]
        reasons = r.machine.select(r.state, [pending.tx for pending in pendings], time_unix_ms=time_unix_ms)
    chosen = list(zip(pendings, reasons, strict=True))
    for pending, reason in takewhile(lambda pair: pair[1] is not None, chosen):
        r.pool.remove([pending.tx_id])
        r.emit(Reject(pending.tx_id, reason or ""))
    fitting = [pending for pending, reason in chosen if reason is None]
    return fitting, _apply(r, [pending.tx for pending in fitting], time_unix_ms) if fitting else r.state


def execute(r: Replica[S], block: OpenBlock) -> Candidate[S]:
    """The state after a block on top of the head; InvalidBlock when it may not stand there. Reads no clock."""
    header = block.header
    if header.chain != r.chain:
        raise RemoteProtocolError("wrong_chain", "a block of another chain")
    if (header.height, header.previous) != (r.height, r.head.hash):
        raise InvalidBlock(f"block {header.height} does not follow the head at {r.head.height}")
    if header.time_unix_ms <= r.head.time_unix_ms:
        raise InvalidBlock(f"block {header.height} is not later than the one before it")
    ids = [r.machine.tx_id(tx) for tx in block.block.txs]
    if len(set(ids)) != len(ids):
        raise InvalidBlock(f"block {header.height} holds a transaction twice")
    state = _apply(r, block.block.txs, header.time_unix_ms)
    if r.machine.root(state) != header.state_root:
        raise InvalidBlock(f"block {header.height} leads to another state than its header says")
    if members_hash(r.machine.members(state)) != header.members_hash:
        raise InvalidBlock(f"block {header.height} leads to another committee than its header says")
    return Candidate(block, state)


def check_fresh(r: Replica[S], block: OpenBlock, view: int, now: Now) -> None:
    """What holds only for a block that is proposed for the first time: its view, its proposer, its time."""
    header = block.header
    if header.view != view or header.proposer != r.committee.primary(view):
        raise InvalidBlock(f"block {header.height} was not made by the primary of view {view}")
    skew_ms = header.time_unix_ms - now.unix_ms
    if abs(skew_ms) > r.config.max_skew_ms:
        raise OffTheClock(
            f"block {header.height} is {skew_ms} ms off this clock; up to {r.config.max_skew_ms} are let pass: "
            "check the clocks"
        )


def _apply(r: Replica[S], txs: Sequence[bytes], time_unix_ms: int) -> S:
    state = r.machine.apply(r.state, txs, height=r.height, time_unix_ms=time_unix_ms)
    if why := change_refused(r.committee, r.machine.members(state)):
        raise InvalidBlock(why)
    return state
