"""What a core wants done, in order. A Persist must be durable before any later Send or Broadcast leaves.

A shell may collect the effects of several calls and make all their Persists durable at once (group commit), as long as
nothing is sent before that. A Commit or Install must be written in its place among them, and be durable no later than
the next Persist; it need not be so before what follows it is sent. For q members have written down, durably, that they
prepared that block, so it is the committee that loses nothing: a replica that loses power may lose its last blocks
together with all it wrote after them, and gets the same blocks again. Only a block that changes the committee must be
durable first: those who are to bring it again may be let go by it, and be gone.
"""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from node.ledger.pbft.opened import OpenBlock, OpenCertificate
from node.ledger.pbft.records import AnyRecord
from protocol.consensus import AnyConsensus, Certificate, CommitteeLink, Equivocation
from protocol.errors import RemoteProtocolError

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Persist:
    """Append this to the log of votes."""

    record: AnyRecord


@dataclass(frozen=True, slots=True)
class Send:
    """Send to the one peer with this key; it may be gone: that is no error."""

    to: bytes
    message: AnyConsensus


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send to every other member of the committee, to the connected peers that are no members, or to both."""

    message: AnyConsensus
    audience: Literal["members", "observers", "all"] = "members"


@dataclass(frozen=True, slots=True)
class SendBlocks:
    """Send one page (Blocks) of stored blocks from `height` on, if there are any; else what is there to be had."""

    to: bytes
    height: int


@dataclass(frozen=True, slots=True)
class Commit(Generic[S]):
    """This block is final: store it with its certificate. `state` is the state after it."""

    block: OpenBlock
    certificate: OpenCertificate
    state: S


@dataclass(frozen=True, slots=True)
class Evidence:
    """A member signed two votes that exclude each other."""

    equivocation: Equivocation


@dataclass(frozen=True, slots=True)
class Offence:
    """What this peer sent breaks the protocol, and changed nothing: its account is charged."""

    peer: bytes
    error: RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Reject:
    """A transaction left the pool, or was never let in, for this reason."""

    tx_id: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class SendSnapshot:
    """Send what describes the newest state that is served here (Snapshot), with the links after height `after`."""

    to: bytes
    after: int


@dataclass(frozen=True, slots=True)
class SendPieces:
    """Send those of these pieces that are served here (Pieces), as many as one message takes; else as SendSnapshot."""

    to: bytes
    names: tuple[bytes, ...]
    after: int


@dataclass(frozen=True, slots=True)
class KeepPiece:
    """A piece of a snapshot that is being fetched: keep it, so that a restart need not fetch it again."""

    piece: bytes


@dataclass(frozen=True, slots=True)
class Install(Generic[S]):
    """Go on from this state in place of all that is stored: to be stored at once and as a whole, like a Commit.

    `links` are the changes of the committee after the old head, up to this block's own.
    """

    header: bytes
    certificate: Certificate
    links: tuple[CommitteeLink, ...]
    state: S


@dataclass(frozen=True, slots=True)
class NeedProof:
    """Make a transaction that nobody could have made before now, and give it to prove(): its block ends the doubt."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What this member forgot is decided by now: it votes again. To be stored."""


@dataclass(frozen=True, slots=True)
class Halt:
    """This replica's state is not everybody's: it votes no more until a person has looked. The rest is silence."""

    reason: str


Effect = (
    Persist
    | Send
    | Broadcast
    | SendBlocks
    | SendSnapshot
    | SendPieces
    | KeepPiece
    | Commit[S]
    | Install[S]
    | Evidence
    | Offence
    | Reject
    | NeedProof
    | Recovered
    | Halt
)
