"""One turn: a drained batch of messages through the core, and what follows sorted by who carries it out.

Runs off the event loop, one turn at a time: checking signatures and executing blocks takes milliseconds.
"""

from collections.abc import Sequence
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
from node.ledger.pbft.opened import Verified, verify
from node.ledger.pbft.state import Now
from node.store.ledger_store import Write
from protocol.consensus import Equivocation, Proposal, Transaction, decode_consensus
from protocol.errors import RemoteProtocolError
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
                case Send() | Broadcast() | SendBlocks() | SendSnapshot() | SendPieces():
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


def open_all(batch: Sequence[Incoming]) -> list[Opened]:
    """Decode messages and check every signature in them. Pure: several threads may share the work."""
    return [(one.sender, _open(one)) for one in batch]


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


def _open(incoming: Incoming) -> Verified | RemoteProtocolError:
    if incoming.sender is None:
        _check_ahead([incoming.data])
        return Transaction(tx=incoming.data)
    try:
        message = decode_consensus(incoming.data)
        opened = verify(message)
    except RemoteProtocolError as error:
        return error
    match message:
        case Transaction(tx=tx):
            _check_ahead([tx])
        case Proposal(block=block):
            _check_ahead(block.txs)
        case _:
            pass
    return opened


def _check_ahead(txs: Sequence[bytes]) -> None:
    """Check transactions' signatures here, where other threads run too; the core finds them remembered."""
    for tx in txs:
        with suppress(RemoteProtocolError):  # the core says of a bad one why it is bad
            open_transaction(tx)
