"""What the members of a community chain and its followers send one another; what is signed travels as bytes.

| message     | from -> to            | says                                                                   |
|-------------|-----------------------|------------------------------------------------------------------------|
| Transaction | anyone -> member      | please put this into a block                                           |
| Proposal    | primary -> members    | PRE-PREPARE; the vote in it is the primary's PREPARE                   |
| Vote        | member -> members     | PREPARE or COMMIT                                                      |
| ViewChange  | member -> members     | VIEW-CHANGE with the prepared certificate and the block itself         |
| NewView     | primary -> members    | NEW-VIEW: q view changes, what was prepared, the primary's PREPARE     |
| Status      | anyone -> anyone      | how far I am                                                           |
| SyncRequest | anyone -> anyone      | please send blocks from this height on                                 |
| Blocks      | anyone -> anyone      | one page of blocks, each with q COMMITs                                |
| SnapshotRequest | anyone -> anyone  | please describe a state that I can fetch in place of old blocks        |
| Snapshot    | anyone -> anyone      | a certified header, and an outline of the pieces of its state          |
| PieceRequest | anyone -> anyone     | please send these pieces                                               |
| Pieces      | anyone -> anyone      | some of them                                                           |

A PREPARE and a COMMIT are one `Ballot` under different labels, and equal for all who vote alike: a certificate is one
ballot with q signatures. After Castro & Liskov, "Practical Byzantine Fault Tolerance" (1999), with signatures.
"""

from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from crypto import merkle
from crypto.hashing import tagged_hash
from protocol.errors import RemoteProtocolError
from protocol.fields import Hash32, Key32, Signature64, UnixMillis
from protocol.messages import Message
from protocol.packing import MAX_MESSAGE_BYTES, OneOf, pack, unpack
from protocol.signed import Body

MAX_MEMBERS: Final = 100
"""Of a committee: a view change is n messages of n signatures, and more members than this make it megabytes."""
MAX_TX_BYTES: Final = 16_384
MAX_BLOCK_TXS: Final = 2048
MAX_BLOCK_BYTES: Final = 2**20
"""Sum of a block's transactions: a NEW-VIEW carries one block, and a session is not blocked for long by it."""
MAX_PAGE_BLOCKS: Final = 64
"""Blocks in one page of a synchronisation; pages are cut by PAGE_BYTES too."""
PAGE_BYTES: Final = 2**20
"""A page, like one full block, stays below the 2 MiB that a node takes in one message."""
MAX_OUTLINE_BYTES: Final = 2**20
"""Names of about 27,000 pieces, so a state of some ten million entries."""
MAX_PIECES: Final = 8
"""In one message, which is cut by PAGE_BYTES too."""
MAX_PIECE_BYTES: Final = 2**19
"""About twice what a thousand entries take."""
MAX_LINKS: Final = 1024
"""Changes of the committee between a reader's head and a snapshot; a light proof has the same limit."""
MAX_TERMS_BYTES: Final = 512
NO_HASH: Final = bytes(32)

Height = Annotated[int, Meta(ge=0, le=2**53)]
View = Annotated[int, Meta(ge=0, le=2**53)]
Phase = Literal["prepare", "commit"]
Terms = Annotated[bytes, Meta(min_length=1, max_length=MAX_TERMS_BYTES)]
Tx = Annotated[bytes, Meta(min_length=1, max_length=MAX_TX_BYTES)]

PHASE_LABELS: Final[dict[Phase, bytes]] = {"prepare": b"ledger-prepare", "commit": b"ledger-commit"}
CHANGE_LABEL: Final = b"ledger-view-change"

