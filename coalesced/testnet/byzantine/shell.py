"""The real node's shell with a hostile layer: what comes in is heard, what would go out is twisted."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import assert_never

from coalesced.testnet.byzantine.conduct import Conduct, Outgoing, Situation
from coalesced.testnet.byzantine.kinds import CONDUCTS
from coalesced.testnet.byzantine.witness import Witness
from coalesced.testnet.manifest import Lie
from node.community.inbox import Incoming
from node.community.shell import MakeShell, Shell, Surroundings
from node.community.turn import Outgoing as Said
from node.community.turn import Turn
from node.errors import UsageError
from node.ledger.chain.state import State
from node.ledger.pbft.core import Core
from node.ledger.pbft.effects import Broadcast, Send, SendBlocks, SendPieces, SendSnapshot
from node.ledger.pbft.state import Now
from protocol.consensus import AnyConsensus, decode_consensus, encode_consensus
from protocol.errors import RemoteProtocolError


class HostileShell(Shell):
    """As Shell; its core lives, votes and writes down as an honest one, and somebody else speaks for it."""

    def __init__(self, core: Core[State], around: Surroundings, *, kind: Lie, witness: Witness) -> None:
        super().__init__(core, around)
        loop = asyncio.get_running_loop()
        self._conduct: Conduct[State] = CONDUCTS[kind](
            Situation(
                identity=core.replica.identity,
                chain=core.replica.chain,
                rng=Random(around.env.entropy(16)),
                core=lambda: core,
                known=lambda: self._known,
                # Conducts run off the loop, where no loop is running.
                now=lambda: Now(loop.time(), around.env.unix_ms()),
            )
        )
        self._witness = witness
        self._known: list[bytes] = []
        """Everybody on this chain, as it was when the conduct last went to work: off the loop, peers come and go."""

    def _look_around(self) -> None:
        members = self._core.replica.committee.members
        self._known = [*members, *self._links.observers(members)]

    async def _turn(self, batch: list[Incoming]) -> Turn:
        self._look_around()
        await self._env.offload(self._hear, batch)
        return await super()._turn(batch)

    def _hear(self, batch: Sequence[Incoming]) -> None:
        for one in batch:
            if one.sender is None:
                continue
            try:
                message = decode_consensus(one.data)
            except RemoteProtocolError:
                continue
            self._witness.hear(message)
            self._conduct.hear(one.sender, message)

    async def _carry_out(self, turn: Turn) -> None:
        """All as an honest one does it, but the sending."""
        said, turn.outgoing = turn.outgoing, []
        await super()._carry_out(turn)
        outgoing = [out for effect in said if (out := await self._outgoing(effect)) is not None]
        self._look_around()
        for out in await self._env.offload(self._twisted, outgoing):
            self._say(out)

    async def _outgoing(self, effect: Said) -> Outgoing | None:
        """What the core wants sent, with what is to be read for it; None when that is not there."""
        match effect:
            case Send(to=to, message=message):
                return Outgoing(message, to)
            case Broadcast(message=message, audience=audience):
                return Outgoing(message, None, audience)
            case SendBlocks(to=to, height=height):
                return Outgoing(await self._store.page(height), to)
            case SendSnapshot(to=to, after=after):
                snapshot = await self._serving.snapshot(after)
                return None if snapshot is None else Outgoing(snapshot, to)
            case SendPieces(to=to, names=names, after=after):
                pieces = await self._serving.pieces(names, after)
                return None if pieces is None else Outgoing(pieces, to)
            case _:
                assert_never(effect)

    def _twisted(self, outgoing: Sequence[Outgoing]) -> list[Outgoing]:
        return list(self._conduct.twist(outgoing))

    def _say(self, out: Outgoing) -> None:
        receivers = self._conduct.receivers(out)
        if out.after_s:
            asyncio.get_running_loop().call_later(out.after_s, self._send_to, receivers, out.message)
        else:
            self._send_to(receivers, out.message)

    def _send_to(self, receivers: Sequence[bytes], message: AnyConsensus) -> None:
        data = encode_consensus(message)
        for receiver in receivers:
            self._links.send(receiver, data)


def only_on(chain: bytes, kind: Lie, witness: Witness) -> MakeShell:
    """Makes hostile shells for the one chain that lies are allowed on."""

    def make(core: Core[State], around: Surroundings) -> Shell:
        if core.replica.chain != chain:
            raise UsageError(f"chain {core.replica.chain.hex()} is not this testnet's: nobody lies on it")
        return HostileShell(core, around, kind=kind, witness=witness)

    return make
