"""The loop around one core: drain the inbox, verify, step, make durable, send.

Everything that one batch makes this node write down is one transaction, durable if there is a vote in it, and nothing
of what follows from the batch is sent before it. When that transaction fails, the core in memory knows of votes that no
disk does: the loop ends with the StorageError, the core is thrown away, and what was to be sent never is.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog

from crypto.identity import short_id
from node.community.facts import Facts, facts_of
from node.community.inbox import Inbox, Incoming
from node.community.links import Links
from node.community.serving import Serving
from node.community.turn import Heeded, Opened, Outgoing, Turn, most_txs, open_all, open_each, take_turn
from node.community.waiters import Waiters
from node.env import Env
from node.ledger.chain.state import State
from node.ledger.pbft.blocks import OffTheClock
from node.ledger.pbft.core import Core
from node.ledger.pbft.effects import (
    Broadcast,
    Commit,
    Install,
    KeepPiece,
    Offence,
    Persist,
    Recovered,
    Send,
    SendBlocks,
    SendPieces,
    SendSnapshot,
)
from node.ledger.pbft.records import Accepted
from node.ledger.pbft.state import Now
from node.net.peers import Peers
from node.store.ledger_store import LedgerStore, Loaded, Write
from protocol.consensus import AnyConsensus, Equivocation, encode_consensus

INLINE_BYTES = 96 * 2**10
INLINE_TXS = 128
"""What is no more than that is done on the event loop, where it costs a third less than in threads: each signature that
is checked gives the interpreter's lock away and takes it again. More would hold up everybody else for too long."""
SLICE_S = 0.004
"""After so long on the loop others have a turn. A thread that computes holds them up for as long (the interpreter's
switch interval is 5 ms)."""
PARALLEL_FROM = 16
"""Fewer messages than this are verified in one thread: handing them over would cost more than it saves."""
THREADS = 2

Report = Callable[[Equivocation], None]
MakeProof = Callable[[State], bytes | None]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What one chain's core works with; its successor, too."""

    store: LedgerStore
    links: Links
    inbox: Inbox
    waiters: Waiters
    peers: Peers
    env: Env
    report: Report
    """Told of members that voted twice."""


