"""What travels between members: parsers are total and bounded, and what is signed has one form."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coalesced.sim.ledger.node import EPOCH_UNIX_MS, Genesis, identity_of
from coalesced.testnet.byzantine import forge
from node.ledger.pbft.opened import open_equivocation, verify
from node.ledger.pbft.records import (
    AnyRecord,
    AskedView,
    EnteredView,
    Prepared,
    RecordError,
    decode_record,
    encode_record,
    still_needed,
)
from protocol.consensus import (
    MAX_BLOCK_BYTES,
    MAX_TX_BYTES,
    NO_HASH,
    AnyConsensus,
    Block,
    Blocks,
    Certificate,
    Equivocation,
    NewView,
    Proposal,
    Seal,
    Status,
    SyncRequest,
    Transaction,
    Vote,
    block_hash,
    decode_ballot,
    decode_change,
    decode_consensus,
    decode_header,
    encode_consensus,
)
from protocol.errors import RemoteProtocolError
from protocol.packing import pack

KEYS = [identity_of(at) for at in range(4)]
GENESIS = Genesis(tuple(key.public_key for key in KEYS))
CHAIN = GENESIS.chain


def made_block(*txs: bytes) -> Block:
    first = forge.first_block(KEYS[0], CHAIN, GENESIS.members, b"set a 1", bytes(32), EPOCH_UNIX_MS, 0)
    return forge.block(first, txs or (b"set a 1",), bytes(32))


BLOCK = made_block()
HASH = block_hash(BLOCK.header)
PREPARED = forge.certificate(KEYS[:3], "prepare", CHAIN, 1, 0, HASH)
CHANGE = forge.view_change(KEYS[1], CHAIN, 1, 1, (0, HASH), PREPARED, BLOCK)
MESSAGES: tuple[AnyConsensus, ...] = (
    Transaction(tx=b"set a 1"),
    forge.vote(KEYS[1], "commit", CHAIN, 1, 0, HASH),
    forge.proposal(KEYS[0], BLOCK, 0),
    CHANGE,
    forge.view_change(KEYS[2], CHAIN, 1, 1),
    NewView(changes=(CHANGE.change,)),
    NewView(
        changes=(CHANGE.change,),
        prepared=PREPARED,
        block=BLOCK,
        vote=forge.vote(KEYS[1], "prepare", CHAIN, 1, 1, HASH),
    ),
    Status(height=3, view=1),
    SyncRequest(height=1),
    Blocks(first_height=1, head_height=1, blocks=(forge.committed(KEYS[:3], BLOCK, 0),)),
)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_wire_and_verifies(message: AnyConsensus) -> None:
    assert decode_consensus(encode_consensus(message)) == message
    verify(message)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_the_peers_fault(data: bytes) -> None:
    for decode in (decode_consensus, decode_header, decode_ballot, decode_change):
        with suppress(RemoteProtocolError):
            decode(data)


@given(st.sampled_from(MESSAGES), st.data())
@settings(max_examples=200)
def test_a_message_with_any_byte_changed_is_refused_or_says_something_else(
    message: AnyConsensus, data: st.DataObject
) -> None:
    packed = bytearray(encode_consensus(message))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read = decode_consensus(bytes(packed))
        verify(read)
    except RemoteProtocolError:
        return
    assert read != message


def test_a_body_in_another_packing_is_refused_though_it_says_the_same() -> None:
    ballot = decode_ballot(forge.vote(KEYS[0], "prepare", CHAIN, 1, 0, HASH).ballot)
    plain = pack(ballot)
    longer = plain.replace(b"\xa4view\x00", b"\xa4view\xcc\x00")  # 0 in two bytes
    assert longer != plain
    with pytest.raises(RemoteProtocolError, match="packed"):
        decode_ballot(longer)


def test_a_view_change_that_contradicts_itself_is_refused() -> None:
    for prepared in ((0, NO_HASH), (-1, HASH), (1, HASH)):
        with pytest.raises(RemoteProtocolError, match="prepared in view"):
            verify(forge.view_change(KEYS[0], CHAIN, 1, 1, prepared, PREPARED, BLOCK))


def test_a_prepared_block_must_come_with_its_proof_and_body() -> None:
    terms = (KEYS[0], CHAIN, 1, 1)
    with pytest.raises(RemoteProtocolError, match="does not prove"):
        verify(forge.view_change(*terms, (0, HASH)))
    with pytest.raises(RemoteProtocolError, match="another block than it names"):
        verify(forge.view_change(*terms, None, PREPARED, BLOCK))
    other = forge.certificate(KEYS[:3], "prepare", bytes(32), 1, 0, HASH)
    with pytest.raises(RemoteProtocolError):
        verify(forge.view_change(*terms, (0, HASH), other, BLOCK))
    later = forge.certificate(KEYS[:3], "prepare", CHAIN, 1, 3, HASH)
    with pytest.raises(RemoteProtocolError, match="another block"):
        verify(forge.view_change(KEYS[0], CHAIN, 1, 9, (2, HASH), later, BLOCK))


def test_a_new_view_has_all_of_a_block_or_nothing() -> None:
    with pytest.raises(RemoteProtocolError, match="comes with"):
        verify(NewView(changes=(CHANGE.change,), block=BLOCK))
    commit = forge.vote(KEYS[1], "commit", CHAIN, 1, 1, HASH)
    with pytest.raises(RemoteProtocolError, match="a commit where a prepare belongs"):
        verify(NewView(changes=(CHANGE.change,), prepared=PREPARED, block=BLOCK, vote=commit))


def test_a_block_must_hold_what_its_header_says_and_stay_below_the_limit() -> None:
    vote = forge.vote(KEYS[0], "prepare", CHAIN, 1, 0, HASH)
    with pytest.raises(RemoteProtocolError, match="transactions of its root"):
        verify(Proposal(block=Block(header=BLOCK.header, txs=(b"other",)), vote=vote))
    large = made_block(*(b"%08d" % at * (MAX_TX_BYTES // 8) for at in range(MAX_BLOCK_BYTES // MAX_TX_BYTES + 1)))
    with pytest.raises(RemoteProtocolError, match="over the limit of 1048576"):
        verify(forge.proposal(KEYS[0], large, 0))


def test_a_proposals_vote_is_about_its_block() -> None:
    with pytest.raises(RemoteProtocolError, match="another block"):
        verify(Proposal(block=BLOCK, vote=forge.vote(KEYS[0], "prepare", CHAIN, 1, 0, bytes(32))))


def test_a_certificate_counts_no_key_twice_and_no_wrong_signature() -> None:
    seals = PREPARED.seals
    twice = Certificate(ballot=PREPARED.ballot, seals=(seals[0], seals[0], seals[1]))
    with pytest.raises(RemoteProtocolError, match="two signatures"):
        verify(forge.view_change(KEYS[1], CHAIN, 1, 1, (0, HASH), twice, BLOCK))
    wrong = Certificate(
        ballot=PREPARED.ballot, seals=(*seals[:2], Seal(signer=seals[2].signer, signature=seals[0].signature))
    )
    with pytest.raises(RemoteProtocolError, match="not signed"):
        verify(forge.view_change(KEYS[1], CHAIN, 1, 1, (0, HASH), wrong, BLOCK))


def test_a_prepare_cannot_be_shown_as_a_commit() -> None:
    vote = forge.vote(KEYS[1], "prepare", CHAIN, 1, 0, HASH)
    with pytest.raises(RemoteProtocolError, match="bad_signature"):
        verify(msgspec.structs.replace(vote, phase="commit"))


def test_evidence_is_two_votes_that_exclude_each_other() -> None:
    def made(phase: str, height: int, view: int, block: bytes, who: int = 1) -> Vote:
        assert phase in ("prepare", "commit")
        return forge.vote(KEYS[who], "prepare" if phase == "prepare" else "commit", CHAIN, height, view, block)

    first = made("prepare", 1, 0, HASH)
    open_equivocation(Equivocation(first=first, second=made("prepare", 1, 0, bytes(32))))
    for harmless in (
        made("prepare", 1, 0, HASH),
        made("prepare", 1, 1, bytes(32)),
        made("prepare", 2, 0, bytes(32)),
        made("commit", 1, 0, bytes(32)),
        made("prepare", 1, 0, bytes(32), who=2),
    ):
        with pytest.raises(RemoteProtocolError, match="do not exclude"):
            open_equivocation(Equivocation(first=first, second=harmless))


def test_records_are_read_back_and_anything_else_is_a_record_error() -> None:
    records: list[AnyRecord] = [
        AskedView(height=1, view=2),
        EnteredView(height=1, view=2, bound_to=HASH),
        Prepared(height=1, certificate=PREPARED),
    ]
    assert [decode_record(encode_record(record)) for record in records] == records
    for data in (b"", b"\x81", encode_record(records[0])[:-1], encode_consensus(MESSAGES[0])):
        with pytest.raises(RecordError, match="log of votes"):
            decode_record(data)


def test_of_decided_heights_only_the_last_view_is_kept() -> None:
    asked, entered = AskedView(height=1, view=1), EnteredView(height=2, view=2, bound_to=NO_HASH)
    prepared = Prepared(height=2, certificate=PREPARED)
    assert still_needed([asked, entered, prepared], 2) == [entered]
    assert still_needed([asked, entered, prepared], 1) == [entered, prepared]
    assert still_needed([asked], 7) == [asked]
