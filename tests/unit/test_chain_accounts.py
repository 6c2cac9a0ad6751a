"""Accounts: sequence numbers, quotas, joining, succession, revocation, evidence; and the committee's decisions."""

import msgspec
import pytest

from crypto.identity import Identity
from node.ledger.chain.evidence import vote_conflict
from node.ledger.chain.genesis import Parameters
from node.ledger.chain.state import FAULTY, REVOKED
from node.ledger.machine import InvalidBlock
from protocol.consensus import PHASE_LABELS, Ballot, Equivocation, Phase, Vote
from protocol.packing import pack
from protocol.transactions import (
    Admit,
    CommitRating,
    Grant,
    Join,
    NameSuccessor,
    Reconfigure,
    ReportConflict,
    Revoke,
    Succeed,
    cosign,
    key_commitment,
    open_transaction,
    sign_transaction,
    transaction_id,
)
from tests.harness.chains import EPOCH_MS, MEMBERS, PEOPLE, RULES, World, genesis, held

ALICE, BOB = PEOPLE[4:6]
NEW, NEXT = PEOPLE[10:12]


def commit(world: World, who: Identity, sequence: int, filler: int = 0) -> bytes:
    terms = CommitRating(
        chain=world.machine.chain,
        signer=who.public_key,
        sequence=sequence,
        commitment=(sequence + filler).to_bytes(32, "big"),
    )
    return sign_transaction(terms, who)


def vote(world: World, who: Identity, phase: Phase, block: bytes, view: int = 0, chain: bytes | None = None) -> Vote:
    ballot = pack(Ballot(chain=chain or world.machine.chain, height=9, view=view, block=block))
    return Vote(phase=phase, ballot=ballot, signer=who.public_key, signature=who.sign(PHASE_LABELS[phase], ballot))


def conflict(world: World, first: Vote, second: Vote) -> bytes:
    terms = vote_conflict(
        Equivocation(first=first, second=second), chain=world.machine.chain, signer=ALICE.public_key, sequence=1
    )
    return sign_transaction(terms, ALICE)


# Sequence numbers and quotas


def test_a_transaction_is_taken_once() -> None:
    world = World()
    tx = commit(world, ALICE, 1)
    world.block(tx)
    assert "is used or too old" in (world.why_not(tx) or "")
    with pytest.raises(InvalidBlock):
        world.block(commit(world, ALICE, 2), commit(world, ALICE, 2))


def test_what_was_sent_together_may_arrive_in_any_order_within_the_window() -> None:
    world = World()
    world.block(*(commit(world, ALICE, number) for number in (70, 8, 7, 69, 30)))
    assert "is used or too old" in (world.why_not(commit(world, ALICE, 6)) or "")
    for number in (70, 8, 7, 69, 30):
        assert "is used or too old" in (world.why_not(commit(world, ALICE, number, 999)) or "")
    world.block(commit(world, ALICE, 200))
    assert "is used or too old" in (world.why_not(commit(world, ALICE, 136)) or "")
    assert world.why_not(commit(world, ALICE, 137)) is None


def test_an_account_has_so_many_transactions_an_epoch_and_a_block() -> None:
    rules = msgspec.structs.replace(RULES, transactions_per_epoch=3, transactions_per_block=2)
    world = World(genesis(rules=rules))
    txs = [commit(world, ALICE, number) for number in range(1, 5)]
    with pytest.raises(InvalidBlock, match="of this block"):
        world.block(*txs[:3])
    reasons = world.machine.select(world.state, [txs[0], txs[0], txs[1], txs[2]], time_unix_ms=world.now)
    assert [reason is None for reason in reasons] == [True, False, True, False]  # what is refused uses up nothing
    world.block(*txs[:2])
    world.block(txs[2])
    assert "of this epoch" in (world.why_not(txs[3]) or "")
    assert world.why_not(txs[3], after_ms=EPOCH_MS) is None


def test_a_transaction_of_another_chain_is_refused() -> None:
    one, other = World(), World(genesis(credits_=7))
    assert "meant for chain" in (other.why_not(commit(one, ALICE, 1)) or "")


# Joining, succession, revocation


def test_joining_costs_a_bond_that_stays_locked() -> None:
    world = World()
    world.block(world.tx(Join, ALICE, NEW, key=NEW.public_key, bond=100))
    assert (world.account(ALICE).credits, world.account(NEW).bond, world.account(NEW).credits) == (900, 100, 0)
    assert held(world.state) == world.state.chain.issued_credits
    assert "already" in (world.why_not(world.tx(Join, ALICE, NEW, key=NEW.public_key, bond=100)) or "")
    assert "below the 100" in (world.why_not(world.tx(Join, ALICE, NEXT, key=NEXT.public_key, bond=99)) or "")
    assert "more than" in (world.why_not(world.tx(Join, ALICE, NEXT, key=NEXT.public_key, bond=901)) or "")
    assert "named keys have to sign" in (world.why_not(world.tx(Join, ALICE, key=NEXT.public_key, bond=100)) or "")


