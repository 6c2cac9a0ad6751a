"""The core's rules one by one; what it does as one of several is in tests/simulation."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from coalesced.sim.ledger import forge
from coalesced.sim.ledger.machine import KeyValues, Values
from coalesced.sim.ledger.node import EPOCH_UNIX_MS, Genesis, identity_of
from coalesced.sim.ledger.table import Table
from node.ledger.machine import InvalidBlock
from node.ledger.pbft.config import PbftConfig
from node.ledger.pbft.core import Core
from node.ledger.pbft.effects import (
    Broadcast,
    Commit,
    Effect,
    Halt,
    NeedSnapshot,
    Offence,
    Persist,
    Reject,
    Send,
)
from node.ledger.pbft.opened import verify
from node.ledger.pbft.records import Accepted, AskedView, EnteredView, Prepared, RecordError
from node.ledger.pbft.state import TRANSITIONS, Event, Now, Stage, diagram
from node.ledger.pbft.sync import Snapshot
from protocol.consensus import (
    NO_HASH,
    AnyConsensus,
    Block,
    Blocks,
    CommitteeLink,
    NewView,
    Proposal,
    Status,
    SyncRequest,
    Transaction,
    ViewChange,
    Vote,
    block_hash,
    decode_header,
)
from protocol.errors import LocalProtocolError, RemoteProtocolError

MS = EPOCH_UNIX_MS + 1000


def at(seconds: float) -> Now:
    return Now(seconds, MS + int(seconds * 1000))


def core_of(who: int, n: int, machine: KeyValues | None = None, config: PbftConfig | None = None) -> Core[Values]:
    genesis = Genesis(tuple(identity_of(index).public_key for index in range(n)))
    return Core(
        identity_of(who),
        machine or KeyValues(),
        config or PbftConfig(),
        chain=genesis.chain,
        head=genesis.head,
        state=genesis.state,
    )


def commits(effects: Sequence[Effect[Values]]) -> list[Commit[Values]]:
    return [effect for effect in effects if isinstance(effect, Commit)]


def sent(effects: Sequence[Effect[Values]]) -> list[AnyConsensus]:
    return [effect.message for effect in effects if isinstance(effect, Send | Broadcast)]


# --- persist before send


def test_every_vote_is_written_down_before_it_is_sent() -> None:
    primary, backup = core_of(0, 4), core_of(1, 4)
    primary.submit(at(0), b"set a 1")
    proposing = primary.tick(at(0))
    written = next(index for index, effect in enumerate(proposing) if isinstance(effect, Persist))
    proposal = next(message for message in sent(proposing) if isinstance(message, Proposal))
    assert written < proposing.index(Broadcast(proposal))

    preparing = backup.step(at(0), identity_of(0).public_key, verify(proposal))
    assert [type(effect) for effect in preparing] == [Persist, Broadcast]
    hash_ = block_hash(proposal.block.header)
    prepare = forge.vote(identity_of(2), "prepare", decode_header(proposal.block.header).chain, 1, 0, hash_)
    committing = backup.step(at(0), identity_of(2).public_key, verify(prepare))
    assert [type(effect) for effect in committing] == [Persist, Broadcast]
    assert isinstance(committing[0], Persist)
    assert isinstance(committing[0].record, Prepared)

    asking = backup.tick(at(3))
    kinds = [effect.record if isinstance(effect, Persist) else effect for effect in asking]
    asked = next(index for index, effect in enumerate(kinds) if isinstance(effect, AskedView))
    told = next(i for i, e in enumerate(kinds) if isinstance(e, Broadcast) and isinstance(e.message, ViewChange))
    assert asked < told


def test_one_replica_alone_decides_in_one_tick() -> None:
    core = core_of(0, 1)
    for index in range(5):
        assert core.submit(at(0), b"set k%d 1" % index) == []
    assert core.deadline() == 0.0, "a proposal is due at once, after what else is in the inbox"
    [commit] = commits(core.tick(at(0)))
    assert len(commit.block.block.txs) == 5, "what came in one batch is in one block"


def test_time_goes_on_from_block_to_block_though_the_clock_goes_back() -> None:
    core = core_of(0, 1)
    times = []
    for index in range(3):
        now = Now(float(index), MS - index * 500)
        core.submit(now, b"set k%d 1" % index)
        times += [commit.block.header.time_unix_ms for commit in commits(core.tick(now))]
    assert times == [MS, MS + 1, MS + 2]


# --- the clock


def test_a_new_block_far_off_the_clock_is_not_voted_for() -> None:
    for skew_ms, is_taken in ((14_000, True), (16_000, False), (-16_000, False)):
        primary, backup = core_of(0, 4), core_of(1, 4)
        now = Now(0.0, MS + 20_000 + skew_ms)
        primary.submit(now, b"set a 1")
        proposal = next(m for m in sent(primary.tick(now)) if isinstance(m, Proposal))
        effects = backup.step(Now(0.0, MS + 20_000), identity_of(0).public_key, verify(proposal))
        assert any(isinstance(effect, Persist) for effect in effects) is is_taken
        assert any(isinstance(effect, Offence) for effect in effects) is not is_taken


def test_a_block_that_a_new_view_proposes_again_is_not_checked_against_the_clock() -> None:
    t = Table(4)
    t.submit(0, "first")
    t.deliver("proposal")
    t.deliver("prepare")
    t.drop()
    t.pass_s(60.0)
    t.time_out(0, 1, 2, 3)
    t.settle()
    t.expect_heights(1, 0, 1, 2, 3)
    t.expect(t.replica(0).view == 1, "it was decided in view 1")


# --- the pool


def test_a_transaction_that_may_not_be_in_a_block_is_rejected_with_the_reason() -> None:
    core = core_of(0, 1)
    assert core.submit(at(0), b"nonsense") == [Reject(KeyValues().tx_id(b"nonsense"), "neither set, join nor leave")]
    core.submit(at(0), b"set a 1")
    core.tick(at(0))
    [reject] = core.submit(at(1), b"set a 1")
    assert isinstance(reject, Reject)
    assert reject.reason == "was applied before"


def test_the_pool_is_bounded_in_all_and_by_sender() -> None:
    core = core_of(1, 4, config=PbftConfig(pool_txs=5, pool_txs_per_sender=3))
    reasons = []
    for sender, count in ((2, 4), (3, 4)):
        for index in range(count):
            tx = Transaction(tx=b"set k%d-%d 1" % (sender, index))
            reasons += [e.reason for e in core.step(at(0), identity_of(sender).public_key, tx) if isinstance(e, Reject)]
    assert len(core.replica.pool) == 5
    assert reasons[0].startswith("3 transactions of this sender wait already")
    assert reasons[1].startswith("the pool is full")


def test_what_does_not_go_together_waits_and_what_goes_nowhere_is_thrown_out() -> None:
    class OneOfAKind(KeyValues):
        """At most one transaction of a key in a block, and none that says `never`, which admit() does not see."""

        def apply(self, state: Values, txs: Sequence[bytes], *, height: int, time_unix_ms: int) -> Values:
            keys = [tx.split(b" ")[1] for tx in txs]
            if len(set(keys)) != len(keys) or b"never" in keys:
                raise InvalidBlock("not together")
            return super().apply(state, txs, height=height, time_unix_ms=time_unix_ms)

    core = core_of(0, 1, OneOfAKind())
    texts = [b"set a 1", b"set a 2", b"set never 1", b"set b 1", b"set a 3"]
    for tx in texts:
        core.submit(at(0), tx)
    first = core.tick(at(0))
    assert commits(first)[0].block.block.txs == (b"set a 1", b"set b 1")
    second = core.tick(at(1))
    assert commits(second)[0].block.block.txs == (b"set a 2",)
    third = core.tick(at(2))
    assert commits(third)[0].block.block.txs == (b"set a 3",)
    assert [effect.reason for effect in third if isinstance(effect, Reject)] == ["not together"]
    assert len(core.replica.pool) == 0


def test_a_primary_that_leaves_a_transaction_out_is_replaced() -> None:
    t = Table(4, liars={0})
    t.submit(1, "wanted")
    t.drop()
    config = t.config
    t.tick(1)
    assert t.replica(1).timer_s is not None
    # The liar commits other things in time, with everybody's help; each block restarts the timer, not the tx's clock.
    wanted_since_s = t.now_s
    for round_ in range(12):
        t.pass_s(1.8)
        tx = f"set other{round_} 1".encode()
        t.rules.submitted.add(tx)
        made = _next_block(t, tx)
        proposal = forge.proposal(t.key(0), made, 0)
        t.lie(0, proposal, 1, 2, 3)
        t.deliver("prepare commit")
        t.deliver("prepare commit")
        t.drop()
        if t.now_s - wanted_since_s < config.censorship_timeout_ms / 1000:
            t.tick(1)
            t.expect(t.replica(1).view == 0, f"progress holds the timer off in round {round_}")
    t.tick(1)
    t.expect(t.height(1) == 12 and t.replica(1).view == 1, "the primary is suspected for what it leaves out")


def _next_block(t: Table, tx: bytes) -> Block:
    """What the first primary, which lies, makes of one transaction on top of replica 1's head."""
    r, machine = t.replica(1), KeyValues()
    time_unix_ms = MS + int(t.now_s * 1000)
    state = machine.apply(r.state, [tx], height=r.height, time_unix_ms=time_unix_ms)
    like = forge.first_block(t.key(0), r.chain, r.committee.members, tx, bytes(32), time_unix_ms, 0)
    return forge.block(like, (tx,), machine.root(state), height=r.height, previous=r.head.hash)


