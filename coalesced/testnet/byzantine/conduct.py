"""What a hostile member is, in the simulator and in a real testnet: an honest replica whose words are twisted.

Its core stays a real one, which hears everything; a `Conduct` sees what comes in and decides what goes out instead of
what the core says.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Generic

from coalesced.testnet.byzantine import forge
from crypto.identity import Identity
from node.ledger.pbft.core import Core
from node.ledger.pbft.state import Now, S
from protocol.consensus import AnyConsensus, Block, decode_header
from protocol.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for one key, or for an audience; `after_s` later than an honest replica would send it."""

    message: AnyConsensus
    to: bytes | None
    audience: str = ""
    after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation(Generic[S]):
    """What a hostile member has to work with."""

    identity: Identity
    chain: bytes
    rng: Random
    core: Callable[[], Core[S] | None]
    """Its replica, to be looked at; None while the process is down."""
    known: Callable[[], Sequence[bytes]]
    """Whom it may write to, itself included."""
    now: Callable[[], Now]


class Conduct(Generic[S]):
    """The base of all kinds: hears, and says what its core says."""

    def __init__(self, situation: Situation[S]) -> None:
        self.situation = situation
        self.identity = situation.identity
        self.rng = situation.rng

    def hear(self, sender: bytes, message: AnyConsensus) -> None:
        """A message has come, and is about to be handed to the core."""

    def twist(self, outgoing: Sequence[Outgoing]) -> Iterator[Outgoing]:
        """What it sends instead of what its core wants sent."""
        yield from outgoing

    def receivers(self, out: Outgoing) -> list[bytes]:
        """The keys that an honest replica would send this to."""
        me = self.identity.public_key
        if out.to is not None:
            return [out.to]
        core = self.situation.core()
        members = core.replica.committee if core is not None else ()
        return [
            key
            for key in self.situation.known()
            if key != me and (out.audience == "all" or (out.audience == "members") == (key in members))
        ]

    def rival(self, block: Block) -> Block:
        """Like `block`, but with its transactions in another order, or fewer, or executed wrongly."""
        core, header = self.situation.core(), decode_header(block.header)
        txs = tuple(self.rng.sample(block.txs, self.rng.randrange(1, len(block.txs) + 1)))
        root = self.rng.randbytes(32)
        if core is not None and self.rng.random() < 0.8:
            machine = core.replica.machine
            try:
                state = machine.apply(
                    core.replica.state, txs, height=header.height, time_unix_ms=header.time_unix_ms + 1
                )
                root = machine.root(state)
            except RemoteProtocolError:
                pass  # these transactions are committed: the made-up root will do
        return forge.block(block, txs, root, time_unix_ms=header.time_unix_ms + 1)