B = TypeVar("B", bound=Body)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of what messages are made of."""


# --- bodies that are hashed or signed, exactly as received


class Header(Body, frozen=True, kw_only=True):
    """What a block's certificate certifies.

    `view` is the one it was first proposed in, by `proposer`; a later view may propose it again unchanged.
    `state_root` and `members_hash` (of the committee of the next height) are those after the block.
    """

    chain: Hash32
    height: Height
    view: View
    previous: Hash32
    time_unix_ms: UnixMillis
    tx_root: Hash32
    state_root: Hash32
    members_hash: Hash32
    proposer: Key32


class Ballot(Body, frozen=True, kw_only=True):
    """What a PREPARE or COMMIT says: this block, at this height, in this view."""

    chain: Hash32
    height: Height
    view: View
    block: Hash32


class ChangeTerms(Body, frozen=True, kw_only=True):
    """What a VIEW-CHANGE says: I vote no more below `view` at `height`; the last block I prepared there, if any.

    `prepared_view` is -1 and `prepared` all zeros when nothing was prepared at this height.
    """

    chain: Hash32
    height: Height
    view: View
    prepared_view: Annotated[int, Meta(ge=-1, le=2**53)]
    prepared: Hash32


# --- parts


class Block(Part, frozen=True, kw_only=True):
    """A packed Header and the transactions, in order."""

    header: Terms
    txs: Annotated[tuple[Tx, ...], Meta(max_length=MAX_BLOCK_TXS)]


class Seal(Part, frozen=True, kw_only=True):
    """One signature under a certificate's ballot."""

    signer: Key32
    signature: Signature64