# --- bounds


def test_a_liars_votes_and_early_messages_fill_no_memory() -> None:
    core = core_of(0, 4)
    liar, chain = identity_of(3), core.replica.chain
    for view in range(200):
        core.step(at(0), liar.public_key, verify(forge.vote(liar, "prepare", chain, 1, view, bytes(32))))
        core.step(at(0), liar.public_key, verify(forge.vote(liar, "commit", chain, 2, view, bytes(32))))
        core.step(at(0), liar.public_key, verify(forge.view_change(liar, chain, 1, view + 1)))
    replica = core.replica
    assert len(replica.votes._first) <= 8
    assert [len(kept) for kept in replica.early.values()] == [PbftConfig().early_messages_per_sender]
    assert len(replica.changes) == 1
    assert replica.view == 0
    stranger = identity_of(50)
    for height in (1, 2):
        core.step(at(0), stranger.public_key, verify(forge.vote(stranger, "commit", chain, height, 0, bytes(32))))
    assert len(replica.early) == 1


def test_peers_that_say_they_are_ahead_are_bounded_and_asked_one_at_a_time() -> None:
    core = core_of(0, 4)
    asked = []
    for index in range(300):
        effects = core.step(at(0), index.to_bytes(32, "big"), Status(height=50, view=0))
        asked += [message for message in sent(effects) if isinstance(message, SyncRequest)]
    assert len(asked) == 1
    assert len(core.replica.asking.ahead) == 200
    again = [m for m in sent(core.tick(at(5))) if isinstance(m, SyncRequest)]
    assert len(again) == 1, "the next one is asked when the first does not answer"