def test_the_committee_admits_without_a_bond() -> None:
    world = World()
    world.block(world.motion(Admit, MEMBERS[:3], key=NEW.public_key))
    assert world.account(NEW).bond == 0


def named(world: World, who: Identity = ALICE) -> None:
    world.block(world.tx(NameSuccessor, who, next_key_sha256=key_commitment(NEXT.public_key)))


def test_the_named_key_takes_over_what_the_account_has() -> None:
    world = World()
    named(world)
    world.block(world.tx(Succeed, ALICE, NEXT, new_key=NEXT.public_key))
    assert (world.account(ALICE).key, world.account(ALICE).credits) == (NEXT.public_key, 1000)
    assert "was succeeded by" in (world.why_not(commit(world, ALICE, 50)) or "")
    assert world.why_not(commit(world, NEXT, 50)) is None
    assert world.state.account_of(NEXT.public_key) == world.state.account_of(ALICE.public_key) == ALICE.public_key


def test_only_the_named_key_succeeds_and_it_is_named_once() -> None:
    world = World()
    assert "not the successor" in (world.why_not(world.tx(Succeed, ALICE, NEXT, new_key=NEXT.public_key)) or "")
    named(world)
    assert "not the successor" in (world.why_not(world.tx(Succeed, ALICE, NEW, new_key=NEW.public_key)) or "")
    again = world.tx(NameSuccessor, ALICE, next_key_sha256=key_commitment(NEW.public_key))
    assert "that stands" in (world.why_not(again) or "")
    assert "have to sign" in (world.why_not(world.tx(Succeed, ALICE, new_key=NEXT.public_key)) or "")


def test_what_a_succeeded_key_accepted_in_its_time_is_still_rated() -> None:
    world = World()
    before = world.rating(BOB, ALICE, 1)
    named(world)
    world.block(before.commit, world.tx(Succeed, ALICE, NEXT, new_key=NEXT.public_key))
    world.block(before.reveal, after_ms=EPOCH_MS)
    assert world.account(ALICE).ratings == 1
    after = world.rating(BOB, NEXT, 2)
    world.block(after.commit)
    world.block(after.reveal, after_ms=EPOCH_MS)
    assert world.account(ALICE).ratings == 2
    world.now += 86_400_000
    stolen = world.rating(BOB, ALICE, 3)
    world.block(stolen.commit)
    assert "ended before day" in (world.why_not(stolen.reveal, after_ms=EPOCH_MS) or "")


def test_a_key_is_revoked_by_itself_or_by_its_named_successor() -> None:
    world = World()
    named(world)
    key = ALICE.public_key

    def revoked_by(who: Identity) -> bytes:
        return sign_transaction(Revoke(chain=world.machine.chain, key=key, by=who.public_key), who)

    assert "neither the account's own" in (world.why_not(revoked_by(BOB)) or "")
    assert world.why_not(revoked_by(ALICE)) is None
    world.block(revoked_by(NEXT))
    assert (world.account(ALICE).standing, world.account(ALICE).credits) == (REVOKED, 1000)
    assert "is revoked" in (world.why_not(commit(world, ALICE, 50)) or "")
    assert "is revoked" in (world.why_not(revoked_by(ALICE)) or "")


# Evidence


def test_two_votes_that_exclude_each_other_end_a_member_and_its_membership() -> None:
    world = World()
    bad = MEMBERS[1]
    tx = conflict(world, vote(world, bad, "commit", b"a" * 32), vote(world, bad, "commit", b"b" * 32))
    world.block(tx)
    assert world.account(bad).standing == FAULTY
    assert bad.public_key not in world.state.members
    assert len(world.state.members) == 3
    assert "is faulty" in (world.why_not(commit(world, bad, 1)) or "")


@pytest.mark.parametrize("case", ["same", "view", "phase", "chain", "signer"])
def test_votes_that_go_together_are_no_evidence(case: str) -> None:
    world = World()
    bad = MEMBERS[1]
    first = vote(world, bad, "commit", b"a" * 32)
    second = {
        "same": first,
        "view": vote(world, bad, "commit", b"b" * 32, view=1),
        "phase": vote(world, bad, "prepare", b"b" * 32),
        "chain": vote(world, bad, "commit", b"b" * 32, chain=bytes(32)),
        "signer": vote(world, MEMBERS[2], "commit", b"b" * 32),
    }[case]
    assert world.why_not(conflict(world, first, second)) is not None


def test_a_bond_is_lost_to_the_treasury() -> None:
    world = World()
    world.block(world.tx(Join, BOB, NEW, key=NEW.public_key, bond=150))
    tx = conflict(world, vote(world, NEW, "prepare", b"a" * 32), vote(world, NEW, "prepare", b"b" * 32))
    world.block(tx)
    assert (world.account(NEW).bond, world.state.chain.treasury_credits) == (0, 150)
    assert held(world.state) == world.state.chain.issued_credits


