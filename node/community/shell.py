"""The loop around one core: drain the inbox, verify, step, make durable, send.

Everything that one batch makes this node write down is one durable transaction, and nothing of what follows from the
batch is sent before it. When that transaction fails, the core in memory knows of votes that no disk does: the loop
ends with the StorageError, the core is thrown away, and what was to be sent never is.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import assert_never

import structlog

from crypto.identity import short_id
from node.community.facts import Facts, facts_of
from node.community.inbox import Inbox, Incoming
from node.community.links import Links
from node.community.turn import Outgoing, Turn, open_all, take_turn
from node.community.waiters import Waiters
from node.env import Env
from node.ledger.chain.state import State
from node.ledger.pbft.core import Core
from node.ledger.pbft.effects import Broadcast, Offence, Send, SendBlocks
from node.ledger.pbft.records import AnyRecord
from node.ledger.pbft.state import Now
from node.net.peers import Peers
from node.store.ledger_store import LedgerStore
from protocol.consensus import Equivocation, encode_consensus

PARALLEL_FROM = 16
"""Fewer messages than this are verified in one thread: handing them over would cost more than it saves."""
THREADS = 2

Report = Callable[[Equivocation], None]

log = structlog.get_logger()


class Shell:
    """One core at work. It is replaced, never repaired."""

    def __init__(
        self,
        core: Core[State],
        store: LedgerStore,
        links: Links,
        inbox: Inbox,
        waiters: Waiters,
        peers: Peers,
        env: Env,
        report: Report,
    ) -> None:
        """`report` is told of members that voted twice."""
        self._core = core
        self._store = store
        self._links = links
        self._inbox = inbox
        self._waiters = waiters
        self._peers = peers
        self._env = env
        self.facts: Facts = facts_of(core)
        self.state: State = core.replica.state
        """After the last stored block."""
        self.halted = ""
        """Why this replica has stopped for good, if it has."""
        self._report = report

    async def run(self, records: Sequence[AnyRecord]) -> None:
        """Take up what the log of votes tells, then live; RecordError or StorageError when that cannot go on."""
        turn = Turn(self.state)
        turn.add(await self._env.offload(self._core.restore, records))
        await self._carry_out(turn)
        while True:
            await self._inbox.wait(self._core.deadline())
            await self._carry_out(await self._turn(self._inbox.drain()))

    def _now(self) -> Now:
        return Now(asyncio.get_running_loop().time(), self._env.unix_ms())

    async def _turn(self, batch: list[Incoming]) -> Turn:
        """A batch through the core, off the loop: what is much is verified in several threads first, order kept."""
        if len(batch) < PARALLEL_FROM:
            return await self._env.offload(_open_and_take, self._core, self._now(), batch)
        share = -(-len(batch) // THREADS)
        parts = [batch[at : at + share] for at in range(0, len(batch), share)]
        opened = await asyncio.gather(*(self._env.offload(open_all, part) for part in parts))
        flat = [one for part in opened for one in part]
        return await self._env.offload(take_turn, self._core, self._now(), flat)

    async def _carry_out(self, turn: Turn) -> None:
        """Effects in their order: durable first, then everything else."""
        if turn.writes:
            await self._store.append(turn.writes, turn.before)
        self.state, self.facts = self._core.replica.state, facts_of(self._core)
        for effect in turn.outgoing:
            await self._send(effect)
        for commit in turn.commits:
            self._waiters.committed(commit)
        for reject in turn.rejected:
            await self._waiters.rejected(reject, self._store)
        for offence in turn.offences:
            self._charge(offence)
        for equivocation in turn.evidence:
            self._report(equivocation)
        for missing in turn.missing:
            log.warning("ledger.blocks_missing", peer=short_id(missing.peer), height=missing.height)
        if turn.halted:
            self.halted = turn.halted
            log.error("ledger.halted", reason=turn.halted)

    async def _send(self, effect: Outgoing) -> None:
        members = self.facts.members
        match effect:
            case Send(to=to, message=message):
                receivers = [to]
            case Broadcast(message=message, audience=audience):
                receivers = self._links.members(members) if audience != "observers" else []
                receivers += self._links.observers(members) if audience != "members" else []
            case SendBlocks(to=to, height=height):
                receivers, message = [to], await self._store.page(height)
            case _:
                assert_never(effect)
        if receivers:
            data = encode_consensus(message)
            for receiver in dict.fromkeys(receivers):
                self._links.send(receiver, data)

    def _charge(self, offence: Offence) -> None:
        """Strangers are blocked after a few. A member never is: its vote may be needed, and who lies is voted out."""
        if offence.peer in self.facts.members:
            log.warning("ledger.member_offended", peer=short_id(offence.peer), error=str(offence.error))
        else:
            self._peers.charge(offence.peer, offence.error.code)


MakeShell = Callable[[Core[State], LedgerStore, Links, Inbox, Waiters, Peers, Env, Report], Shell]
"""What brings a core to work: `Shell`, or in a testnet one that does something else with what the core says."""


def _open_and_take(core: Core[State], now: Now, batch: Sequence[Incoming]) -> Turn:
    return take_turn(core, now, open_all(batch))