def test_a_message_of_another_chain_is_an_offence() -> None:
    core, key = core_of(0, 4), identity_of(1)
    for message in (
        forge.vote(key, "prepare", bytes(32), 1, 0, bytes(32)),
        forge.view_change(key, bytes(32), 1, 1),
        NewView(changes=(forge.view_change(key, bytes(32), 1, 1).change,)),
    ):
        effects = core.step(at(0), key.public_key, verify(message))
        assert [effect.error.code for effect in effects if isinstance(effect, Offence)] == ["wrong_chain"]


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


# --- the committee


def test_a_member_that_joins_votes_from_the_next_height_on_and_one_that_leaves_stops() -> None:
    t = Table(4)
    leaving = identity_of(3).public_key
    _commit(t, b"leave " + leaving.hex().encode())
    t.expect_heights(1, 0, 1, 2, 3)
    t.expect_stage(Stage.FOLLOWING, 3)
    assert t.replica(0).committee.members == t.genesis.members[:3]
    _commit(t, b"set while away")
    t.expect_heights(2, 0, 1, 2)
    t.pass_s(6.0, 0, 1, 2, 3)
    t.settle()
    t.pass_s(1.0, 0, 1, 2, 3)
    t.settle()
    t.expect_heights(2, 3)
    _commit(t, b"join " + leaving.hex().encode())
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


