"""One turn: a drained batch of messages through the core, and what follows sorted by who carries it out.

Checking signatures and executing blocks takes milliseconds: where and in which portions that is done is the shell's.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import assert_never

from node.community.inbox import Incoming
from node.ledger.chain.state import State
from node.ledger.pbft.core import Core
from node.ledger.pbft.effects import (
    Broadcast,
    Commit,
    Effect,
    Evidence,
    Halt,
    Install,
    KeepPiece,
    NeedProof,
    Offence,
    Persist,
    Recovered,
    Reject,
    Send,
    SendBlocks,
    SendPieces,
    SendSnapshot,
)
from node.ledger.pbft.opened import OpenBlocks, OpenProposal, Verified, verify
from node.ledger.pbft.state import Now
from node.store.ledger_store import Write
from protocol.consensus import (
    AnyConsensus,
    Blocks,
    Equivocation,
    NewView,
    Pieces,
    Proposal,
    Snapshot,
    Transaction,
    ViewChange,
    Vote,
    decode_consensus,
)
from protocol.errors import RemoteProtocolError
from protocol.remembered import REMEMBERED_BYTES
from protocol.transactions import open_transaction

Opened = tuple[bytes | None, Verified | RemoteProtocolError]
"""Who sent it (None: this node itself), and the message, or what is wrong with it."""
Outgoing = Send | Broadcast | SendBlocks | SendSnapshot | SendPieces


@dataclass(slots=True)
class Turn:
    """What one batch leads to. `writes` must be durable before anything of `outgoing` is sent."""

    before: State
    """After the last block that is stored."""
    writes: list[Write] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    answered: dict[bytes, int] = field(default_factory=dict)
    """Peers that are given blocks or a state, and where in `outgoing`. Each is given the last that it asked for: a
    question of some bytes costs up to a megabyte to read and to send."""
    rejected: list[Reject] = field(default_factory=list)
    offences: list[Offence] = field(default_factory=list)
    evidence: list[Equivocation] = field(default_factory=list)
    needs_proof: bool = False
    halted: str = ""

    def add(self, effects: Sequence[Effect[State]]) -> None:
        """Sort more effects, in order."""
        for effect in effects:
            match effect:
                case Persist() | Commit() | Install() | KeepPiece() | Recovered():
                    self.writes.append(effect)
                case Send() | Broadcast():
                    self.outgoing.append(effect)
                case SendBlocks(to=to) | SendSnapshot(to=to) | SendPieces(to=to) if to in self.answered:
                    self.outgoing[self.answered[to]] = effect
                case SendBlocks(to=to) | SendSnapshot(to=to) | SendPieces(to=to):
                    self.answered[to] = len(self.outgoing)
                    self.outgoing.append(effect)
                case Reject():
                    self.rejected.append(effect)
                case Offence():
                    self.offences.append(effect)
                case Evidence(equivocation=equivocation):
                    self.evidence.append(equivocation)
                case NeedProof():
                    self.needs_proof = True
                case Halt(reason=reason):
                    self.halted = reason
                case _:
                    assert_never(effect)


@dataclass(frozen=True, slots=True)
class Heeded:
    """Whose words are worth checking. What others say would not move a core, and may take a second to check."""

    members: tuple[bytes, ...]
    asked: tuple[bytes | None, ...] = ()
    """For blocks, or for a state in place of them."""

    def heeds(self, sender: bytes, message: AnyConsensus) -> bool:
        """Votes are members'; blocks, states and pieces come from them too, or from whoever was asked."""
        match message:
            case Vote() | Proposal() | ViewChange() | NewView():
                return sender in self.members
            case Blocks() | Snapshot() | Pieces():
                return sender in self.members or sender in self.asked
            case _:
                return True


def open_each(batch: Sequence[Incoming], opened: list[Opened], heeded: Heeded) -> Iterator[None]:
    """Decode messages and check every signature in those that are heeded, onto the end of `opened`.

    Pauses after each transaction and each message, so that others may run in between.
    """
    for one in batch:
        try:
            said: AnyConsensus = Transaction(tx=one.data) if one.sender is None else decode_consensus(one.data)
            if one.sender is not None and not heeded.heeds(one.sender, said):
                continue
            message = verify(said)
        except RemoteProtocolError as error:
            opened.append((one.sender, error))
            yield
            continue
        for tx in _transactions(message):
            # The core finds a small one remembered, and says of a bad one why it is bad.
            if len(tx) <= REMEMBERED_BYTES:
                with suppress(RemoteProtocolError):
                    open_transaction(tx)
            yield
        opened.append((one.sender, message))
        yield


def open_all(batch: Sequence[Incoming], heeded: Heeded) -> list[Opened]:
    """The same at one go. Pure: several threads may share the work."""
    opened = list[Opened]()
    for _ in open_each(batch, opened, heeded):
        pass
    return opened


def most_txs(core: Core[State], opened: Sequence[Opened]) -> int:
    """How many transactions this turn may execute at one go: those that wait for a block, or those of blocks that came
    now or too early."""
    early = [message for queue in core.replica.early.values() for _, message in queue]
    pooled, most = len(core.replica.pool), 0
    for message in (*early, *(message for _, message in opened)):
        match message:
            case Transaction():
                pooled += 1
            case OpenProposal(block=block):
                most = max(most, len(block.block.txs))
            case OpenBlocks(blocks=blocks):
                most = max(most, sum(len(committed.block.block.txs) for committed in blocks))
            case _:
                pass
    return max(pooled, most)


def take_turn(core: Core[State], now: Now, opened: Sequence[Opened]) -> Turn:
    """Step the core with a batch, then with the time when something is due."""
    turn = Turn(core.replica.state)
    for sender, message in opened:
        if isinstance(message, RemoteProtocolError):
            if sender is not None:
                turn.offences.append(Offence(sender, message))
        elif sender is not None:
            turn.add(core.step(now, sender, message))
        elif isinstance(message, Transaction):
            turn.add(core.submit(now, message.tx))
    deadline_s = core.deadline()
    if deadline_s is not None and deadline_s <= now.s:
        turn.add(core.tick(now))
    return turn


def _transactions(message: Verified) -> Sequence[bytes]:
    """Those in a message that the rules will look at next; blocks that were committed elsewhere come in pages."""
    match message:
        case Transaction(tx=tx):
            return (tx,)
        case OpenProposal(block=block):
            return block.block.txs
        case _:
            return ()
