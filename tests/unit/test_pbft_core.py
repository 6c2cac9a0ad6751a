"""The core's rules one by one; what it does as one of several is in tests/simulation."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace as changed

from coalesced.sim.ledger.machine import KeyValues, Values
from coalesced.sim.ledger.node import EPOCH_UNIX_MS, identity_of
from coalesced.sim.ledger.table import Table
from coalesced.testnet.byzantine import forge
from node.ledger.machine import InvalidBlock
from node.ledger.pbft.config import PbftConfig
from node.ledger.pbft.effects import (
    Broadcast,
    Offence,
    Persist,
    Reject,
)
from node.ledger.pbft.opened import verify
from node.ledger.pbft.records import AskedView, EnteredView, Prepared
from node.ledger.pbft.state import TRANSITIONS, Event, Now, Stage, diagram
from protocol.consensus import (
    NO_HASH,
    Block,
    NewView,
    Proposal,
    Status,
    SyncRequest,
    Transaction,
    ViewChange,
    block_hash,
    decode_header,
    members_hash,
    tx_root,
)
from protocol.errors import LocalProtocolError
from protocol.packing import pack
from tests.harness.replicas import MS, at, commits, core_of, sent

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


# --- blocks that may not be


def _wrong_blocks() -> dict[str, tuple[Block, str]]:
    """What a lying first primary may propose as block 1, and what is said of it."""
    core, machine = core_of(0, 4), KeyValues()
    r = core.replica
    good = forge.first_block(identity_of(0), r.chain, r.committee.members, b"set a 1", bytes(32), MS, 0)
    header = decode_header(good.header)

    def made(*txs: bytes, **fields: object) -> Block:
        state = machine.apply(r.state, list(dict.fromkeys(txs)), height=1, time_unix_ms=MS)
        right = {
            "state_root": machine.root(state),
            "members_hash": members_hash(state.members),
            "tx_root": tx_root(txs),
        }
        return Block(header=pack(changed(header, **{**right, **fields})), txs=txs)

    one = b"set a 1"
    joins = [b"join " + identity_of(who).public_key.hex().encode() for who in (20, 21)]
    return {
        "previous": (made(one, previous=bytes(32)), "does not follow the head"),
        "time": (made(one, time_unix_ms=EPOCH_UNIX_MS), "not later than the one before"),
        "twice": (made(one, one), "holds a transaction twice"),
        "state": (made(one, state_root=bytes(32)), "leads to another state"),
        "committee": (made(one, members_hash=bytes(32)), "leads to another committee"),
        "members": (made(*joins), "2 members come"),
        "proposer": (made(one, proposer=identity_of(2).public_key), "not made by the primary"),
        "view": (made(one, view=4), "not made by the primary"),
    }


@pytest.mark.parametrize("name", _wrong_blocks())
def test_a_block_that_breaks_a_rule_gets_no_vote_and_its_sender_is_charged(name: str) -> None:
    block, why = _wrong_blocks()[name]
    backup = core_of(1, 4)
    effects = backup.step(at(0), identity_of(0).public_key, verify(forge.proposal(identity_of(0), block, 0)))
    [offence] = effects
    assert isinstance(offence, Offence)
    assert offence.error.code == "invalid_block"
    assert why in offence.error.text
    assert backup.replica.stage is Stage.IDLE


def test_a_proposal_by_another_than_the_primary_is_an_offence() -> None:
    core = core_of(1, 4)
    r = core.replica
    block = forge.first_block(identity_of(2), r.chain, r.committee.members, b"set a 1", bytes(32), MS, 0)
    effects = core.step(at(0), identity_of(2).public_key, verify(forge.proposal(identity_of(2), block, 0)))
    assert [effect.error.code for effect in effects if isinstance(effect, Offence)] == ["not_primary"]


# --- the pool


def test_what_has_become_impossible_is_thrown_out_instead_of_suspecting_the_primary() -> None:
    class Once(KeyValues):
        """Every key may be set once."""

        def admit(self, state: Values, tx: bytes, *, time_unix_ms: int) -> str | None:
            return (
                "is set" if tx.split(b" ")[1] in state.values else super().admit(state, tx, time_unix_ms=time_unix_ms)
            )

    core = core_of(0, 1, Once())
    core.submit(at(0), b"set a 1")
    core.submit(at(0), b"set a 2")
    core.submit(at(0), b"set b 1")
    # All three fit into one block for this machine's apply(); a later copy of a key does not get in.
    assert len(commits(core.tick(at(0)))) == 1
    backup = core_of(1, 4, Once())
    backup.submit(at(0), b"set a 1")
    backup.tick(at(0))
    backup.replica.state.values[b"a"] = b"0"  # as if a block had set it
    effects = backup.tick(at(2.5))
    assert [effect.reason for effect in effects if isinstance(effect, Reject)] == ["is set"]
    assert backup.replica.view == 0
    assert backup.replica.timer_s is None


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
