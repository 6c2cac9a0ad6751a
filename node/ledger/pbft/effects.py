"""What a core wants done, in order. A Persist or Commit must be durable before any later Send or Broadcast leaves.

A shell may collect the effects of several calls and make all their Persists and Commits durable at once
(group commit), as long as nothing is sent before that.
"""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from node.ledger.pbft.opened import OpenBlock, OpenCertificate
from node.ledger.pbft.records import AnyRecord
from protocol.consensus import AnyConsensus, Equivocation
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
class NeedSnapshot:
    """`peer` keeps no blocks as old as those needed next: fetch a snapshot of at least `height` and adopt() it."""

    peer: bytes
    height: int


@dataclass(frozen=True, slots=True)
class Halt:
    """This replica's state is not everybody's: it votes no more until a person has looked. The rest is silence."""

    reason: str


Effect = Persist | Send | Broadcast | SendBlocks | Commit[S] | Evidence | Offence | Reject | NeedSnapshot | Halt
