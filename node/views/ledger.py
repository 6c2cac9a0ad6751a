"""The community chain."""

from node.views.base import Part, View


class LedgerBrief(Part, frozen=True, kw_only=True):
    """How this node stands with its community chain, for one line of its status."""

    chain: str
    """The genesis hash, in hexadecimal; empty while no chain is followed."""
    name: str = ""
    role: str = ""
    """"member" votes, "observer" follows; empty while neither is possible."""
    height: int = 0
    view: int = 0
    members: int = 0
    tolerates: int = 0
    """f: how many members may lie or fail before the chain's word is worth nothing."""
    lag: int = 0
    """How many blocks more than here some peer says it has."""
    problem: str = ""
    """Why this node neither votes nor follows."""


class LedgerHeadView(View, frozen=True, kw_only=True, tag="coalesced.ledger-head/1"):
    """The last block that is stored here, and what is being decided on top of it."""

    chain: str
    name: str
    origin: str
    """Where the genesis came from: a file, a bootstrap peer, this node itself."""
    role: str
    height: int
    block: str
    at_unix_ms: int
    state_root: str
    signers: tuple[str, ...]
    """Members whose COMMITs made it final; none for the genesis."""
    view: int
    stage: str
    primary: str
    members: int
    quorum: int
    tolerates: int
    waiting: int
    lag: int
    dropped: int
    """Messages that found no room here since the start."""
    unreachable: tuple[str, ...] = ()
    problem: str = ""


class MemberRow(Part, frozen=True, kw_only=True):
    """One member of the committee that decides the next block."""

    member: str
    did: str
    is_primary: bool
    is_self: bool
    signed_last: bool
    """Whether its COMMIT is in the certificate of the last block; q of them are enough, so one may be left out."""
    unreachable: bool


class LedgerMembersView(View, frozen=True, kw_only=True, tag="coalesced.ledger-members/1"):
    """The committee."""

    chain: str
    height: int
    quorum: int
    tolerates: int
    members: tuple[MemberRow, ...]


class LedgerVerifyView(View, frozen=True, kw_only=True, tag="coalesced.ledger-verify/1"):
    """What recomputing everything from the genesis gave."""

    ok: bool
    chain: str
    height: int
    transactions: int
    block: str
    state_root: str
    problem: str = ""


class LedgerDoneView(View, frozen=True, kw_only=True, tag="coalesced.ledger-done/1"):
    """A transaction is final, in the block of this height."""

    transaction: str
    height: int


class LedgerBlocksView(View, frozen=True, kw_only=True, tag="coalesced.ledger-blocks/1"):
    """Consecutive blocks from `first` on: each packed with its certificate, in base64."""

    genesis: str
    first: int
    height: int
    blocks: tuple[bytes, ...]


class LedgerProofView(View, frozen=True, kw_only=True, tag="coalesced.ledger-proof/1"):
    """A light proof, in base64: `coalesced ledger check` verifies it with nothing but the genesis."""

    chain: str
    height: int
    about: str
    proof: bytes
