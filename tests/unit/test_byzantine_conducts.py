"""What each kind of hostile member says in place of its honest core; what comes of it is in tests/simulation."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest

from coalesced.sim.ledger.machine import Values
from coalesced.testnet.byzantine.conduct import Conduct, Outgoing, Situation
from coalesced.testnet.byzantine.kinds import CONDUCTS
from coalesced.testnet.manifest import Lie
from node.ledger.pbft.core import Core
from node.ledger.pbft.effects import Broadcast, Effect, Send
from node.ledger.pbft.opened import OpenProposal, excludes, open_vote, verify
from protocol.consensus import AnyConsensus, Proposal, Status, Transaction, Vote, decode_ballot
from tests.harness.replicas import at, core_of, sent

MEMBERS = 4
TXS = [b"set a 1", b"set b 2", b"set c 3"]


def hostile(kind: Lie, core: Core[Values], seed: int = 1) -> Conduct[Values]:
    replica = core.replica
    return CONDUCTS[kind](
        Situation(
            identity=replica.identity,
            chain=replica.chain,
            rng=Random(seed),
            core=lambda: core,
            known=lambda: replica.committee.members,
            now=lambda: at(1.0),
        )
    )


def outgoing(effects: Sequence[Effect[Values]]) -> list[Outgoing]:
    said = []
    for effect in effects:
        match effect:
            case Send(to=to, message=message):
                said.append(Outgoing(message, to))
            case Broadcast(message=message, audience=audience):
                said.append(Outgoing(message, None, audience))
            case _:
                pass
    return said


def proposing() -> tuple[Core[Values], list[Outgoing]]:
    """The first primary, and the proposal that it wants sent."""
    core = core_of(0, MEMBERS)
    for tx in TXS:
        core.submit(at(0.0), tx)
    return core, outgoing(core.tick(at(0.5)))


def voting() -> tuple[Core[Values], Proposal, list[Outgoing]]:
    """A backup, the proposal that it takes, and the vote that it wants sent."""
    _, said = proposing()
    proposal = next(out.message for out in said if isinstance(out.message, Proposal))
    core = core_of(1, MEMBERS)
    return core, proposal, outgoing(core.step(at(1.0), core_of(0, MEMBERS).replica.me, verify(proposal)))


def of_each(conduct: Conduct[Values], said: Sequence[Outgoing]) -> dict[bytes, list[AnyConsensus]]:
    """What reaches whom."""
    reached: dict[bytes, list[AnyConsensus]] = {}
    for out in said:
        for key in conduct.receivers(out):
            reached.setdefault(key, []).append(out.message)
    return reached


def test_an_equivocating_primary_gives_two_valid_blocks_to_two_halves() -> None:
    core, said = proposing()
    conduct = hostile("equivocator", core)
    reached = of_each(conduct, list(conduct.twist(said)))
    assert len(reached) == MEMBERS - 1
    opened = [verify(message) for messages in reached.values() for message in messages]
    proposals = [one for one in opened if isinstance(one, OpenProposal)]
    assert len(proposals) == MEMBERS - 1
    assert len({one.block.hash for one in proposals}) == 2


def test_an_equivocating_backup_votes_twice_and_so_against_itself() -> None:
    core, proposal, said = voting()
    conduct = hostile("equivocator", core)
    conduct.hear(core.replica.me, proposal)
    votes = {
        message.ballot: message
        for out in conduct.twist(said)
        if isinstance(message := out.message, Vote) and message.signer == core.replica.me
    }
    one, other = (open_vote(vote) for vote in votes.values())
    assert excludes(one, other)


def test_a_silent_one_says_nothing() -> None:
    core, said = proposing()
    assert said
    assert list(hostile("silent", core).twist(said)) == []


def test_a_vote_withholder_proposes_and_does_not_vote() -> None:
    core, said = proposing()
    assert list(hostile("vote-withholder", core).twist(said)) == said
    core, _, said = voting()
    kept = [out.message for out in hostile("vote-withholder", core).twist(said)]
    assert any(isinstance(out.message, Vote) for out in said)
    assert not any(isinstance(message, Vote) for message in kept)


def test_a_slow_one_says_the_same_later() -> None:
    core, said = proposing()
    late = list(hostile("slow", core).twist(said))
    assert all(out.after_s > 0 for out in late)
    assert [replace(out, after_s=0.0) for out in late] == said


def test_a_replayer_adds_what_was_said_before() -> None:
    core, _, said = voting()
    conduct = hostile("replayer", core)
    old = Status(height=77, view=0)
    conduct.hear(core.replica.me, old)
    assert list(conduct.twist([])) == []
    messages = [out.message for _ in range(20) for out in conduct.twist(said)]
    assert old in messages
    assert all(out.message in messages for out in said)


def test_a_liar_says_other_things_with_its_own_key_only() -> None:
    core, said = proposing()
    conduct = hostile("liar", core)
    true = [out.message for out in said]
    lies = [out.message for _ in range(200) for out in conduct.twist(said) if out.message not in true]
    assert lies
    votes = [message for message in lies if isinstance(message, Vote)]
    votes += [message.vote for message in lies if isinstance(message, Proposal)]
    assert {vote.signer for vote in votes} == {core.replica.me}


def test_a_twin_speaks_with_two_minds_to_two_sides() -> None:
    """Somewhere among the seeds, one side votes for the first proposal and the other side for another one."""
    contradictions = 0
    for seed in range(10):
        core, proposal, said = voting()
        conduct = hostile("twin", core, seed)
        primary = core_of(0, MEMBERS)
        primary.submit(at(0.0), TXS[0])
        (other,) = [one for one in sent(primary.tick(at(0.7))) if isinstance(one, Proposal)]
        assert other != proposal
        conduct.hear(primary.replica.me, Transaction(tx=TXS[0]))
        conduct.hear(primary.replica.me, other)
        twisted = list(conduct.twist(said))
        blocks = {decode_ballot(out.message.ballot).block for out in twisted if isinstance(out.message, Vote)}
        sides = {key for out in twisted for key in conduct.receivers(out)}
        contradictions += len(blocks) == 2
        assert sides <= set(core.replica.committee.members) - {core.replica.me}
    assert contradictions > 0


@pytest.mark.parametrize("kind", CONDUCTS)
def test_no_conduct_says_anything_where_there_is_nobody(kind: Lie) -> None:
    core = core_of(0, 1)
    conduct = hostile(kind, core)
    conduct.hear(bytes(32), Status(height=3, view=0))
    said = list(conduct.twist([Outgoing(Status(height=1, view=0), None, "all")]))
    assert [key for out in said for key in conduct.receivers(out) if key != core.replica.me] == []
