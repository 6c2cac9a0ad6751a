"""Everything one replica remembers, and the phases that it goes through.

Two rules keep agreement, whatever else happens. At one height a replica votes once in a view and never again in a
lower one; and it enters a higher view only with q VIEW-CHANGEs, which bind it to the highest block prepared before.
All that is needed for them (`view`, `voted`, `prepared`) is written down before anyone is told. The view in which a
replica arrives at a new height is of no importance to agreement, since nothing was voted on there.

The rest is about going on: handlers file what came and `settle` (core.py) draws the conclusions until there are none,
so that it does not matter in which order things come. Phases change only along TRANSITIONS.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Final, Generic, TypeVar

from crypto.identity import Identity
from node.ledger.machine import Machine
from node.ledger.pbft.config import PbftConfig
from node.ledger.pbft.effects import Effect
from node.ledger.pbft.opened import OpenBlock, OpenCertificate, OpenViewChange, Verified
from node.ledger.pbft.pool import Pool
from node.ledger.pbft.quorum import Committee
from node.ledger.pbft.votes import Votes
from protocol.consensus import Certificate, NewView, Phase, Proposal, Snapshot
from protocol.errors import LocalProtocolError

S = TypeVar("S")
LATE_PEERS: Final = 3


class Stage(Enum):
    """Where a replica is with the height that it decides."""

    FOLLOWING = "following"
    IDLE = "idle"
    PREPARING = "preparing"
    COMMITTING = "committing"
    CHANGING = "changing"
    HALTED = "halted"


class Event(Enum):
    """What moves it on."""

    ACCEPTED = "proposal accepted"
    PREPARED = "q PREPAREs"
    COMMITTED = "block committed"
    OVERTAKEN = "block committed in this view or a later one"
    ASKED = "view change asked for"
    NEW_VIEW = "NEW-VIEW justified"
    ELECTED = "member from this height on"
    RETIRED = "member no longer"
    DIVERGED = "own state is not the certified one"


TRANSITIONS: Final[dict[tuple[Stage, Event], Stage]] = {
    (Stage.IDLE, Event.ACCEPTED): Stage.PREPARING,
    (Stage.PREPARING, Event.PREPARED): Stage.COMMITTING,
    (Stage.IDLE, Event.COMMITTED): Stage.IDLE,
    (Stage.PREPARING, Event.COMMITTED): Stage.IDLE,
    (Stage.COMMITTING, Event.COMMITTED): Stage.IDLE,
    (Stage.CHANGING, Event.COMMITTED): Stage.CHANGING,
    (Stage.FOLLOWING, Event.COMMITTED): Stage.FOLLOWING,
    (Stage.CHANGING, Event.OVERTAKEN): Stage.IDLE,
    (Stage.IDLE, Event.ASKED): Stage.CHANGING,
    (Stage.PREPARING, Event.ASKED): Stage.CHANGING,
    (Stage.COMMITTING, Event.ASKED): Stage.CHANGING,
    (Stage.CHANGING, Event.ASKED): Stage.CHANGING,
    (Stage.IDLE, Event.NEW_VIEW): Stage.IDLE,
    (Stage.PREPARING, Event.NEW_VIEW): Stage.IDLE,
    (Stage.COMMITTING, Event.NEW_VIEW): Stage.IDLE,
    (Stage.CHANGING, Event.NEW_VIEW): Stage.IDLE,
    (Stage.FOLLOWING, Event.ELECTED): Stage.IDLE,
    (Stage.IDLE, Event.RETIRED): Stage.FOLLOWING,
    (Stage.CHANGING, Event.RETIRED): Stage.FOLLOWING,
    **{(stage, Event.DIVERGED): Stage.HALTED for stage in Stage},
}


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    rows: dict[tuple[Stage, Stage], list[str]] = {}
    for (stage, event), to in TRANSITIONS.items():
        if event is not Event.DIVERGED:
            rows.setdefault((stage, to), []).append(event.value)
    lines = [f"    {stage.value} --> {to.value}: {', '.join(events)}" for (stage, to), events in rows.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> following", "    [*] --> idle", *lines])


@dataclass(frozen=True, slots=True)
class Now:
    """The two clocks: `s` never goes back and drives timers; `unix_ms` is the wall clock, for the time of blocks."""

    s: float
    unix_ms: int


@dataclass(frozen=True, slots=True)
class Head:
    """The last committed block. Of a chain without blocks: height 0, the genesis hash, no certificate."""

    height: int
    hash: bytes
    time_unix_ms: int
    certificate: Certificate | None = None
    view: int = 0
    """The view of its certificate."""


@dataclass(frozen=True, slots=True)
class Candidate(Generic[S]):
    """A block that was executed, and the state after it."""

    block: OpenBlock
    state: S


@dataclass(slots=True)
class Asking:
    """Who is known to have blocks that are missing here, and whom they are asked of."""

    ahead: dict[bytes, int] = field(default_factory=dict)
    """Peers, and how far they say they are."""
    peer: bytes | None = None
    until_s: float | None = None
    in_vain: dict[bytes, None] = field(default_factory=dict)
    """Peers that were asked and did not help, the last one last."""

    @property
    def lately(self) -> tuple[bytes, ...]:
        """The last few of these: a large page over a slow link may still come."""
        return tuple(islice(reversed(self.in_vain), LATE_PEERS))


@dataclass(slots=True)
class Fetch:
    """A state that is being fetched in place of blocks; its pieces are the replica's."""

    sources: dict[bytes, None] = field(default_factory=dict)
    """Peers that may have it, in the order in which they are asked."""
    peer: bytes | None = None
    """Who is asked now, and until when."""
    until_s: float | None = None
    snapshot: Snapshot | None = None
    """Proven: certified, and with an outline of this state."""
    names: tuple[bytes, ...] = ()
    height: int = 0


