"""Replicas on a table: every message lies there until a script says who gets it. For hand-written scripts.

A script names replicas by number and messages by kind ("proposal", "prepare", "commit", "view_change", "new_view",
"tx", "status", "sync", "blocks", "snapshot_request", "snapshot", "piece_request", "pieces"). Nothing happens by itself:
no message is delivered and no time passes.
Every run is held to coalesced/sim/ledger/rules.py too. What was done is kept as a transcript, for a failure's text.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from coalesced.sim.ledger.machine import Values
from coalesced.sim.ledger.node import EPOCH_UNIX_MS, Genesis, Node, identity_of
from coalesced.sim.ledger.rules import Rules
from coalesced.testnet.byzantine.conduct import Outgoing
from crypto.identity import Identity
from node.ledger.pbft.config import PbftConfig
from node.ledger.pbft.effects import Effect, Offence
from node.ledger.pbft.opened import verify
from node.ledger.pbft.state import Now, Replica, Stage
from protocol.consensus import (
    AnyConsensus,
    Block,
    Blocks,
    NewView,
    PieceRequest,
    Pieces,
    Proposal,
    Snapshot,
    SnapshotRequest,
    Status,
    SyncRequest,
    Transaction,
    ViewChange,
    Vote,
    decode_consensus,
    encode_consensus,
)
from protocol.errors import RemoteProtocolError

ROUNDS = 200
"""Of delivering everything: more means that replicas talk for ever."""


class Broken(AssertionError):
    """A script did not come out as it must; the transcript is in the text."""


def kind_of(message: AnyConsensus) -> str:
    """How scripts call a message."""
    match message:
        case Vote(phase=phase):
            return phase
        case Proposal():
            return "proposal"
        case ViewChange():
            return "view_change"
        case NewView():
            return "new_view"
        case Transaction():
            return "tx"
        case Status():
            return "status"
        case SyncRequest():
            return "sync"
        case Blocks():
            return "blocks"
        case SnapshotRequest():
            return "snapshot_request"
        case Snapshot():
            return "snapshot"
        case PieceRequest():
            return "piece_request"
        case Pieces():
            return "pieces"


@dataclass(frozen=True, slots=True)
class _Match:
    kinds: frozenset[str]
    to: frozenset[int]
    frm: frozenset[int]

    def takes(self, sender: int, receiver: int, message: AnyConsensus) -> bool:
        """An empty set means any."""
        return (
            (not self.kinds or kind_of(message) in self.kinds)
            and (not self.to or receiver in self.to)
            and (not self.frm or sender in self.frm)
        )


class Table:
    """`n` replicas, of which those in `liars` exist only as keys: the script speaks for them."""

    def __init__(
        self, n: int, *, liars: Collection[int] = (), config: PbftConfig | None = None, prunes: bool = False
    ) -> None:
        self.genesis = Genesis(tuple(identity_of(index).public_key for index in range(n)))
        self.rules = Rules(self.genesis, {identity_of(index).public_key for index in liars})
        self.config = config or PbftConfig()
        self.now_s = 0.0
        self.transcript: list[str] = []
        self.offences: list[str] = []
        self.flying: list[tuple[int, int, AnyConsensus]] = []
        """(from, to, message), oldest first."""
        self.nodes = [
            Node(index, identity_of(index), self.genesis, self.config, self._watch, prunes=prunes) for index in range(n)
        ]
        self.liars = frozenset(liars)
        for node in self.nodes:
            if node.index not in self.liars:
                self._put(node, node.start())

    # --- what a script does

    def submit(self, at: int, text: str) -> bytes:
        """A transaction of this replica's own; proposed at once if it is the primary."""
        return self._submit(at, f"set {text} 1")

    def leave(self, at: int, member: int) -> bytes:
        """The same, of a change of the committee: this member leaves it."""
        return self._submit(at, f"leave {self.key(member).public_key.hex()}")

    def tick(self, *at: int) -> None:
        """Let replicas look at the clock."""
        for index in at:
            node = self.nodes[index]
            if node.core is not None:
                self._put(node, node.perform(node.core.tick(self._now())))

    def pass_s(self, seconds: float, *at: int) -> None:
        """Let time pass; these replicas notice."""
        self.now_s += seconds
        self._say(f"pass {seconds:g} s at {at}")
        self.tick(*at)

    def time_out(self, *at: int) -> None:
        """Let time pass until the timers of these replicas are due; a Broken if one has none."""
        for index in at:
            due_s = self.replica(index).timer_s
            self.expect(due_s is not None, f"replica {index} waits for nothing")
            assert due_s is not None
            self.now_s = max(self.now_s, due_s)
        self._say(f"time out {at}")
        self.tick(*at)

    def deliver(
        self, kinds: str | Iterable[str] = "", *, to: Iterable[int] | int = (), frm: Iterable[int] | int = ()
    ) -> int:
        """Deliver what flies now and matches, in order; what that makes replicas send flies afterwards. How many."""
        wanted = _Match(_kinds(kinds), _numbers(to), _numbers(frm))
        chosen: list[tuple[int, int, AnyConsensus]] = []
        rest: list[tuple[int, int, AnyConsensus]] = []
        for entry in self.flying:
            (chosen if wanted.takes(*entry) else rest).append(entry)
        self.flying = rest
        for sender, receiver, message in chosen:
            self._hand_over(sender, receiver, message)
        return len(chosen)

    def drop(
        self, kinds: str | Iterable[str] = "", *, to: Iterable[int] | int = (), frm: Iterable[int] | int = ()
    ) -> None:
        """Lose what flies now and matches."""
        wanted = _Match(_kinds(kinds), _numbers(to), _numbers(frm))
        self.flying = [entry for entry in self.flying if not wanted.takes(*entry)]

    def settle(self, *, among: Iterable[int] = ()) -> None:
        """Deliver, and let replicas tick, until nothing flies; what goes beyond `among` is lost."""
        inside = set(among) or set(range(len(self.nodes)))
        for _ in range(ROUNDS):
            self.flying = [entry for entry in self.flying if entry[0] in inside and entry[1] in inside]
            self.tick(*sorted(inside))
            if not self.deliver():
                return
        raise Broken(f"still talking after {ROUNDS} rounds\n{self.told()}")

    def lie(self, frm: int, message: AnyConsensus, *to: int) -> None:
        """Deliver a liar's message at once."""
        self._say(f"lie {frm} -> {to}: {kind_of(message)}")
        for receiver in to:
            self._hand_over(frm, receiver, message)

    def crash(self, at: int, *, power: bool = False) -> None:
        """Lose a replica's memory; with the power, what was not durable on its disk too."""
        self._say(f"crash {at}" + (" with its power" if power else ""))
        self.nodes[at].crash(power=power)

    def start(self, at: int) -> None:
        """Start it again from its disk."""
        self._say(f"start {at}")
        self._put(self.nodes[at], self.nodes[at].start())
        self.rules.restarted(self.nodes[at])

    def forget(self, at: int) -> None:
        """Lose a replica's disk as well, and start it: it knows that there was one."""
        self._say(f"forget {at}")
        self.nodes[at].forget()
        self.start(at)

    def prove(self, at: int) -> None:
        """Have a replica in doubt submit something that nobody could have made before."""
        self._say(f"prove {at}")
        node, tx = self.nodes[at], f"set proof{at} {len(self.transcript)}".encode()
        self.rules.submitted.add(tx)
        assert node.core is not None
        self._put(node, node.perform(node.core.prove(self._now(), tx)))

    # --- what a script sees

    def key(self, at: int) -> Identity:
        """A replica's signing key."""
        return identity_of(at)

    def replica(self, at: int) -> Replica[Values]:
        """A replica's memory."""
        core = self.nodes[at].core
        assert core is not None, f"replica {at} is down"
        return core.replica

    def height(self, at: int) -> int:
        """Of the last committed block."""
        return self.nodes[at].height

    def block(self, at: int, height: int) -> Block:
        """A committed block."""
        return self.nodes[at].disk.blocks[height - 1].block.block

    def message(self, kind: str) -> AnyConsensus:
        """The newest of this kind that flies."""
        for _, _, message in reversed(self.flying):
            if kind_of(message) == kind:
                return message
        raise Broken(f"no {kind} flies\n{self.told()}")

    def expect(self, holds: bool, claim: str) -> None:
        """A Broken with the transcript unless it holds and no rule is violated."""
        if self.rules.violations:
            raise Broken(f"{'; '.join(self.rules.violations)}\n{self.told()}")
        if not holds:
            raise Broken(f"not so: {claim}\n{self.told()}")

    def expect_heights(self, height: int, *at: int) -> None:
        """These replicas have committed so many blocks."""
        for index in at:
            self.expect(self.height(index) == height, f"replica {index} is at {height} (it is at {self.height(index)})")

    def expect_stage(self, stage: Stage, *at: int) -> None:
        """These replicas are at this stage."""
        for index in at:
            is_at = self.replica(index).stage
            self.expect(is_at is stage, f"replica {index} is {stage.value} (it is {is_at.value})")

    def told(self) -> str:
        """What was done so far, and where everybody is."""
        lines = [f"  {node.index}: {node.core if node.core else 'down'}" for node in self.nodes]
        return "\n".join([*self.transcript, *lines])

    # --- inside

    def _submit(self, at: int, text: str) -> bytes:
        tx = text.encode()
        self.rules.submitted.add(tx)
        self._say(f"submit {at} {text[:40]}")
        node = self.nodes[at]
        assert node.core is not None
        self._put(node, node.perform(node.core.submit(self._now(), tx)))
        self.tick(at)
        return tx

    def _watch(self, node: Node, effect: Effect[Values]) -> None:
        self.rules.watch(node, effect)
        if isinstance(effect, Offence):
            self.offences.append(effect.error.code)
            self._say(f"  {node.index} charges {effect.error}")

    def _say(self, line: str) -> None:
        self.transcript.append(f"{self.now_s:7.3f} {line}")

    def _now(self) -> Now:
        return Now(self.now_s, EPOCH_UNIX_MS + 1000 + int(self.now_s * 1000))

    def _put(self, node: Node, outgoing: Iterable[Outgoing]) -> None:
        for out in outgoing:
            for other in self.nodes:
                addressed = other.key == out.to if out.to is not None else out.audience != "observers"
                if addressed and other is not node:
                    self.flying.append((node.index, other.index, out.message))

    def _hand_over(self, sender: int, receiver: int, message: AnyConsensus) -> None:
        node = self.nodes[receiver]
        if node.core is None:
            return
        self._say(f"  {sender} -> {receiver} {kind_of(message)}")
        try:
            opened = verify(decode_consensus(encode_consensus(message)))
        except RemoteProtocolError as error:
            self.offences.append(error.code)
            self._say(f"  {receiver} charges {error}")
            return
        self._put(node, node.perform(node.core.step(self._now(), self.nodes[sender].key, opened)))


def _kinds(kinds: str | Iterable[str]) -> frozenset[str]:
    return frozenset(kinds.split() if isinstance(kinds, str) else kinds)


def _numbers(numbers: Iterable[int] | int) -> frozenset[int]:
    return frozenset([numbers] if isinstance(numbers, int) else numbers)
