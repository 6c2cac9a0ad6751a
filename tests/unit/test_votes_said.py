"""The witness of what members vote for notices who votes twice."""

from pathlib import Path

from coalesced.sim.ledger.node import identity_of
from coalesced.testnet.byzantine import forge
from coalesced.testnet.byzantine.witness import FILE, Witness
from tests.harness.votesaid import VotesSaid

CHAIN = bytes(32)
ONE, OTHER = b"\x01" * 32, b"\x02" * 32


def heard_by(home: Path, *blocks: bytes) -> VotesSaid:
    """What is known after a member has sent a PREPARE for each of these blocks."""
    member = identity_of(1)
    witness = Witness(home / FILE)
    for block in blocks:
        witness.hear(forge.vote(member, "prepare", CHAIN, 7, 0, block))
    votes = VotesSaid([member.public_key])
    votes.read_heard(home)
    return votes


def test_two_votes_of_one_member_in_one_view_are_a_contradiction(tmp_path: Path) -> None:
    assert heard_by(tmp_path, ONE, ONE).contradictions == []
    (found,) = heard_by(tmp_path, ONE, OTHER).contradictions
    assert "said prepare for" in found


def test_a_forged_vote_is_not_held_against_the_member_that_it_names(tmp_path: Path) -> None:
    liar, member = identity_of(2), identity_of(1)
    vote = forge.vote(liar, "prepare", CHAIN, 7, 0, OTHER)
    witness = Witness(tmp_path / FILE)
    witness.hear(type(vote)(phase=vote.phase, ballot=vote.ballot, signer=member.public_key, signature=vote.signature))
    votes = VotesSaid([member.public_key])
    votes.read_heard(tmp_path)
    assert votes.heard == 0


def test_a_certificate_may_contradict_what_was_heard(tmp_path: Path) -> None:
    votes = heard_by(tmp_path, ONE)
    votes.read_certificate(forge.certificate([identity_of(1)], "commit", CHAIN, 7, 0, ONE))
    assert votes.contradictions == []
    votes.read_certificate(forge.certificate([identity_of(1), identity_of(2)], "commit", CHAIN, 7, 0, OTHER))
    assert len(votes.contradictions) == 1
