"""What a stranger with many keys, or one member that lies, cannot do to a replica: single ones, driven by hand."""

from coalesced.sim.ledger.node import identity_of
from coalesced.sim.ledger.table import Table
from coalesced.testnet.byzantine import forge
from crypto.identity import short_id
from node.ledger.pbft.effects import Send
from node.ledger.pbft.opened import verify
from node.ledger.pbft.peers import lag
from node.ledger.pbft.state import Stage
from protocol.consensus import Blocks, Committed, Status, SyncRequest
from tests.harness.replicas import at, commit, core_of


def test_peers_that_say_they_are_ahead_and_never_help_keep_no_member_from_being_asked() -> None:
    core, honest = core_of(3, 4), identity_of(0).public_key
    strangers = [identity_of(50 + number).public_key for number in range(250)]
    asked = list[bytes]()
    for tenth in range(1, 200):  # they speak up again at once: first two of them, then more than are remembered
        for stranger in strangers[:2] if tenth < 100 else strangers:
            effects = core.step(at(tenth / 10), stranger, Status(height=2**40, view=0))
            asked += [effect.to for effect in effects if isinstance(effect, Send)]
        if tenth % 50 == 0:
            core.step(at(tenth / 10), honest, Status(height=5, view=0))
        asked += [effect.to for effect in core.tick(at(tenth / 10)) if isinstance(effect, Send)]
    assert asked.count(honest) >= 2, [short_id(key) for key in asked]


def test_who_was_asked_a_while_ago_may_still_answer() -> None:
    core, peers = core_of(3, 4), [identity_of(50 + number).public_key for number in range(6)]
    for number, peer in enumerate(peers):
        core.step(at(3.0 * number), peer, Status(height=5, view=0))
        core.tick(at(3.0 * number + 2.5))
    assert core.replica.asking.lately == (peers[5], peers[4], peers[3])


def test_who_is_behind_is_for_the_members_to_say_and_not_for_one_that_lies() -> None:
    core = core_of(3, 4)
    said = ((50, 2**53, 0), (0, 2**53, 0), (1, 7, 7), (2, 9, 9))  # a stranger, a liar, two honest members
    for who, height, lagging in said:
        core.step(at(0), identity_of(who).public_key, Status(height=height, view=0))
        assert lag(core.replica) == lagging, who
    alone = core_of(1, 2)  # of two members none may lie: one is enough
    alone.step(at(0), identity_of(0).public_key, Status(height=7, view=0))
    assert lag(alone.replica) == 7


def test_votes_of_one_member_for_what_nobody_proposed_replace_no_primary() -> None:
    t = Table(4)
    t.submit(0, "first")
    t.settle()
    chain, height = t.replica(0).chain, t.replica(0).height
    t.lie(3, forge.vote(t.key(3), "prepare", chain, height, 0, bytes([7]) * 32), 0, 1, 2)
    for _ in range(3):
        t.pass_s(3.0, 0, 1, 2)
        t.settle(among=(0, 1, 2))
    assert [(t.replica(who).view, t.replica(who).patience) for who in range(3)] == [(0, 0)] * 3
    t.lie(0, forge.vote(t.key(0), "prepare", chain, height, 0, bytes([7]) * 32), 1)
    t.pass_s(3.0, 1)
    t.expect_stage(Stage.CHANGING, 1)  # of the primary itself a vote without its block is enough


def test_who_gives_a_block_at_a_time_makes_room_for_a_member_that_gives_them_all() -> None:
    t = Table(4)
    for number in range(3):
        commit(t, b"set a %d" % number)
    kept = [Committed(block=one.block.block, certificate=one.certificate.certificate) for one in t.nodes[0].disk.blocks]
    core, honest, slow = core_of(3, 4), t.key(0).public_key, identity_of(50).public_key
    asked = [effect.to for effect in core.step(at(0), slow, Status(height=2**40, view=0)) if isinstance(effect, Send)]
    core.step(at(0.1), honest, Status(height=3, view=0))
    little = verify(Blocks(first_height=1, head_height=2**40, blocks=(kept[0],)))
    asked += [effect.to for effect in core.step(at(1), slow, little) if isinstance(effect, Send)]
    assert asked == [slow, honest]
    core.step(at(1.1), honest, verify(Blocks(first_height=1, head_height=3, blocks=tuple(kept))))
    assert core.replica.head.height == 3
    alone = core_of(3, 4)  # with nobody else to ask, the same goes on
    alone.step(at(0), slow, Status(height=3, view=0))
    again = alone.step(at(1), slow, verify(Blocks(first_height=1, head_height=3, blocks=(kept[0],))))
    assert [(effect.to, effect.message) for effect in again if isinstance(effect, Send)] == [
        (slow, SyncRequest(height=2))
    ]
