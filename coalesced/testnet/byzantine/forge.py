"""What a liar can make with its own key: well-signed messages that no honest replica would send."""

from collections.abc import Sequence

from msgspec.structs import replace

from crypto.identity import Identity
from protocol.consensus import (
    CHANGE_LABEL,
    NO_HASH,
    PHASE_LABELS,
    Ballot,
    Block,
    Certificate,
    ChangeTerms,
    ChangeVote,
    Committed,
    Header,
    Phase,
    Proposal,
    Seal,
    ViewChange,
    Vote,
    block_hash,
    decode_header,
    members_hash,
    tx_root,
)
from protocol.packing import pack


def vote(identity: Identity, phase: Phase, chain: bytes, height: int, view: int, block: bytes) -> Vote:
    """Any vote."""
    ballot = pack(Ballot(chain=chain, height=height, view=view, block=block))
    return Vote(phase=phase, ballot=ballot, signer=identity.public_key, signature=_sign(identity, phase, ballot))


def _sign(identity: Identity, phase: Phase, ballot: bytes) -> bytes:
    return identity.sign(PHASE_LABELS[phase], ballot)


def block(
    template: Block,
    txs: tuple[bytes, ...],
    state_root: bytes,
    *,
    height: int | None = None,
    previous: bytes | None = None,
    time_unix_ms: int | None = None,
) -> Block:
    """A block like another one, with other transactions."""
    header = decode_header(template.header)
    made = replace(
        header,
        height=header.height if height is None else height,
        previous=header.previous if previous is None else previous,
        time_unix_ms=header.time_unix_ms if time_unix_ms is None else time_unix_ms,
        tx_root=tx_root(txs),
        state_root=state_root,
    )
    return Block(header=pack(made), txs=txs)


def proposal(identity: Identity, made: Block, view: int) -> Proposal:
    """A PRE-PREPARE by this identity."""
    header = decode_header(made.header)
    return Proposal(
        block=made, vote=vote(identity, "prepare", header.chain, header.height, view, block_hash(made.header))
    )


def certificate(
    signers: Sequence[Identity], phase: Phase, chain: bytes, height: int, view: int, hash_: bytes
) -> Certificate:
    """Votes of these identities: too few, or of strangers."""
    ballot = pack(Ballot(chain=chain, height=height, view=view, block=hash_))
    seals = tuple(Seal(signer=who.public_key, signature=_sign(who, phase, ballot)) for who in signers)
    return Certificate(ballot=ballot, seals=seals)


def view_change(
    identity: Identity,
    chain: bytes,
    height: int,
    view: int,
    prepared: tuple[int, bytes] | None = None,
    proof: Certificate | None = None,
    body: Block | None = None,
) -> ViewChange:
    """Any claim about what was prepared."""
    prepared_view, hash_ = prepared or (-1, NO_HASH)
    terms = pack(ChangeTerms(chain=chain, height=height, view=view, prepared_view=prepared_view, prepared=hash_))
    change = ChangeVote(terms=terms, signer=identity.public_key, signature=identity.sign(CHANGE_LABEL, terms))
    return ViewChange(change=change, prepared=proof, block=body)


def committed(signers: Sequence[Identity], made: Block, view: int) -> Committed:
    """A block with COMMITs of these identities."""
    header = decode_header(made.header)
    return Committed(
        block=made,
        certificate=certificate(signers, "commit", header.chain, header.height, view, block_hash(made.header)),
    )


def first_block(
    proposer: Identity, chain: bytes, members: tuple[bytes, ...], tx: bytes, root: bytes, at_ms: int, view: int
) -> Block:
    """A block 1 with one transaction."""
    header = Header(
        chain=chain,
        height=1,
        view=view,
        previous=chain,
        time_unix_ms=at_ms,
        tx_root=tx_root((tx,)),
        state_root=root,
        members_hash=members_hash(members),
        proposer=proposer.public_key,
    )
    return Block(header=pack(header), txs=(tx,))
