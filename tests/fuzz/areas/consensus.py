"""What members of a community chain send one another, and the log of votes: read, verified, and handed to a replica."""

from collections.abc import Iterator

from coalesced.sim.ledger.machine import KeyValues, Values
from coalesced.sim.ledger.node import EPOCH_UNIX_MS, Genesis, identity_of
from coalesced.testnet.byzantine import forge
from crypto.identity import Identity
from node.ledger.pbft.config import PbftConfig
from node.ledger.pbft.core import Core
from node.ledger.pbft.opened import verify
from node.ledger.pbft.records import (
    Accepted,
    AnyRecord,
    AskedView,
    EnteredView,
    Prepared,
    RecordError,
    decode_record,
    encode_record,
)
from node.ledger.pbft.state import Now
from protocol.consensus import (
    CHANGE_LABEL,
    PHASE_LABELS,
    AnyConsensus,
    Block,
    Blocks,
    ChangeVote,
    NewView,
    Proposal,
    Status,
    SyncRequest,
    Transaction,
    ViewChange,
    Vote,
    block_hash,
    decode_header,
    encode_consensus,
)
from protocol.consensus import decode_consensus as decode
from protocol.errors import RemoteProtocolError
from tests.fuzz.target import Target, plain

KEYS = [identity_of(at) for at in range(4)]
GENESIS = Genesis(tuple(key.public_key for key in KEYS))
NOW = Now(0.0, EPOCH_UNIX_MS + 1000)
TX = b"set a 1"


def _replica() -> Core[Values]:
    return Core(KEYS[3], KeyValues(), PbftConfig(), chain=GENESIS.chain, head=GENESIS.head, state=GENESIS.state)


def _take(core: Core[Values], message: AnyConsensus) -> None:
    """A replica takes anything verified, and goes on; it is told twice, once too early or too late."""
    verified = verify(message)
    core.step(NOW, KEYS[0].public_key, verified)
    core.tick(Now(3.0, NOW.unix_ms + 3000))
    core.step(Now(4.0, NOW.unix_ms + 4000), KEYS[1].public_key, verified)
    assert str(core)


def parse_message(data: bytes) -> None:
    """A message as it comes from a session; signatures that were right before it was changed mostly are no more."""
    _take(_replica(), decode(data))


def parse_ballot(data: bytes) -> None:
    """A ballot under a member's signature, as PREPARE and as COMMIT."""
    core = _replica()
    for phase, label in PHASE_LABELS.items():
        vote = Vote(phase=phase, ballot=data, signer=KEYS[1].public_key, signature=KEYS[1].sign(label, data))
        _take(core, decode(encode_consensus(vote)))


def parse_change(data: bytes) -> None:
    """The terms of a view change under q members' signatures: one by one, and as a new view."""
    core, changes = _replica(), tuple(_signed(key, data) for key in KEYS[:3])
    for change in changes:
        try:
            _take(core, decode(encode_consensus(ViewChange(change=change))))
        except RemoteProtocolError:
            break  # it names a block: the new view is still to be tried
    _take(core, decode(encode_consensus(NewView(changes=changes))))


def _signed(key: Identity, terms: bytes) -> ChangeVote:
    return ChangeVote(terms=terms, signer=key.public_key, signature=key.sign(CHANGE_LABEL, terms))


def parse_header(data: bytes) -> None:
    """A block's header: proposed by the primary, and committed by q members."""
    block = Block(header=data, txs=(TX,))
    header = decode_header(data)
    vote = forge.vote(KEYS[0], "prepare", header.chain, header.height, 0, block_hash(data))
    _take(_replica(), decode(encode_consensus(Proposal(block=block, vote=vote))))
    page = Blocks(first_height=1, head_height=2**53, blocks=(forge.committed(KEYS[:3], block, 0),))
    _take(_replica(), decode(encode_consensus(page)))


def parse_record(data: bytes) -> None:
    """A record of the log of votes, restored."""
    core = _replica()
    core.restore([decode_record(data)])
    core.tick(NOW)


def _block() -> Block:
    state = KeyValues().apply(GENESIS.state, [TX], height=1, time_unix_ms=NOW.unix_ms)
    root = KeyValues().root(state)
    return forge.first_block(KEYS[0], GENESIS.chain, GENESIS.members, TX, root, NOW.unix_ms, 0)


def _messages() -> Iterator[bytes]:
    block = _block()
    hash_ = block_hash(block.header)
    proof = forge.certificate(KEYS[:3], "prepare", GENESIS.chain, 1, 0, hash_)
    changes = tuple(forge.view_change(key, GENESIS.chain, 1, 1, (0, hash_), proof, block) for key in KEYS[:3])
    vote = forge.vote(KEYS[1], "prepare", GENESIS.chain, 1, 1, hash_)
    messages: tuple[AnyConsensus, ...] = (
        Transaction(tx=TX),
        forge.proposal(KEYS[0], block, 0),
        forge.vote(KEYS[1], "commit", GENESIS.chain, 1, 0, hash_),
        changes[0],
        NewView(changes=tuple(change.change for change in changes), prepared=proof, block=block, vote=vote),
        Status(height=3, view=1),
        SyncRequest(height=1),
        Blocks(first_height=1, head_height=1, blocks=(forge.committed(KEYS[:3], block, 0),)),
    )
    return map(encode_consensus, messages)


def _records() -> Iterator[bytes]:
    block = _block()
    proof = forge.certificate(KEYS[:3], "prepare", GENESIS.chain, 1, 0, block_hash(block.header))
    records: tuple[AnyRecord, ...] = (
        AskedView(height=1, view=2),
        EnteredView(height=1, view=2, bound_to=block_hash(block.header)),
        Accepted(height=1, proposal=forge.proposal(KEYS[0], block, 0)),
        Prepared(height=1, certificate=proof),
    )
    return map(encode_record, records)


REMOTE = (RemoteProtocolError,)
TARGETS = (
    Target(
        name="consensus-message",
        form="msgpack",
        opened=plain(parse_message),
        seeds=_messages,
        may_raise=REMOTE,
        share=0.5,
    ),
    Target(
        name="consensus-ballot",
        form="msgpack",
        opened=plain(parse_ballot),
        seeds=lambda: [forge.vote(KEYS[1], "commit", GENESIS.chain, 1, 0, block_hash(_block().header)).ballot],
        may_raise=REMOTE,
        share=0.5,
    ),
    Target(
        name="consensus-change",
        form="msgpack",
        opened=plain(parse_change),
        seeds=lambda: [forge.view_change(KEYS[1], GENESIS.chain, 1, 1).change.terms],
        may_raise=REMOTE,
        share=0.5,
    ),
    Target(
        name="consensus-header",
        form="msgpack",
        opened=plain(parse_header),
        seeds=lambda: [_block().header],
        may_raise=REMOTE,
        share=0.5,
    ),
    Target(
        name="consensus-record",
        form="msgpack",
        opened=plain(parse_record),
        seeds=_records,
        may_raise=(RecordError,),
        share=0.5,
    ),
)
