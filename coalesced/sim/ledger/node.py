"""One replica with its disk, which outlives it; what its core wants sent is handed out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from coalesced.sim.ledger.disk import Disk
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
from node.ledger.pbft.records import decode_record
from node.ledger.pbft.state import Head

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


Watcher = Callable[["Node", Effect[Values]], None]


class Node:
    """A process that may crash between any two effects, and start again from its disk."""

    def __init__(
        self,
        index: int,
        identity: Identity,
        genesis: Genesis,
        config: PbftConfig,
        watch: Watcher,
        *,
        prunes: bool = False,
    ) -> None:
        self.index = index
        self.identity = identity
        self.genesis = genesis
        self.config = config
        self.disk = Disk(prunes)
        self.watch = watch
        self.machine = KeyValues()
        self.core: Core[Values] | None = None
        self.effects_until_crash: int | None = None
        """A crash happens after so many more effects."""
        self.is_power = False
        """Whether that crash is a loss of power."""
        self.has_lost = False
        """Whether the last crash took something that was written."""
        self.wants_proof = False

    @property
    def key(self) -> bytes:
        """Its public key; twins share one."""
        return self.identity.public_key

    @property
    def height(self) -> int:
        """Of the last block that it stored."""
        return self.disk.height

    @property
    def is_up(self) -> bool:
        """Whether the process runs."""
        return self.core is not None

    def start(self) -> list[Outgoing]:
        """Begin, or begin again after a crash."""
        head, state = self.disk.last or (self.genesis.head, self.genesis.state)
        self.effects_until_crash = None
        self.core = Core(
            self.identity,
            self.machine,
            self.config,
            chain=self.genesis.chain,
            head=head,
            state=state,
            forgot=self.disk.forgot,
        )
        records = [decode_record(record) for record in self.disk.log]
        return self.perform(self.core.restore(records, self.disk.pieces))

    def crash(self, *, power: bool = False) -> None:
        """Lose everything but the disk; with the power, what was not durable on it too."""
        self.core, self.wants_proof = None, False
        if power and self.disk.lose_power():
            self.has_lost = True

    def forget(self) -> None:
        """Lose the disk as well, and know that there was one."""
        self.crash()
        self.disk, self.has_lost = Disk(self.disk.prunes, forgot=True), True

    def perform(self, effects: Sequence[Effect[Values]]) -> list[Outgoing]:
        """Carry out effects in order; what is to be sent is returned. A crash loses what comes after it."""
        outgoing: list[Outgoing] = []
        for effect in effects:
            if self.effects_until_crash is not None:
                if self.effects_until_crash == 0:
                    self.crash(power=self.is_power)
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
                last = self.disk.last
                self.disk.store(effect, (last[1] if last else self.genesis.state).members)
            case Install():
                self.disk.install(effect)
            case KeepPiece(piece=piece):
                self.disk.pieces.append(piece)
            case Recovered():
                self.disk.recovered()
            case NeedProof():
                self.wants_proof = True
            case Send(to=to, message=message):
                return [Outgoing(message, to)]
            case Broadcast(message=message, audience=audience):
                return [Outgoing(message, None, audience)]
            case SendBlocks(to=to, height=height):
                return [Outgoing(self.disk.page(height), to)]
            case SendSnapshot(to=to, after=after):
                return [Outgoing(answer, to) for answer in (self.disk.snapshot(after),) if answer is not None]
            case SendPieces(to=to, names=names, after=after):
                return [Outgoing(answer, to) for answer in (self.disk.served(names, after),) if answer is not None]
            case Evidence() | Offence() | Reject() | Halt():
                pass
            case _:
                assert_never(effect)
        return []
