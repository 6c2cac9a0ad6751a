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
    """What recomputing everything that is stored gave: from the genesis, or from the state before the first block."""

    ok: bool
    chain: str
    first_height: int = 1
    """Of the first block that was recomputed; above 1 where earlier ones are pruned."""
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
    """Consecutive blocks from `first` on: each packed with its certificate, in base64. `kept_from` is the first that
    is kept here."""

    genesis: str
    first: int
    kept_from: int
    height: int
    blocks: tuple[bytes, ...]


class DealRow(Part, frozen=True, kw_only=True):
    """Credits that are locked for one job."""

    deal: str
    role: str
    """What the account is in it: client, contractor or arbiter."""
    client: str
    client_did: str
    contractor: str
    arbiter: str
    stage: str
    """`funded`, `submitted`, `disputed`."""
    credits: int
    asked_credits: int
    due_unix_ms: int
    """When silence means something."""


class LedgerAccountView(View, frozen=True, kw_only=True, tag="coalesced.ledger-account/1"):
    """One account of the chain: whose, what it holds, what is locked for it."""

    chain: str
    height: int
    peer: str
    did: str
    standing: str
    """`active`, `revoked`, or `faulty`: caught contradicting itself."""
    credits: int
    bond: int
    locked_credits: int
    """In open deals of which it is the client."""
    has_successor: bool
    """Whether it has named the key that will follow."""
    deals: tuple[DealRow, ...]
    next_sequence: int | None = None
    """For this node's own account: a number for one more transaction, given out once."""


class LedgerProofView(View, frozen=True, kw_only=True, tag="coalesced.ledger-proof/1"):
    """A light proof, in base64: `coalesced ledger check` verifies it with nothing but the genesis."""

    chain: str
    height: int
    about: str
    proof: bytes
    receipt: tuple[bytes, ...] = ()
    """The private receipt behind a rating, where it is asked for: its body, the client's and the contractor's
    signature. Whoever has the file then knows the price."""
