"""Messages decoded, with their signatures verified: the only form in which a core takes them.

`verify` is pure and knows no committee, so a shell may run it in a thread for any message at any time: it checks
every signature against the key that the message names, and that the parts of a message belong together. Whether those
keys are members, and enough of them, is the core's to say.
"""

from dataclasses import dataclass
from typing import assert_never

from crypto.identity import verify as verify_signature
from protocol.consensus import (
    CHANGE_LABEL,
    MAX_BLOCK_BYTES,
    PHASE_LABELS,
    AnyConsensus,
    Ballot,
    Block,
    Blocks,
    Certificate,
    ChangeTerms,
    ChangeVote,
    Committed,
    Equivocation,
    Header,
    NewView,
    Phase,
    PieceRequest,
    Pieces,
    Proposal,
    Snapshot,
    SnapshotRequest,
    Status,
    SyncRequest,
    Transaction,
    ViewChange,
    Vote,
    block_hash,
    decode_ballot,
    decode_change,
    decode_header,
    tx_root,
)
from protocol.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class OpenBlock:
    """A block whose transactions are those of its header."""

    block: Block
    header: Header
    hash: bytes


@dataclass(frozen=True, slots=True)
class OpenCertificate:
    """Votes of one phase for one ballot; `signers` are different keys, members or not."""

    certificate: Certificate
    phase: Phase
    ballot: Ballot
    signers: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class OpenVote:
    """A PREPARE or COMMIT."""

    vote: Vote
    ballot: Ballot


@dataclass(frozen=True, slots=True)
class OpenProposal:
    """A block with a PREPARE for it."""

    proposal: Proposal
    block: OpenBlock
    vote: OpenVote


@dataclass(frozen=True, slots=True)
class OpenChange:
    """The signed part of a VIEW-CHANGE."""

    change: ChangeVote
    terms: ChangeTerms


@dataclass(frozen=True, slots=True)
class OpenViewChange:
    """A VIEW-CHANGE; `prepared` and `block` are those that its terms name."""

    message: ViewChange
    change: OpenChange
    prepared: OpenCertificate | None
    block: OpenBlock | None


@dataclass(frozen=True, slots=True)
class OpenNewView:
    """A NEW-VIEW; if there is a block, it is what both `prepared` and `vote` are about."""

    message: NewView
    changes: tuple[OpenChange, ...]
    prepared: OpenCertificate | None
    block: OpenBlock | None
    vote: OpenVote | None


@dataclass(frozen=True, slots=True)
class OpenCommitted:
    """A block with COMMITs for it."""

    block: OpenBlock
    certificate: OpenCertificate


@dataclass(frozen=True, slots=True)
class OpenBlocks:
    """A page of blocks."""

    message: Blocks
    blocks: tuple[OpenCommitted, ...]


Unsigned = Transaction | Status | SyncRequest | SnapshotRequest | Snapshot | PieceRequest | Pieces
"""What is taken as it comes: the rules judge transactions, and a snapshot is checked against the known committee."""
Verified = Unsigned | OpenVote | OpenProposal | OpenViewChange | OpenNewView | OpenBlocks


def verify(message: AnyConsensus) -> Verified:
    """Decode and check all that a message carries; RemoteProtocolError when any of it is wrong."""
    match message:
        case Transaction() | Status() | SyncRequest() | SnapshotRequest() | Snapshot() | PieceRequest() | Pieces():
            return message
        case Vote():
            return open_vote(message)
        case Proposal():
            block, vote = open_block(message.block), open_vote(message.vote)
            _check_about(vote, block, "prepare")
            return OpenProposal(message, block, vote)
        case ViewChange():
            return open_view_change(message)
        case NewView():
            return open_new_view(message)
        case Blocks():
            return OpenBlocks(message, tuple(open_committed(committed) for committed in message.blocks))
        case _:
            assert_never(message)


def open_block(block: Block) -> OpenBlock:
    """Check a block's form and its transactions against its header's root."""
    header = decode_header(block.header)
    if (size := sum(map(len, block.txs))) > MAX_BLOCK_BYTES:
        raise RemoteProtocolError("too_large", f"a block of {size} bytes is over the limit of {MAX_BLOCK_BYTES}")
    if not block.txs or tx_root(block.txs) != header.tx_root:
        raise RemoteProtocolError("invalid_block", f"block {header.height} does not hold the transactions of its root")
    return OpenBlock(block, header, block_hash(block.header))


