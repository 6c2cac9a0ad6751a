"""A replica after a crash, after an absence, and when the committee changes; single ones, driven by hand."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from coalesced.sim.ledger.machine import KeyValues, Values
from coalesced.sim.ledger.node import identity_of
from coalesced.sim.ledger.table import Table
from coalesced.testnet.byzantine import forge
from node.ledger.pbft.config import PbftConfig
from node.ledger.pbft.core import Core
from node.ledger.pbft.effects import (
    Halt,
    Install,
    NeedProof,
    Offence,
    Reject,
    SendBlocks,
    SendPieces,
    SendSnapshot,
)
from node.ledger.pbft.opened import verify
from node.ledger.pbft.records import Accepted, AskedView, EnteredView, RecordError, decode_record
from node.ledger.pbft.state import Stage
from protocol.consensus import (
    NO_HASH,
    Blocks,
    CommitteeLink,
    NewView,
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
)
from tests.harness.replicas import MS, at, commit, commits, core_of, sent

# --- restoring


def test_a_log_of_votes_that_contradicts_itself_is_not_voted_with() -> None:
    t = Table(4)
    t.submit(0, "first")
    t.deliver("proposal")
    t.deliver("prepare", to=1)
    log = t.nodes[1].disk.log
    assert len(log) == 2
    t.crash(1)
    del log[0]
    with pytest.raises(RecordError, match="lacks"):
        t.start(1)


def test_a_damaged_block_in_the_log_is_a_record_error() -> None:
    core, liar = core_of(1, 4), identity_of(0)
    block = forge.first_block(liar, core.replica.chain, core.replica.committee.members, b"set a 1", bytes(32), MS, 0)
    proposal = forge.proposal(liar, block, 0)
    damaged = changed(proposal, block=changed(block, txs=(b"other",)))
    with pytest.raises(RecordError, match="damaged at height 1"):
        core.restore([Accepted(height=1, proposal=damaged)])


def test_a_block_that_no_longer_executes_after_a_crash_halts_the_replica() -> None:
    class Odd(KeyValues):
        def root(self, state: Values) -> bytes:
            return super().root(state)[::-1]

    t = Table(4)
    t.submit(0, "first")
    t.deliver("proposal", to=1)
    records = [decode_record(record) for record in t.nodes[1].disk.log]
    odd = core_of(1, 4, Odd())
    effects = odd.restore([*records, EnteredView(height=1, view=1, bound_to=NO_HASH)])
    assert [effect.reason for effect in effects if isinstance(effect, Halt)] == [
        "block 1 was executed here before, and now cannot be: block 1 leads to another state than its header says"
    ]
    assert odd.replica.stage is Stage.HALTED, "whatever else the log says"
    head = replace(t.replica(1).head, height=1, hash=bytes(32))
    after = Core(identity_of(1), KeyValues(), PbftConfig(), chain=t.genesis.chain, head=head, state=t.genesis.state)
    assert after.restore(records) == [], "what is decided is passed over"
    assert after.replica.stage is Stage.IDLE


def test_what_binds_a_view_survives_a_crash() -> None:
    core = core_of(1, 4)
    core.restore([EnteredView(height=1, view=4, bound_to=bytes([7]) * 32)])
    liar = identity_of(0)
    block = forge.first_block(liar, core.replica.chain, core.replica.committee.members, b"set a 1", bytes(32), MS, 4)
    effects = core.step(at(0), liar.public_key, verify(forge.proposal(liar, block, 4)))
    assert [effect.error.code for effect in effects if isinstance(effect, Offence)] == ["bad_proposal"]
    assert core.replica.accepted is None


def test_a_view_of_a_decided_height_counts_only_beyond_that_of_its_certificate() -> None:
    genesis_core = core_of(0, 4)
    head = replace(genesis_core.replica.head, height=5, view=3)
    for view, expected in ((2, (3, Stage.IDLE)), (3, (3, Stage.IDLE)), (4, (4, Stage.CHANGING))):
        core = Core(
            identity_of(0),
            KeyValues(),
            PbftConfig(),
            chain=genesis_core.replica.chain,
            head=head,
            state=genesis_core.replica.state,
        )
        core.restore([AskedView(height=5, view=view)])
        assert (core.replica.view, core.replica.stage) == expected


# --- being asked


def test_who_asks_for_blocks_is_answered_but_not_over_and_over() -> None:
    t = Table(4)
    t.submit(0, "a")
    t.settle()
    core, peer = t.nodes[0].core, t.key(2).public_key
    assert core is not None
    for height, now_s, expected in ((0, 1.0, [1]), (0, 1.1, []), (1, 1.2, [1]), (1, 5.0, [1]), (2, 6.0, [])):
        effects = core.step(at(now_s), peer, SyncRequest(height=height))
        assert [effect.height for effect in effects if isinstance(effect, SendBlocks)] == expected


# --- the committee


def test_a_member_that_joins_votes_from_the_next_height_on_and_one_that_leaves_stops() -> None:
    t = Table(4)
    leaving = identity_of(3).public_key
    commit(t, b"leave " + leaving.hex().encode())
    t.expect_heights(1, 0, 1, 2, 3)
    t.expect_stage(Stage.FOLLOWING, 3)
    assert t.replica(0).committee.members == t.genesis.members[:3]
    commit(t, b"set while away")
    t.expect_heights(2, 0, 1, 2)
    t.pass_s(6.0, 0, 1, 2, 3)
    t.settle()
    t.pass_s(1.0, 0, 1, 2, 3)
    t.settle()
    t.expect_heights(2, 3)
    commit(t, b"join " + leaving.hex().encode())
    t.pass_s(6.0, 0, 1, 2, 3)
    t.settle()
    t.pass_s(1.0, 0, 1, 2, 3)
    t.settle()
    t.expect_heights(3, 3)
    t.expect_stage(Stage.IDLE, 3)


def test_a_block_that_changes_more_members_than_allowed_is_never_proposed() -> None:
    core = core_of(0, 1)
    for index in (5, 6):
        core.submit(at(0), b"join " + identity_of(index).public_key.hex().encode())
    [commit] = commits(core.tick(at(0)))
    assert len(commit.block.block.txs) == 1
    assert len(core.replica.committee.members) == 2


def test_an_observer_follows_and_never_votes() -> None:
    t = Table(4)
    t.submit(0, "a")
    t.settle()
    observer = Core(
        identity_of(77), KeyValues(), PbftConfig(), chain=t.genesis.chain, head=t.genesis.head, state=t.genesis.state
    )
    peer = t.key(0).public_key
    assert [m for m in sent(observer.step(at(0), peer, Status(height=3, view=0))) if isinstance(m, SyncRequest)]
    effects = observer.step(at(0), peer, verify(t.nodes[0].disk.page(1)))
    assert len(commits(effects)) == 1
    assert observer.replica.stage is Stage.FOLLOWING
    observer.submit(at(0), b"set b 1")
    for second in range(1, 60):
        assert not [m for m in sent(observer.tick(at(second))) if isinstance(m, Vote | ViewChange | Proposal)]


def test_who_proposes_nothing_is_told_too_that_its_transaction_has_become_impossible() -> None:
    class FirstOnly(KeyValues):
        def admit(self, state: Values, tx: bytes, *, time_unix_ms: int) -> str | None:
            return "was set before" if tx.split(b" ")[1] in state.values else None

    t = Table(4)
    t.submit(0, "a")
    t.settle()
    observer = Core(
        identity_of(77), FirstOnly(), PbftConfig(), chain=t.genesis.chain, head=t.genesis.head, state=t.genesis.state
    )
    [taken] = t.nodes[0].disk.page(1).blocks
    key = taken.block.txs[0].split(b" ")[1]
    late = b"set " + key + b" other"
    assert [m for m in sent(observer.submit(at(0), late)) if isinstance(m, Transaction)]
    assert len(commits(observer.step(at(0), t.key(0).public_key, verify(t.nodes[0].disk.page(1))))) == 1
    effects = observer.tick(at(60))
    assert [effect.reason for effect in effects if isinstance(effect, Reject)] == ["was set before"]
    assert not [m for m in sent(effects) if isinstance(m, Transaction)]
    assert not observer.replica.pool


# --- snapshots, divergence


def _chain_of(t: Table, txs: Sequence[bytes]) -> None:
    for tx in txs:
        commit(t, tx)


def _snapshot(t: Table, heights_of_links: Sequence[int]) -> Snapshot:
    blocks = t.nodes[0].disk.blocks
    last = blocks[-1]
    links = tuple(
        CommitteeLink(
            header=blocks[height - 1].block.block.header,
            certificate=blocks[height - 1].certificate.certificate,
            members=blocks[height - 1].state.members,
        )
        for height in heights_of_links
    )
    outline = KeyValues().cut(last.state).outline
    return Snapshot(
        after=0, header=last.block.block.header, certificate=last.certificate.certificate, links=links, outline=outline
    )


def _asking(t: Table, who: int) -> tuple[Core[Values], bytes]:
    """A replica at the genesis that has asked replica 0 for a state, since replica 0 keeps only block 3."""
    late, peer = core_of(who, 4), t.key(0).public_key
    assert [m for m in sent(late.step(at(0), peer, Status(height=3, view=0))) if isinstance(m, SyncRequest)]
    effects = late.step(at(0), peer, verify(Blocks(first_height=3, head_height=3, blocks=())))
    assert sent(effects) == [SnapshotRequest(after=0)]
    return late, peer


def _three_blocks() -> Table:
    t = Table(4)
    _chain_of(t, [b"set a 1", b"leave " + identity_of(3).public_key.hex().encode(), b"set b 1"])
    t.expect_heights(3, 0, 1, 2)
    return t


def test_a_state_is_taken_when_the_chain_of_committees_vouches_for_it() -> None:
    t = _three_blocks()
    late, peer = _asking(t, 3)
    snapshot = _snapshot(t, [2])
    [request] = sent(late.step(at(0), peer, snapshot))
    assert isinstance(request, PieceRequest)
    cut = KeyValues().cut(t.nodes[0].disk.blocks[-1].state)
    assert set(request.names) == set(cut.by_name)
    effects = late.step(at(0), peer, Pieces(pieces=tuple(cut.by_name.values())))
    [install] = [effect for effect in effects if isinstance(effect, Install)]
    assert (install.header, install.links) == (snapshot.header, snapshot.links)
    assert late.replica.head.height == 3
    assert late.replica.stage is Stage.FOLLOWING
    assert late.replica.state.values[b"b"] == b"1"
    assert late.replica.fetch is None


def test_a_state_whose_own_block_changed_the_committee_is_installed_with_that_change() -> None:
    t = Table(4)
    _chain_of(t, [b"set a 1", b"set b 1", b"leave " + identity_of(3).public_key.hex().encode()])
    t.expect_heights(3, 0, 1, 2)
    late, peer = _asking(t, 1)
    late.step(at(0), peer, _snapshot(t, []))
    cut = KeyValues().cut(t.nodes[0].disk.blocks[-1].state)
    effects = late.step(at(0), peer, Pieces(pieces=tuple(cut.by_name.values())))
    [install] = [effect for effect in effects if isinstance(effect, Install)]
    assert [link.members for link in install.links] == [t.genesis.members[:3]]


def test_pieces_that_were_kept_are_not_fetched_again() -> None:
    t = _three_blocks()
    cut = KeyValues().cut(t.nodes[0].disk.blocks[-1].state)
    first, *others = cut.by_name.values()
    late = core_of(3, 4)
    late.restore((), [first, b"damaged on the disk"])
    peer = t.key(0).public_key
    late.step(at(0), peer, Status(height=3, view=0))
    late.step(at(0), peer, verify(Blocks(first_height=3, head_height=3, blocks=())))
    effects = late.step(at(0), peer, _snapshot(t, [2]))
    if others:
        [request] = sent(effects)
        assert isinstance(request, PieceRequest)
        assert set(request.names) == {KeyValues().piece_name(piece) for piece in others}
    else:
        assert late.replica.head.height == 3


def test_a_snapshot_that_does_not_prove_itself_changes_nothing_but_whom_to_ask() -> None:
    t = _three_blocks()
    good = _snapshot(t, [2])
    first = t.nodes[0].disk.blocks[0]
    for wrong in (
        changed(good, links=good.links * 2),
        changed(good, links=(changed(good.links[0], members=t.genesis.members),)),
        changed(good, links=(changed(good.links[0], certificate=first.certificate.certificate),)),
        changed(good, outline=KeyValues().cut(first.state).outline),
        changed(good, certificate=first.certificate.certificate),
        changed(good, certificate=changed(good.certificate, seals=good.certificate.seals[:1])),
    ):
        late, peer = _asking(t, 1)
        effects = late.step(at(0), peer, wrong)
        assert [effect.peer for effect in effects if isinstance(effect, Offence)] == [peer]
        assert late.replica.head.height == 0
        assert late.replica.fetch is not None
        assert (late.replica.fetch.peer, late.replica.fetch.snapshot) == (None, None)


def test_whoever_was_not_asked_for_a_state_is_not_listened_to() -> None:
    t = _three_blocks()
    late, _ = _asking(t, 1)
    assert sent(late.step(at(0), t.key(2).public_key, _snapshot(t, [2]))) == []


def test_who_asks_for_a_state_or_pieces_is_answered_but_not_over_and_over() -> None:
    t = Table(4)
    t.submit(0, "a")
    t.settle()
    core, peer = t.nodes[0].core, t.key(2).public_key
    assert core is not None
    for after, now_s, expected in ((0, 1.0, 1), (0, 1.1, 0), (0, 5.0, 1), (1, 9.0, 0)):
        effects = core.step(at(now_s), peer, SnapshotRequest(after=after))
        assert len([effect for effect in effects if isinstance(effect, SendSnapshot)]) == expected
    for name, now_s, expected in ((b"a", 10.0, 1), (b"a", 10.1, 0), (b"b", 10.2, 1), (b"b", 15.0, 1)):
        effects = core.step(at(now_s), peer, PieceRequest(names=(name * 32,), after=0))
        assert len([effect for effect in effects if isinstance(effect, SendPieces)]) == expected


# --- lost votes


def test_who_forgot_its_votes_follows_until_what_it_says_now_is_committed() -> None:
    genesis = core_of(0, 1).replica
    core = Core(
        identity_of(0),
        KeyValues(),
        PbftConfig(),
        chain=genesis.chain,
        head=genesis.head,
        state=genesis.state,
        forgot=True,
    )
    assert core.restore([AskedView(height=1, view=7)]) == []
    assert core.replica.stage is Stage.FOLLOWING
    [proof] = [effect for effect in core.tick(at(0)) if isinstance(effect, NeedProof)]
    assert proof == NeedProof()
    core.prove(at(0), b"set now 1")
    for second in range(1, 30):
        assert not [m for m in sent(core.tick(at(second))) if isinstance(m, Vote | ViewChange | Proposal)]
    assert commits(core.tick(at(31))) == [], "alone, there is nobody to decide without it"


def test_a_replica_whose_machine_differs_halts_instead_of_following() -> None:
    class Odd(KeyValues):
        def root(self, state: Values) -> bytes:
            return super().root(state)[::-1]

    t = Table(4)
    t.submit(0, "a")
    t.settle()
    odd = core_of(1, 4, Odd())
    effects = odd.step(at(0), t.key(0).public_key, verify(t.nodes[0].disk.page(1)))
    assert [effect.reason for effect in effects if isinstance(effect, Halt)] == [
        "block 1 has q COMMITs and cannot be executed here: block 1 leads to another state than its header says"
    ]
    assert odd.tick(at(100)) == []
    assert odd.deadline() is None
    assert odd.step(at(100), t.key(0).public_key, verify(t.nodes[0].disk.page(1))) == []


def test_a_primary_that_cannot_execute_what_its_view_is_bound_to_halts_and_sends_nothing() -> None:
    class Odd(KeyValues):
        def root(self, state: Values) -> bytes:
            return super().root(state)[::-1]

    t = Table(4)
    t.submit(0, "first")
    t.deliver("proposal")
    t.deliver("prepare")
    t.time_out(0, 2, 3)
    odd = core_of(1, 4, Odd())
    effects = []
    for frm in (0, 2, 3):
        change = next(m for who, to, m in t.flying if who == frm and to == 1 and isinstance(m, ViewChange))
        effects += odd.step(at(t.now_s), t.key(frm).public_key, verify(change))
    assert [effect for effect in effects if isinstance(effect, Halt)]
    assert not [m for m in sent(effects) if isinstance(m, NewView)]
