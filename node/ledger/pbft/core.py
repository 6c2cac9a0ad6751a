"""One replica as a pure object: what happens goes in, what is to be done comes out.

A shell is a loop: take from a bounded inbox or wait for `deadline()`; verify() what came (in a thread, if it likes);
call step, submit or tick; carry out the effects in order. Nothing is proposed before tick, so that all transactions
of one drained batch go into one block: `deadline()` is 0 when a proposal is due.

    core = Core(identity, machine, config, chain, head, state)
    effects = core.restore(records)                 # after a start, before anything else
    effects = core.step(now, peer_key, verify(message))
    effects = core.submit(now, tx)                  # of this node itself
    effects = core.tick(now)
"""

from collections.abc import Sequence
from typing import Generic, assert_never

from crypto.identity import Identity
from node.ledger.machine import Machine
from node.ledger.pbft import doubt, fetching, normal, sync, timers, viewchange
from node.ledger.pbft.config import PbftConfig
from node.ledger.pbft.effects import Effect, Offence
from node.ledger.pbft.opened import (
    OpenBlocks,
    OpenNewView,
    OpenProposal,
    OpenViewChange,
    OpenVote,
    Verified,
)
from node.ledger.pbft.peers import take_early
from node.ledger.pbft.pool import Pool
from node.ledger.pbft.quorum import Committee
from node.ledger.pbft.records import AnyRecord
from node.ledger.pbft.restore import restore, restore_pieces
from node.ledger.pbft.state import Head, Now, Replica, S, Stage
from protocol.consensus import PieceRequest, Pieces, Snapshot, SnapshotRequest, Status, SyncRequest, Transaction
from protocol.errors import RemoteProtocolError


class Core(Generic[S]):
    """A member or observer of one chain; which of the two, the committee says height by height."""

    def __init__(
        self,
        identity: Identity,
        machine: Machine[S],
        config: PbftConfig,
        *,
        chain: bytes,
        head: Head,
        state: S,
        forgot: bool = False,
    ) -> None:
        """`chain` is the genesis hash; `head` and `state` are the last that were committed and stored here.

        `forgot`: votes of this key may be missing from the log (doubt.py).
        """
        committee = Committee(machine.members(state))
        self._replica: Replica[S] = Replica(
            identity,
            machine,
            config,
            chain,
            head,
            state,
            committee,
            Pool(config),
            stage=Stage.IDLE if identity.public_key in committee and not forgot else Stage.FOLLOWING,
            view=head.view,
            forgot=forgot,
        )

    @property
    def replica(self) -> Replica[S]:
        """The memory, to be looked at and never changed."""
        return self._replica

    def restore(self, records: Sequence[AnyRecord], pieces: Sequence[bytes] = ()) -> list[Effect[S]]:
        """Take up what was said before a crash, and the pieces of a state that were fetched.

        RecordError when the log cannot be trusted: then do not vote.
        """
        restore(self._replica, records)
        restore_pieces(self._replica, pieces)
        return self._taken()

    def step(self, now: Now, sender: bytes, message: Verified) -> list[Effect[S]]:
        """What follows from a message of the peer with the key `sender`. Total: a bad one gives an Offence."""
        if self._replica.stage is Stage.HALTED:
            return []
        self._take(now, sender, message)
        if isinstance(message, Transaction):  # nothing but timers depends on what waits in the pool
            timers.rearm(self._replica, now)
            return self._taken()
        return self._settled(now)

    def submit(self, now: Now, tx: bytes) -> list[Effect[S]]:
        """What follows from a transaction of this node's own."""
        return self.step(now, self._replica.me, Transaction(tx=tx))

    def tick(self, now: Now) -> list[Effect[S]]:
        """What follows from the time."""
        if self._replica.stage is Stage.HALTED:
            return []
        timers.tick(self._replica, now)
        return self._settled(now)

    def prove(self, now: Now, tx: bytes) -> list[Effect[S]]:
        """Submit a transaction that was made just now, as NeedProof asks."""
        doubt.note(self._replica, self._replica.machine.tx_id(tx))
        return self.submit(now, tx)

    def deadline(self) -> float | None:
        """When to tick next, on the monotonic clock; the past means at once, None never."""
        return min(timers.due_s(self._replica), default=None)

    def __str__(self) -> str:
        return str(self._replica)

    def _take(self, now: Now, sender: bytes, message: Verified) -> None:
        r = self._replica
        try:
            match message:
                case Transaction(tx=tx):
                    normal.take_transaction(r, now, sender, tx)
                case OpenProposal():
                    normal.take_proposal(r, now, sender, message)
                case OpenVote():
                    normal.take_vote(r, now, sender, message)
                case OpenViewChange():
                    viewchange.take_view_change(r, now, sender, message)
                case OpenNewView():
                    viewchange.take_new_view(r, now, sender, message)
                case Status():
                    sync.take_status(r, now, sender, message)
                case SyncRequest():
                    sync.take_request(r, now, sender, message)
                case OpenBlocks():
                    sync.take_blocks(r, now, sender, message)
                case SnapshotRequest():
                    fetching.take_snapshot_request(r, now, sender, message)
                case Snapshot():
                    fetching.take_snapshot(r, now, sender, message)
                case PieceRequest():
                    fetching.take_piece_request(r, now, sender, message)
                case Pieces():
                    fetching.take_pieces(r, now, sender, message)
                case _:
                    assert_never(message)
        except RemoteProtocolError as error:
            r.emit(Offence(sender, error))

    def _settled(self, now: Now) -> list[Effect[S]]:
        """Draw every conclusion from what is known, whatever the order in which it came."""
        r = self._replica
        while r.stage is not Stage.HALTED:
            for sender, message in take_early(r):
                self._take(now, sender, message)
            if not (
                normal.decide(r, now)
                or normal.prepare(r)
                or viewchange.join(r)
                or viewchange.declare(r)
                or viewchange.lead(r, now)
                or r.replay_due
            ):
                break
        timers.rearm(r, now)
        return self._taken()

    def _taken(self) -> list[Effect[S]]:
        effects, self._replica.effects = self._replica.effects, []
        return effects