class Shell:
    """One core at work. It is replaced, never repaired."""

    def __init__(self, core: Core[State], around: Surroundings) -> None:
        self._core = core
        self._store = around.store
        self._links = around.links
        self._inbox = around.inbox
        self._waiters = around.waiters
        self._peers = around.peers
        self._env = around.env
        self.facts: Facts = facts_of(core)
        self.state: State = core.replica.state
        """After the last stored block."""
        self.halted = ""
        """Why this replica has stopped for good, if it has."""
        self.off_the_clock = ""
        """What was wrong with the time of the last proposed block, if anything: then it had no vote from here."""
        self._report = around.report
        self._serving = Serving(around.store, around.env, (), 0)
        self._make_proof: MakeProof = lambda state: None

    async def run(self, loaded: Loaded, keep_blocks: int, make_proof: MakeProof) -> None:
        """Take up what was written down, then live; RecordError or StorageError when that cannot go on.

        `make_proof` gives a transaction that nobody could have made before, for a member that forgot its votes.
        """
        self._serving, self._make_proof = Serving(self._store, self._env, loaded.points, keep_blocks), make_proof
        turn = Turn(self.state)
        turn.add(await self._env.offload(self._core.restore, loaded.records, loaded.pieces))
        await self._carry_out(turn)
        while True:
            await self._inbox.wait(self._core.deadline())
            await self._carry_out(await self._turn(self._inbox.drain()))

    def _now(self) -> Now:
        return Now(asyncio.get_running_loop().time(), self._env.unix_ms())

    async def _turn(self, batch: list[Incoming]) -> Turn:
        """A batch through the core: on the loop, or where it is too much for that, in threads; order kept."""
        is_little = sum(len(one.data) for one in batch) <= INLINE_BYTES
        opened = await (self._open_in_slices(batch) if is_little else self._open_in_threads(batch))
        if most_txs(self._core, opened) > INLINE_TXS:
            return await self._env.offload(take_turn, self._core, self._now(), opened)
        return take_turn(self._core, self._now(), opened)

    async def _open_in_slices(self, batch: Sequence[Incoming]) -> list[Opened]:
        opened = list[Opened]()
        clock = asyncio.get_running_loop().time
        until_s = clock() + SLICE_S
        for _ in open_each(batch, opened, self._heeded()):
            if clock() > until_s:
                await asyncio.sleep(0)
                until_s = clock() + SLICE_S
        return opened

    async def _open_in_threads(self, batch: Sequence[Incoming]) -> list[Opened]:
        share = len(batch) if len(batch) < PARALLEL_FROM else -(-len(batch) // THREADS)
        parts = [batch[at : at + share] for at in range(0, len(batch), share)]
        opened = await asyncio.gather(*(self._env.offload(open_all, part, self._heeded()) for part in parts))
        return [one for part in opened for one in part]

    def _heeded(self) -> Heeded:
        replica = self._core.replica
        asking, fetch = replica.asking, replica.fetch
        return Heeded(self.facts.members, (asking.peer, fetch.peer if fetch else None, *asking.lately))

    async def _carry_out(self, turn: Turn) -> None:
        """Effects in their order: durable first, then everything else."""
        if turn.writes:
            await self._store.append(turn.writes, turn.before)
        self.state, self.facts = self._core.replica.state, facts_of(self._core)
        mail = dict[bytes, list[bytes]]()
        for effect in turn.outgoing:
            await self._address(effect, mail)
        for receiver, messages in mail.items():
            self._links.send(receiver, *messages)
        for write in turn.writes:
            self._written(write)
        for reject in turn.rejected:
            await self._waiters.rejected(reject, self._store)
        for offence in turn.offences:
            self._charge(offence)
        for equivocation in turn.evidence:
            self._report(equivocation)
        if turn.halted:
            self.halted = turn.halted
            log.error("ledger.halted", reason=turn.halted)
        if turn.needs_proof and (tx := self._make_proof(self.state)) is not None:
            proving = Turn(self.state)
            proving.add(await self._env.offload(self._core.prove, self._now(), tx))
            await self._carry_out(proving)

    def _written(self, write: Write) -> None:
        match write:
            case Commit():
                self._serving.committed(write)
                self._waiters.committed(write)
            case Install():
                self._serving.installed(write)
                self._waiters.moved()
                log.info("ledger.snapshot_installed", height=self.facts.height)
            case Recovered():
                log.info("ledger.votes_again", height=self.facts.height)
            case Persist(record=Accepted()):
                self.off_the_clock = ""
            case Persist() | KeepPiece():
                pass
            case _:
                assert_never(write)

    async def _address(self, effect: Outgoing, mail: dict[bytes, list[bytes]]) -> None:
        """Pack what is to be sent, for each receiver."""
        members = self.facts.members
        message: AnyConsensus | None
        match effect:
            case Send(to=to, message=message):
                receivers = [to]
            case Broadcast(message=message, audience=audience):
                receivers = self._links.members(members) if audience != "observers" else []
                receivers += self._links.observers(members) if audience != "members" else []
            case SendBlocks(to=to) | SendSnapshot(to=to) | SendPieces(to=to) if not self._links.may_answer(to):
                receivers, message = [], None  # it asks again
            case SendBlocks(to=to, height=height):
                receivers, message = [to], await self._store.page(height)
            case SendSnapshot(to=to, after=after):
                receivers, message = [to], await self._serving.snapshot(after)
            case SendPieces(to=to, names=names, after=after):
                receivers, message = [to], await self._serving.pieces(names, after)
            case _:
                assert_never(effect)
        if receivers and message is not None:
            data = encode_consensus(message)
            for receiver in dict.fromkeys(receivers):
                mail.setdefault(receiver, []).append(data)

    def _charge(self, offence: Offence) -> None:
        """Strangers are blocked after a few. A member never is: its vote may be needed, and who lies is voted out."""
        if isinstance(offence.error, OffTheClock):
            self.off_the_clock = offence.error.text
        if offence.peer in self.facts.members:
            log.warning("ledger.member_offended", peer=short_id(offence.peer), error=str(offence.error))
        else:
            self._peers.charge(offence.peer, offence.error.code)


MakeShell = Callable[[Core[State], Surroundings], Shell]
"""What brings a core to work: `Shell`, or in a testnet one that does something else with what the core says."""