def open_vote(vote: Vote) -> OpenVote:
    """Check one vote's signature."""
    ballot = decode_ballot(vote.ballot)
    _check_signature(vote.signer, PHASE_LABELS[vote.phase], vote.ballot, vote.signature)
    return OpenVote(vote, ballot)


def open_certificate(certificate: Certificate, phase: Phase) -> OpenCertificate:
    """Check every signature of a certificate."""
    ballot = decode_ballot(certificate.ballot)
    signers = tuple(seal.signer for seal in certificate.seals)
    _check_different(signers)
    for seal in certificate.seals:
        _check_signature(seal.signer, PHASE_LABELS[phase], certificate.ballot, seal.signature)
    return OpenCertificate(certificate, phase, ballot, signers)


def open_committed(committed: Committed) -> OpenCommitted:
    """Check a block and the COMMITs for it."""
    block, certificate = open_block(committed.block), open_certificate(committed.certificate, "commit")
    _check_same(certificate.ballot, block)
    return OpenCommitted(block, certificate)


def open_change(change: ChangeVote) -> OpenChange:
    """Check the signed part of a view change."""
    terms = decode_change(change.terms)
    _check_signature(change.signer, CHANGE_LABEL, change.terms, change.signature)
    return OpenChange(change, terms)


def open_view_change(message: ViewChange) -> OpenViewChange:
    """Check a view change and its proof."""
    change = open_change(message.change)
    terms = change.terms
    if message.prepared is None or message.block is None:
        if terms.prepared_view >= 0 or message.prepared is not None or message.block is not None:
            raise RemoteProtocolError("bad_message", "a view change names a prepared block and does not prove it")
        return OpenViewChange(message, change, None, None)
    prepared, block = open_certificate(message.prepared, "prepare"), open_block(message.block)
    _check_same(prepared.ballot, block)
    ballot = prepared.ballot
    named = (terms.chain, terms.height, terms.prepared_view, terms.prepared)
    if (ballot.chain, ballot.height, ballot.view, ballot.block) != named:
        raise RemoteProtocolError("bad_message", "a view change proves another block than it names")
    return OpenViewChange(message, change, prepared, block)


def open_new_view(message: NewView) -> OpenNewView:
    """Check the parts of a new view; whether they justify it is the core's to say."""
    changes = tuple(open_change(change) for change in message.changes)
    if message.prepared is None or message.block is None or message.vote is None:
        if message.prepared is not None or message.block is not None or message.vote is not None:
            raise RemoteProtocolError("bad_message", "a new view's block comes with its proof and the primary's vote")
        return OpenNewView(message, changes, None, None, None)
    prepared, block, vote = (
        open_certificate(message.prepared, "prepare"),
        open_block(message.block),
        open_vote(message.vote),
    )
    _check_same(prepared.ballot, block)
    _check_about(vote, block, "prepare")
    return OpenNewView(message, changes, prepared, block, vote)


def open_equivocation(evidence: Equivocation) -> tuple[OpenVote, OpenVote]:
    """Check that the two votes are one key's and exclude each other; RemoteProtocolError when they do not."""
    first, second = open_vote(evidence.first), open_vote(evidence.second)
    if not excludes(first, second):
        raise RemoteProtocolError("no_evidence", "these two votes do not exclude each other")
    return first, second


def excludes(first: OpenVote, second: OpenVote) -> bool:
    """Whether no honest key signs both."""
    one, other = first.ballot, second.ballot
    return (
        (first.vote.signer, first.vote.phase) == (second.vote.signer, second.vote.phase)
        and (one.chain, one.height, one.view) == (other.chain, other.height, other.view)
        and one.block != other.block
    )


def _check_signature(signer: bytes, label: bytes, body: bytes, signature: bytes) -> None:
    if not verify_signature(signer, label, body, signature):
        raise RemoteProtocolError("bad_signature", f"a {label.decode()} is not signed by the key that it names")


def _check_different(signers: tuple[bytes, ...]) -> None:
    if len(set(signers)) != len(signers):
        raise RemoteProtocolError("bad_message", "a certificate with two signatures of one key")


def _check_same(ballot: Ballot, block: OpenBlock) -> None:
    header = block.header
    if (ballot.chain, ballot.height, ballot.block) != (header.chain, header.height, block.hash):
        raise RemoteProtocolError("bad_message", f"votes for another block than the block {header.height} beside them")


def _check_about(vote: OpenVote, block: OpenBlock, phase: Phase) -> None:
    _check_same(vote.ballot, block)
    if vote.vote.phase != phase:
        raise RemoteProtocolError("bad_message", f"a {vote.vote.phase} where a {phase} belongs")