@dataclass(slots=True)
class Replica(Generic[S]):
    """The memory of a core; only the modules of this folder touch it."""

    identity: Identity
    machine: Machine[S]
    config: PbftConfig
    chain: bytes
    head: Head
    state: S
    committee: Committee
    pool: Pool
    stage: Stage = Stage.IDLE
    view: int = 0
    patience: int = 0
    """How often the time-out is doubled: one more for every view asked for, one less for every block."""

    # Of the height that is being decided:
    accepted: Proposal | None = None
    """What my PREPARE in this view is for."""
    accepted_hash: bytes | None = None
    bound_to: bytes | None = None
    """The block that this view's NEW-VIEW proposes again: nothing else may be accepted."""
    prepared: OpenCertificate | None = None
    """The highest q PREPAREs that I sent a COMMIT for; its block is among the candidates."""
    candidates: dict[bytes, Candidate[S]] = field(default_factory=dict)
    votes: Votes = field(default_factory=Votes)
    voted: dict[tuple[Phase, int], bytes] = field(default_factory=dict)
    """What I voted for, by phase and view."""
    new_view: NewView | None = None
    """What justified this view at this height, for those who missed it."""

    # Of the others:
    changes: dict[bytes, OpenViewChange] = field(default_factory=dict)
    """The furthest VIEW-CHANGE of every member."""
    declared: tuple[int, int] | None = None
    """(height, view) of my own last one."""
    early: dict[bytes, deque[tuple[bytes, Verified]]] = field(default_factory=dict)
    """Messages for the next height or a later view, with their senders, by who is answerable for them."""
    replay_due: bool = False
    asking: Asking = field(default_factory=Asking)
    helped: dict[bytes, tuple[tuple[int, int], float]] = field(default_factory=dict)
    """What peers that are behind were last given, and when."""

    fetch: Fetch | None = None
    pieces: dict[bytes, bytes] = field(default_factory=dict)
    """Of the state that is being fetched, by name."""

    # After a loss of the log of votes:
    forgot: bool = False
    """This member does not know what it voted for: it votes no more until that is decided without it (doubt.py)."""
    proofs: dict[bytes, None] = field(default_factory=dict)
    """Transactions that did not exist before the loss was noticed, by id."""
    prove_s: float = 0.0

    arrived_s: float = 0.0
    """When the head was committed."""
    timer_s: float | None = None
    """When another primary is asked for; None while nothing is waited for."""
    resend_s: float = 0.0
    """When votes are repeated: a while after what `resend_after` names began."""
    resend_after: tuple[int, int, Stage] | None = None
    tell_s: float = 0.0
    status_s: float = 0.0
    effects: list[Effect[S]] = field(default_factory=list)

    @property
    def me(self) -> bytes:
        """My public key."""
        return self.identity.public_key

    @property
    def height(self) -> int:
        """The height that is being decided."""
        return self.head.height + 1

    @property
    def is_member(self) -> bool:
        """Whether I vote on this height."""
        return self.me in self.committee and not self.forgot

    @property
    def is_active(self) -> bool:
        """Whether I vote in this view, as opposed to waiting for its NEW-VIEW."""
        return self.stage in (Stage.IDLE, Stage.PREPARING, Stage.COMMITTING)

    @property
    def is_primary(self) -> bool:
        """Whether I propose in this view."""
        return self.committee.primary(self.view) == self.me

    @property
    def timeout_s(self) -> float:
        """How long to wait before another primary is asked for."""
        return float(self.config.view_timeout_ms * 2 ** min(self.patience, self.config.max_doublings)) / 1000

    def emit(self, effect: Effect[S]) -> None:
        """Add to what is to be done."""
        self.effects.append(effect)

    def go(self, event: Event) -> None:
        """Move on as TRANSITIONS say; LocalProtocolError when they do not."""
        try:
            self.stage = TRANSITIONS[self.stage, event]
        except KeyError:
            raise LocalProtocolError(f"{self.stage.value}: no transition for {event.value!r}") from None

    def __str__(self) -> str:
        parts = [f"h={self.height}", f"v={self.view}", self.stage.value]
        if self.is_member and self.is_primary:
            parts.append("primary")
        if self.accepted_hash:
            parts.append(f"accepted={self.accepted_hash[:4].hex()}")
        if self.prepared:
            parts.append(f"prepared={self.prepared.ballot.block[:4].hex()}@{self.prepared.ballot.view}")
        if self.forgot:
            parts.append("forgot")
        if self.fetch and self.fetch.snapshot:
            parts.append(f"fetching={self.fetch.height}")
        parts += [f"pool={len(self.pool)}", f"patience={self.patience}"]
        return " ".join(parts)