class Certificate(Part, frozen=True, kw_only=True):
    """A packed Ballot and signatures of different members; which phase they are for, its place says."""

    ballot: Terms
    seals: Annotated[tuple[Seal, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]


class Committed(Part, frozen=True, kw_only=True):
    """A block and the q COMMITs that made it final."""

    block: Block
    certificate: Certificate


class ChangeVote(Part, frozen=True, kw_only=True):
    """Packed ChangeTerms, signed: what a NEW-VIEW repeats of each VIEW-CHANGE."""

    terms: Terms
    signer: Key32
    signature: Signature64


class CommitteeLink(Part, frozen=True, kw_only=True):
    """A certified header after which the committee is `members`: one step from the genesis committee to today's."""

    header: Terms
    certificate: Certificate
    members: Annotated[tuple[Key32, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]


# --- messages


class Transaction(Message, frozen=True, kw_only=True, tag="ledger_tx"):
    """A transaction for the pool."""

    tx: Tx


class Vote(Message, frozen=True, kw_only=True, tag="ledger_vote"):
    """A packed Ballot, signed under the label of its phase."""

    phase: Phase
    ballot: Terms
    signer: Key32
    signature: Signature64


class Proposal(Message, frozen=True, kw_only=True, tag="ledger_proposal"):
    """A new block and its primary's PREPARE for it."""

    block: Block
    vote: Vote


class ViewChange(Message, frozen=True, kw_only=True, tag="ledger_view_change"):
    """A ChangeVote and what proves it: q PREPAREs and the block, when the terms name a prepared one."""

    change: ChangeVote
    prepared: Certificate | None = None
    block: Block | None = None


class NewView(Message, frozen=True, kw_only=True, tag="ledger_new_view"):
    """q view changes; the highest prepared block among them with its q PREPAREs, proposed again by the vote, if any.

    Unsigned: its contents prove it, whoever sends it.
    """

    changes: Annotated[tuple[ChangeVote, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]
    prepared: Certificate | None = None
    block: Block | None = None
    vote: Vote | None = None


class Status(Message, frozen=True, kw_only=True, tag="ledger_status"):
    """The height of my last committed block, and my view."""

    height: Height
    view: View


class SyncRequest(Message, frozen=True, kw_only=True, tag="ledger_sync"):
    """Please send committed blocks from `height` on."""

    height: Height


class Blocks(Message, frozen=True, kw_only=True, tag="ledger_blocks"):
    """One page of consecutive committed blocks; the sender has all from `first_height` to `head_height`."""

    first_height: Height
    head_height: Height
    blocks: Annotated[tuple[Committed, ...], Meta(max_length=MAX_PAGE_BLOCKS)]


class SnapshotRequest(Message, frozen=True, kw_only=True, tag="ledger_snapshot_request"):
    """Please describe the newest state that you serve; I know the committees up to the block of `after`."""

    after: Height


class Snapshot(Message, frozen=True, kw_only=True, tag="ledger_snapshot"):
    """A certified header, the changes of the committee after the asker's head, and what the state's pieces are.

    The outline proves itself against the header's state root; each piece is named by a hash in the outline.
    """

    after: Height
    """The asker's head as it said: an answer to an older question is none."""
    header: Terms
    certificate: Certificate
    links: Annotated[tuple[CommitteeLink, ...], Meta(max_length=MAX_LINKS)]
    outline: Annotated[bytes, Meta(max_length=MAX_OUTLINE_BYTES)]


class PieceRequest(Message, frozen=True, kw_only=True, tag="ledger_piece_request"):
    """Please send the pieces of these names, of whichever state; who has none of them answers with a Snapshot."""

    names: Annotated[tuple[Hash32, ...], Meta(min_length=1, max_length=MAX_PIECES)]
    after: Height


class Pieces(Message, frozen=True, kw_only=True, tag="ledger_pieces"):
    """Some of the pieces that were asked for. Each says by its content which it is."""

    pieces: Annotated[
        tuple[Annotated[bytes, Meta(min_length=1, max_length=MAX_PIECE_BYTES)], ...],
        Meta(min_length=1, max_length=MAX_PIECES),
    ]


class Equivocation(Part, frozen=True, kw_only=True):
    """Evidence: one key's votes of one phase, height and view for two different blocks."""

    first: Vote
    second: Vote


AnyConsensus = (
    Transaction
    | Vote
    | Proposal
    | ViewChange
    | NewView
    | Status
    | SyncRequest
    | Blocks
    | SnapshotRequest
    | Snapshot
    | PieceRequest
    | Pieces
)
_CONSENSUS: Final[OneOf[AnyConsensus]] = OneOf(AnyConsensus)


def encode_consensus(message: AnyConsensus) -> bytes:
    """Pack a message."""
    return pack(message)


def decode_consensus(data: bytes | memoryview) -> AnyConsensus:
    """The message in `data`; RemoteProtocolError for anything else."""
    return unpack(_CONSENSUS, data, MAX_MESSAGE_BYTES)


def decode_header(data: bytes) -> Header:
    """The header in `data`; RemoteProtocolError when it is not one, or not packed as everybody packs it."""
    return _decode_terms(Header, data)


def decode_ballot(data: bytes) -> Ballot:
    """The ballot in `data`; RemoteProtocolError when it is not one, or not packed as everybody packs it."""
    return _decode_terms(Ballot, data)


def decode_change(data: bytes) -> ChangeTerms:
    """The terms of a view change; RemoteProtocolError when it is none, contradicts itself or is packed otherwise."""
    terms = _decode_terms(ChangeTerms, data)
    if (terms.prepared_view < 0) != (terms.prepared == NO_HASH) or terms.prepared_view >= terms.view:
        raise RemoteProtocolError(
            "bad_message",
            f"a view change to view {terms.view} cannot name a block prepared in view {terms.prepared_view}",
        )
    return terms


def block_hash(header: bytes) -> bytes:
    """The hash by which votes and the next block name the block with this packed header."""
    return tagged_hash(b"ledger-block", header)


def tx_root(txs: tuple[bytes, ...]) -> bytes:
    """The Merkle root (RFC 9162) of a block's transactions."""
    return merkle.root(txs)


def members_hash(members: tuple[bytes, ...]) -> bytes:
    """The hash by which a header names the committee of the next height."""
    return tagged_hash(b"ledger-members", *members)


def _decode_terms(kind: type[B], data: bytes) -> B:
    """Only the one packing is taken: all who vote alike must have signed the same bytes."""
    terms = unpack(kind, data, MAX_TERMS_BYTES)
    if pack(terms) != data:
        raise RemoteProtocolError("bad_message", f"a {kind.__name__} that is not packed in the one allowed way")
    return terms