# --- snapshots, divergence


def _chain_of(t: Table, txs: Sequence[bytes]) -> None:
    for tx in txs:
        _commit(t, tx)


def _commit(t: Table, tx: bytes) -> None:
    t.rules.submitted.add(tx)
    node = t.nodes[0]
    assert node.core is not None
    node.core.submit(at(t.now_s), tx)
    t.settle()


def _snapshot(t: Table, heights_of_links: Sequence[int]) -> Snapshot[Values]:
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
    return Snapshot(last.block.block.header, last.certificate.certificate, links, last.state)


def test_a_snapshot_is_taken_when_the_chain_of_committees_vouches_for_it() -> None:
    t = Table(4)
    gone = identity_of(3).public_key.hex().encode()
    _chain_of(t, [b"set a 1", b"leave " + gone, b"set b 1"])
    t.expect_heights(3, 0, 1, 2)
    late = core_of(3, 4)
    effects = late.step(at(0), t.key(0).public_key, verify(Status(height=3, view=0)))
    assert [m for m in sent(effects) if isinstance(m, SyncRequest)]
    pruned = Blocks(first_height=3, head_height=3, blocks=())
    needed = late.step(at(0), t.key(0).public_key, verify(pruned))
    assert [effect for effect in needed if isinstance(effect, NeedSnapshot)] == [NeedSnapshot(t.key(0).public_key, 2)]
    late.adopt(at(0), _snapshot(t, [2]))
    assert late.replica.head.height == 3
    assert late.replica.stage is Stage.FOLLOWING
    assert late.replica.state.values[b"b"] == b"1"


def test_a_snapshot_that_does_not_prove_itself_changes_nothing() -> None:
    t = Table(4)
    gone = identity_of(3).public_key.hex().encode()
    _chain_of(t, [b"set a 1", b"leave " + gone, b"set b 1"])
    good = _snapshot(t, [2])
    first = t.nodes[0].disk.blocks[0]
    for wrong in (
        replace(good, links=good.links * 2),
        replace(good, links=(changed(good.links[0], members=t.genesis.members),)),
        replace(good, links=(changed(good.links[0], certificate=first.certificate.certificate),)),
        replace(good, state=first.state),
        replace(good, certificate=first.certificate.certificate),
        replace(good, certificate=changed(good.certificate, seals=good.certificate.seals[:1])),
    ):
        late = core_of(1, 4)
        with pytest.raises(RemoteProtocolError):
            late.adopt(at(0), wrong)
        assert late.replica.head.height == 0


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


# --- the table of stages


def test_every_stage_is_reached_and_none_but_halted_is_final() -> None:
    assert set(TRANSITIONS.values()) == set(Stage)
    left = {stage for (stage, event) in TRANSITIONS if event is not Event.DIVERGED}
    assert left == set(Stage) - {Stage.HALTED}


def test_a_transition_that_is_not_in_the_table_is_our_own_error() -> None:
    core = core_of(0, 4)
    with pytest.raises(LocalProtocolError, match="idle: no transition"):
        core.replica.go(Event.PREPARED)


def test_the_diagram_shows_every_transition() -> None:
    text = diagram()
    assert "idle --> preparing: proposal accepted" in text
    assert text.count("-->") == 2 + len({(a, b) for (a, e), b in TRANSITIONS.items() if e is not Event.DIVERGED})


def test_a_line_for_the_log_says_where_a_replica_is() -> None:
    t = Table(4)
    t.submit(0, "a")
    t.deliver("proposal")
    t.deliver("prepare", to=1)
    assert str(t.nodes[0].core).startswith("h=1 v=0 preparing primary accepted=")
    assert "committing accepted=" in str(t.nodes[1].core)
    assert "prepared=" in str(t.nodes[1].core)


def test_no_hash_means_none_in_a_record() -> None:
    core = core_of(1, 4)
    core.restore([EnteredView(height=1, view=4, bound_to=NO_HASH)])
    assert core.replica.bound_to is None
    assert core.replica.stage is Stage.IDLE
