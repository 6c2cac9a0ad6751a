"""A member that votes twice is found out by the others, and is a member no longer."""

from pathlib import Path

from crypto.identity import Identity
from node.ledger.chain.state import FAULTY, Account, account_key
from protocol.consensus import PHASE_LABELS, Ballot, Vote, encode_consensus
from protocol.messages import LedgerBatch
from protocol.packing import pack
from tests.harness.communities import Neighbour, community, until


def vote(member: Identity, chain: bytes, height: int, block: bytes) -> bytes:
    """A PREPARE for a block that somebody made up."""
    ballot = pack(Ballot(chain=chain, height=height, view=0, block=block))
    signature = member.sign(PHASE_LABELS["prepare"], ballot)
    return encode_consensus(Vote(phase="prepare", ballot=ballot, signer=member.public_key, signature=signature))


def standing(at: Neighbour, of: Neighbour) -> int:
    owner = at.state.account_of(of.key)
    assert owner is not None
    return at.state.the(Account, account_key(owner)).standing


async def test_two_votes_of_one_member_for_one_height_cost_it_its_vote(tmp_path: Path) -> None:
    async with community(tmp_path) as made:
        *honest, double = made.members
        await honest[0].commit()
        await made.agree(1)
        chain, height = honest[0].community.following.machine.chain, honest[0].height + 1
        votes = tuple(vote(double.identity, chain, height, bytes([number]) * 32) for number in (1, 2))
        honest[0].community.take(double.key, LedgerBatch(chain=chain, messages=votes))
        await until(
            lambda: all(one.facts is not None and double.key not in one.facts.members for one in honest),
            f"the member is gone; now {[one.facts and len(one.facts.members) for one in honest]}",
        )
        assert {standing(one, double) for one in honest} == {FAULTY}
        height = honest[0].height
        await honest[1].commit()  # three go on without it
        await made.agree(height + 1, honest)
