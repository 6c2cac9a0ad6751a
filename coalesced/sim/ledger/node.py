"""One replica with its disk, which outlives it; what its core wants sent is handed out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from coalesced.sim.ledger.machine import KeyValues, Values
from coalesced.testnet.byzantine.conduct import Outgoing
from crypto.hashing import tagged_hash
from crypto.identity import Identity
from node.ledger.pbft.config import PbftConfig
from node.ledger.pbft.core import Core
from node.ledger.pbft.effects import (
    Broadcast,
    Commit,
    Effect,
    Evidence,
    Halt,
    NeedSnapshot,
    Offence,
    Persist,
    Reject,
    Send,
    SendBlocks,
)
from node.ledger.pbft.normal import head_of
from node.ledger.pbft.records import (
    Accepted,
    AnyRecord,
    AskedView,
    EnteredView,
    Prepared,
    decode_record,
    encode_record,
    still_needed,
)
from node.ledger.pbft.state import Head
from protocol.consensus import Blocks, Committed, decode_ballot

PAGE_BLOCKS = 5
"""Small, so that catching up takes several pages."""
EPOCH_UNIX_MS = 1_700_000_000_000


def identity_of(index: int) -> Identity:
    """The key of node `index`; the same in every world, so that the signing key is derived once."""
    return _IDENTITIES.setdefault(index, Identity(tagged_hash(b"sim-ledger", index.to_bytes(4, "big"))))


_IDENTITIES: dict[int, Identity] = {}


@dataclass(frozen=True, slots=True)
class Genesis:
    """What a chain begins with."""

    members: tuple[bytes, ...]

    @property
    def chain(self) -> bytes:
        """The genesis hash."""
        return tagged_hash(b"sim-genesis", *self.members)

    @property
    def head(self) -> Head:
        """Before the first block."""
        return Head(0, self.chain, EPOCH_UNIX_MS)

    @property
    def state(self) -> Values:
        """Before the first block."""
        return Values(self.members, {})


@dataclass(slots=True)
class Disk:
    """What is durable: blocks with the state after each, and the log of votes."""

    blocks: list[Commit[Values]] = field(default_factory=list)
    log: list[bytes] = field(default_factory=list)
    said: set[tuple[str, int, int, bytes]] = field(default_factory=set)
    """What may be sent, since it is durable: (phase, height, view, block) of votes, ("view", height, view, b"")."""

    def write(self, record: AnyRecord) -> None:
        """Append to the log."""
        self.log.append(encode_record(record))
        match record:
            case AskedView(height=height, view=view):
                self.said.add(("view", height, view, b""))
            case Accepted(height=height, proposal=proposal):
                ballot = decode_ballot(proposal.vote.ballot)
                self.said.add(("prepare", height, ballot.view, ballot.block))
            case Prepared(height=height, certificate=certificate):
                ballot = decode_ballot(certificate.ballot)
                self.said.add(("commit", height, ballot.view, ballot.block))
            case EnteredView():
                pass

    def page(self, height: int) -> Blocks:
        """Stored blocks from `height` on."""
        chosen = self.blocks[height - 1 : height - 1 + PAGE_BLOCKS]
        return Blocks(
            first_height=1,
            head_height=len(self.blocks),
            blocks=tuple(Committed(block=c.block.block, certificate=c.certificate.certificate) for c in chosen),
        )


Watcher = Callable[["Node", Effect[Values]], None]


class Node:
    """A process that may crash between any two effects, and start again from its disk."""

    def __init__(self, index: int, identity: Identity, genesis: Genesis, config: PbftConfig, watch: Watcher) -> None:
        self.index = index
        self.identity = identity
        self.genesis = genesis
        self.config = config
        self.disk = Disk()
        self.watch = watch
        self.machine = KeyValues()
        self.core: Core[Values] | None = None
        self.effects_until_crash: int | None = None
        """A crash happens after so many more effects."""

    @property
    def key(self) -> bytes:
        """Its public key; twins share one."""
        return self.identity.public_key

    @property
    def height(self) -> int:
        """Of the last block that it stored."""
        return len(self.disk.blocks)

    @property
    def is_up(self) -> bool:
        """Whether the process runs."""
        return self.core is not None

    def start(self) -> list[Outgoing]:
        """Begin, or begin again after a crash."""
        head, state = self.genesis.head, self.genesis.state
        if self.disk.blocks:
            last = self.disk.blocks[-1]
            head, state = head_of(last.block, last.certificate), last.state
        self.effects_until_crash = None
        self.core = Core(self.identity, self.machine, self.config, chain=self.genesis.chain, head=head, state=state)
        return self.perform(self.core.restore([decode_record(record) for record in self.disk.log]))

    def crash(self) -> None:
        """Lose everything but the disk."""
        self.core = None

    def perform(self, effects: Sequence[Effect[Values]]) -> list[Outgoing]:
        """Carry out effects in order; what is to be sent is returned. A crash loses what comes after it."""
        outgoing: list[Outgoing] = []
        for effect in effects:
            if self.effects_until_crash is not None:
                if self.effects_until_crash == 0:
                    self.crash()
                    break
                self.effects_until_crash -= 1
            self.watch(self, effect)
            outgoing += self._perform(effect)
        return outgoing

    def _perform(self, effect: Effect[Values]) -> list[Outgoing]:
        match effect:
            case Persist(record=record):
                self.disk.write(record)
            case Commit():
                self.disk.blocks.append(effect)
                records = still_needed([decode_record(record) for record in self.disk.log], self.height)
                self.disk.log = [encode_record(record) for record in records]
            case Send(to=to, message=message):
                return [Outgoing(message, to)]
            case Broadcast(message=message, audience=audience):
                return [Outgoing(message, None, audience)]
            case SendBlocks(to=to, height=height):
                return [Outgoing(self.disk.page(height), to)]
            case Evidence() | Offence() | Reject() | NeedSnapshot() | Halt():
                pass
            case _:
                assert_never(effect)
        return []