def test_bodies_that_an_honest_node_may_sign_twice_are_no_evidence() -> None:
    world = World()
    terms = ReportConflict(
        chain=world.machine.chain,
        signer=ALICE.public_key,
        sequence=1,
        accused=BOB.public_key,
        label="result",
        body_1=b"1",
        signature_1=BOB.sign(b"result", b"1"),
        body_2=b"2",
        signature_2=BOB.sign(b"result", b"2"),
    )
    assert "do not contradict" in (world.why_not(sign_transaction(terms, ALICE)) or "")


# The committee


def test_a_quorum_of_the_members_changes_the_committee_one_at_a_time() -> None:
    world = World()
    keys = [one.public_key for one in PEOPLE]
    assert "it takes 3" in (world.why_not(world.motion(Reconfigure, MEMBERS[:2], add=(keys[4],))) or "")
    stranger = world.motion(Reconfigure, (*MEMBERS[:2], ALICE), add=(keys[4],))
    assert "is no member" in (world.why_not(stranger) or "")
    two = world.motion(Reconfigure, MEMBERS[:3], add=(keys[4], keys[5]))
    assert "at most 1 of each" in (world.why_not(two) or "")
    swap = world.motion(Reconfigure, MEMBERS[:3], add=(keys[4],), remove=(keys[0],))
    world.block(swap)
    assert set(world.state.members) == set(keys[1:5])
    assert "taken effect" in (world.why_not(swap) or "") or "is no member" in (world.why_not(swap) or "")


def test_two_motions_in_one_block_share_its_limit_of_changes() -> None:
    world = World()
    one = world.motion(Reconfigure, MEMBERS[:3], add=(PEOPLE[4].public_key,))
    two = world.motion(Reconfigure, MEMBERS[:3], add=(PEOPLE[5].public_key,))
    with pytest.raises(InvalidBlock, match="at most 1 of each"):
        world.block(one, two)
    world.block(one)
    world.block(world.motion(Reconfigure, (*MEMBERS[:3], PEOPLE[4]), add=(PEOPLE[5].public_key,)))
    assert len(world.state.members) == 6


def test_a_motion_takes_effect_once_and_only_while_it_is_valid() -> None:
    world = World()
    grant = world.motion(Grant, MEMBERS[:3], account=ALICE.public_key, credits=5)
    assert "was valid until" in (world.why_not(grant, after_ms=EPOCH_MS + 1) or "")
    world.block(grant)
    assert "taken effect" in (world.why_not(grant) or "")
    assert "taken effect" in (world.why_not(cosign(grant, MEMBERS[3])) or "")
    assert transaction_id(grant) == transaction_id(cosign(grant, MEMBERS[3]))
    assert cosign(grant, MEMBERS[0]) == grant


def test_a_members_successor_takes_its_place() -> None:
    world = World()
    member = MEMBERS[2]
    named(world, member)
    world.block(world.tx(Succeed, member, NEXT, new_key=NEXT.public_key))
    assert NEXT.public_key in world.state.members
    assert member.public_key not in world.state.members


def test_two_members_that_end_in_one_block_go_one_after_the_other() -> None:
    world = World()
    ends = [
        sign_transaction(Revoke(chain=world.machine.chain, key=one.public_key, by=one.public_key), one)
        for one in MEMBERS[:2]
    ]
    world.block(*ends)
    assert len(world.state.members) == 3
    world.block()
    assert set(world.state.members) == {one.public_key for one in MEMBERS[2:]}


def test_the_last_member_stays() -> None:
    world = World(genesis(members=MEMBERS[:1]))
    last = MEMBERS[0]
    world.block(sign_transaction(Revoke(chain=world.machine.chain, key=last.public_key, by=last.public_key), last))
    assert world.state.members == (last.public_key,)


# The envelope


def test_any_bytes_have_an_answer_and_an_id() -> None:
    world = World()
    for junk in (b"", b"\x00", b"\x93\xa1x\xc4\x01a\x90", bytes(5000)):
        assert world.why_not(junk) is not None
        assert len(world.machine.tx_id(junk)) == 32
        with pytest.raises(InvalidBlock):
            world.block(junk)


def test_a_changed_body_is_not_what_was_signed() -> None:
    world = World()
    tx = commit(world, ALICE, 1)
    forged = tx.replace((1).to_bytes(32, "big"), (2).to_bytes(32, "big"))
    assert forged != tx
    assert "is not its signer's" in (world.why_not(forged) or "")


def test_a_signature_for_one_kind_is_worth_nothing_for_another() -> None:
    world = World()
    tx = commit(world, ALICE, 1)
    assert open_transaction(tx).signers == (ALICE.public_key,)
    other = tx.replace(b"commit-rating", b"revoke-rating")
    assert world.why_not(other) is not None


def test_blocks_follow_one_another_in_height_and_time() -> None:
    world = World()
    world.block()
    with pytest.raises(InvalidBlock, match="on top of height 1"):
        world.machine.apply(world.state, [], height=3, time_unix_ms=world.now)
    with pytest.raises(InvalidBlock, match="on top of a later one"):
        world.machine.apply(world.state, [], height=2, time_unix_ms=world.now - 1)


def test_the_defaults_are_valid_rules() -> None:
    assert World(genesis(rules=Parameters())).state.chain.height == 0
